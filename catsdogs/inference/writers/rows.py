"""What is said about one picture, before it has a format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import UNLABELLED, FloatArray, softmax

OK, ERROR, ABSTAIN = "ok", "error", "abstain"


@dataclass(frozen=True)
class RowOptions:
    """What rows hold.

    Attributes:
        with_labels: Whether there is a column for the true class.
        top_k: Name so many of the most probable classes, instead of the probability of each class.
        abstain_below: A picture whose best probability is smaller gets no label and the status ``abstain``.
        with_unfamiliar: Whether there is a column for how strange a picture is.
        unfamiliar_from: A picture as strange as this gets no label and the status ``abstain``.
    """

    with_labels: bool = False
    top_k: int | None = None
    abstain_below: float | None = None
    with_unfamiliar: bool = False
    unfamiliar_from: float | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            ConfigError: ``top_k`` is below 1, or a share outside [0, 1].
        """
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"--top-k must be 1 or more, not {self.top_k}")
        for name, share in (
            ("abstain-below", self.abstain_below),
            ("unfamiliar-from", self.unfamiliar_from),
        ):
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"--{name} must be from 0 to 1, not {share:g}")

    def doubt(self, probability: float, unfamiliar: float | None) -> str:
        """Return why the answer about a picture is withheld; empty where it is not."""
        if self.unfamiliar_from is not None and unfamiliar is not None and unfamiliar >= self.unfamiliar_from:
            return f"unlike the pictures in training ({unfamiliar:.3f})"
        if probability < (self.abstain_below or 0.0):
            return f"less sure than {self.abstain_below:g}"
        return ""

    def named(self, classes: int) -> int:
        """Return how many classes a row names."""
        return min(self.top_k or 1, classes)


@dataclass(frozen=True, slots=True)
class Row:
    """What is said about one picture.

    Attributes:
        name: The picture's id, as it is.
        true: Its class, or None.
        label: The class it is called, or None where it could not be read or the answer is withheld.
        best: The most probable classes and their probabilities, best first; empty for an unreadable picture.
        probabilities: One a class; empty for an unreadable picture.
        unfamiliar: The share of familiar pictures that lie nearer to those in training; None where it is not
            known.
        status: ``ok``, ``error`` or ``abstain``.
        reason: Why there is no label, or empty.
    """

    name: str
    true: str | None
    label: str | None
    best: tuple[tuple[str, float], ...]
    probabilities: tuple[float, ...]
    unfamiliar: float | None
    status: str
    reason: str


class RowWriter(Protocol):
    """A format that rows are written in, as they come."""

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        ...

    def close(self) -> None:
        """Make what was written a valid file; the rows so far are in it."""
        ...


def rows_of(
    ids: Iterable[str],
    logits: FloatArray,
    labels: Iterable[int],
    errors: Mapping[int, str],
    class_names: Sequence[str],
    options: RowOptions,
    unfamiliar: FloatArray | None = None,
) -> Iterator[Row]:
    """Yield the rows of some pictures.

    Args:
        ids: Length B.
        logits: Float64 (B, C), calibrated.
        labels: True classes, or ``UNLABELLED``.
        errors: Position -> why that picture cannot be read.
        class_names: Length C.
        options: What rows hold.
        unfamiliar: (B,), where it is known how strange they are.
    """
    probabilities = softmax(logits)
    for position, (name, scores, label) in enumerate(zip(ids, probabilities, labels, strict=True)):
        true = None if label == UNLABELLED else class_names[label]
        if position in errors:
            yield Row(name, true, None, (), (), None, ERROR, errors[position])
            continue
        order = scores.argsort(kind="stable")[::-1] if options.named(len(scores)) > 1 else [scores.argmax()]
        best = tuple((class_names[i], float(scores[i])) for i in order[: options.named(len(scores))])
        strange = None if unfamiliar is None else float(unfamiliar[position])
        doubt = options.doubt(best[0][1], strange)
        yield Row(
            name,
            true,
            None if doubt else best[0][0],
            best,
            tuple(scores.tolist()),
            strange,
            ABSTAIN if doubt else OK,
            doubt,
        )


def rounded(value: float) -> float:
    """Keep nine significant digits, as every format does."""
    return float(f"{value:.9g}")
