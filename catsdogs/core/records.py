"""ImageRecord: where one picture is and what is known about it before it is opened."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Where one picture is, and what its layout says about it.

    Attributes:
        id: What the user sees in tables and files; unique within one data set.
        root: The folder, zip or generator that holds the picture; opened with ``data.stores.open_store``.
        name: The picture's name inside ``root``, with forward slashes.
        label: Class name, or None where the layout has no labels.
        group: Pictures of one group (a patient, a burst, a set of duplicates) stay in one split.
        split: ``train``, ``val`` or ``test`` where the layout fixes it, else None.
    """

    id: str
    root: str
    name: str
    label: str | None = None
    group: str | None = None
    split: str | None = None
