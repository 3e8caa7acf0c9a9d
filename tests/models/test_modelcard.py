"""A stranger's model.json: whatever its numbers are, it is a usable card or it is refused in one line."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.viewweights import ViewWeights
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import CARD, ModelCard, load_card
from catsdogs.models.networkspec import CNN, NetworkSpec

CARD_OF_ALL = ModelCard(
    CNN,
    ("cat", "dog"),
    PreprocessSpec(64, 64),
    HeadSpec("rbf", vectors=4),
    temperature=1.5,
    training={"seed": 1, "loss": 0.25},
    network=NetworkSpec(),
    view_weights=(ViewWeights("flip", {"plain": 0.5, "flip": 0.5}, "val", 10),),
)
STRANGE = ("1e400", "-1e400", "NaN", "1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 5000, "5e-324", "1.7e308")
PLAIN = ("0", "-1", "0.5", "true", "null", '"1"', "[]", "{}")


def numbers(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return where the numbers of plain values lie."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in numbers(one, (*place, key))]
    if isinstance(value, list | tuple):
        return [found for key, one in enumerate(value) for found in numbers(one, (*place, key))]
    return [place] if isinstance(value, int | float) else []


PLACES = numbers(json.loads(json.dumps(CARD_OF_ALL.to_dict())))


def test_every_number_is_tried() -> None:
    keys = {key for place in PLACES for key in place}
    assert {"temperature", "crop_fraction", "mean", "std", "n", "vectors", "width", "dropout"} <= keys


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(map(str, place)))
def test_strange_numbers(place: tuple[str | int, ...], tmp_path: Path) -> None:
    for number in (*STRANGE, *PLAIN):
        values = copy.deepcopy(json.loads(json.dumps(CARD_OF_ALL.to_dict())))
        inner = values
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = "HERE"
        (tmp_path / CARD).write_text(json.dumps(values).replace('"HERE"', number))
        assert outcome(tmp_path) in ("usable", "refused"), number


def outcome(folder: Path) -> str:
    """Say what becomes of a card; numpy's warnings are errors, and any error but the one is the test's."""
    try:
        card = load_card(folder)
    except ModelError as error:
        return "refused" if "\n" not in str(error) else "refused in many lines"
    use(card)
    return "usable"


def use(card: ModelCard) -> None:
    """Do with the numbers what applying the model does."""
    spec = card.preprocess
    assert 1 <= spec.resized_height_px <= 409_600
    assert 1 <= spec.resized_width_px <= 409_600
    pixels = (np.float32([0, 1, 0.5]) - np.float32(spec.mean)) / np.float32(spec.std)
    assert np.isfinite(pixels).all()
    assert np.isfinite(np.float32([-1e4, 1e4]) / np.float32(card.temperature)).all()
    for learned in card.view_weights:
        assert np.isfinite(np.log(np.float64([*learned.weights.values()]) + 1)).all()
    json.dumps(card.to_dict()["preprocess"], allow_nan=False)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('"temperature": 1.5', '"temperature": 1' + "0" * 400, r"model\.json is damaged"),
        ('"n": 10', '"n": Infinity', "the weights of views are damaged"),
        ('"crop_fraction": 0.875', '"crop_fraction": 5e-324', r"crop fraction 5e-324 is outside \[0.01, 1\]"),
    ],
)
def test_the_line_says_what_is_wrong(before: str, after: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(json.dumps(CARD_OF_ALL.to_dict()).replace(before, after))
    with pytest.raises(ModelError, match=complaint):
        load_card(tmp_path)
