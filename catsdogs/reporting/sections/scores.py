"""How good the model is, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from catsdogs.core.estimate import Estimate
from catsdogs.core.predictions import Predictions
from catsdogs.core.rawlabels import RawLabels
from catsdogs.core.report import EvaluationReport
from catsdogs.reporting.comparisonfigures import shortened
from catsdogs.reporting.console import figure_text, figure_title
from catsdogs.reporting.page.blocks import Block, Confusion, Drawing, Gallery, Grid, Section, Thumb

MEANINGS = {
    "accuracy": "share of right answers",
    "balanced_accuracy": "mean over the classes of the share found",
    "log_loss": "cost of the probabilities; 0 is perfect",
    "auroc": "share of pairs ranked rightly; 0.5 is chance",
    "average_precision": "area under precision and recall",
    "brier": "squared error of the probabilities; 0 is perfect",
    "ece": "gap between confidence and accuracy, equally wide bins",
    "ece_mass": "the same, bins of equally many pictures",
}
_MOST_CLASSES = 12
_SHOWN_WRONG, _SHOWN_RIGHT = 24, 6


def scores_section(report: EvaluationReport) -> Section:
    """Return every figure with its interval, and each class's; on the labels as given, too, if corrected."""
    of = f"{report.n:,} {_origin(report.split)} pictures"
    left_out = (
        f"; {report.n_unreadable:,} could not be read and are in no figure" if report.n_unreadable else ""
    )
    blocks: list[Block] = [_figures(report, of)]
    blocks.append(
        Grid(
            "Each class",
            ("class", "precision", "recall", "F1"),
            tuple(
                (name, *(figure_text(figure, of_class[figure]) for figure in ("precision", "recall", "f1")))
                for name, of_class in report.per_class.items()
            ),
        )
    )
    if len(report.class_names) <= _MOST_CLASSES:
        blocks.append(_recalls(report))
    accuracy = report.metrics["accuracy"]
    views = "" if report.tta == "none" else f", with views {report.tta}"
    lead = (
        f"{figure_text('accuracy', accuracy)} of {of} are right{views}{left_out}. "
        "An interval holds the truth for 19 in 20 such sets of pictures."
    )
    if report.raw_labels is not None:
        lead += f" {_corrected(report.raw_labels)}"
    return Section("scores", "How good it is", lead, tuple(blocks))


def _figures(report: EvaluationReport, of: str) -> Grid:
    raw = {} if report.raw_labels is None else report.raw_labels.metrics
    rows = tuple(
        (
            figure_title(name),
            figure_text(name, estimate),
            *((figure_text(name, raw[name]),) if raw else ()),
            MEANINGS.get(name, ""),
        )
        for name, estimate in report.metrics.items()
    )
    header = ("figure", "value (95 % interval)", *(("on the labels as given",) if raw else ()), "meaning")
    return Grid(f"On {of}", header, rows)


def _corrected(raw: RawLabels) -> str:
    return (
        f"Of their labels {raw.changed:,} were corrected, and {raw.removed:,} pictures removed; on the "
        f"{raw.n:,} labels as given the accuracy is {figure_text('accuracy', raw.metrics['accuracy'])}."
    )


def _origin(split: str) -> str:
    return {"input": "outside"}.get(split, split)


def _recalls(report: EvaluationReport) -> Drawing:
    names = report.class_names
    recalls = [report.per_class[name]["recall"] for name in names]
    figure = partial(draw_intervals, names, recalls, "share of the class that was found")
    told = "; ".join(f"{n}: {figure_text('recall', r)}" for n, r in zip(names, recalls, strict=True))
    return Drawing("How many of each class are found", figure, told)


def draw_intervals(names: Sequence[str], estimates: Sequence[Estimate], label: str) -> Figure:
    """Draw estimates below each other, each with its interval.

    Args:
        names: One each; long ones are shortened.
        estimates: Undefined ones are left blank.
        label: Of the axis.
    """
    figure = Figure(figsize=(8, 0.9 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(estimates):
        if one.defined:
            spread = [[one.value - one.low], [one.high - one.value]]
            axes.errorbar(one.value, place, xerr=spread, fmt="o", color="tab:blue", capsize=3)
    axes.set_yticks(range(len(names)), [shortened(name) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)
    return figure


def confusion_section(report: EvaluationReport, predictions: Predictions) -> Section:
    """Return how often each class was called what; cells open their pictures."""
    names = report.class_names
    if len(names) > _MOST_CLASSES:
        return _worst_confusions(report)
    galleries = {}
    for i, true in enumerate(names):
        for j, called in enumerate(names):
            pictures = _pictures_of(predictions, i, j)
            if pictures:
                title = f"{report.confusion[i][j]:,} of {true} called {called}: {_which(i, j, len(pictures))}"
                galleries[i, j] = Gallery(title, pictures, folded=True, anchor=f"cell-{i}-{j}")
    matrix = Confusion(
        names, tuple(map(tuple, report.confusion)), {c: g.anchor for c, g in galleries.items()}
    )
    wrong = report.n - sum(report.confusion[i][i] for i in range(len(names)))
    lead = f"{wrong:,} of {report.n:,} answers are wrong. {_commonest(report)}"
    return Section("confusion", "What is taken for what", lead, (matrix, *galleries.values()))


def _which(true: int, called: int, shown: int) -> str:
    kind = "least sure" if true == called else "most confident"
    return f"the {shown} {kind}" if shown > 1 else "this one"


def _pictures_of(predictions: Predictions, true: int, called: int) -> tuple[Thumb, ...]:
    scored = predictions.scorable()
    there = [
        (float(share.max()), name)
        for name, label, answer, share in zip(
            scored.ids, scored.labels, scored.predicted, scored.probabilities, strict=True
        )
        if (label, answer) == (true, called)
    ]
    there.sort(key=lambda one: (one[0] if true == called else -one[0], one[1]))
    most = _SHOWN_RIGHT if true == called else _SHOWN_WRONG
    name = predictions.class_names[called]
    return tuple(Thumb(picture, f"{name} {share:.1%}") for share, picture in there[:most])


def _commonest(report: EvaluationReport) -> str:
    found = _off_diagonal(report)
    if not found:
        return "No class is taken for another."
    count, true, called = found[0]
    return f"Most often {true} is called {called}: {count:,} time{'s' if count > 1 else ''}."


def _off_diagonal(report: EvaluationReport) -> list[tuple[int, str, str]]:
    cells = [
        (count, report.class_names[i], report.class_names[j])
        for i, row in enumerate(report.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda cell: (-cell[0], cell[1], cell[2]))


def _worst_confusions(report: EvaluationReport) -> Section:
    rows = tuple((true, called, f"{count:,}") for count, true, called in _off_diagonal(report)[:20])
    grid = Grid("The most frequent confusions", ("true class", "called", "times"), rows)
    lead = f"{len(report.class_names):,} classes are too many for a table. {_commonest(report)}"
    return Section("confusion", "What is taken for what", lead, (grid,))
