"""What differs between the classes besides what they show: a model may learn that instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from catsdogs.core.columns import Column, NumberColumn
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.evaluation import weighted
from catsdogs.evaluation.intervals import LEVEL
from catsdogs.evaluation.resampling import bootstrap, percentile_interval

# Beyond this an AUROC is worth a warning, if its interval is. Cats and dogs of Kaggle reach 0.59.
TELLING = 0.1
_RESAMPLES = 500
# The interval of an AUROC hardly shrinks beyond so many pictures, and resampling them takes time.
_MOST_PICTURES = 5_000
# Resampling fewer of a class hardly moves them, and a difference by chance looks sure.
_FEWEST_PICTURES = 10
# Of many classes those that a property tells best; resampling them all would take minutes.
_MOST_CLASSES = 8


@dataclass(frozen=True)
class ClassDifference:
    """How well a property alone tells a class from the others.

    Attributes:
        column: Name of the property.
        of_class: The class.
        more: What its pictures are more often: ``dark``.
        auroc: Of finding the class by the property, with the side chosen that is above 0.5; the interval may
            reach below. 0.5 is no difference, 1 is a property that gives the class away.
        among: How many differences were looked at: the more, the likelier one of them is chance.
    """

    column: str
    of_class: str
    more: str
    auroc: Estimate
    among: int = 1

    @property
    def telling(self) -> bool:
        """Whether a model could learn the property in place of the class.

        The lower limit is moved for the number of differences (Bonferroni), as that of a normal figure.
        """
        tail = (1 - LEVEL) / 2
        wider = NormalDist().inv_cdf(1 - tail / self.among) / NormalDist().inv_cdf(1 - tail)
        return self.auroc.value - wider * (self.auroc.value - self.auroc.low) > 0.5 + TELLING

    def sentence(self) -> str:
        """Return one line about it."""
        figure = f"AUROC {self.auroc.value:.2f} ({self.auroc.low:.2f} to {self.auroc.high:.2f})"
        return f"training pictures of {self.of_class} are more often {self.more} ({self.column}: {figure})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "column": self.column,
            "of_class": self.of_class,
            "more": self.more,
            "auroc": self.auroc.to_dict(),
            "among": self.among,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassDifference:
        """Build it from the plain values of ``to_dict``."""
        return cls(**{**values, "auroc": Estimate.from_dict(values["auroc"])})


def class_differences(
    columns: Sequence[Column], labels: IntArray, class_names: Sequence[str], *, seed: int = 0
) -> tuple[ClassDifference, ...]:
    """Return how each property differs between the classes, the most telling first.

    Nothing is said of a class with fewer than ten pictures, and of many classes only the eight that a
    property tells best are named.

    Args:
        columns: Of N values each.
        labels: (N,) in [0, C).
        class_names: C names. Of two classes the second is told from the first, of more each from the others.
        seed: Of the intervals' resamples, and of the 5,000 pictures that are drawn from more.
    """
    chosen = np.arange(len(labels))
    if len(labels) > _MOST_PICTURES:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:_MOST_PICTURES])
    known = labels[chosen]
    some = np.array([1] if len(class_names) == 2 else range(len(class_names)))
    found: list[ClassDifference] = []
    among = 0
    for column in columns:
        for name, low, high, values in _scores(column.take(chosen.tolist())):
            surety = _surety(values, known, len(class_names))[some]
            judged = int((~np.isnan(surety)).sum())
            among += judged
            best = np.argsort(-surety, kind="stable")[: min(_MOST_CLASSES, judged)]
            for label in some[np.sort(best)].tolist():
                more, auroc = _told(values, known == label, low, high, seed)
                found.append(ClassDifference(name, class_names[label], more, auroc))
    counted = (replace(one, among=among) for one in found)
    return tuple(sorted(counted, key=lambda one: -one.auroc.value))


def _surety(values: FloatArray, labels: IntArray, classes: int) -> FloatArray:
    """Return, (C,), the AUROC by which a property tells each class, less 0.5, without sign.

    It is NaN for a class with too few pictures in it or outside it, and where all values are equal. From
    ranks, which is the same as from pairs (Mann and Whitney 1947).
    """
    known = ~np.isnan(values)
    scores, own = values[known], labels[known]
    inside = np.bincount(own, minlength=classes)
    outside = len(own) - inside
    sums = np.bincount(own, rankdata(scores), minlength=classes)
    areas = weighted.share(sums - inside * (inside + 1) / 2, inside * outside)
    few = np.minimum(inside, outside) < _FEWEST_PICTURES
    constant = len(np.unique(scores)) < 2
    return np.where(few | constant, np.nan, np.abs(areas - 0.5))


def _scores(column: Column) -> Iterator[tuple[str, str, str, FloatArray]]:
    """Yield (name, called when small, called when large, values) of a column, or of each of its words."""
    if isinstance(column, NumberColumn):
        yield column.name, column.low, column.high, column.values
        return
    words = sorted({value for value in column.values if value is not None})
    if 2 <= len(words) <= len(column.values) / 2:
        for word in words[1:] if len(words) == 2 else words:
            has = np.array(
                [np.nan if value is None else value == word for value in column.values], np.float64
            )
            yield column.name, f"not {column.name} {word}", f"{column.name} {word}", has


def _told(
    values: FloatArray, is_class: npt.NDArray[np.bool_], low: str, high: str, seed: int
) -> tuple[str, Estimate]:
    known = ~np.isnan(values)
    scores, labels = values[known], is_class[known].astype(np.int64)
    once = np.ones((len(scores), 1))
    pair = np.stack([-scores, scores], axis=1)
    more = high
    if weighted.auroc(pair, labels, once)[0] < 0.5:
        pair, more = -pair, low
    value = float(weighted.auroc(pair, labels, once)[0])
    drawn = bootstrap(
        {"auroc": lambda counts: weighted.auroc(pair, labels, counts)},
        len(scores),
        seed=seed,
        resamples=_RESAMPLES,
    )
    return more, percentile_interval(value, drawn["auroc"])
