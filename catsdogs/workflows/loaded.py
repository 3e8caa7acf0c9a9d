"""A model in a program: ``catsdogs.load("runs/NAME").predict(paths)``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from catsdogs.core.predictions import Predictions
from catsdogs.data.inputs import find_pictures
from catsdogs.inference.predictor import Predictor, collect
from catsdogs.models.embedded import EMBEDDED
from catsdogs.models.execution import Runner
from catsdogs.models.modelfile import ModelCard, load_model
from catsdogs.models.trial import fastest_execution
from catsdogs.workflows.workers import decoding_workers

Paths = str | os.PathLike[str]


class LoadedModel:
    """A model read from disk, ready to predict.

    Attributes:
        card: Backbone, class names, preprocessing and temperature.
    """

    def __init__(self, runner: Runner, card: ModelCard, *, workers: int) -> None:
        self.card = card
        self._runner, self._workers = runner, workers

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of every prediction."""
        return self.card.class_names

    @property
    def precision(self) -> str:
        """``fp32`` or ``bf16``: what the network computes in."""
        return self._runner.execution.precision

    def predictor(self, tta: str = "none") -> Predictor:
        """Return a predictor over these views.

        Raises:
            ConfigError: There are no such views.
        """
        return Predictor(self._runner, self.card, tta=tta, workers=self._workers)

    def predict(self, paths: Paths | Iterable[Paths], *, tta: str = "none") -> Predictions:
        """Classify a folder (recursively), a zip, a picture, or a list of pictures.

        A file that cannot be read has an entry in ``errors`` and never stops the others.

        Raises:
            DataError: A folder or zip that is named alone is missing or cannot be opened.
            ConfigError: There are no such views.
        """
        return collect(self.predictor(tta).answers(find_pictures(paths)), self.class_names)


def load(
    path: str | Path = EMBEDDED, *, precision: str = "auto", workers: int | None = None, device: str = "auto"
) -> LoadedModel:
    """Read a model from a run folder or a model folder; needs no network and no Lightning.

    Args:
        path: ``runs/NAME``, or the ``model`` folder in it; by default the cats-and-dogs classifier that the
            package carries.
        precision: ``fp32`` for exactness, ``bf16``, or ``auto``: the faster of the two on this machine, by a
            short trial that is remembered.
        workers: Threads that decode pictures; by default one a core.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the best there is.

    Raises:
        ModelError: There is no usable model.
        ConfigError: The precision is unknown.
    """
    classifier, card = load_model(path)
    execution = fastest_execution(
        classifier, card.preprocess, card.backbone, precision=precision, device=device
    )
    return LoadedModel(Runner(classifier, execution), card, workers=decoding_workers(workers))
