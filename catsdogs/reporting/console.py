"""What people see while a command works: lines and tables on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from catsdogs.core.estimate import Estimate
from catsdogs.core.printable import printable
from catsdogs.core.report import EvaluationReport
from catsdogs.core.viewsreport import ViewsReport

_REPORT_EVERY_S = 30.0
_MOST_CONFUSION_COLUMNS = 6
_TITLES = {"auroc": "AUROC", "brier": "Brier score", "ece": "ECE", "ece_mass": "ECE, equal mass"}
SHARES = frozenset({"accuracy", "balanced_accuracy", "precision", "recall", "f1"})


def say(text: str) -> None:
    """Print one line for people; what no terminal can show (odd file names) is escaped."""
    print(_shown(text), flush=True)


def say_nothing(_: str) -> None:
    """Take the place of ``say`` in processes that should be silent."""


@contextlib.contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(count)``; draw a bar in a terminal, and print a line now and then elsewhere."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
        return
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last > _REPORT_EVERY_S:
            last = time.monotonic()
            of = f" of {total:,}" if total is not None else ""
            print(f"{label}: {done:,}{of} after {last - started:.0f} s", file=sys.stderr, flush=True)

    yield advance


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a small table, under its title where there is one."""
    drawn = Table(title=_cell(title) if title else None, title_justify="left", show_header=any(header))
    for name in header:
        drawn.add_column(_cell(name), overflow="fold")
    for row in rows:
        drawn.add_row(*map(_cell, row))
    Console(soft_wrap=False, width=None if sys.stdout.isatty() else 110).print(drawn)


def _cell(text: str) -> Text:
    """Keep names as they are: rich would read markup and emoji into their brackets and colons."""
    return Text(_shown(text))


def _shown(text: str) -> str:
    """Escape what would steer the terminal, and what its encoding does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    return printable(text).encode(encoding, "backslashreplace").decode(encoding)


def figure_title(name: str) -> str:
    """Return the name of a figure for people, such as ``log loss`` and ``AUROC``."""
    return _TITLES.get(name, name.replace("_", " "))


def figure_text(name: str, estimate: Estimate) -> str:
    """Return a figure with its interval, as a share in percent where it is one."""
    if not estimate.defined:
        return "undefined"
    if name in SHARES:
        return f"{estimate.value:.2%} ({estimate.low:.2%} to {estimate.high:.2%})"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def show_report(report: EvaluationReport) -> None:
    """Print figures, classes and, of a few classes, the confusion of an evaluation."""
    title = f"{report.n:,} pictures of {report.split}, views {report.tta}"
    if report.n_unreadable:
        title += f"; {report.n_unreadable:,} unreadable left out"
    rows = [(figure_title(name), figure_text(name, estimate)) for name, estimate in report.metrics.items()]
    table(title, ("figure", "value (95 % interval)"), rows)
    # More columns than that fit no terminal; evaluation.json has them all.
    called = report.class_names if len(report.class_names) <= _MOST_CONFUSION_COLUMNS else ()
    table(
        "By class",
        ("true class", "precision", "recall", *(f"called {name}" for name in called)),
        [
            (
                name,
                figure_text("precision", report.per_class[name]["precision"]),
                figure_text("recall", report.per_class[name]["recall"]),
                *(f"{count:,}" for count in counts[: len(called)]),
            )
            for name, counts in zip(report.class_names, report.confusion, strict=True)
        ],
    )
    if report.views is not None:
        show_views(report.views)
    if report.mistakes:
        table(
            f"The {len(report.mistakes)} most confident mistakes",
            ("picture", "true", "called", "probability"),
            [(m.id, m.true, m.predicted, f"{m.probability:.4f}") for m in report.mistakes],
        )


def show_views(report: ViewsReport) -> None:
    """Print what merging views has changed against the plain view, what it costs, and each view."""
    rows = [
        ("wrong answers mended", f"{report.wrong_to_right:,}"),
        ("right answers spoilt", f"{report.right_to_wrong:,}"),
        ("gain in accuracy, paired", signed_text("accuracy", report.gain["accuracy"])),
        ("gain in log loss, paired", signed_text("log_loss", report.gain["log_loss"])),
        ("AUROC of mistakes by the spread over views", figure_text("auroc", report.doubt["spread"])),
        ("AUROC of mistakes by the merged confidence", figure_text("auroc", report.doubt["confidence"])),
    ]
    if report.picture_ms is not None:
        rows.append(("time a picture, a view", f"{report.picture_ms:.1f} ms, {report.view_ms:.1f} ms"))
    table(
        f"{len(report.views)} views, merged by {report.merge}, against the plain view",
        ("figure", "value (95 % interval)"),
        rows,
    )
    table(
        "Each view alone",
        ("view", "accuracy", "log loss", "weight"),
        [
            (name, f"{own['accuracy']:.2%}", f"{own['log_loss']:.4f}", f"{own['weight']:.3f}")
            for name, own in report.views.items()
        ],
    )


def signed_text(name: str, gain: Estimate) -> str:
    """Return a difference with its interval, in points where it is one of shares; above 0 is better."""
    if not gain.defined:
        return "undefined"
    if name in SHARES:
        numbers = [f"{100 * number:+.2f}" for number in (gain.value, gain.low, gain.high)]
        return f"{numbers[0]} points ({numbers[1]} to {numbers[2]})"
    return f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
