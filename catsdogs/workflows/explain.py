"""Explain: drawings of what a model sees where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from PIL import Image

from catsdogs.core.errors import DataError, OutputError, PictureError
from catsdogs.core.records import ImageRecord
from catsdogs.data.inputs import find_pictures
from catsdogs.data.preparation import resize_whole
from catsdogs.data.stream import read_picture
from catsdogs.data.views import parse_views
from catsdogs.inference.dense import dense_scores, require_dense
from catsdogs.models.modelfile import load_model
from catsdogs.reporting.console import progress, say
from catsdogs.reporting.densefigures import draw_dense
from catsdogs.reporting.figures import save_figure

# Of a longer picture the middle is drawn: time and memory follow its area.
_MOST_SIDE_RATIO = 3


def explain_dense(
    checkpoint: Path, inputs: str | Sequence[str], out: Path, *, size_px: int | None = None
) -> list[Path]:
    """Draw, for each picture, the scores at every position of the network's map over it.

    Args:
        checkpoint: Run folder or model folder, or ``embedded``.
        inputs: A folder, zip or picture, or several pictures.
        out: Folder of the drawings, ``NUMBER-NAME.png``.
        size_px: Short side that a picture is resized to; by default twice the network's input.

    Returns:
        The drawings. A picture that cannot be read has none and is named.

    Raises:
        UserError: The model has no dense views, or there is nothing to draw or no place for it.
    """
    classifier, card = load_model(checkpoint)
    tta = "dense" if size_px is None else f"dense:{size_px}"
    side = parse_views(tta, card.preprocess)[0].dense_px
    require_dense(classifier, card, side)
    records = find_pictures(inputs)
    for problem in records.problems:
        say(f"warning: {problem}")
    if not records:
        raise DataError("there are no pictures to draw")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made: {error.strerror}") from error
    spec = replace(card.preprocess, crop_mode="center")
    drawn = []
    with progress("drawing", len(records)) as advance:
        for number, record in enumerate(records, start=1):
            advance(1)
            try:
                picture = _middle(read_picture(record, at_least_px=(side, side)))
            except PictureError as error:
                say(f"{record.id}: {error}")
                continue
            pixels = resize_whole(picture, spec, side)
            scores = dense_scores(classifier, card, pixels)
            path = out / f"{number:04}-{_plain_name(record)}.png"
            save_figure(draw_dense(pixels, scores.local, scores.pooled, card.class_names), path)
            drawn.append(path)
    if not drawn:
        raise DataError(f"none of the {len(records)} pictures could be read")
    say(f"{len(drawn):,} drawings in {out}")
    return drawn


def _middle(picture: Image.Image) -> Image.Image:
    """Return the picture, or the middle of one that is very long."""
    longest = _MOST_SIDE_RATIO * min(picture.size)
    width, height = (min(side, longest) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _plain_name(record: ImageRecord) -> str:
    """Return a file name for a picture's drawing, whatever the picture is called."""
    stem = PurePosixPath(record.name).stem
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)[:60]
