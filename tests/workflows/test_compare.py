"""``catsdogs compare``, through the real command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.core.comparison import Comparison
from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.workflows.answers import names_of


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, 80)
    for name, strength in (("a", 1.0), ("b", 3.0), ("c", 3.0)):
        logits = strength * np.eye(2)[labels] + chance.normal(size=(80, 2))
        (tmp_path / name).mkdir()
        Predictions(tuple(f"{i}.jpg" for i in range(80)), ("cat", "dog"), logits, labels).save(
            tmp_path / name / "predictions.npz"
        )
    return [str(tmp_path / name) for name in "abc"]


def test_says_which_is_better_and_writes_it(runs, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    words = ["compare", runs[0], f"{runs[1]}/predictions.npz", runs[2], "--out", str(out)]
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "b is better than a by" in printed
    found = Comparison.load(out / "comparison.json")
    assert found.names == ("a", "b", "c")
    assert (out / "comparison.png").is_file()
    written = (out / "comparison.json").read_bytes()
    assert main(words) == 0
    assert (out / "comparison.json").read_bytes() == written
    assert len(json.loads(written)["p_matrix"]) == 3


def test_names_are_as_short_as_they_tell_apart() -> None:
    assert names_of([Path("a/x/model"), Path("b/x/model")]) == ["a", "b"]
    assert names_of([Path("a/x"), Path("a/y/predictions.npz"), Path("b/y")]) == ["a/x", "a/y", "b/y"]
    with pytest.raises(DataError, match="given twice"):
        names_of([Path("a"), Path("a/predictions.npz")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{0}"], "needs two or more runs"),
        (["{0}", "{0}"], "a model is given twice"),
        (["{0}", "nowhere"], "nowhere: no such run, evaluation or file of predictions"),
        (["{0}", "{here}"], "let `catsdogs evaluate --checkpoint"),
        (["{0}", "{1}", "--out", "{0}/predictions.npz"], "a file is where its folder should be"),
    ],
)
def test_mistakes_are_one_line(words, said: str, runs, tmp_path: Path, capsys) -> None:
    assert main(["compare", *(word.format(*runs, here=tmp_path) for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
