"""RobustnessReport: what changed pictures do to a model's answers; to and from JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.stored import Stored


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold if the figures mean what they say.

    Attributes:
        name: Of the check.
        passed: Whether it held.
        text: What was found, in a sentence.
    """

    name: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One strength of one change.

    Attributes:
        strength: 1 to 5 of a corruption, in 1/255 of an attack.
        setting: The same in words, such as ``quality 10``.
        accuracy: Of the changed pictures.
        cost: How much of the clean accuracy that takes, paired by picture; above 0 is a loss.
    """

    strength: float
    setting: str
    accuracy: Estimate
    cost: Estimate


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of change, from mild to harsh."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class CorruptionReport:
    """What corruptions cost.

    Attributes:
        clean: Accuracy of the pictures as they are.
        series: One a kind.
        mean_error: Share of wrong answers over all kinds and strengths.
        relative_error: The same less that of the clean pictures, paired by picture.
    """

    clean: Estimate
    series: tuple[Series, ...]
    mean_error: Estimate
    relative_error: Estimate


@dataclass(frozen=True, slots=True)
class Shift:
    """Pictures moved by so many pixels in each of four directions.

    Attributes:
        pixels: How far.
        changed: Share of pictures that get another answer in at least one direction.
        moved_probability: Mean change of the probability of the plain answer, in [0, 1].
        accuracy: Over all directions.
    """

    pixels: int
    changed: Estimate
    moved_probability: Estimate
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ShiftReport:
    """What moving the picture changes.

    Attributes:
        clean: Accuracy of the pictures as they are.
        steps: From near to far.
        room_px: How far every picture can be moved before an edge comes in.
    """

    clean: Estimate
    steps: tuple[Shift, ...]
    room_px: int


@dataclass(frozen=True, slots=True)
class AttackReport:
    """What the worst small changes cost.

    Attributes:
        clean: Accuracy of the pictures as they are, in torch and float32.
        series: ``fgsm`` and ``pgd``; strengths in 1/255.
        steps: Of PGD.
        halved_at: Smallest strength of those tried at which PGD leaves half of the clean accuracy or less;
            None where none does.
    """

    clean: Estimate
    series: tuple[Series, ...]
    steps: int
    halved_at: float | None


@dataclass(frozen=True)
class RobustnessReport(Stored):
    """What is known about a model on changed pictures; a part that was not asked for is None.

    Attributes:
        split: ``test``, ``val``, ``train``, or ``input`` for pictures from outside the run.
        n: Pictures that were scored.
        n_unreadable: Pictures that could not be read or have no finite answer; they are in no figure.
        of: Pictures that these were drawn from.
        class_names: Length C.
        seed: Of the draw of the pictures, of noise and of resampled intervals.
        engine: What answered to corrupted and moved pictures, such as ``openvino bf16``.
        corruptions: Noise, blur, weather, files.
        shifts: Moved by a few pixels.
        attacks: Changed against the model.
        checks: Of the measurement itself.
    """

    KIND: ClassVar[str] = "a measurement of robustness"

    split: str
    n: int
    n_unreadable: int
    of: int
    class_names: tuple[str, ...]
    seed: int
    engine: str | None
    corruptions: CorruptionReport | None
    shifts: ShiftReport | None
    attacks: AttackReport | None
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; undefined figures become null."""
        values: dict[str, Any] = _plain(self)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RobustnessReport:
        """Build the report from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            parts = {
                "class_names": tuple(values["class_names"]),
                "corruptions": _corruptions(values["corruptions"]),
                "shifts": _shifts(values["shifts"]),
                "attacks": _attacks(values["attacks"]),
                "checks": tuple(Check(**check) for check in values["checks"]),
            }
            return cls(**{**values, **parts})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is not a measurement of robustness: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _with_estimates(kind: Any, values: Mapping[str, Any], *names: str) -> Any:
    return kind(**{**values, **{name: Estimate.from_dict(values[name]) for name in names}})


def _series(values: Any) -> tuple[Series, ...]:
    return tuple(
        Series(one["name"], tuple(_with_estimates(Step, step, "accuracy", "cost") for step in one["steps"]))
        for one in values
    )


def _corruptions(values: Mapping[str, Any] | None) -> CorruptionReport | None:
    if values is None:
        return None
    values = {**values, "series": _series(values["series"])}
    found: CorruptionReport = _with_estimates(
        CorruptionReport, values, "clean", "mean_error", "relative_error"
    )
    return found


def _shifts(values: Mapping[str, Any] | None) -> ShiftReport | None:
    if values is None:
        return None
    names = ("changed", "moved_probability", "accuracy")
    steps = tuple(_with_estimates(Shift, step, *names) for step in values["steps"])
    found: ShiftReport = _with_estimates(ShiftReport, {**values, "steps": steps}, "clean")
    return found


def _attacks(values: Mapping[str, Any] | None) -> AttackReport | None:
    if values is None:
        return None
    found: AttackReport = _with_estimates(
        AttackReport, {**values, "series": _series(values["series"])}, "clean"
    )
    return found
