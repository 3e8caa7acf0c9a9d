"""Presets, the options that override them, and what is refused."""

import json
from dataclasses import replace

import pytest

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.data.presets import PRESETS, AugmentationSettings, AugmentationSpec


def test_light_is_the_default_and_none_does_nothing():
    assert AugmentationSettings().resolved() == PRESETS["light"]
    assert PRESETS["none"].summary() == "nothing"
    assert not any(PRESETS[name].mixes for name in ("none", "light", "medium"))
    assert PRESETS["strong"].mixes


def test_what_is_given_takes_the_place_of_the_presets_value_also_when_it_is_off():
    asked = AugmentationSettings(preset="strong", mirror=False, mixup=0, rotation=30)
    assert asked.resolved() == replace(PRESETS["strong"], mirror=False, mixup=0, rotation=30)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": 0}, "crop must be from 0.01 to 1, not 0"),
        ({"aspect": 0.5}, "aspect must be from 1 to 10, not 0.5"),
        ({"rotation": -1}, "rotation must be from 0 to 180, not -1"),
        ({"perspective": 0.5}, "perspective must be from 0 to 0.45, not 0.5"),
        ({"hue": 0.6}, "hue must be from 0 to 0.5, not 0.6"),
        ({"grey": float("nan")}, "grey must be from 0 to 1, not nan"),
        ({"erasing": 1.1}, "erasing must be from 0 to 1, not 1.1"),
        ({"mixup": 0.001}, "mixup must be 0, or from 0.01 to 100, not 0.001"),
        ({"cutmix": -1}, "cutmix must be 0, or from 0.01 to 100, not -1"),
        ({"mixing_off_epochs": -1}, "mixing_off_epochs must be from 0 to"),
        ({"crop": 1, "aspect": 2}, "aspect needs a random crop: give --augmentation.crop below 1"),
        ({"preset": "none", "aspect": 2}, "aspect needs a random crop"),
    ],
)
def test_impossible_numbers_are_refused_by_the_name_of_the_option(wrong, message):
    with pytest.raises(ConfigError) as refusal:
        AugmentationSettings(**wrong)
    assert str(refusal.value).startswith(f"--augmentation.{message}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_plan_holds_plain_values(preset):
    written = json.loads(json.dumps(PRESETS[preset].to_dict()))
    assert AugmentationSpec.from_dict(written) == PRESETS[preset]


@pytest.mark.parametrize("damage", [{"crop": 7}, {"twist": 1}, {"crop": "much"}])
def test_a_damaged_plan_is_told(damage):
    with pytest.raises(DataError, match="the plan's augmentation is damaged"):
        AugmentationSpec.from_dict(PRESETS["light"].to_dict() | damage)


def test_of_features_only_a_given_mixup_is_left():
    asked = AugmentationSettings(preset="strong", cutmix=1.0)
    assert asked.on_features() == PRESETS["none"]
    mixed = replace(asked, mixup=0.4, mixing_off_epochs=2)
    assert mixed.on_features() == AugmentationSpec(mixup=0.4, mixing_off_epochs=2)


def test_the_summary_names_what_is_on_and_nothing_else():
    assert AugmentationSpec(crop=0.5, mirror=True, policy="randaugment").summary() == (
        "crop 0.5, mirror, policy randaugment"
    )
    assert AugmentationSpec(mixing_off_epochs=2).summary() == "nothing"
    assert AugmentationSpec(mixup=0.2, mixing_off_epochs=2).summary() == "mixup 0.2, mixing_off_epochs 2"
