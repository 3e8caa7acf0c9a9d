"""Sheets of changed pictures with what the model said about them: figures are judged by looking, too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.predictions import FloatArray, Predictions, softmax
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.preparation import Pixels, prepare
from catsdogs.data.rendering import at_least_px
from catsdogs.data.stream import read_picture
from catsdogs.evaluation.robustness import views_of
from catsdogs.reporting.robustnesswords import title_of
from catsdogs.reporting.sheets import Tile, draw_sheet
from catsdogs.robustness.attacks import Attack, Attacker
from catsdogs.robustness.corruptions import STRENGTHS, Corrupting

_ATTACKED = 6
_TIMES = 20
_GREY = 128


def draw_corrupted(
    answers: Predictions, records: Sequence[ImageRecord], spec: PreprocessSpec, draw: Corrupting
) -> Figure | None:
    """Draw every corruption of one picture, if possible one that is right as it is.

    None where it cannot be read again.
    """
    shown = next(iter(_right_in_turn(answers)), 0)
    picture = _read(answers.ids[shown], records, spec)
    if picture is None:
        return None
    views = views_of(answers)
    rows = []
    for start in range(0, len(draw.places), len(STRENGTHS)):
        kind = draw.places[start][0]
        row = [
            Tile(
                prepare(picture, spec), f"{title_of(kind.name)}\n{_said(answers, shown, views.plain[shown])}"
            )
        ]
        for place in range(start, start + len(STRENGTHS)):
            said = _said(answers, shown, views.logits[place, shown])
            row.append(Tile(draw(picture, place + 1), f"{kind.setting_at(draw.places[place][1])}\n{said}"))
        rows.append(row)
    headings = ["as it is", *(f"strength {strength}" for strength in STRENGTHS)]
    return draw_sheet(f"Corruptions of {answers.ids[shown]}", headings, rows)


def draw_attacked(
    answers: Predictions,
    records: Sequence[ImageRecord],
    spec: PreprocessSpec,
    attacker: Attacker,
    attack: Attack,
) -> Figure | None:
    """Draw some pictures that were right, the change that an attack makes to them, and what comes of it.

    None where no picture was right, or none can be read again.
    """
    chosen = [
        (position, prepare(picture, spec))
        for position in _right_in_turn(answers)[:_ATTACKED]
        if (picture := _read(answers.ids[position], records, spec)) is not None
    ]
    if not chosen:
        return None
    positions = [position for position, _ in chosen]
    pixels = np.stack([one for _, one in chosen])
    planes = attacker.attacked(pixels, answers.labels[positions], attack)
    said = attacker.logits(planes)
    found = 255 * planes.transpose(0, 2, 3, 1)
    rows = [
        [
            Tile(clean, f"{answers.ids[position].rpartition('/')[2]}\n{_said(answers, position, before)}"),
            Tile(_bytes(_GREY + _TIMES * (result - clean)), ""),
            Tile(_bytes(result), _said(answers, position, after)),
        ]
        for position, clean, result, before, after in zip(
            positions, pixels, found, views_of(answers).plain[positions], said, strict=True
        )
    ]
    headings = ["as it is", f"change times {_TIMES}", "result"]
    title = f"PGD, {attack.steps} steps, no value changed by more than {attack.strength:g}/255"
    return draw_sheet(title, headings, rows)


def _right_in_turn(answers: Predictions) -> list[int]:
    """Return the positions of pictures that are right as they are, the classes in turn."""
    plain = views_of(answers).plain.argmax(axis=1)
    classes = [
        np.flatnonzero((answers.labels == label) & (plain == label)).tolist()
        for label in range(len(answers.class_names))
    ]
    return [one for one in chain.from_iterable(zip_longest(*classes)) if one is not None]


def _read(name: str, records: Sequence[ImageRecord], spec: PreprocessSpec) -> Image.Image | None:
    record = next(record for record in records if record.id == name)
    try:
        return read_picture(record, at_least_px=at_least_px(spec))
    except PictureError:
        return None  # it could be read a moment ago; the figures stand without it


def _said(answers: Predictions, position: int, logits: FloatArray) -> str:
    """Return an answer with its probability, and the truth where it is wrong."""
    called, true = int(logits.argmax()), int(answers.labels[position])
    text = f"{answers.class_names[called]} {softmax(logits)[called]:.0%}"
    return text if called == true else f"{text}, is {answers.class_names[true]}"


def _bytes(values: FloatArray) -> Pixels:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
