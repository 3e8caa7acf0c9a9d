"""The section that compares models on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from catsdogs.core.comparison import AgainstFirst, Change, Comparison
from catsdogs.evaluation.comparison import FIGURES, sentence
from catsdogs.reporting.comparisonfigures import draw_gains
from catsdogs.reporting.console import figure_text, figure_title, signed_text
from catsdogs.reporting.page.blocks import Block, Drawing, Gallery, Grid, Section, Thumb, Words


def comparison_section(comparison: Comparison, *, anchor: str = "comparison") -> Section:
    """Return what the page says about a comparison.

    Args:
        comparison: Of two or more models.
        anchor: What links call the section.
    """
    first, others = comparison.names[0], comparison.others
    drawing = partial(draw_gains, {other.name: other.gain for other in others}, first)
    blocks: list[Block] = [Words(sentence(comparison, other) + ".") for other in others[1:]]
    blocks += [
        Drawing("Paired differences", drawing, _spoken(comparison)),
        _figures(comparison),
        _gains(comparison),
    ]
    if len(others) > 1:
        blocks.append(_matrix(comparison))
    for place, other in enumerate(others, start=1):
        blocks += _galleries(other, first, anchor, place)
    lead = f"{comparison.n:,} pictures that all have answered. {sentence(comparison, others[0])}."
    left = sum(comparison.left_out.values())
    if left:
        blocks.append(Words(left_out_words(comparison)))
    return Section(anchor, "Comparison", lead, tuple(blocks))


def left_out_words(comparison: Comparison) -> str:
    """Say which models have answered pictures that are in no figure."""
    parts = [f"{count:,} of {name}" for name, count in comparison.left_out.items() if count]
    return (
        f"Left out: {', '.join(parts)}; another model has not answered these pictures or could not read "
        "them, or nobody knows their class."
    )


def _spoken(comparison: Comparison) -> str:
    parts = [
        f"{other.name}: accuracy {signed_text('accuracy', other.gain['accuracy'])}, "
        f"log loss {signed_text('log_loss', other.gain['log_loss'])}"
        for other in comparison.others
    ]
    return f"How much better than {comparison.names[0]}, with 95 % intervals. " + "; ".join(parts) + "."


def _figures(comparison: Comparison) -> Grid:
    rows = tuple(
        (name, *(figure_text(figure, own[figure]) for figure in FIGURES))
        for name, own in comparison.figures.items()
    )
    return Grid("Each model (95 % interval)", ("model", *map(figure_title, FIGURES)), rows)


def _gains(comparison: Comparison) -> Grid:
    rows = tuple(
        (
            other.name,
            *(signed_text(figure, other.gain[figure]) for figure in FIGURES),
            f"{other.fixed:,}",
            f"{other.broken:,}",
            f"{other.p_value:.2g}",
        )
        for other in comparison.others
    )
    header = ("model", *map(figure_title, FIGURES), "fixed", "broken", "p (McNemar, corrected)")
    return Grid(f"Gain over {comparison.names[0]}, paired; above 0 is better", header, rows)


def _matrix(comparison: Comparison) -> Grid:
    names = comparison.names
    rows = tuple(
        (
            name,
            *(
                "-" if row == column else f"{100 * gain:+.2f} (p {p_value:.2g})"
                for column, (gain, p_value) in enumerate(zip(gains, p_values, strict=True))
            ),
        )
        for row, (name, gains, p_values) in enumerate(
            zip(names, comparison.gain_matrix, comparison.p_matrix, strict=True)
        )
    )
    return Grid("Points of accuracy that the row has over the column", ("model", *names), rows, folded=True)


def _galleries(other: AgainstFirst, first: str, anchor: str, place: int) -> list[Block]:
    found: list[Block] = []
    for word, count, pictures in (
        ("fixed", other.fixed, other.fixed_pictures),
        ("broken", other.broken, other.broken_pictures),
    ):
        if pictures:
            of = f"{len(pictures)} of {count}" if len(pictures) < count else f"{count}"
            noun = "picture" if count == 1 else "pictures"
            title = f"{of} {noun} that {other.name} has {word}, against {first}"
            found.append(Gallery(title, _thumbs(pictures), anchor=f"{anchor}-{word}-{place}"))
    return found


def _thumbs(changes: Sequence[Change]) -> tuple[Thumb, ...]:
    return tuple(
        Thumb(
            change.id,
            f"{change.true}: {change.before} became {change.after} "
            f"({change.probability_before:.0%} to {change.probability_after:.0%} for {change.true})",
        )
        for change in changes
    )
