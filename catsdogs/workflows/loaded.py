"""A model in a program: ``catsdogs.load("runs/NAME").predict(paths)``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import Predictions
from catsdogs.data.inputs import find_pictures
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.choice import AUTO, TORCH, open_engine
from catsdogs.inference.engines.engine import Engine
from catsdogs.inference.predictor import Predictor, collect
from catsdogs.models.embedded import EMBEDDED
from catsdogs.models.modelcard import ModelCard, find_model, load_card
from catsdogs.reporting.console import say_nothing
from catsdogs.workflows.workers import decoding_workers

Paths = str | os.PathLike[str]


class LoadedModel:
    """A model read from disk, ready to predict.

    Attributes:
        card: Backbone, class names, preprocessing and temperature.
        engine: What computes its logits.

    Args:
        engine: As above.
        card: As above.
        workers: Threads that decode pictures.
        open_torch: Returns an engine that takes pictures of any size, where ``engine`` does not.
    """

    def __init__(
        self, engine: Engine, card: ModelCard, *, workers: int, open_torch: Callable[[], Engine]
    ) -> None:
        self.card, self.engine = card, engine
        self._workers, self._open_torch = workers, open_torch

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of every prediction."""
        return self.card.class_names

    @property
    def precision(self) -> str:
        """``fp32`` or ``bf16``: what the network computes in."""
        return self.engine.precision

    def predictor(
        self, tta: str = "none", *, merge: str = "auto", keep_views: bool = False, keep_features: bool = False
    ) -> Predictor:
        """Return a predictor over these views; the arguments are those of ``Predictor``.

        Raises:
            ConfigError: There are no such views, or no such merge, or the network has no dense views.
        """
        return Predictor(
            self._engine_for(tta),
            self.card,
            tta=tta,
            merge=merge,
            keep_views=keep_views,
            keep_features=keep_features,
            workers=self._workers,
        )

    def _engine_for(self, tta: str) -> Engine:
        """Return the engine; views larger than the network's input need torch, which takes any size."""
        side = parse_views(tta, self.card.preprocess)[0].dense_px
        if not side:
            return self.engine
        from catsdogs.inference.dense import require_dense
        from catsdogs.models.execution import Runner

        engine = self.engine if isinstance(self.engine, Runner) else self._open_torch()
        assert isinstance(engine, Runner)
        require_dense(engine.classifier, self.card, side)
        return engine

    def predict(
        self, paths: Paths | Iterable[Paths], *, tta: str = "none", merge: str = "auto"
    ) -> Predictions:
        """Classify a folder (recursively), a zip, a picture, or a list of pictures.

        A file that cannot be read has an entry in ``errors`` and never stops the others; a damaged archive
        and a folder that cannot be listed are a ``UserWarning``.

        Raises:
            DataError: A folder or zip that is named alone is missing or cannot be opened.
            ConfigError: There are no such views, or no such merge.
        """
        pictures = find_pictures(paths)
        for problem in pictures.problems:
            warnings.warn(problem, stacklevel=2)
        return collect(self.predictor(tta, merge=merge).answers(pictures), self.class_names)


def load(
    path: str | Path = EMBEDDED,
    *,
    engine: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    say: Callable[[str], None] = say_nothing,
) -> LoadedModel:
    """Read a model from a run folder or a model folder; needs no network and no Lightning.

    Args:
        path: ``runs/NAME``, or the ``model`` folder in it; by default the cats-and-dogs classifier that the
            package carries.
        engine: ``torch``, ``compile``, ``onnxruntime``, ``openvino``, or ``auto``: the fastest that is
            installed, by a short trial on this machine that is remembered.
        precision: ``fp32`` for exactness, ``bf16``, or ``auto``: whatever is faster.
        workers: Threads that decode pictures; by default one a core.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the best there is.
        threads: That compute, of an engine other than torch; by default one a core.
        say: Is told what takes seconds, such as converting a model for the first time.

    Raises:
        ModelError: There is no usable model, or the engine cannot run it.
        ConfigError: The engine or precision is unknown or not there.
    """
    folder = find_model(path)
    card = load_card(folder)
    opened = partial(open_engine, folder, card, precision=precision, device=device, threads=threads, say=say)

    def open_torch() -> Engine:
        if engine != AUTO:
            raise ConfigError(f"--engine {engine} takes one size of pictures; dense views need torch")
        return opened(engine=TORCH)

    return LoadedModel(opened(engine=engine), card, workers=decoding_workers(workers), open_torch=open_torch)
