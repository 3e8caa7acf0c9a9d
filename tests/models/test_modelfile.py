import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load, save

from catsdogs.core.errors import ModelError, OutputError
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import CARD, TENSORS, ModelCard, find_model, load_card
from catsdogs.models.modelfile import load_model, save_model, save_temperature

Values = dict[str, Any]


def make(name: str = "test_resnet", head: HeadSpec | None = None) -> tuple[ImageClassifier, ModelCard]:
    torch.manual_seed(0)
    backbone, spec = create_backbone(name, input_size=32)
    card = ModelCard(name, ("cat", "dog", "Ente 🦆"), spec, head or HeadSpec(), temperature=1.5)
    fresh = build_head(feature_width(backbone), len(card.class_names), card.head)
    return ImageClassifier(backbone, fresh, spec).eval(), card


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", *make())
    return tmp_path / "model"


def logits(classifier: ImageClassifier) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    with torch.no_grad():
        return classifier(torch.from_numpy(pixels))


def change_card(folder: Path, change: Callable[[Values], object]) -> None:
    values = json.loads((folder / CARD).read_text(encoding="utf-8"))
    change(values)
    (folder / CARD).write_text(json.dumps(values), encoding="utf-8")


def refusal(path: str | Path) -> str:
    """The one line that loading ends with."""
    with pytest.raises(ModelError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize("name", timm.list_models("test_*"))
    def test_logits_are_identical(self, name: str, tmp_path: Path) -> None:
        classifier, card = make(name)
        save_model(tmp_path, classifier, card)
        loaded, loaded_card = load_model(tmp_path)
        assert loaded_card == card
        assert not loaded.training
        assert torch.equal(logits(loaded), logits(classifier))

    def test_mlp_head_and_channels_last(self, tmp_path: Path) -> None:
        classifier, card = make(head=HeadSpec("mlp", hidden=9, dropout=0.5))
        expected = logits(classifier)
        classifier.set_channels_last(True)
        save_model(tmp_path, classifier.train(), card)
        loaded, loaded_card = load_model(tmp_path, stochastic_depth=0.1)
        assert loaded_card.head == card.head
        assert torch.equal(logits(loaded), expected)

    def test_a_model_in_training_is_not_changed(self, tmp_path: Path) -> None:
        classifier, card = make()
        save_model(tmp_path, classifier.train(), card)
        assert classifier.training
        assert all(parameter.requires_grad for parameter in classifier.parameters())

    def test_a_run_folder_stands_for_its_model(self, folder: Path) -> None:
        assert find_model(folder.parent) == find_model(folder) == folder
        assert load_card(folder.parent).class_names == ("cat", "dog", "Ente 🦆")

    def test_class_names_that_are_no_text_survive(self, tmp_path: Path) -> None:
        classifier, card = make()
        odd = replace(card, class_names=("caf\udce9", 'a"b\n', "[red]"))
        save_model(tmp_path, classifier, odd)
        assert load_card(tmp_path) == odd

    def test_nothing_is_fetched(self, folder: Path, monkeypatch) -> None:
        monkeypatch.setattr("socket.socket", lambda *_, **__: pytest.fail("no network is needed"))
        assert load_model(folder)[1] == load_card(folder)

    def test_another_temperature_leaves_the_tensors_alone(self, folder: Path) -> None:
        before = (folder / TENSORS).read_bytes()
        save_temperature(folder, 0.7)
        assert load_model(folder)[1].temperature == 0.7
        assert (folder / TENSORS).read_bytes() == before

    def test_a_full_disk_leaves_the_old_model(self, folder: Path, monkeypatch) -> None:
        expected = logits(load_model(folder)[0])
        newer, card = make()
        torch.nn.init.ones_(newer.head.fc.weight)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(OutputError, match="No space left"):
                save_model(folder, newer, card)
        assert torch.equal(logits(load_model(folder)[0]), expected)
        assert sorted(path.name for path in folder.iterdir()) == [CARD, TENSORS]


class TestDamagedTensors:
    @pytest.mark.parametrize("place", [0, 8, 100, -1])
    def test_one_flipped_byte(self, place: int, folder: Path) -> None:
        data = bytearray((folder / TENSORS).read_bytes())
        data[place] ^= 1
        (folder / TENSORS).write_bytes(data)
        assert "model.safetensors is truncated, damaged, or not the one that" in refusal(folder)

    @pytest.mark.parametrize("size", [0, 7, 1000])
    def test_truncated(self, size: int, folder: Path) -> None:
        (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:size])
        assert "truncated" in refusal(folder)

    def test_missing(self, folder: Path) -> None:
        (folder / TENSORS).unlink()
        assert refusal(folder) == f"{folder / TENSORS} cannot be read: No such file or directory"

    def test_card_of_another_model(self, folder: Path, tmp_path: Path) -> None:
        classifier, card = make()
        torch.nn.init.ones_(classifier.head.fc.weight)
        save_model(tmp_path / "other", classifier, card)
        (folder / CARD).write_bytes((tmp_path / "other" / CARD).read_bytes())
        assert "not the one that model.json describes" in refusal(folder)

    @pytest.mark.parametrize(
        "change",
        [
            lambda tensors: tensors.pop("head.fc.bias"),
            lambda tensors: tensors.update(extra=torch.zeros(1)),
            lambda tensors: tensors.update({"head.fc.bias": torch.zeros(7)}),
        ],
    )
    def test_other_tensors_with_the_right_digest(self, change, folder: Path) -> None:
        tensors = load((folder / TENSORS).read_bytes())
        change(tensors)
        self.replace(folder, save(tensors))
        assert "model.safetensors does not fit test_resnet with this head" in refusal(folder)

    @pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x08" + b"\0" * 7 + b"{}"])
    def test_no_safetensors_with_the_right_digest(self, data: bytes, folder: Path) -> None:
        self.replace(folder, data)
        assert "is not a usable model" in refusal(folder)

    @staticmethod
    def replace(folder: Path, data: bytes) -> None:
        (folder / TENSORS).write_bytes(data)
        change_card(folder, lambda values: values.update(sha256=hashlib.sha256(data).hexdigest()))


