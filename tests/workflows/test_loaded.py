"""A loaded model opens an engine once, and only the one that is needed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.workflows import loaded
from catsdogs.workflows.applyoptions import ApplyOptions, open_predictor
from catsdogs.workflows.loaded import load


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model")
    backbone, spec = create_backbone("test_resnet", input_size=32)
    classifier = ImageClassifier(backbone, build_head(feature_width(backbone), 2, HeadSpec()), spec)
    save_model(folder, classifier, ModelCard("test_resnet", ("cat", "dog"), spec))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    chance = np.random.default_rng(0)
    Image.fromarray(chance.integers(0, 256, (60, 50, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


class Converted:
    """An engine that takes one size of pictures, as converted ones do."""

    name, precision, batch_size = "openvino", "fp32", 2

    def stream(self, batches, *, features: bool = False):
        return (np.zeros((len(batch), 2), np.float32) for batch in batches)


@pytest.fixture
def asked(model: Path, monkeypatch) -> list[str]:
    """The engines that were opened, where auto is a converted one."""
    names: list[str] = []

    def open_engine(*_: object, engine: str, **__: object) -> object:
        names.append(engine)
        return Runner(load_model(model)[0], Execution()) if engine == "torch" else Converted()

    monkeypatch.setattr(loaded, "open_engine", open_engine)
    return names


def test_dense_views_open_torch_once_and_look_at_it_once(model, photo, asked, monkeypatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr("catsdogs.inference.dense.require_dense", lambda *given: looked.append(given[-1]))
    opened = load(model)
    for _ in range(3):
        assert opened.predict(photo, tta="dense").errors == {}
        assert opened.predict(photo).errors == {}
    assert asked == ["auto", "torch"]
    assert len(looked) == 1


def test_a_command_with_dense_views_opens_nothing_else(model, photo, asked, capsys) -> None:
    predictor = open_predictor(model, ApplyOptions(tta="dense"))
    assert asked == ["torch"]
    assert predictor.engine.name == "torch"
    assert "engine: torch, fp32" in capsys.readouterr().out


def test_a_command_with_other_views_opens_what_was_asked_for(model, asked) -> None:
    assert open_predictor(model, ApplyOptions(tta="flip")).engine.name == "openvino"
    assert asked == ["auto"]


def test_torch_is_torch_for_both(model, photo, asked) -> None:
    opened = load(model, engine="torch")
    opened.predict(photo, tta="dense")
    opened.predict(photo)
    assert asked == ["torch"]


def test_a_named_engine_has_no_dense_views(model, asked) -> None:
    with pytest.raises(ConfigError, match="--engine openvino takes one size of pictures"):
        open_predictor(model, ApplyOptions(tta="dense", engine="openvino"))
    assert asked == []


def test_loading_finds_out_at_once(model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="engine 'tvm' is not one of"):
        load(model, engine="tvm")
    (tmp_path / "model.json").write_bytes((model / "model.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="truncated, damaged"):
        load(tmp_path)
