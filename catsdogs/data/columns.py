"""What inspections tell, as columns, one value a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from catsdogs.core.columns import Column, NumberColumn, WordColumn
from catsdogs.data.inspection import Inspection

_MEGA, _KILO = 1e6, 1e3


def columns_of(inspections: Sequence[Inspection], duplicated: Sequence[bool] | None = None) -> list[Column]:
    """Return brightness, contrast, sharpness, colourfulness, size, shape, file size, format and duplicates.

    Args:
        inspections: Of N pictures; one that cannot be read has no values.
        duplicated: Whether each has a duplicate; None looks for equal pixels among these pictures.
    """
    sizes = np.array([(one.width_px, one.height_px, one.file_bytes) for one in inspections], dtype=np.float64)
    sizes = np.where(sizes > 0, sizes, np.nan).reshape(len(inspections), 3)
    width, height, file_bytes = sizes.T
    looks = [one.look for one in inspections]
    return [
        NumberColumn("brightness", np.array([look.brightness for look in looks]), "dark", "bright"),
        NumberColumn(
            "contrast", np.array([look.contrast for look in looks]), "low contrast", "high contrast"
        ),
        NumberColumn("sharpness", np.array([look.sharpness for look in looks]), "blurred", "sharp"),
        NumberColumn("colourfulness", np.array([look.colourfulness for look in looks]), "pale", "colourful"),
        NumberColumn("size", width * height / _MEGA, "small", "large", "megapixels"),
        NumberColumn("aspect ratio", width / height, "tall", "wide"),
        NumberColumn("file size", file_bytes / _KILO, "small file", "large file", "kB"),
        WordColumn("format", tuple(one.format or None for one in inspections)),
        WordColumn("duplicates", _told(inspections, duplicated)),
    ]


def _told(inspections: Sequence[Inspection], duplicated: Sequence[bool] | None) -> tuple[str | None, ...]:
    if duplicated is None:
        counts = Counter(one.digest for one in inspections if one.reason is None)
        duplicated = [counts[one.digest] > 1 for one in inspections]
    return tuple(
        None if one.reason is not None else "some" if has else "none"
        for one, has in zip(inspections, duplicated, strict=True)
    )
