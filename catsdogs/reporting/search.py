"""A search as a table, as CSV, as a figure and in words: what was tried, and whether it helped."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from catsdogs.core.estimate import Estimate
from catsdogs.core.files import replacing
from catsdogs.reporting.console import say, table

_PER_ROW = 3
_MOST_SHOWN = 10
_STATES = ("done", "pruned", "diverged", "unfinished")
_LOGARITHMIC = frozenset({"learning_rate", "weight_decay"})
# A few trials go far astray; what is good is to be told apart all the same.
_HIGHEST = 4.0
_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink")


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial.

    Attributes:
        number: From 0, which has the settings as given.
        state: ``done``, ``pruned``, ``diverged`` or ``unfinished``.
        log_loss: Calibrated, on the pictures that no trial has seen; None where it has none.
        seconds: That it took; None where that is not known.
        values: What it tried, along the dimensions that matter to it.
        same_as: The earlier trial with the same values, whose result it has.
    """

    number: int
    state: str
    log_loss: float | None
    seconds: float | None
    values: Mapping[str, Any]
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a search.

    Attributes:
        trials: That were begun.
        finished: Those with a result.
        pictures: That they were judged on.
        best: Number of the best trial.
        values: What it tried.
        log_loss: Of the best trial.
        given_log_loss: Of the settings as given.
        gain: By how much lower, with the paired interval over the pictures.
        luck: By how much the choice of the best flatters that gain.
    """

    trials: int
    finished: int
    pictures: int
    best: int
    values: Mapping[str, Any]
    log_loss: float
    given_log_loss: float
    gain: Estimate
    luck: float

    @property
    def expected_gain(self) -> Estimate:
        """The gain without the luck of the choice: what to expect on other pictures."""
        return Estimate(*(limit - self.luck for limit in (self.gain.value, self.gain.low, self.gain.high)))

    @property
    def within_noise(self) -> bool:
        """Whether other pictures might well show no gain."""
        return self.expected_gain.low <= 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        expected = {"expected_gain": asdict(self.expected_gain), "within_noise": self.within_noise}
        return {**asdict(self), "values": dict(self.values), **expected}

    @property
    def sentences(self) -> list[str]:
        """Say it in words."""
        if self.best == 0:
            return [f"nothing that was tried is better than the settings as given ({self._judged})"]
        doubt = "this is within the noise" if self.within_noise else "this is more than noise"
        return [
            f"best: trial {self.best} ({described(self.values)}), {self._judged}, "
            f"against {self.given_log_loss:.4f} for the settings as given",
            f"that is lower by {_interval(self.gain)}; the best of {self.finished} on these very pictures is "
            f"flattered by its choice, so expect {_interval(self.expected_gain)}: {doubt}",
        ]

    @property
    def _judged(self) -> str:
        return f"log loss {self.log_loss:.4f} on {self.pictures:,} pictures"

    @property
    def comment(self) -> str:
        """Open the config file."""
        lines = ["The best of a search by catsdogs tune search.", *self.sentences]
        return "".join(f"# {line}\n" for line in lines)


def described(values: Mapping[str, Any]) -> str:
    """Return what a trial tried, in one line."""
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items())


def show_search(tried: Sequence[Tried], verdict: Verdict) -> None:
    """Print the best trials and what came of it."""
    done = sorted((one for one in tried if one.log_loss is not None), key=lambda one: one.log_loss or 0.0)
    given = [one for one in done[_MOST_SHOWN:] if one.number == 0]
    rows = [
        (
            str(one.number),
            f"{one.log_loss:.4f}",
            _text(one.seconds and round(one.seconds)),
            described(one.values),
        )
        for one in [*done[:_MOST_SHOWN], *given]
    ]
    counts = Counter(one.state for one in tried)
    states = ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
    table(
        f"Trials: {states}; 0 has the settings as given",
        ("trial", "log loss", "s", "what it tried"),
        rows,
    )
    for line in verdict.sentences:
        say(line)


def write_trials(tried: Sequence[Tried], path: Path) -> None:
    """Write a row a trial; what does not matter to it is empty.

    Raises:
        OutputError: The file cannot be written.
    """
    names = list(dict.fromkeys(name for one in tried for name in one.values))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["trial", "state", "log_loss", "seconds", "same_as", *names])
        for one in tried:
            seconds = None if one.seconds is None else round(one.seconds, 1)
            values = [one.values.get(name, "") for name in names]
            writer.writerow([one.number, one.state, one.log_loss, seconds, one.same_as, *values])


def draw_search(tried: Sequence[Tried]) -> Figure:
    """Draw the loss against the trial, and against each thing that varied; a colour a strategy.

    Losses of several times the lowest stand at the upper edge.
    """
    names = [
        name for name in _names(tried) if len({one.values[name] for one in tried if name in one.values}) > 1
    ]
    columns = min(_PER_ROW, len(names) + 1)
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(3.4 * columns + 1.2, 3.1 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = _colours(tried)
    _draw_history(grid[0], tried, colours)
    for axes, name in zip(grid[1:], names, strict=False):
        _draw_slice(axes, tried, name, colours)
    for axes in grid[len(names) + 1 :]:
        axes.axis("off")
    low, high = _limits(tried)
    for axes in grid[: len(names) + 1]:
        axes.set_ylim(low, 1.05 * high)
        axes.grid(alpha=0.3)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), fontsize=8)
    return figure


def _draw_history(axes: Axes, tried: Sequence[Tried], colours: Mapping[str, str]) -> None:
    done, high = [one for one in tried if one.log_loss is not None], _limits(tried)[1]
    for strategy, colour in colours.items():
        own = [one for one in done if one.values.get("strategy") == strategy]
        if own:
            losses = [min(one.log_loss or 0.0, high) for one in own]
            axes.plot([one.number for one in own], losses, "o", ms=4, color=colour, label=strategy)
    best = [min(one.log_loss or 0.0 for one in done[: place + 1]) for place in range(len(done))]
    axes.step([one.number for one in done], best, where="post", color="0.5", lw=1, label="best so far")
    for one in done:
        if one.number == 0:
            axes.axhline(one.log_loss or 0.0, color="black", ls=":", lw=1, label="settings as given")
    cut = [one.number for one in tried if one.state in ("pruned", "diverged")]
    if cut:
        # Their loss is not known: they stand at the upper edge.
        (marks,) = axes.plot(cut, [0.97] * len(cut), "x", ms=5, color="0.5", label="pruned or diverged")
        marks.set_transform(axes.get_xaxis_transform())
    axes.set_xlabel("trial")
    axes.set_ylabel("log loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_slice(axes: Axes, tried: Sequence[Tried], name: str, colours: Mapping[str, str]) -> None:
    own = [one for one in tried if one.log_loss is not None and name in one.values]
    shades = [colours[str(one.values.get("strategy"))] for one in own]
    values = [one.values[name] for one in own]
    if any(isinstance(value, str) for value in values):
        kinds = list(dict.fromkeys(map(str, values)))
        axes.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right", fontsize=8)
        axes.set_xlim(-0.5, len(kinds) - 0.5)
        places: list[float] = [kinds.index(str(value)) for value in values]
    else:
        # What was not set is the solver's own, which has no place on the axis.
        known = [place for place, value in enumerate(values) if value is not None]
        own, shades = [own[place] for place in known], [shades[place] for place in known]
        places = [float(values[place]) for place in known]
        if name in _LOGARITHMIC and places:
            axes.set_xscale("log")
    high = _limits(tried)[1]
    axes.scatter(places, [min(one.log_loss or 0.0, high) for one in own], s=18, c=shades)
    axes.set_xlabel(name.replace("_", " "))


def _limits(tried: Sequence[Tried]) -> tuple[float, float]:
    """Return the losses that are shown: up to some times the lowest."""
    losses = [one.log_loss for one in tried if one.log_loss is not None]
    low = max(min(losses), 1e-6)
    return 0.8 * low, 1.1 * min(max(losses), _HIGHEST * low)


def _names(tried: Sequence[Tried]) -> list[str]:
    return list(dict.fromkeys(name for one in tried for name in one.values))


def _colours(tried: Sequence[Tried]) -> dict[str, str]:
    strategies = list(dict.fromkeys(str(one.values.get("strategy")) for one in tried))
    return {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(strategies)}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} (95 % {estimate.low:.4f} to {estimate.high:.4f})"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
