"""How a model is applied: the options of a command line, and the predictor that they ask for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catsdogs.core.computation import TORCH
from catsdogs.core.errors import ConfigError
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.choice import AUTO, check_names
from catsdogs.inference.predictor import Predictor, merging
from catsdogs.models.modelcard import CARD, ModelCard, find_model
from catsdogs.reporting.console import say
from catsdogs.workflows.loaded import load


@dataclass(frozen=True)
class ApplyOptions:
    """How a model is applied.

    Attributes:
        tta: The views to merge.
        merge: How, by a name of ``MERGES``; ``auto`` is the mean, weighted where the model has learned to.
        engine: ``auto``, ``torch``, ``compile``, ``onnxruntime`` or ``openvino``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        workers: Threads that decode pictures.
        devices: Processes or GPUs that share the pictures.
    """

    tta: str = "none"
    merge: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    devices: int = 1

    def check(self, card: ModelCard) -> None:
        """Refuse before the work what a model cannot be asked.

        Raises:
            ConfigError: There are no such views, no such merge, engine or precision, or too few devices.
        """
        check_names(self.engine, self.precision)
        merging(card, parse_views(self.tta, card.preprocess), self.merge)
        if self.devices < 1:
            raise ConfigError(f"--devices must be 1 or more, not {self.devices}")


DEFAULTS = ApplyOptions()
"""What a command line without options asks for."""

WITHIN_A_RUN = ApplyOptions(engine=TORCH)
"""For a model that a run has just made: a conversion would take longer than its few pictures."""


def open_predictor(
    checkpoint: Path, options: ApplyOptions, *, keep_views: bool = False, keep_features: bool = False
) -> Predictor:
    """Return what applies a model in this process; where the engine was left open, say which it became.

    Args:
        checkpoint: Run folder or model folder.
        options: How to apply it.
        keep_views: Tell what each view said, too.
        keep_features: Tell what the head was given, too.

    Raises:
        UserError: The model or the engine cannot be had.
    """
    model = load(
        checkpoint,
        engine=options.engine,
        precision=options.precision,
        workers=options.workers,
        say=say,
        at_once=False,
    )
    predictor = model.predictor(
        options.tta, merge=options.merge, keep_views=keep_views, keep_features=keep_features
    )
    if options.engine == AUTO:
        say(f"engine: {predictor.engine.name}, {predictor.engine.precision}")
    return predictor


def settings_of(checkpoint: Path, options: ApplyOptions, predictor: Predictor) -> dict[str, Any]:
    """Return what two predictions must have in common for the answers of both to be one prediction's."""
    return {
        "model": hashlib.sha256((find_model(checkpoint) / CARD).read_bytes()).hexdigest()[:16],
        "tta": options.tta,
        "merge": options.merge,
        "engine": predictor.engine.name,
        "precision": predictor.engine.precision,
        "devices": options.devices,
        "features": predictor.keeps_features,
    }
