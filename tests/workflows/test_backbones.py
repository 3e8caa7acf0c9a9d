import json
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from catsdogs.cli.main import main
from catsdogs.core.errors import ConfigError
from catsdogs.data.generated import write_folder
from catsdogs.models.backbones import create_backbone
from catsdogs.workflows.backbones import FLOOR, BackboneSettings, _standard_error


@pytest.fixture(autouse=True)
def no_hub_cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "no-hub"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    write_folder(folder, kinds=["cat", "dog"], per_class=12, seed=0, size_px=64, advance=lambda _: None)
    return str(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    save_file(create_backbone("test_resnet")[0].state_dict(), path, {"architecture": "test_resnet"})
    return str(path)


def rows_of(tmp_path: Path, *words: str) -> list[dict]:
    path = tmp_path / "rows.json"
    assert main(["backbones", *words, "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_without_pictures_it_knows_size_accuracy_and_licence(tmp_path, capsys) -> None:
    rows = rows_of(tmp_path, "--pattern", "mobilenetv2_100|resnet18", "--speed", "false", "--sort", "top1")
    assert [row["name"] for row in rows] == ["mobilenetv2_100", "resnet18"]
    assert rows[0]["parameters"] == 2_223_872
    assert rows[0]["imagenet_top1"] == 72.936
    assert rows[0]["license"] == "apache-2.0"
    assert rows[0]["weights"] == "not at hand"
    assert rows[0]["pictures_per_s"] is None
    assert "not at hand" in capsys.readouterr().out


def test_with_pictures_what_is_at_hand_is_tried_and_the_floor_too(tmp_path, drawn, weights) -> None:
    words = ["--pattern", "test_resnet|test_vit", "--data.root", drawn, "--weights", weights]
    rows = {row["name"]: row for row in rows_of(tmp_path, *words)}
    assert set(rows) == {"test_resnet", "test_vit", FLOOR}
    assert rows["test_resnet"]["weights"] == weights
    assert rows["test_resnet"]["pictures_per_s"] > 1
    assert rows["test_vit"]["accuracy"] is None
    for name in ("test_resnet", FLOOR):
        assert rows[name]["accuracy"] in np.arange(25) / 24
        assert rows[name]["accuracy_error"] >= 0
        assert 0 < rows[name]["log_loss"] < 2
        assert rows[name]["log_loss_error"] > 0


def test_one_bad_file_does_not_cost_the_others_results(tmp_path, drawn, capsys) -> None:
    bad = tmp_path / "test_vit.safetensors"
    save_file({"wrong": torch.zeros(1)}, bad)
    words = ["--pattern", "test_vit", "--data.root", drawn, "--weights", str(bad), "--speed", "false"]
    rows = {row["name"]: row for row in rows_of(tmp_path, *words)}
    assert rows["test_vit"]["accuracy"] is None
    assert rows[FLOOR]["accuracy"] is not None
    printed = capsys.readouterr().out
    assert "warning: test_vit is not tried on the pictures" in printed
    assert "not tried" in printed


def test_a_limit_keeps_what_is_at_hand_and_the_best(tmp_path, weights, capsys) -> None:
    words = ["--pattern", "test_resnet|resnet18|resnet50", "--weights", weights, "--speed", "false"]
    rows = rows_of(tmp_path, *words, "--limit", "2")
    assert {row["name"] for row in rows} == {"test_resnet", "resnet50"}
    assert "2 of 3 backbones" in capsys.readouterr().out


def test_nothing_is_fetched(tmp_path, monkeypatch) -> None:
    def refuse(*_):
        raise AssertionError("asked the network")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    assert rows_of(tmp_path, "--pattern", "test_resnet")[0]["pictures_per_s"] > 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--pattern", "resnet5O"], "no backbone of timm matches 'resnet5O'; the nearest are resnet50"),
        (["--data.root", "missing"], "missing cannot be opened: no such file or directory"),
        (["--weights", "missing.pth"], "missing.pth: no such weights file or folder"),
        (["--sort", "best"], "--sort must be one of name"),
        (["--sort", "speed", "--speed", "false"], "--sort speed needs --speed true"),
        (["--sort", "accuracy"], "needs labelled pictures: --data.root PATH"),
        (["--limit", "0"], "--limit must be 1 or more"),
        (["--out", "."], "it is a folder"),
    ],
)
def test_a_mistake_is_one_line(words, says, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["backbones", *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_settings_are_checked_from_python_too() -> None:
    with pytest.raises(ConfigError, match="--limit"):
        BackboneSettings(limit=0)


class TestStandardError:
    def test_of_single_pictures_is_the_usual_one(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        usual = values.std(ddof=1) / np.sqrt(50)
        assert _standard_error(values, [str(n) for n in range(50)]) == pytest.approx(usual)

    def test_copies_of_a_picture_bring_nothing(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        units = [str(n) for n in range(50)]
        copied = _standard_error(np.repeat(values, 4), [unit for unit in units for _ in range(4)])
        assert copied == pytest.approx(_standard_error(values, units))


@pytest.mark.real
@pytest.mark.slow
def test_the_backbone_beats_the_floor_on_photos(real: Path, tmp_path: Path) -> None:
    words = ["--pattern", "mobilenetv2_100", "--weights", str(real / "weights"), "--speed", "false"]
    words += ["--data.root", str(real / "data" / "dogs-vs-cats" / "train.zip")]
    backbone, floor = rows_of(tmp_path, *words, "--data.limit_per_class", "200")
    assert backbone["name"] == "mobilenetv2_100"
    assert backbone["accuracy"] > 0.95
    assert floor["accuracy"] < 0.8


def test_a_network_that_cannot_run_here_costs_only_its_own_speed(tmp_path, monkeypatch, capsys) -> None:
    def fail(*_):
        raise RuntimeError("out of memory\nand a trace")

    monkeypatch.setattr("catsdogs.workflows.backbones._seconds", fail)
    rows = rows_of(tmp_path, "--pattern", "test_resnet|test_vit")
    assert [row["pictures_per_s"] for row in rows] == [None, None]
    printed = capsys.readouterr().out
    assert "warning: test_resnet cannot be timed here: out of memory\n" in printed
    assert "and a trace" not in printed
