"""Parity: how far an exported file is from torch in fp32, on real pictures, plain and under views."""

from __future__ import annotations

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
# Largest difference of a probability in fp32; in shorter numbers, the share of labels that must stay.
TOLERANCE, LABELS = 1e-4, 0.995
# Neither equal nor a multiple of anything: a file must take batches of any length.
_BATCH = 5


@dataclass(frozen=True)
class Parity:
    """What was measured.

    Attributes:
        pictures: How many were compared.
        precision: Of the file.
        differences: Views -> largest difference of a merged probability, in [0, 1].
        agreements: Views -> share of labels that are the same, in [0, 1].
    """

    pictures: int
    precision: str
    differences: dict[str, float]
    agreements: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether the file may be used in place of torch."""
        if self.precision == "fp32":
            return all(difference <= TOLERANCE for difference in self.differences.values())
        return all(share >= LABELS for share in self.agreements.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "pictures": self.pictures,
            "precision": self.precision,
            "reference": "torch fp32",
            "required": {"difference": TOLERANCE} if self.precision == "fp32" else {"agreement": LABELS},
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
