"""A capacity sweep as a figure, as a table and as CSV."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure

from catsdogs.core.files import replacing
from catsdogs.reporting.console import say, table

_LINES = (
    ("train", "train, last epoch", "tab:blue", "-"),
    ("val", "val, last epoch", "tab:orange", "-"),
    ("best_val", "val, best epoch (the one that is kept)", "tab:orange", ":"),
)


@dataclass(frozen=True)
class TrainedSize:
    """One network of the sweep after its training; losses in nats, accuracies in [0, 1].

    Attributes:
        width: Of the network.
        depth: Of the network.
        seed: Of the run.
        parameters: Of network and head.
        train_loss: Mean over the steps of the last epoch.
        val_loss: After the last epoch.
        best_val_loss: After the best epoch, whose model is kept.
        train_accuracy: As ``train_loss``.
        val_accuracy: As ``val_loss``.
        best_val_accuracy: As ``best_val_loss``.
        epochs: That were trained.
        best_epoch: Counted from 1.
        test_accuracy: Of the kept model; None without test pictures.
        test_low: Lower end of its 95 % interval.
        test_high: Upper end.
    """

    width: int
    depth: int
    seed: int
    parameters: int
    train_loss: float
    val_loss: float
    best_val_loss: float
    train_accuracy: float
    val_accuracy: float
    best_val_accuracy: float
    epochs: int
    best_epoch: int
    test_accuracy: float | None = None
    test_low: float | None = None
    test_high: float | None = None


def draw_capacity(trained: Sequence[TrainedSize], option: str) -> Figure:
    """Draw losses and accuracies against the number of parameters: a dot a run, a line through the means.

    Args:
        trained: In any order.
        option: What varies, ``width`` or ``depth``.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    by_size = _by_size(trained)
    names = [f"{count:,}\n{option} {getattr(runs[0], option)}" for count, runs in by_size.items()]
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, label, colour, style in _LINES:
            means = [mean(getattr(run, f"{part}_{quantity}") for run in runs) for runs in by_size.values()]
            axes.plot(list(by_size), means, color=colour, linestyle=style, label=label)
            values = [getattr(run, f"{part}_{quantity}") for run in trained]
            filled = colour if style == "-" else "none"
            sizes = [run.parameters for run in trained]
            axes.scatter(sizes, values, s=18, facecolors=filled, edgecolors=colour, zorder=3)
        axes.set_xscale("log")
        axes.set_xticks(list(by_size), names, fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel("parameters")
        axes.set_ylabel(quantity)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def show_capacity(trained: Sequence[TrainedSize], option: str) -> None:
    """Print a row a run, and which size had the lowest validation loss."""
    table(
        "Capacity",
        (
            option,
            "seed",
            "parameters",
            "train loss",
            "val loss",
            "best val loss",
            "val accuracy",
            "test (95 %)",
        ),
        [_row(run, option) for run in trained],
    )
    say("losses of the last epoch; accuracies of the best one, whose model is kept")
    losses = {count: mean(run.best_val_loss for run in runs) for count, runs in _by_size(trained).items()}
    best = min(losses, key=lambda count: losses[count])
    size = getattr(_by_size(trained)[best][0], option)
    say(f"lowest validation loss: {losses[best]:.4f} at {option} {size} ({best:,} parameters)")


def write_capacity(trained: Sequence[TrainedSize], path: Path) -> None:
    """Write a row a run; what is not known is empty.

    Raises:
        OutputError: The file cannot be written.
    """
    rows: list[dict[str, Any]] = [asdict(run) for run in trained]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _by_size(trained: Sequence[TrainedSize]) -> dict[int, list[TrainedSize]]:
    sizes: defaultdict[int, list[TrainedSize]] = defaultdict(list)
    for run in sorted(trained, key=lambda run: run.parameters):
        sizes[run.parameters].append(run)
    return dict(sizes)


def _row(run: TrainedSize, option: str) -> tuple[str, ...]:
    tested = "" if run.test_accuracy is None else f"{run.test_accuracy:.1%}"
    if run.test_low is not None and run.test_high is not None:
        tested += f" ({run.test_low:.0%} to {run.test_high:.0%})"
    return (
        str(getattr(run, option)),
        str(run.seed),
        f"{run.parameters:,}",
        f"{run.train_loss:.4f}",
        f"{run.val_loss:.4f}",
        f"{run.best_val_loss:.4f} (epoch {run.best_epoch})",
        f"{run.best_val_accuracy:.1%}",
        tested,
    )
