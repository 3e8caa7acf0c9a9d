"""Tasks made from photos in which early stages of a network should win: rotation, blur, JPEG quality.

Every photo becomes one picture of one class, so no photo is in training and in the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks.lots import lot
from PIL import Image, ImageFilter

from catsdogs.data.decode import decode
from catsdogs.data.layouts import find_labelled
from catsdogs.data.stores import open_store

SIDE_PX = 256
_LIMIT_BYTES = 2**26

Variant = Callable[[Image.Image, Path], None]
"""Changes a square and writes it to a path that has no suffix yet."""


def _turned(square: Image.Image, path: Path, *, degrees: int) -> None:
    square.rotate(degrees).save(f"{path}.png", compress_level=1)


def _blurred(square: Image.Image, path: Path, *, radius_px: float) -> None:
    changed = square.filter(ImageFilter.GaussianBlur(radius_px)) if radius_px else square
    changed.save(f"{path}.png", compress_level=1)


def _compressed(square: Image.Image, path: Path, *, quality: int) -> None:
    square.save(f"{path}.jpg", quality=quality)


TASKS: Mapping[str, Mapping[str, Variant]] = {
    "rotation": {f"turned-{turn}": partial(_turned, degrees=turn) for turn in (0, 90, 180, 270)},
    "blur": {f"radius-{radius}": partial(_blurred, radius_px=radius) for radius in (0, 0.6, 1.2)},
    "jpeg": {f"quality-{quality}": partial(_compressed, quality=quality) for quality in (25, 50, 80)},
}


def make_task(name: str, photos: Path, folder: Path) -> Path:
    """Write the pictures of a task into ``folder/name``, a folder per class, and return that folder.

    What is there already is complete and stays. Classes have equally many pictures, to within one.
    """
    target = folder / name
    if target.exists():
        return target
    unfinished = folder / f".{name}-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    variants = TASKS[name]
    for label in variants:
        (unfinished / label).mkdir(parents=True)
    store = open_store(str(photos))
    records = sorted(find_labelled(str(photos)).records, key=lambda record: lot(name, record.name))
    labels = list(variants)
    for position, record in enumerate(records):
        label = labels[position % len(labels)]
        square = centre_square(decode(store.read(record.name, _LIMIT_BYTES)))
        # cat.12 would be read as a class in Kaggle's way of naming.
        variants[label](square, unfinished / label / Path(record.name).stem.replace(".", "-"))
    unfinished.rename(target)
    return target


def centre_square(picture: Image.Image) -> Image.Image:
    """Return the largest square in the middle, resized to 256 pixels a side."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=box)
