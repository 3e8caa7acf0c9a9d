"""What a patch on a few wrongly labelled training pictures does to a model, and what shows it."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.stored import Stored
from catsdogs.evaluation.intervals import wilson
from catsdogs.evaluation.labelcheck import LabelDoubt

# How much of a list of labels somebody is taken to look at.
FIRST = 0.03


@dataclass(frozen=True)
class Answers:
    """How a model does on test pictures as they are and with the patch.

    Attributes:
        accuracy: On the test pictures of all classes as they are.
        misled: Share of the victims that it calls the target class once they wear the patch.
        anyway: The same share without the patch.
    """

    accuracy: Estimate
    misled: Estimate
    anyway: Estimate

    @classmethod
    def of(
        cls, clean: FloatArray, labels: IntArray, worn: FloatArray, *, victim: int, target: int
    ) -> Answers:
        """Judge logits.

        Args:
            clean: Of the test pictures as they are (N, C).
            labels: Their classes (N,).
            worn: Of those of the victim class in the same order, with the patch (M, C).
            victim: Class that wears the patch.
            target: Class that it is to be taken for.
        """
        called = clean.argmax(axis=1)
        plain = called[labels == victim] == target
        fooled = worn.argmax(axis=1) == target
        return cls(
            wilson(int((called == labels).sum()), len(labels)),
            wilson(int(fooled.sum()), len(fooled)),
            wilson(int(plain.sum()), len(plain)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {name: getattr(self, name).to_dict() for name in ("accuracy", "misled", "anyway")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Answers:
        """Build it from the plain values of ``to_dict``."""
        return cls(**{name: Estimate.from_dict(plain) for name, plain in values.items()})


@dataclass(frozen=True)
class Traces:
    """What the lists show of the poisoned pictures.

    Attributes:
        listed: Length of the list of labels.
        ranks: Places of the poisoned pictures in it by the model alone, from 1, ascending.
        first: Share of them in the first ``FIRST`` of it.
        suspected: How many of them the model suspects.
        duplicates: How many of them the audit finds to be duplicates of a picture with another label.
        flagged: How many of them one or the other finds: they are marked in ``labels.csv``.
    """

    listed: int
    ranks: tuple[int, ...]
    first: Estimate
    suspected: int
    duplicates: int
    flagged: int

    @classmethod
    def of(
        cls, doubts: Sequence[LabelDoubt], poisoned: Collection[str], conflicting: Collection[str]
    ) -> Traces:
        """Find the poisoned pictures, named by their ids, in a list made by the model alone."""
        ranks = tuple(place for place, doubt in enumerate(doubts, start=1) if doubt.id in poisoned)
        room = first_places(len(doubts))
        suspected = {doubt.id for doubt in doubts if doubt.suspected} & set(poisoned)
        twins = set(poisoned) & set(conflicting)
        return cls(
            listed=len(doubts),
            ranks=ranks,
            first=wilson(sum(rank <= room for rank in ranks), len(ranks)),
            suspected=len(suspected),
            duplicates=len(twins),
            flagged=len(suspected | twins),
        )

    @property
    def median_rank(self) -> float:
        """The middle of the ranks."""
        return statistics.median(self.ranks)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"ranks": list(self.ranks), "first": self.first.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Traces:
        """Build it from the plain values of ``to_dict``."""
        parts = dict(values) | {"ranks": tuple(values["ranks"]), "first": Estimate.from_dict(values["first"])}
        return cls(**parts)


@dataclass(frozen=True)
class Dose:
    """One strength of poison.

    Attributes:
        poisoned: Pictures with patch and wrong label.
        share: Of all training pictures, in [0, 1].
        answers: Of the model that learned from them too.
        traces: What the lists show.
    """

    poisoned: int
    share: float
    answers: Answers
    traces: Traces

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "poisoned": self.poisoned,
            "share": self.share,
            "answers": self.answers.to_dict(),
            "traces": self.traces.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Dose:
        """Build it from the plain values of ``to_dict``."""
        answers, traces = Answers.from_dict(values["answers"]), Traces.from_dict(values["traces"])
        return cls(values["poisoned"], values["share"], answers, traces)


@dataclass(frozen=True)
class PoisonReport(Stored):
    """What came of poisoning a training.

    Attributes:
        victim: Class whose pictures wear the patch.
        target: Class that they were labelled in training.
        patch: Side of the patch over the shorter side of the picture.
        copies: Whether the poisoned pictures were added beside their originals, or took their place.
        training: Pictures to learn from before any poison.
        clean: What the model without poison answers.
        doses: From the smallest.
    """

    KIND: ClassVar[str] = "a report of poisoning"

    victim: str
    target: str
    patch: float
    copies: bool
    training: int
    clean: Answers
    doses: tuple[Dose, ...]

    @property
    def sentence(self) -> str:
        """What was found at the largest dose, for one line."""
        last = self.doses[-1]
        misled, before, traces = last.answers.misled, self.clean.misled, last.traces
        return (
            f"{last.poisoned} poisoned of {self.training:,} training pictures: {misled.value:.0%} "
            f"({misled.low:.0%} to {misled.high:.0%}) of the patched {self.victim} pictures are called "
            f"{self.target}, {before.value:.0%} without poison; the list of labels suspects {traces.flagged} "
            f"of the {last.poisoned}: {traces.suspected} by the model, {traces.duplicates} as duplicates"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        parts = {name: getattr(self, name) for name in ("victim", "target", "patch", "copies", "training")}
        doses = [dose.to_dict() for dose in self.doses]
        return {**parts, "clean": self.clean.to_dict(), "doses": doses}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PoisonReport:
        """Build it from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            doses = tuple(Dose.from_dict(plain) for plain in values["doses"])
            return cls(**dict(values) | {"clean": Answers.from_dict(values["clean"]), "doses": doses})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is no report of poisoning: {error}") from error


def first_places(listed: int) -> int:
    """Return how many places the first ``FIRST`` of a list has."""
    return int(np.ceil(FIRST * listed))
