"""A model in a program: ``catsdogs.load("runs/NAME").predict(paths)``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from catsdogs.core.computation import TORCH
from catsdogs.core.errors import ConfigError
from catsdogs.core.familiarity import Familiarity
from catsdogs.core.predictions import Predictions
from catsdogs.data.inputs import find_pictures
from catsdogs.data.views import parse_views
from catsdogs.inference.engines.choice import AUTO, COMPILE, open_engine
from catsdogs.inference.engines.engine import Engine
from catsdogs.inference.predictor import Predictor, collect
from catsdogs.models.embedded import EMBEDDED
from catsdogs.models.familiar import load_familiarity
from catsdogs.models.modelcard import ModelCard, find_model, load_card
from catsdogs.reporting.console import say_nothing
from catsdogs.workflows.workers import decoding_workers

if TYPE_CHECKING:
    from catsdogs.models.execution import Runner

Paths = str | os.PathLike[str]


class LoadedModel:
    """A model read from disk, ready to predict.

    Attributes:
        card: Backbone, class names, preprocessing and temperature.

    Args:
        card: As above.
        engine: The name of what computes its logits, or ``auto``.
        opened: Opens an engine by its name, once one is needed.
        familiarity: By what it knows strange pictures.
        workers: Threads that decode pictures.
    """

    def __init__(
        self,
        card: ModelCard,
        *,
        engine: str,
        opened: Callable[[str], Engine],
        familiarity: Familiarity | None = None,
        workers: int,
    ) -> None:
        self.card, self._familiarity = card, familiarity
        self._asked, self._opened, self._workers = engine, opened, workers
        self._fit_for_dense: set[int] = set()

    @cached_property
    def engine(self) -> Engine:
        """What computes its logits."""
        return self._opened(self._asked)

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
            familiarity=self._familiarity,
            workers=self._workers,
        )

    def _engine_for(self, tta: str) -> Engine:
        """Return the engine; views larger than the network's input need torch, which takes any size."""
        side = parse_views(tta, self.card.preprocess)[0].dense_px
        if not side:
            return self.engine
        from catsdogs.inference.dense import require_dense

        if side not in self._fit_for_dense:
            require_dense(self._runner.classifier, self.card, side)
            self._fit_for_dense.add(side)
        return self._runner.for_size(side, side)

    @cached_property
    def _runner(self) -> Runner:
        """The engine where it is torch, else torch beside it; a converted one is not opened for this."""
        from catsdogs.models.execution import Runner

        if self._asked not in (AUTO, TORCH, COMPILE):
            raise ConfigError(f"--engine {self._asked} takes one size of pictures; dense views need torch")
        there = self.engine if self._asked != AUTO else vars(self).get("engine")
        engine = there if isinstance(there, Runner) else self._opened(TORCH)
        assert isinstance(engine, Runner)
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
    at_once: bool = True,
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
        at_once: Open the engine now, and find out now what stands in its way; else when it is first needed,
            which may be never, as dense views are torch's.

    Raises:
        ModelError: There is no usable model, or the engine cannot run it.
        ConfigError: The engine or precision is unknown or not there.
    """
    folder = find_model(path)
    card = load_card(folder)

    def opened(name: str) -> Engine:
        return open_engine(
            folder, card, engine=name, precision=precision, device=device, threads=threads, say=say
        )

    model = LoadedModel(
        card,
        engine=engine,
        opened=opened,
        familiarity=load_familiarity(folder),
        workers=decoding_workers(workers),
    )
    if at_once:
        _ = model.engine
    return model
