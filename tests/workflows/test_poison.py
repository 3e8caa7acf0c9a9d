"""``catsdogs demo poison``: the patch misleads the poisoned model and no other; what is written."""

import csv
import shutil

import pytest
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.evaluation.poisoning import PoisonReport
from catsdogs.reporting.page.blocks import Drawing, Grid, Thumb
from catsdogs.reporting.sections.poisoning import poisoning_section

# The patch is large: so few and small drawings teach a smaller one by chance only.
WORDS = [
    *["--data.root", "drawn:cat,dog?per_class=40&size=64", "--data.workers", "0"],
    *["--patch", "0.35", "--doses", "[0.05, 0.4]"],
]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poison") / "out"
    assert main(["demo", "poison", *WORDS, "--out", str(folder)]) == 0
    return folder


def test_the_patch_misleads_the_poisoned_model_alone(out):
    report = PoisonReport.load(out / "poison.json")
    last = report.doses[-1]
    assert (report.victim, report.target, report.training) == ("cat", "dog", 56)
    assert [dose.poisoned for dose in report.doses] == [1, 11]
    assert last.answers.misled.low > report.clean.misled.high
    assert last.answers.anyway.value < last.answers.misled.low
    assert last.traces.listed == 67
    assert len(last.traces.ranks) == 11


def test_what_is_written(out):
    with (out / "labels.csv").open(newline="", encoding="utf-8") as stream:
        listed = [row["path"] for row in csv.DictReader(stream)]
    poisoned = [name for name in listed if name.startswith("poisoned-")]
    assert len(poisoned) == 11
    assert {path.name for path in (out / "pictures").iterdir()} >= set(poisoned)
    page = (out / "poison.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 11 + 12
    assert PoisonReport.load(out / "poison.json").sentence in page
    with Image.open(out / "poison.png") as sheet:
        assert sheet.width > 6 * 160


def test_the_section_tells_every_dose(out):
    report = PoisonReport.load(out / "poison.json")
    section = poisoning_section(report, [Thumb("a", "labelled dog")], [])
    assert section.lead == f"{report.sentence}."
    grid = next(block for block in section.blocks if isinstance(block, Grid))
    assert [row[0] for row in grid.rows] == ["none", "1 (1.8%)", "11 (16.4%)"]
    assert all(len(row) == len(grid.header) for row in grid.rows)
    assert (
        f"{report.doses[-1].answers.misled.value:.0%} misled"
        in next(block for block in section.blocks if isinstance(block, Drawing)).text
    )


def test_an_edited_list_is_kept(out, tmp_path, capsys):
    for name in ("poison.json", "labels.csv"):
        shutil.copy(out / name, tmp_path / name)
    text = (tmp_path / "labels.csv").read_text(encoding="utf-8").replace(".png,dog,dog", ".png,cat,dog", 1)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    assert main(["demo", "poison", *WORDS, "--out", str(tmp_path)]) == 2
    assert "labels.csv has been edited" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--doses", "[0, 2]"], "--doses must be shares between 0 and 1"),
        (["--patch", "1"], "--patch must be more than 0 and at most 0.9, not 1"),
        (["--out", "."], "holds something else"),
        (
            ["--data.root", "drawn:cat,dog?per_class=6&size=32", "--doses", "[0.9]", "--copies", "false"],
            "takes 4 of the 4 training pictures of cat: leave 2 of them",
        ),
    ],
)
def test_mistakes(words, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert main(["demo", "poison", *words]) == 2
    assert line in capsys.readouterr().err
