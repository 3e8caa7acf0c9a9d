"""ViewsReport: what looking at a picture several times has changed, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from catsdogs.core.estimate import Estimate


@dataclass(frozen=True)
class ViewsReport:
    """Merged views against the single plain view, on the same pictures.

    Attributes:
        merge: How the views were merged.
        wrong_to_right: Answers that the views have mended.
        right_to_wrong: Answers that they have spoilt.
        gain: ``accuracy`` and ``log_loss`` -> how much better the merged answers are, paired by picture;
            above 0 is better, of the log loss too.
        doubt: How well a figure ranks wrong answers before right ones, as an AUROC: ``spread`` over the views
            (see ``evaluation.views.spread``), and beside it ``confidence``, what the merged answer itself
            says.
        views: Name of a view -> its own ``accuracy`` and ``log_loss``, and its ``weight`` in the merge.
        picture_ms: Wall-clock time a picture in this run, reading and decoding included, starting up not;
            None where there were too few to tell.
        view_ms: The same a view that the network was given.
    """

    merge: str
    wrong_to_right: int
    right_to_wrong: int
    gain: Mapping[str, Estimate]
    doubt: Mapping[str, Estimate]
    views: Mapping[str, Mapping[str, float]]
    picture_ms: float | None = None
    view_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; undefined figures become null."""
        return asdict(self) | {
            "gain": {name: one.to_dict() for name, one in self.gain.items()},
            "doubt": {name: one.to_dict() for name, one in self.doubt.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ViewsReport:
        """Build the report from the plain values of ``to_dict``."""
        estimates = {
            key: {name: Estimate.from_dict(plain) for name, plain in values[key].items()}
            for key in ("gain", "doubt")
        }
        return cls(**{**values, **estimates})
