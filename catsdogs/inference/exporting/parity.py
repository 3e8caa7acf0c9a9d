"""Parity: how far an exported file is from torch in fp32, on real pictures, plain and under views."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catsdogs.core.merging import MERGES
from catsdogs.core.predictions import FloatArray, softmax
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import batches
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.engine import Engine, Pixels
from catsdogs.inference.exporting.formats import Run
from catsdogs.models.modelcard import ModelCard

VIEWS = ("none", "flip", "ten")
# Largest difference of a probability.
TOLERANCES = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.05}
# In shorter numbers also the share of labels that must stay. One may go in any case: as no probability moves
# by more than the above, its picture is one that torch itself can hardly tell.
LABELS = 0.995
# Neither equal nor a multiple of anything: a file must take batches of any length.
_BATCH = 5


@dataclass(frozen=True)
class Parity:
    """What was measured.

    Attributes:
        pictures: How many were compared.
        precision: Of the file.
        differences: Views -> largest difference of a merged probability, in [0, 1]; 1 where not finite.
            Those that the file tells itself are among those of ``none``.
        agreements: Views -> share of labels that are the same, in [0, 1]; 0 there.
        finite: Whether everything that the file answered is a number.
    """

    pictures: int
    precision: str
    differences: dict[str, float]
    agreements: dict[str, float]
    finite: bool = True

    @property
    def tolerance(self) -> float:
        """Largest difference of a probability that this precision may make."""
        return TOLERANCES[self.precision]

    @property
    def holds(self) -> bool:
        """Whether the file may be used in place of torch."""
        return not self.complaint

    @property
    def complaint(self) -> str:
        """Why it may not; empty where it may."""
        if not self.finite:
            return "some of its answers are not numbers"
        worst = max(self.differences.values())
        if not worst <= self.tolerance:
            return f"its probabilities differ from torch's by {worst:.2g}, more than {self.tolerance:g}"
        fewest = min(self.agreements.values())
        if self.precision != "fp32" and fewest < self._labels_required:
            return f"it agrees with torch on {fewest:.2%} of the labels, fewer than {LABELS:.1%}"
        return ""

    @property
    def _labels_required(self) -> float:
        return 1 - max(1, math.floor(self.pictures * (1 - LABELS))) / self.pictures

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "pictures": self.pictures,
            "precision": self.precision,
            "reference": "torch fp32",
            "finite": self.finite,
            "required": {"difference": self.tolerance}
            | ({} if self.precision == "fp32" else {"agreement": self._labels_required}),
            "views": {
                name: {"largest_difference": self.differences[name], "labels_agree": self.agreements[name]}
                for name in VIEWS
            },
        }


def ten_views(records: Iterable[ImageRecord], card: ModelCard, *, workers: int) -> Pixels:
    """Return the ten views of every readable picture, uint8 (N, 10, H, W, 3)."""
    spec, views = card.preprocess, parse_views("ten", card.preprocess)
    found = [
        batch.pixels for batch in batches(records, spec=spec, views=views, batch_size=_BATCH, workers=workers)
    ]
    empty = np.empty((0, len(views), spec.height_px, spec.width_px, 3), dtype=np.uint8)
    return np.concatenate([empty, *found])


def measure(run: Run, reference: Engine, pixels: Pixels, card: ModelCard, *, precision: str) -> Parity:
    """Compare a file with torch.

    Args:
        run: The file.
        reference: torch in fp32.
        pixels: Of ``ten_views``, of one picture or more.
        card: Of the model.
        precision: Of the file.
    """
    flat = pixels.reshape(-1, *pixels.shape[2:])
    pieces = [flat[:1], *(flat[start : start + _BATCH] for start in range(1, len(flat), _BATCH))]
    answers = [run(np.ascontiguousarray(piece)) for piece in pieces]
    shape = (*pixels.shape[:2], len(card.class_names))
    found = np.concatenate([logits for logits, _ in answers]).reshape(shape).astype(np.float64)
    told = np.concatenate([probabilities for _, probabilities in answers]).reshape(shape)
    if not (np.isfinite(found).all() and np.isfinite(told).all()):
        return Parity(
            len(pixels), precision, dict.fromkeys(VIEWS, 1.0), dict.fromkeys(VIEWS, 0.0), finite=False
        )
    expected = np.concatenate(list(reference.stream(pieces))).reshape(shape).astype(np.float64)
    differences, agreements = {}, {}
    for name in VIEWS:
        ours, theirs = (_probabilities(logits, name, card) for logits in (expected, found))
        differences[name] = _largest(ours - theirs)
        agreements[name] = float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())
    # What the file calls probabilities is compared as well, view by view.
    plain = _largest(softmax(expected / card.temperature) - told)
    differences["none"] = max(differences["none"], plain)
    return Parity(len(pixels), precision, differences, agreements)


def _probabilities(logits: FloatArray, views: str, card: ModelCard) -> FloatArray:
    """Return the merged probabilities (N, C) of some of the ten views, logits (N, 10, C)."""
    ten = parse_views("ten", card.preprocess)
    places = [ten.index(view) for view in parse_views(views, card.preprocess)]
    chosen = logits[:, places] / card.temperature
    return softmax(MERGES["mean"](chosen.swapaxes(0, 1)))


def _largest(differences: FloatArray) -> float:
    largest = float(np.abs(differences).max())
    return largest if np.isfinite(largest) else 1.0
