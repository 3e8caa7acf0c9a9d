"""Verdict: which strategy the evidence, or a bake-off, speaks for, and how surely."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from catsdogs.core.predictions import FloatArray
from catsdogs.transfer.evidence import Evidence
from catsdogs.transfer.matrix import Cell, strategy_of, surety
from catsdogs.transfer.scoring import ScoredProbe
from catsdogs.transfer.thresholds import Thresholds
from catsdogs.workflows.bakeoff import BakeOff


@dataclass(frozen=True)
class Considered:
    """What the evidence says before any gradient.

    Attributes:
        evidence: What was measured.
        cell: Where in the matrix that is.
        probe: The best frozen candidate.
        rival: The best probe of another strategy.
        tuned: The strategy with gradient epochs that may be better still; None where there is none.
        thresholds: The borders of the matrix.
    """

    evidence: Evidence
    cell: Cell
    probe: ScoredProbe
    rival: ScoredProbe | None
    tuned: str | None
    thresholds: Thresholds

    @property
    def strategy(self) -> str:
        """The best one with a frozen backbone."""
        return strategy_of(self.probe)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "evidence": self.evidence.to_dict(),
            "cell": self.cell.to_dict(),
            "thresholds": asdict(self.thresholds),
        }


@dataclass(frozen=True)
class Verdict:
    """Which strategy was taken, against which, and on what grounds.

    Attributes:
        strategy: The one that was taken.
        runner_up: The next best; None where nothing else was tried.
        probe: The best frozen candidate.
        rival: The best probe of another strategy.
        head_start: What a candidate with gradients is given in a bake-off.
        contest: The bake-off, where one was held.
    """

    strategy: str
    runner_up: str | None
    probe: ScoredProbe
    rival: ScoredProbe | None
    head_start: float
    contest: BakeOff | None = None

    @classmethod
    def of(cls, considered: Considered) -> Verdict:
        """Return what the evidence alone says."""
        rival = considered.rival
        second = strategy_of(rival) if rival else None
        head_start = considered.thresholds.head_start
        return cls(considered.strategy, second, considered.probe, rival, head_start)

    def after(self, contest: BakeOff) -> Verdict:
        """Return the verdict once the best frozen candidate has met one with gradient epochs."""
        tuned_wins = self._to_come(contest).mean() < contest.frozen.mean()
        names = (contest.strategy, self.strategy) if tuned_wins else (self.strategy, contest.strategy)
        return replace(self, strategy=names[0], runner_up=names[1], contest=contest)

    def _to_come(self, contest: BakeOff) -> FloatArray:
        """Return what the candidate with gradients will lose on each picture (M,), once trained in full."""
        return contest.tuned * self.head_start

    @property
    def confidence(self) -> float | None:
        """How sure it is that the runner-up would be worse, in [0, 1]; None where nothing was compared."""
        if self.contest is not None:
            tuned_wins = self.strategy == self.contest.strategy
            pair = (self._to_come(self.contest), self.contest.frozen)
            return surety(*(pair if tuned_wins else pair[::-1]))
        if self.rival is None or len(self.rival.losses) != len(self.probe.losses):
            return None
        return surety(self.probe.losses, self.rival.losses)

    @property
    def expected(self) -> dict[str, float | None]:
        """What to expect on new pictures: accuracy and log loss of the one that was taken."""
        if self.contest is not None and self.strategy == self.contest.strategy:
            scores = self.contest.tuned_accuracy, float(self._to_come(self.contest).mean())
        elif len(self.probe.losses):
            scores = self.probe.accuracy, self.probe.log_loss
        else:
            return {"accuracy": None, "log_loss": None}
        return dict(zip(("accuracy", "log_loss"), scores, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "strategy": self.strategy,
            "runner_up": self.runner_up,
            "confidence": self.confidence,
            "decided_by": "bake-off" if self.contest else "cross-validation",
            "expected": self.expected,
        }

    def sentence(self, cell: Cell) -> str:
        """Say it in one line."""
        grounds = "a bake-off" if self.contest else "cross-validation"
        line = f"{cell.name}: {self.strategy}"
        if self.runner_up:
            line += f", not {self.runner_up}, by {grounds}"
        if self.confidence is not None:
            line += f" ({self.confidence:.0%} sure)"
        if self.expected["accuracy"] is not None:
            line += f"; expect {self.expected['accuracy']:.1%} and log loss {self.expected['log_loss']:.3f}"
        return line
