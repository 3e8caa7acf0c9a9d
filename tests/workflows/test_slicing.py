"""Slices through the real command line: training finds a planted bias, evaluation takes a user's columns."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.evaluation.slices import SlicesReport

N = 240


def paint(folder: Path) -> None:
    """Write pictures whose class is hardly to be seen, and split them: in training all dogs are dark."""
    chance = np.random.default_rng(0)
    rows = ["path,label,split"]
    for number in range(N):
        label, test = ("cat", "dog")[number % 2], number % 4 >= 2
        dark = number % 8 >= 4 if test else label == "dog"
        level = (60 if dark else 160) + chance.integers(-20, 20)
        pixels = np.clip(level + chance.normal(scale=20, size=(32, 32, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{label},{'test' if test else 'train'}")
    (folder / "pictures.csv").write_text("\n".join(rows))


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The pictures, and a probe that can only learn brightness."""
    folder = tmp_path_factory.mktemp("biased")
    paint(folder)
    words = f"train --data.root {folder}/pictures.csv --run {folder}/run --model.backbone test_resnet"
    words += " --model.weights none --model.input_size 32 --transfer.strategy linear_probe"
    assert main([*words.split(), "--data.val_fraction", "0"]) == 0
    return folder, folder / "run"


def test_training_says_that_the_classes_differ_and_finds_the_bias(biased) -> None:
    _, run = biased
    report = SlicesReport.load(run / "slices.json")
    worst = report.slices[0]
    assert worst.bias
    assert worst.column == "brightness"
    assert worst.title in ("cat: dark", "dog: bright", "cat: very dark", "dog: very bright")
    assert worst.accuracy.high < worst.rest.low
    differs = next(one for one in report.training if one.column == "brightness")
    assert (differs.of_class, differs.more, differs.auroc.value) == ("dog", "dark", 1.0)
    assert {picture.right for picture in worst.pictures[:3]} == {False}


def test_evaluation_says_it_in_a_line_and_takes_columns(biased, tmp_path, capsys) -> None:
    _, run = biased
    table = tmp_path / "more.csv"
    rows = [f"{number}.png,{'flash' if number % 8 >= 4 else 'day'}" for number in range(N) if number % 4 >= 2]
    table.write_text("\n".join(["path,light", *rows, "999.png,day"]))
    out = tmp_path / "out"
    assert main(["evaluate", "--checkpoint", str(run), "--slices", str(table), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "bias: " in told
    assert "warning: training pictures of dog are more often dark (brightness: AUROC 1.00" in told
    assert f"warning: {table}: 1 path matches no picture or several (999.png)" in told
    found = SlicesReport.load(out / "slices.json").found
    assert any(one.column == "light" for one in found)


def test_a_column_that_is_called_like_a_property_stays_apart(biased, tmp_path, capsys) -> None:
    _, run = biased
    table = tmp_path / "more.csv"
    rows = [f"{number}.png,{'flash' if number % 8 >= 4 else 'day'}" for number in range(N)]
    table.write_text("\n".join(["path,brightness", *rows]))
    out = tmp_path / "out"
    assert main(["evaluate", "--checkpoint", str(run), "--slices", str(table), "--out", str(out)]) == 0
    found = {one.column: one for one in SlicesReport.load(out / "slices.json").found}
    assert not found["brightness (given)"].bias
    assert found["brightness"].bias


def test_columns_that_match_nothing_are_a_mistake_before_any_work(biased, tmp_path, capsys) -> None:
    _, run = biased
    table = tmp_path / "more.csv"
    table.write_text("path,light\nother.png,day\n")
    assert main(["evaluate", "--checkpoint", str(run), "--slices", str(table)]) == 2
    assert "none of its 1 paths is a picture of this evaluation, such as" in capsys.readouterr().err


def test_pictures_from_outside_are_judged_without_the_run(biased, tmp_path) -> None:
    folder, run = biased
    words = ["evaluate", "--checkpoint", str(run / "model"), "--input", str(folder / "pictures.csv")]
    assert main([*words, "--out", str(tmp_path)]) == 0
    report = SlicesReport.load(tmp_path / "slices.json")
    assert report.n == N
    assert report.training == ()
    assert not any(one.bias for one in report.slices)
