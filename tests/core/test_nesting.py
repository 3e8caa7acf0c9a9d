"""Plain values to nested dataclasses and back."""

from dataclasses import asdict, replace

import pytest

from catsdogs.core.nesting import nested
from catsdogs.training.recipe import Loss, Solver
from catsdogs.transfer.thresholds import Thresholds
from catsdogs.workflows.sections import TransferSettings
from catsdogs.workflows.settings import TrainSettings


def test_plain_values_and_back():
    settings = TrainSettings(
        transfer=TransferSettings(epochs=3, thresholds=Thresholds(plenty=7)), solver=Solver(weight_decay=0.5)
    )
    assert nested(TrainSettings, asdict(settings)) == settings
    assert nested(TrainSettings, asdict(replace(settings, loss=Loss(0.1)))) != settings


def test_what_is_missing_keeps_its_default():
    assert nested(TrainSettings, {"solver": {}}) == TrainSettings()


def test_unknown_names_are_refused():
    with pytest.raises(TypeError, match="speed"):
        nested(TrainSettings, {"solver": {"speed": 1}})
