"""EvaluationReport: figures with their intervals, apart from the predictions they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.rawlabels import RawLabels
from catsdogs.core.stored import Stored
from catsdogs.core.viewsreport import ViewsReport


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that the model got wrong, and how sure it was."""

    id: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class EvaluationReport(Stored):
    """What is known about a model from one set of predictions.

    Attributes:
        split: ``test``, ``val``, ``train``, or ``input`` for pictures from outside the run.
        n: Pictures that were scored.
        n_unreadable: Pictures that could not be read; they are not in any figure.
        tta: The views that were merged.
        class_names: Length C.
        metrics: Name -> figure over all pictures.
        per_class: Class name -> ``precision``, ``recall``, ``f1`` -> figure.
        confusion: C rows of C counts; row is the true class, column the predicted one.
        mistakes: Most confident first.
        views: What several views have changed; None of a single one.
        engine: What computed it, such as ``openvino bf16``; None where that is not known.
        raw_labels: The figures on the labels as given; None where nobody has corrected any of these.
        pictures: The folder, archive or table from outside the run, as it was given; None for the run's own.
    """

    KIND: ClassVar[str] = "an evaluation"

    split: str
    n: int
    n_unreadable: int
    tta: str
    class_names: tuple[str, ...]
    metrics: Mapping[str, Estimate]
    per_class: Mapping[str, Mapping[str, Estimate]]
    confusion: Sequence[Sequence[int]]
    mistakes: Sequence[Mistake]
    views: ViewsReport | None = None
    engine: str | None = None
    raw_labels: RawLabels | None = None
    pictures: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; undefined figures become null."""
        return {
            "split": self.split,
            "n": self.n,
            "n_unreadable": self.n_unreadable,
            "tta": self.tta,
            "class_names": list(self.class_names),
            "metrics": {name: estimate.to_dict() for name, estimate in self.metrics.items()},
            "per_class": {
                name: {figure: estimate.to_dict() for figure, estimate in figures.items()}
                for name, figures in self.per_class.items()
            },
            "confusion": [list(row) for row in self.confusion],
            "mistakes": [asdict(mistake) for mistake in self.mistakes],
            "views": None if self.views is None else self.views.to_dict(),
            "engine": self.engine,
            "raw_labels": None if self.raw_labels is None else self.raw_labels.to_dict(),
            "pictures": self.pictures,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EvaluationReport:
        """Build the report from the plain values of ``to_dict``.

        Raises:
            DataError: A part is missing or has another form.
        """
        try:
            return cls(
                split=values["split"],
                n=values["n"],
                n_unreadable=values["n_unreadable"],
                tta=values["tta"],
                class_names=tuple(values["class_names"]),
                metrics={name: Estimate.from_dict(plain) for name, plain in values["metrics"].items()},
                per_class={
                    name: {figure: Estimate.from_dict(plain) for figure, plain in figures.items()}
                    for name, figures in values["per_class"].items()
                },
                confusion=tuple(tuple(row) for row in values["confusion"]),
                mistakes=tuple(Mistake(**plain) for plain in values["mistakes"]),
                views=None if values.get("views") is None else ViewsReport.from_dict(values["views"]),
                engine=values.get("engine"),
                raw_labels=RawLabels.from_dict(values["raw_labels"]) if values.get("raw_labels") else None,
                pictures=values.get("pictures"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is not an evaluation: {error}") from error
