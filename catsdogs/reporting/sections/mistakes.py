"""Mistakes and doubts as galleries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from catsdogs.evaluation.mistakes import Answer, Galleries
from catsdogs.reporting.page.blocks import Block, Gallery, Section, Thumb, Words

_HARDEST = (
    "These were learned from. Each was judged by a model that had not seen it; a high loss is an odd picture "
    "or a wrong label."
)


def mistakes_section(found: Galleries) -> Section:
    """Return the galleries of one evaluation.

    Args:
        found: The pictures.
    """
    blocks: list[Block] = []
    if found.confident:
        blocks.append(
            _gallery("Wrong, the most confident first", "mistakes-confident", found.confident, said)
        )
    if found.unsure:
        blocks.append(_gallery("Least sure, right or wrong", "mistakes-unsure", found.unsure, said))
    if found.hardest:
        blocks.append(Words(_HARDEST))
        blocks.append(_gallery("Highest loss in training", "mistakes-training", found.hardest, _lost))
    for number, group in enumerate(found.conflicting, start=1):
        thumbs = tuple(Thumb(id, f"labelled {label}") for id, label in group)
        title = f"The same photo with different labels ({number} of {len(found.conflicting)})"
        blocks.append(Gallery(title, thumbs, anchor=f"mistakes-conflicting-{number}"))
    return Section("mistakes", "Mistakes", _lead(found), tuple(blocks))


def said(answer: Answer) -> str:
    """Return a caption: the answer, how sure it is and, where it is wrong, the label."""
    sure = f"{answer.predicted} {answer.probability:.1%}"
    return sure if answer.right else f"{sure}, is {answer.true}"


def _lost(answer: Answer) -> str:
    return (
        f"labelled {answer.true}, judged {answer.predicted} {answer.probability:.1%}, loss {answer.loss:.2f}"
    )


def _gallery(title: str, anchor: str, answers: Sequence[Answer], caption: Callable[[Answer], str]) -> Gallery:
    return Gallery(title, tuple(Thumb(one.id, caption(one)) for one in answers), anchor=anchor)


def _lead(found: Galleries) -> str:
    parts = []
    if found.confident:
        worst = found.confident[0]
        parts.append(
            f"The most confident mistake took {worst.true} for {worst.predicted} at {worst.probability:.1%}."
        )
    else:
        parts.append("No picture was judged wrongly.")
    if found.conflicting:
        groups = "One photo has" if len(found.conflicting) == 1 else f"{len(found.conflicting)} photos have"
        parts.append(f"{groups} copies with different labels: at least one of each is wrong.")
    return " ".join(parts)
