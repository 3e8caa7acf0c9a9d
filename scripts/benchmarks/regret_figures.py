"""Regret: what a rule loses against the winner of a cell, with an interval, from the results of runs alone.

The winner of a cell is the fixed strategy with the best mean over seeds on one half of the test pictures. It
and the rule are then compared on the other half, in both directions, so that luck that made it the winner
does not count. Regret may therefore be negative.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import numpy.typing as npt
from benchmarks.cells import AUTO, FIXED, HALVES
from benchmarks.results import Result
from scipy.special import stdtrit

from catsdogs.core.estimate import Estimate

FloatArray = npt.NDArray[np.float64]

SIZE_ONLY = "size only"
PLENTY = 1000
"""From this many training pictures on the size-only rule fine-tunes everything."""
ACCURACY, LOG_LOSS = "accuracy", "log_loss"
FIGURES = (ACCURACY, LOG_LOSS)
_LEVEL = 0.975


@dataclass(frozen=True)
class CellResults:
    """The results of one cell, for the seeds in which no strategy of the cell is missing.

    Attributes:
        name: Of the cell.
        seeds: Those seeds, sorted.
        by_strategy: Strategy -> its results, one a seed, in that order.
    """

    name: str
    seeds: tuple[int, ...]
    by_strategy: Mapping[str, tuple[Result, ...]]

    def strategy_of(self, rule: str) -> str:
        """Return the strategy whose runs a rule takes: the size-only rule has none of its own."""
        if rule != SIZE_ONLY:
            return rule
        pictures = fmean(result.n_train for results in self.by_strategy.values() for result in results)
        return size_only(round(pictures))

    def has(self, rule: str) -> bool:
        """Whether the rule was tried here."""
        return self.strategy_of(rule) in self.by_strategy

    def costs(self, rule: str, figure: str) -> FloatArray:
        """Return the share of errors or the log loss, (seeds, halves): lower is better."""
        results = self.by_strategy[self.strategy_of(rule)]
        values = np.array([[getattr(one, f"{figure}_{half}") for half in HALVES] for one in results])
        return 1 - values if figure == ACCURACY else values

    def winner(self, figure: str, half: int) -> str:
        """Return the fixed strategy that is best on a half; equal ones are told apart by the other figure."""
        order = (figure, *(other for other in FIGURES if other != figure))
        return min(
            (name for name in FIXED if name in self.by_strategy),
            key=lambda name: tuple(round(self.costs(name, one)[:, half].mean(), 12) for one in order),
        )

    def winners_costs(self, figure: str) -> FloatArray:
        """Return what the winner of the other half costs on each half, (seeds, halves)."""
        columns = [self.costs(self.winner(figure, 1 - half), figure)[:, half] for half in range(len(HALVES))]
        return np.stack(columns, axis=1)

    def regrets(self, rule: str, figure: str) -> FloatArray:
        """Return what the rule costs beyond the winner of the other half, (seeds, halves)."""
        return self.costs(rule, figure) - self.winners_costs(figure)

    def time_ratio(self) -> float:
        """Return the time of ``auto`` over that of its choice, or of the dearer one of its bake-off.

        The median over seeds; NaN where such a run is missing.
        """
        ratios = []
        for place, chosen in enumerate(self.by_strategy[AUTO]):
            names = chosen.candidates.split() or [chosen.picked]
            seconds = [self.by_strategy[name][place].seconds for name in names if name in self.by_strategy]
            ratios.append(chosen.seconds / max(seconds) if len(seconds) == len(names) else math.nan)
        return median(ratios)


def size_only(pictures: int) -> str:
    """Return what the textbook says without looking at the pictures."""
    return "linear_probe" if pictures < PLENTY else "finetune_full"


def cells_of(results: Iterable[Result]) -> list[CellResults]:
    """Sort results by cell, in the order in which cells occur.

    A seed counts where every strategy that has any result in the cell has one for it: the comparison is
    between runs on the same pictures.
    """
    found: dict[str, dict[str, dict[int, Result]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        if result.done:
            found[result.cell][result.strategy][result.seed] = result
    return [_complete(name, strategies) for name, strategies in found.items()]


def _complete(name: str, strategies: Mapping[str, Mapping[int, Result]]) -> CellResults:
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in strategies.values())))
    kept = {strategy: tuple(by_seed[seed] for seed in seeds) for strategy, by_seed in strategies.items()}
    return CellResults(name, tuple(seeds), kept)


def mean_with_interval(groups: Sequence[FloatArray]) -> Estimate:
    """Return the mean of the means of groups, with Student's 95 % interval.

    A group holds a cell's paired differences, one for each seed and half. The seeds differ in training and
    test pictures, the halves in test pictures, so their spread holds both kinds of chance; that two halves
    share a trained model makes the interval a little short. In simulations of 3 seeds with 200 pictures a
    half it held the truth in 85 to 96 % of the cases; a bootstrap of seeds and pictures held it in 82 to
    100 % and was a fifth wider.

    Source: Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components".
    """
    value = fmean(float(group.mean()) for group in groups)
    if any(group.size < 2 for group in groups):
        return Estimate(value, -math.inf, math.inf)
    parts = np.array([group.var(ddof=1) / group.size for group in groups])
    if not parts.any():
        return Estimate(value, value, value)
    freedom = parts.sum() ** 2 / sum(parts**2 / [group.size - 1 for group in groups])
    reach = float(stdtrit(freedom, _LEVEL) * math.sqrt(parts.sum()) / len(groups))
    return Estimate(value, value - reach, value + reach)
