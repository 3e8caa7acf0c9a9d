"""The sheet shows what training sees, through the real command line."""

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.mixing import Mixing
from catsdogs.data.presets import PRESETS, AugmentationSpec
from catsdogs.models.backbones import create_backbone
from catsdogs.workflows import preview

SMALL = ["preview", "--model.backbone", "test_resnet", "--model.input_size", "32"]


@pytest.fixture
def sheets(monkeypatch):
    """What was drawn: title, headings and rows of each sheet."""
    drawn = []
    right = preview.draw_sheet
    monkeypatch.setattr(preview, "draw_sheet", lambda *sheet: drawn.append(sheet) or right(*sheet))
    return drawn


@pytest.fixture
def photos(tmp_path):
    chance = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = chance.integers(0, 256, (48, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{name}{number}.png")
    return tmp_path


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_drawn_offline(preset, tmp_path, sheets, capsys):
    out = tmp_path / "new" / "sheet.png"
    words = ["--data.root", "drawn:cat,dog?per_class=3&size=40", "--pictures", "3", "--views", "2"]
    assert main([*SMALL, *words, "--augmentation.preset", preset, "--out", str(out)]) == 0
    with Image.open(out) as sheet:
        assert sheet.size[0] > (5 if preset == "strong" else 3) * 160
    assert capsys.readouterr().err == ""
    ((title, headings, rows),) = sheets
    assert title == f"{preset}: {PRESETS[preset].summary()}"
    assert headings[:3] == ["picture", "epoch 1", "epoch 2"]
    assert headings[3:] == (["epoch 1, mixed", "epoch 2, mixed"] if preset == "strong" else [])
    assert [len(row) for row in rows] == [len(headings)] * 3


def test_it_shows_what_training_would_see(photos, sheets):
    words = ["--data.root", str(photos), "--pictures", "4", "--views", "3", "--seed", "5"]
    words += ["--augmentation.preset", "medium", "--augmentation.mixup", "1", "--augmentation.cutmix", "1"]
    assert main([*SMALL, *words, "--out", str(photos / "sheet.png")]) == 0
    ((_, _, rows),) = sheets
    names = [row[0].caption.split("\n") for row in rows]
    assert [label for label, _ in names] == ["1 cat", "2 dog", "3 cat", "4 dog"]
    _, spec = create_backbone("test_resnet", input_size=32)
    augmentation = Augmentation(spec, PRESETS["medium"], seed=5)
    mixing = Mixing(AugmentationSpec(mixup=1, cutmix=1), classes=2, seed=5)
    for epoch in range(3):
        seen = []
        for index, (label, name) in enumerate(names):
            picture = Image.open(photos / label[2:] / name)
            seen.append(torch.from_numpy(augmentation(picture, epoch=epoch, index=index).copy()))
            np.testing.assert_array_equal(rows[index][1 + epoch].pixels, seen[-1])
        mixed, shares = mixing(torch.stack(seen), torch.tensor([0, 1, 0, 1]), epoch=epoch, step=0)
        for index, row in enumerate(rows):
            np.testing.assert_array_equal(row[4 + epoch].pixels, mixed[index])
            captions = [line.split() for line in row[4 + epoch].caption.split("\n")]
            cats = sum(float(share[:-1]) for share, _, label in captions if label == "cat")
            assert cats == pytest.approx(100 * float(shares[index, 0]), abs=0.11)


def test_pictures_that_cannot_be_read_and_those_of_the_test_are_left_out(photos, sheets, capsys):
    for name in ("cat", "dog"):
        for part in ("train", "test"):
            (photos / "parted" / part / name).mkdir(parents=True)
        (photos / name / f"{name}0.png").rename(photos / "parted" / "test" / name / "test.png")
        (photos / name / f"{name}1.png").rename(photos / "parted" / "train" / name / "good.png")
    (photos / "parted" / "train" / "cat" / "bad.png").write_bytes(b"nothing")
    words = ["--data.root", str(photos / "parted"), "--pictures", "6", "--out", str(photos / "sheet.png")]
    assert main([*SMALL, *words]) == 0
    ((_, _, rows),) = sheets
    assert sorted(row[0].caption for row in rows) == ["1 dog\ngood.png", "2 cat\ngood.png"]
    assert "train/cat/bad.png is left out: not a picture" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pictures", "0"], "--pictures must be from 1 to 64, not 0"),
        (["--views", "17"], "--views must be from 1 to 16, not 17"),
        (["--augmentation.grey", "2"], "--augmentation.grey must be from 0 to 1, not 2.0"),
        (["--augmentation.preset", "wild"], "--augmentation.preset takes one of 'none', 'light'"),
        (["--transfer.strategy", "all"], "strategy 'all' is not one of"),
        (["--out", "."], "cannot write .: it is a folder"),
        (["--data.root", "nowhere"], "nowhere cannot be opened"),
        (["--augmentation.cutmix", "1", "--transfer.strategy", "svm_probe"], "--augmentation.cutmix cuts"),
    ],
)
def test_mistakes_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"catsdogs: {message}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_readable_is_told(photos, capsys):
    for path in photos.rglob("*.png"):
        path.write_bytes(b"nothing")
    words = ["--data.root", str(photos), "--out", str(photos / "sheet.png")]
    assert main([*SMALL, *words]) == 2
    assert "none of the pictures can be read" in capsys.readouterr().err
    assert not (photos / "sheet.png").exists()


def test_who_asks_for_a_frozen_backbone_is_told(photos, capsys):
    words = ["--data.root", str(photos), "--out", str(photos / "sheet.png"), "--views", "1"]
    assert main([*SMALL, *words, "--transfer.strategy", "linear_probe"]) == 0
    assert "linear_probe trains no backbone" in capsys.readouterr().out
