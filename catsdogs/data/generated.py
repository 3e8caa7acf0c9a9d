"""Drawn cats and dogs, and a few other kinds: the embedded default, and the tests' pictures. Not photos.

A drawing is a pure function of its kind, index, seed and size. The kinds differ in anatomy alone: coat,
background, light, pose and place come from the same distributions. No statistic of the whole picture tells
them apart; a network has to find ears, muzzles, pupils and tails. Every file says that it is drawn, in its
comment and in its EXIF description.
"""

from __future__ import annotations

import functools
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.core.files import replacing
from catsdogs.data.drawing.anatomy import Sitter
from catsdogs.data.drawing.animals import paint_animal
from catsdogs.data.drawing.canvas import Canvas
from catsdogs.data.drawing.coats import Coat
from catsdogs.data.drawing.kinds import ANATOMIES
from catsdogs.data.drawing.scenery import paint_background, paint_foreground, photographed
from catsdogs.data.entries import Entry, too_large

KINDS: tuple[str, ...] = tuple(ANATOMIES)
NOTE = "Drawn by catsdogs; not a photo"

# Counted up when the same arguments give another picture, so that caches forget the old ones.
_STYLE = 1
# Twice the size, then averaged: smooth edges at a price that a test can pay.
_OVERSAMPLING = 2
_ASPECTS, _ASPECT_SHARES = (1.0, 4 / 3, 3 / 4, 3 / 2, 2 / 3), (0.3, 0.3, 0.25, 0.08, 0.07)
_QUALITY = 90
_IMAGE_DESCRIPTION = 0x010E
# What of a file is searched for the note, which stands before the first pixel.
_HEAD_BYTES = 1024
_SIZES_PX = range(32, 513)
_COUNTS = range(1, 100_001)
_SEEDS = range(2**32)
_OPTIONS = {"per_class": "per_class", "seed": "seed", "size": "size_px"}
_GRAMMAR = "drawn[:cat,dog[?per_class=300&seed=0&size=160]]"


@dataclass(frozen=True)
class Drawings:
    """Which drawings are asked for.

    Attributes:
        kinds: Of ``KINDS``, each once.
        per_class: How many of each kind.
        seed: Another seed draws other animals.
        size_px: About the side of a picture.
    """

    kinds: tuple[str, ...] = ("cat", "dog")
    per_class: int = 300
    seed: int = 0
    size_px: int = 160

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            DataError: A kind is unknown or named twice, or a number is out of range.
        """
        for kind in self.kinds or ("",):
            if kind not in KINDS:
                raise DataError(f"there are no drawings of {kind!r}, only of {', '.join(KINDS)}")
        if len(set(self.kinds)) < len(self.kinds):
            raise DataError(f"a kind of drawing is named twice: {','.join(self.kinds)}")
        for name, value, allowed in (
            ("count a class", self.per_class, _COUNTS),
            ("seed", self.seed, _SEEDS),
            ("size", self.size_px, _SIZES_PX),
        ):
            if value not in allowed:
                raise DataError(f"the {name} of drawn pictures is {value}, not {allowed[0]} to {allowed[-1]}")


def draw(kind: str, index: int, *, seed: int = 0, size_px: int = 160) -> Image.Image:
    """Draw one animal.

    Args:
        kind: One of ``KINDS``.
        index: Which one, from 0; every index is another animal in another place.
        seed: Another seed draws other animals.
        size_px: About the side of the picture, 32 to 512; the sides vary around it as those of photos do.

    Returns:
        Mode RGB, the same pixels for the same arguments.

    Raises:
        DataError: The kind is unknown, or a number is out of range.
    """
    Drawings((kind,), per_class=index + 1, seed=seed, size_px=size_px)
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
    image = Image.new("RGB", _sides(size_px * _OVERSAMPLING, rng))
    longest = max(image.size)
    corner = ((image.width - longest) / 2, (image.height - longest) / 2)
    scene = Canvas(image, at=corner, unit_px=longest)
    sitter = Sitter(ANATOMIES[kind], Coat.drawn(rng), rng, turn=rng.uniform(-1, 1), nod=rng.uniform(-1, 1))
    paint_background(scene, sitter.coat.fur, rng)
    paint_animal(image, sitter)
    paint_foreground(scene, rng)
    return photographed(image.reduce(_OVERSAMPLING), rng)


class DrawnStore:
    """Drawings behind the interface of a store: nothing is on disk, and a file is drawn when it is read.

    Names are ``cat/0001.jpg`` and so on: a folder per class.

    Attributes:
        root: ``drawn``, ``drawn:cat,dog,rabbit`` or ``drawn:cat,dog?per_class=100&seed=3&size=96``.
    """

    def __init__(self, root: str) -> None:
        """Read the root.

        Raises:
            DataError: It does not follow the grammar.
        """
        self.root = root
        self._drawings = parse_root(root)

    def entries(self) -> list[Entry]:
        """Return every drawing, sorted by name; nothing is drawn, so the size is an estimate."""
        asked = self._drawings
        estimate = asked.size_px**2 // 3
        stamp = f"drawn-{_STYLE}-{asked.seed}-{asked.size_px}"
        return sorted(
            Entry(_name(kind, index), estimate, f"{stamp}-{kind}-{index}")
            for kind in asked.kinds
            for index in range(asked.per_class)
        )

    def names(self) -> Iterator[str]:
        """Yield the name of every drawing, sorted."""
        return (entry.name for entry in self.entries())

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Return a drawing as JPEG, the same bytes every time.

        Raises:
            PictureError: There is no drawing of that name, or it is larger than ``limit_bytes``.
        """
        asked = self._drawings
        kind, _, file = name.partition("/")
        number = file.removesuffix(".jpg")
        index = int(number) - 1 if re.fullmatch(r"[0-9]{4,6}", number) else -1
        if kind not in asked.kinds or index not in range(asked.per_class) or name != _name(kind, index):
            raise PictureError("no drawing of that name")
        data = _encoded(kind, index, asked.seed, asked.size_px)
        if len(data) > limit_bytes:
            raise too_large(limit_bytes)
        return data


