"""Labels that look wrong, as a part of the page."""

from __future__ import annotations

import math

from catsdogs.evaluation.labelcheck import LabelCheck, LabelDoubt
from catsdogs.reporting.page.blocks import Block, Gallery, Grid, Section, Thumb, Words

_MOST_PICTURES, _MOST_ROWS = 24, 30
_HEADER = ("picture", "given", "suggested", "probability of the given label", "reason")
_HOW = (
    "A model that has not learned from a picture is more sure of another class than it usually is of that "
    "class's own pictures. Some of these labels are wrong; others are right and the model is not. Look, "
    "change the column label of labels.csv, and train again with --data.corrections labels.csv."
)


def labels_section(check: LabelCheck) -> Section:
    """Return the section of a check of labels."""
    suspects = tuple(doubt for doubt in check.first if doubt.suspected)
    lead = f"{check.sentence.capitalize()}, by {check.origin}; {check.estimate}."
    if check.conflicting:
        lead += f" {check.conflicting:,} pictures have a duplicate with another label."
    if suspects and check.caution:
        lead += f" Beware: {check.caution}."
    return Section("labels", "Labels that look wrong", lead, _blocks(suspects, check.suspected))


def _blocks(suspects: tuple[LabelDoubt, ...], count: int) -> tuple[Block, ...]:
    if not suspects:
        return ()
    shown = suspects[:_MOST_PICTURES]
    which = "All of them" if len(shown) == count else f"The first {len(shown)} of {count:,}"
    pictures = tuple(Thumb(doubt.id, doubt.caption) for doubt in shown)
    rows = tuple(_row(doubt) for doubt in suspects[:_MOST_ROWS])
    return (
        Words(_HOW),
        Gallery(f"{which}, the most doubtful first", pictures, anchor="suspected-labels"),
        Grid("The same in words", _HEADER, rows, folded=True),
    )


def _row(doubt: LabelDoubt) -> tuple[str, ...]:
    probability = "" if math.isnan(doubt.probability) else f"{doubt.probability:.3f}"
    return (doubt.id, doubt.given, doubt.suggested, probability, doubt.reason)