class TestDamagedCard:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"format": "other"}, "is not a catsdogs model"),
            ({"version": 3}, "has version 3; this catsdogs reads versions 1 and 2"),
            ({"version": 2}, "model.json is damaged: 'members'"),
            ({"sha256": None}, "truncated"),
            ({"backbone": "test_resne"}, "no backbone 'test_resne'; the nearest are test_resnet"),
            ({"backbone": "test_vit"}, "does not fit test_vit"),
            ({"backbone": "hf-hub:timm/test_resnet"}, "no backbone"),
            ({"class_names": ["cat", "dog"]}, "does not fit"),
            ({"class_names": ["cat"]}, "two or more distinct classes"),
            ({"class_names": ["cat", "cat", "dog"]}, "two or more distinct classes"),
            ({"class_names": "cat"}, "two or more distinct classes"),
            ({"class_names": ["cat", 1, 2]}, "two or more distinct classes"),
            ({"class_names": [["cat"], ["dog"], []]}, "model.json is damaged"),
            ({"class_names": None}, "two or more distinct classes"),
            ({"temperature": 0}, "temperature"),
            ({"temperature": float("inf")}, "temperature"),
            ({"temperature": float("nan")}, "temperature"),
            ({"temperature": "warm"}, "model.json is damaged"),
            ({"head": {"kind": "mlp", "hidden": 10**12}}, "hidden layer of 1000000000000 units"),
            ({"head": {"kind": "mlp", "hidden": 8}}, "does not fit"),
            ({"head": {"hidden": 2.5}}, "hidden layer of 2.5 units"),
            ({"head": 5}, "the head is not valid"),
            ({"preprocess": {}}, "the preprocessing is not valid"),
            ({"preprocess": {"height_px": 32, "width_px": 10**9}}, "outside 1 to 4096"),
            ({"preprocess": None}, "the preprocessing is not valid"),
            ({"training": 5}, "model.json is damaged"),
        ],
    )
    def test_every_value_is_checked(self, change: Values, named: str, folder: Path) -> None:
        change_card(folder, lambda values: values.update(change))
        assert named in refusal(folder)

    @pytest.mark.parametrize(
        "key", ["backbone", "class_names", "preprocess", "head", "temperature", "format"]
    )
    def test_every_value_is_needed(self, key: str, folder: Path) -> None:
        change_card(folder, lambda values: values.pop(key))
        assert str(folder) in refusal(folder)

    def test_sizes_that_the_backbone_cannot_take(self, tmp_path: Path) -> None:
        save_model(tmp_path, *make("test_vit"))
        change_card(tmp_path, lambda values: values["preprocess"].update(height_px=33, width_px=33))
        assert "test_vit cannot work at 33x33 px" in refusal(tmp_path)

    @pytest.mark.parametrize("text", ["", "{", "[]", "5", '"x"', "\udcff", "[" * 100_000, '{"format": 1}'])
    def test_what_is_no_card(self, text: str, folder: Path) -> None:
        (folder / CARD).write_bytes(text.encode("utf-8", "surrogateescape"))
        assert refusal(folder).startswith(f"{folder} ")
        with pytest.raises(ModelError):
            load_card(folder)

    def test_card_alone_is_enough_to_know_the_classes(self, folder: Path) -> None:
        (folder / TENSORS).unlink()
        assert load_card(folder).class_names == ("cat", "dog", "Ente 🦆")


class TestFindModel:
    @pytest.mark.parametrize("url", ["https://x.y/z", "s3://bucket/run", "file:///run"])
    def test_urls_are_refused(self, url: str) -> None:
        for path in (url, Path(url)):  # a Path has lost a slash
            with pytest.raises(ModelError, match="is a URL; a model is a local folder"):
                find_model(path)

    def test_a_checkpoint_is_not_a_model(self, tmp_path: Path) -> None:
        path = tmp_path / "last.ckpt"
        path.write_bytes(b"anything")
        for checkpoint in (path, tmp_path / "missing.ckpt"):
            with pytest.raises(ModelError, match="is a checkpoint for resuming; give the run folder"):
                find_model(checkpoint)

    def test_missing_and_empty_places(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such run or model folder"):
            find_model(tmp_path / "missing")
        with pytest.raises(ModelError, match=r"holds no model \(no model\.json, and no model/model\.json\)"):
            find_model(tmp_path)

    def test_a_file_is_no_folder(self, folder: Path) -> None:
        with pytest.raises(ModelError, match="holds no model"):
            find_model(folder / TENSORS)

    def test_a_place_that_cannot_be_looked_at(self) -> None:
        with pytest.raises(ModelError, match="cannot be read: File name too long"):
            find_model("a" * 300)
