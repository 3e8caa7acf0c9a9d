"""Slices: where the model is worse than elsewhere, as a figure, a table and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.figure import Figure

from catsdogs.evaluation.association import ClassDifference
from catsdogs.evaluation.slices import SliceResult, SlicesReport
from catsdogs.reporting.comparisonfigures import shortened
from catsdogs.reporting.page.blocks import Block, Drawing, Gallery, Grid, Section, Thumb, Words
from catsdogs.reporting.sections.mistakes import said

_DRAWN = 15
_LISTED = 30
_LONGEST_TITLE = 48
_FOUND, _OTHER, _OVERALL = "tab:red", "tab:blue", "0.5"
_HOW = (
    "Every slice is compared with the rest of the pictures, or of its class, by one permutation test of the"
    " square root of the log loss. It is corrected for the number of slices, {n}, which overlap: were no "
    "slice worse than the rest, it would name one in at most 5 of 100 evaluations. Some slices are harder "
    "for any model, such as blurred photos. It is called a bias where the property tells the classes apart "
    "in the training pictures as well (AUROC beyond 0.6, allowing for all properties): then the model may "
    "have learned that."
)


def slices_section(report: SlicesReport) -> Section:
    """Return the slices of one evaluation, the worst first."""
    blocks: list[Block] = []
    if report.slices:
        shown = report.slices[:_DRAWN]
        figure = partial(draw_slices, shown, report.accuracy.value)
        blocks.append(Drawing(f"Accuracy of {_most_likely(len(shown))}", figure, _told(shown, report)))
        blocks.extend(_galleries(report))
        blocks.append(_table(report.slices[:_LISTED]))
        blocks.append(Words(_HOW.format(n=report.tested)))
    if report.training:
        blocks.append(classes_table(report.training))
    return Section("slices", "Slices", _lead(report), tuple(blocks))


def classes_table(training: Sequence[ClassDifference]) -> Grid:
    """Return what differs between the classes in the training pictures, as a table."""
    rows = tuple(
        (one.column, one.of_class, one.more, _number(one), "yes" if one.telling else "no") for one in training
    )
    header = ("property", "class", "its pictures are more often", "AUROC (95 %)", "could replace the class")
    return Grid("What differs between the classes in the training pictures", header, rows, folded=True)


def draw_slices(slices: Sequence[SliceResult], overall: float) -> Figure:
    """Draw accuracies with intervals, one a row, the first on top; a line marks the overall accuracy."""
    figure = Figure(figsize=(8, 0.32 * len(slices) + 1.2), layout="constrained")
    axes = figure.subplots()
    for row, one in enumerate(slices):
        own, colour = one.accuracy, _FOUND if one.found else _OTHER
        axes.plot([own.low, own.high], [row, row], color=colour, linewidth=2)
        axes.plot(own.value, row, "D" if one.found else "o", color=colour, markersize=6)
        axes.plot(one.rest.value, row, "|", color="0.5", markersize=11, markeredgewidth=1.5)
    axes.axvline(overall, color=_OVERALL, linestyle=":")
    titles = [shortened(f"{one.title} ({one.n:,})", _LONGEST_TITLE) for one in slices]
    axes.set_yticks(range(len(slices)), titles, fontsize=8, parse_math=False)
    axes.set_ylim(len(slices) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    axes.set_xlabel(
        "accuracy; | is the rest, the dotted line all pictures, a red diamond a slice that is found"
    )
    axes.grid(axis="x", alpha=0.3)
    return figure


def _lead(report: SlicesReport) -> str:
    if not report.slices:
        return f"{report.n:,} labelled pictures are too few to look at parts of them."
    telling = [one for one in report.training if one.telling]
    learned = f" {_capital(telling[0].sentence())}: the model may have learned that." if telling else ""
    if not report.found:
        none = "The only slice is not" if report.tested == 1 else f"None of {report.tested:,} slices is"
        return f"{none} worse than the rest beyond chance.{learned}"
    first, more = report.found[0], len(report.found) - 1
    others = f" {more} more {'slices are' if more > 1 else 'slice is'} worse than the rest." if more else ""
    kind = "The model has a bias" if first.bias else "The worst slice"
    return f"{kind}: {first.sentence()}.{others}{learned}"


def _told(shown: Sequence[SliceResult], report: SlicesReport) -> str:
    parts = [
        f"{one.title}: {one.accuracy.value:.1%} ({one.accuracy.low:.1%} to {one.accuracy.high:.1%})"
        + (", found" if one.found else "")
        for one in shown
    ]
    return f"All pictures: {report.accuracy.value:.1%}. {'; '.join(parts)}."


def _galleries(report: SlicesReport) -> list[Gallery]:
    """Return pictures of the found slices, or else of the worst."""
    chosen = [one for one in report.found if one.pictures] or list(report.slices[:1])
    return [
        Gallery(
            f"{one.title} ({one.rule}): mistakes, then the least sure",
            tuple(Thumb(answer.id, said(answer)) for answer in one.pictures),
            folded=place > 0,
            anchor=f"slice-{place + 1}",
        )
        for place, one in enumerate(chosen)
        if one.pictures
    ]


def _table(slices: Sequence[SliceResult]) -> Grid:
    header = ("slice", "which pictures", "n", "accuracy (95 %)", "difference, points (95 %)", "log loss", "p")
    rows = tuple(
        (
            one.title,
            one.rule,
            f"{one.n:,}",
            f"{one.accuracy.value:.1%} ({one.accuracy.low:.1%} to {one.accuracy.high:.1%})",
            "{:+.1f} ({:+.1f} to {:+.1f})".format(
                *(100 * part for part in (one.difference.value, one.difference.low, one.difference.high))
            ),
            f"{one.log_loss:.3f} against {one.rest_log_loss:.3f}",
            f"{one.p_value:.2g}",
        )
        for one in slices
    )
    return Grid(_capital(_most_likely(len(rows))), header, rows, folded=True)


def _most_likely(count: int) -> str:
    """Return what is drawn and listed; an accuracy of 100 % may be among it."""
    which = "slice that is" if count == 1 else f"{count} slices that are"
    return f"the {which} most likely worse than the rest, by log loss"


def _number(one: ClassDifference) -> str:
    return f"{one.auroc.value:.2f} ({one.auroc.low:.2f} to {one.auroc.high:.2f})"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
