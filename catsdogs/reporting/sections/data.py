"""What the pictures are: how many, of what, in which split, and what is odd about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import AuditReport
from catsdogs.data.splits import SPLITS
from catsdogs.reporting.page.blocks import Block, Gallery, Grid, Section, Thumb, Words

_MOST_GROUPS, _MOST_UNREADABLE = 6, 20


def data_section(audit: AuditReport, records: Sequence[ImageRecord]) -> Section:
    """Return the audit and the split, with duplicates to look at.

    Args:
        audit: Of all pictures.
        records: The readable ones, with their splits.
    """
    splits = Counter((record.label, record.split) for record in records)
    classes = sorted({record.label or "" for record in records})
    rows = tuple((name, *(f"{splits[name, split]:,}" for split in SPLITS)) for name in classes)
    blocks: list[Block] = [
        Grid("Pictures of each class", ("class", *SPLITS), rows),
        Grid("Audit", ("what", "found"), tuple(audit.rows())),
        *(Words(f"Warning: {warning}.") for warning in audit.warnings),
    ]
    if audit.unreadable:
        unreadable = tuple(sorted(audit.unreadable.items()))[:_MOST_UNREADABLE]
        blocks.append(
            Grid(_first("unreadable pictures", len(unreadable)), ("picture", "reason"), unreadable, True)
        )
    labels = {record.id: record.label or "" for record in records}
    blocks += [
        _duplicates("Duplicates with different labels", audit.conflicting_duplicates, labels),
        _duplicates("Near duplicates, which stay in one split", audit.near_duplicates, labels),
    ]
    shown = tuple(block for block in blocks if not isinstance(block, Gallery) or block.pictures)
    return Section("data", "The pictures", _lead(audit, len(classes)), shown)


def _first(what: str, count: int) -> str:
    return f"The first {count:,} {what}"


def _duplicates(title: str, groups: Sequence[Sequence[str]], labels: dict[str, str]) -> Gallery:
    thumbs = tuple(
        Thumb(picture, f"group {number}: {labels.get(picture, 'not used')}")
        for number, group in enumerate(groups[:_MOST_GROUPS], start=1)
        for picture in group[:3]
    )
    return Gallery(title, thumbs, folded=True)


def _lead(audit: AuditReport, classes: int) -> str:
    lead = f"{audit.n:,} pictures of {classes:,} classes"
    lead += f", {len(audit.unreadable):,} of them unreadable." if audit.unreadable else ", all readable."
    groups = len(audit.duplicate_groups)
    if groups:
        lead += f" {groups:,} group{'s' if groups > 1 else ''} of duplicates: each stays in one split."
    if audit.conflicting_duplicates:
        lead += f" {len(audit.conflicting_duplicates):,} of the groups have several labels."
    return lead