@functools.lru_cache(maxsize=64)
def parse_root(root: str) -> Drawings:
    """Return what a root asks for; see ``DrawnStore.root``.

    Raises:
        DataError: It does not follow the grammar.
    """
    match = re.fullmatch(r"drawn(?::(?P<kinds>[^?]*)(?:\?(?P<options>.*))?)?", root)
    if match is None:
        raise DataError(f"{root!r} is not a root of drawn pictures: {_GRAMMAR}")
    kinds, options = match["kinds"], match["options"]
    named = Drawings.kinds if kinds is None else tuple(kinds.split(","))
    return Drawings(named, **_numbers(root, options or ""))


def write_folder(
    folder: Path,
    *,
    kinds: Sequence[str],
    per_class: int,
    seed: int,
    size_px: int,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write drawings as files, ``folder/cat/0001.jpg`` and so on; those of an earlier run make way.

    Args:
        folder: New, empty, or holding drawings alone; hidden files do not count.
        kinds: Of ``KINDS``, each once.
        per_class: How many of each kind.
        seed: Another seed draws other animals.
        size_px: About the side of a picture.
        advance: Told how many files were written since it was last called.

    Returns:
        How many files were written.

    Raises:
        DataError: A kind is unknown, or a number is out of range.
        OutputError: The folder holds something that is not drawn, or cannot be written.
    """
    asked = Drawings(tuple(kinds), per_class=per_class, seed=seed, size_px=size_px)
    _make_way(folder)
    for kind in asked.kinds:
        for index in range(asked.per_class):
            with replacing(folder / _name(kind, index)) as temporary:
                temporary.write_bytes(_encode(draw(kind, index, seed=seed, size_px=size_px)))
            advance(1)
    return per_class * len(asked.kinds)


def _sides(size_px: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return width and height of about ``size_px`` squared pixels in one of the formats of photos."""
    aspect = rng.choice(_ASPECTS, p=_ASPECT_SHARES) * rng.uniform(0.93, 1.07)
    size = size_px * rng.uniform(0.95, 1.05)
    return round(size * aspect**0.5), round(size * aspect**-0.5)


def _name(kind: str, index: int) -> str:
    return f"{kind}/{index + 1:04d}.jpg"


# A picture is read once an epoch and more, and drawing costs more than decoding: keep some 20 MB of them.
@functools.lru_cache(maxsize=2048)
def _encoded(kind: str, index: int, seed: int, size_px: int) -> bytes:
    return _encode(draw(kind, index, seed=seed, size_px=size_px))


def _encode(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[_IMAGE_DESCRIPTION] = NOTE
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, exif=exif, comment=NOTE)
    return stream.getvalue()


def _numbers(root: str, options: str) -> dict[str, int]:
    """Read ``per_class=100&seed=3&size=96``."""
    found: dict[str, int] = {}
    for option in filter(None, options.split("&")):
        key, _, value = option.partition("=")
        field = _OPTIONS.get(key)
        if field is None or field in found or not re.fullmatch(r"[0-9]{1,10}", value):
            raise DataError(f"{option!r} in {root!r} is not understood: {_GRAMMAR}")
        found[field] = int(value)
    return found


def _make_way(folder: Path) -> None:
    """Remove the drawings of an earlier run, or nothing where there is anything else.

    Raises:
        OutputError: There is something else, or a drawing cannot be removed.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder")
    found = _listed(folder)
    for path in found:
        if not _is_drawing(path):
            raise OutputError(f"{path} is not a drawing of ours; choose a new folder")
    for path in found:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _listed(folder: Path) -> list[Path]:
    """Return every file and every link below a folder, hidden files left out."""
    found = []
    for parent, folders, files in os.walk(folder):
        names = [name for name in files if not name.startswith(".")]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        found += [Path(parent, name) for name in (*names, *links)]
    return found


def _is_drawing(path: Path) -> bool:
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as stream:
            return NOTE.encode() in stream.read(_HEAD_BYTES)
    except OSError:
        return False
