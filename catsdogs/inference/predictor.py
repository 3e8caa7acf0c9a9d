"""Predictor: records in, Predictions out, with decoding and the network at work at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from catsdogs.core.errors import ConfigError
from catsdogs.core.familiarity import Familiarity
from catsdogs.core.merging import MERGES, log_mean_probability
from catsdogs.core.predictions import UNLABELLED, FloatArray, IntArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.data.rendering import Draw
from catsdogs.data.stream import Batch, batches
from catsdogs.data.views import PLAIN, View, parse_views, plain_among
from catsdogs.inference.engines.engine import Engine, Rows
from catsdogs.inference.packing import packed
from catsdogs.models.modelcard import ModelCard

AUTO = "auto"


@dataclass(frozen=True)
class Answers:
    """What the model said about consecutive records.

    Attributes:
        records: Length B.
        logits: Float64 (B, C), calibrated; NaN where there is an error.
        errors: Position within ``records`` -> why that picture cannot be read.
        views: What each view said, where that was asked for.
        features: Float32 (G, D) of the readable pictures, where that was asked for: what the head was given,
            the mean of the views.
        unfamiliar: Float64 (B,) in [0, 1), NaN where there is an error, where the model can tell: the share
            of familiar pictures that lie nearer to those in training. By the plain view, where it is one of
            those asked for.
    """

    records: tuple[ImageRecord, ...]
    logits: FloatArray
    errors: dict[int, str]
    views: ViewAnswers | None = None
    features: Rows | None = None
    unfamiliar: FloatArray | None = None


def _ignore(_: int) -> None:
    """Take progress and do nothing with it."""


class Predictor:
    """Applies one model, over one set of views, to any number of pictures in flat memory.

    Args:
        engine: Runs the network.
        card: What the model is.
        tta: The views, as ``data.views`` names them.
        merge: One of ``MERGES``, or ``auto``: the mean, weighted where the model has learned weights of
            these views.
        keep_views: Tell what each view said, too.
        keep_features: Tell what the head was given, too.
        familiarity: Tell of each picture how strange it is, by this.
        draw: Makes the random views, in place of what training did to pictures.
        workers: Threads that decode pictures.
    """

    def __init__(
        self,
        engine: Engine,
        card: ModelCard,
        *,
        tta: str = "none",
        merge: str = "auto",
        keep_views: bool = False,
        keep_features: bool = False,
        familiarity: Familiarity | None = None,
        draw: Draw | None = None,
        workers: int,
    ) -> None:
        self.engine, self._card = engine, card
        self._draw = draw
        self._views = parse_views(tta, card.preprocess)
        self._merge = merging(card, self._views, merge)
        self._plain = plain_among(self._views, card.preprocess)
        self._extra: tuple[View, ...] = ()
        if keep_views and self._plain is None and not self._views[0].dense_px:
            self._extra, self._plain = (PLAIN,), len(self._views)
        self._keep_views, self.keeps_features = keep_views, keep_features
        self._familiarity = familiarity
        self._workers = workers

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the columns of the answers."""
        return self._card.class_names

    @property
    def knows_strange_pictures(self) -> bool:
        """Whether answers tell how unfamiliar a picture is."""
        return self._familiarity is not None

    def answers(
        self, records: Iterable[ImageRecord], advance: Callable[[int], None] = _ignore
    ) -> Iterator[Answers]:
        """Yield answers in the order of the records, as they become known; tell ``advance`` how many."""
        views = (*self._views, *self._extra)
        size = self.engine.batch_size
        stream = batches(
            records,
            spec=self._card.preprocess,
            views=views,
            batch_size=max(1, size // len(views)),
            workers=self._workers,
            draw=(self._draw or _draw(self._card)) if views[0].draw else None,
        )
        score = partial(self.engine.stream, features=self.keeps_features or self.knows_strange_pictures)
        for batch, rows in packed(stream, score, size=size):
            yield self._answer(batch, rows)
            advance(len(batch.records))

    def _answer(self, batch: Batch, rows: Rows) -> Answers:
        """Merge the raw logits (G, V, C), or logits and features (G, V, C + D), of a batch."""
        shape = (len(batch.records), len(self._card.class_names))
        by_view = np.full((len(self._views) + len(self._extra), *shape), np.nan)
        if len(batch.good):
            raw = rows[..., : shape[1]].astype(np.float64)
            by_view[:, batch.good] = raw.swapaxes(0, 1) / self._card.temperature
        asked = by_view[: len(self._views)]
        logits = asked[0] if len(asked) == 1 else self._merge(asked)
        errors = batch.errors | _without_numbers(logits, batch.good)
        views = None
        if self._keep_views:
            plain = np.full(shape, np.nan) if self._plain is None else by_view[self._plain]
            views = ViewAnswers(tuple(view.name for view in self._views), asked, plain)
        features, unfamiliar = None, None
        if self.keeps_features or self._familiarity is not None:
            told = np.array([position not in errors for position in batch.good], dtype=bool)
            seen = rows[told, :, shape[1] :]
            features = seen[:, : len(self._views)].mean(axis=1)
            # Held-out pictures were measured by their plain view; a mean of views lies elsewhere.
            plain = features if self._plain is None else seen[:, self._plain]
            unfamiliar = self._strangeness(plain, batch.good[told], shape[0])
        kept = features if self.keeps_features else None
        return Answers(batch.records, logits, errors, views, kept, unfamiliar)

    def _strangeness(self, features: Rows, good: IntArray, count: int) -> FloatArray | None:
        if self._familiarity is None:
            return None
        unfamiliar = np.full(count, np.nan)
        if len(good):
            unfamiliar[good] = self._familiarity.unfamiliar(features)
        return unfamiliar


def _without_numbers(logits: FloatArray, good: IntArray) -> dict[int, str]:
    """Return the errors of readable pictures that the network has no finite answer to."""
    strange = good[~np.isfinite(logits[good]).all(axis=1)]
    logits[strange] = np.nan
    return dict.fromkeys(strange.tolist(), "the model's answer is not a number")


def merging(card: ModelCard, views: Sequence[View], merge: str) -> Callable[[FloatArray], FloatArray]:
    """Return how a model merges these views.

    Raises:
        ConfigError: There is no such merge.
    """
    if merge != AUTO:
        if merge not in MERGES:
            raise ConfigError(f"--tta_merge {merge!r} is not one of {AUTO}, {', '.join(MERGES)}")
        return MERGES[merge]
    names = [view.name for view in views]
    learned = card.weights_of(names)
    if learned is None:
        return MERGES["mean"]
    return partial(log_mean_probability, weights=learned.order(names))


def _draw(card: ModelCard) -> Draw:
    # Augmentation needs torchvision, which nobody else here does.
    from catsdogs.data.randomviews import RandomViews

    return RandomViews(card.preprocess, card.augmentation)


def collect(answers: Iterable[Answers], class_names: Sequence[str]) -> Predictions:
    """Gather answers into one value, without labels."""
    ids: list[str] = []
    logits: list[FloatArray] = [np.empty((0, len(class_names)))]
    errors: dict[int, str] = {}
    views: list[ViewAnswers] = []
    unfamiliar: list[FloatArray] = []
    for answer in answers:
        errors |= {len(ids) + position: reason for position, reason in answer.errors.items()}
        ids.extend(record.id for record in answer.records)
        logits.append(answer.logits)
        views += [answer.views] if answer.views is not None else []
        unfamiliar += [answer.unfamiliar] if answer.unfamiliar is not None else []
    return Predictions(
        ids=tuple(ids),
        class_names=tuple(class_names),
        logits=np.concatenate(logits),
        labels=np.full(len(ids), UNLABELLED, dtype=np.int64),
        errors=errors,
        views=ViewAnswers.concatenate(views) if views else None,
        unfamiliar=np.concatenate(unfamiliar) if unfamiliar else None,
    )
