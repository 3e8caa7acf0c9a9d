"""Rows in every format: the same content, in parts or at once."""

import csv
import errno
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from catsdogs.core.errors import ConfigError, OutputError
from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.inference.writers import write_predictions
from catsdogs.inference.writers.csvrows import CsvRows
from catsdogs.inference.writers.formats import format_of
from catsdogs.inference.writers.rows import RowOptions

_spec = importlib.util.spec_from_file_location("saying", Path(__file__).with_name("saying.py"))
saying = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(saying)
predictions, write = saying.predictions, saying.write

THREE = ["a.jpg", "b/c.jpg", "d.jpg"], [[0.9, 0.1], [0.25, 0.75], [0.5, 0.5]]
FOXES = ("cat", "dog", "fox")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class TestCsv:
    def test_columns_and_rows(self, tmp_path: Path) -> None:
        write(tmp_path / "p.csv", predictions(*THREE, errors={2: "empty file"}))
        assert (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines() == [
            "path,label,probability,p_cat,p_dog,status,reason",
            "a.jpg,cat,0.9,0.9,0.1,ok,",
            "b/c.jpg,dog,0.75,0.25,0.75,ok,",
            "d.jpg,,,,,error,empty file",
        ]

    def test_the_best_classes_and_withheld_answers(self, tmp_path: Path) -> None:
        shares = [[0.7, 0.1, 0.2], [0.3, 0.4, 0.3], [1 / 3] * 3]
        said = predictions(["a", "b", "c"], shares, classes=FOXES, errors={2: "damaged"})
        write(tmp_path / "p.csv", said, RowOptions(top_k=2, abstain_below=0.5))
        assert (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines() == [
            "path,label,probability,label_2,probability_2,status,reason",
            "a,cat,0.7,fox,0.2,ok,",
            "b,,0.4,fox,0.3,abstain,less sure than 0.5",
            "c,,,,,error,damaged",
        ]

    def test_true_classes_where_there_are_any(self, tmp_path: Path) -> None:
        said = predictions(
            ["a", "b", "c"], [[0.9, 0.1]] * 3, labels=[1, UNLABELLED, 0], errors={2: "damaged"}
        )
        write_predictions(tmp_path / "p.csv", said)
        rows = read(tmp_path / "p.csv")
        assert list(rows[0]) == ["path", "true", "label", "probability", "p_cat", "p_dog", "status", "reason"]
        assert [row["true"] for row in rows] == ["dog", "", "cat"]
        assert [row["label"] for row in rows] == ["cat", "cat", ""]

    def test_nine_significant_digits(self, tmp_path: Path) -> None:
        exact = [1 / 3, 2 / 3 - 1e-12, 1e-12]
        write(tmp_path / "p.csv", predictions(["a"], [exact], classes=("x", "y", "z")))
        row = read(tmp_path / "p.csv")[0]
        assert (row["p_x"], row["p_y"], row["p_z"]) == ("0.333333333", "0.666666667", "1e-12")
        assert row["probability"] == row["p_y"]

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
            ("\ud800.jpg", r"\ud800.jpg"),
            ("é.jpg", "é.jpg"),
            ("=1+1", "'=1+1"),
        ],
    )
    def test_odd_names_wherever_they_stand(self, name: str, shown: str, tmp_path: Path) -> None:
        said = predictions(
            [name, "b"], [[0.9, 0.1]] * 2, classes=(name, "dog"), labels=[0, 0], errors={1: name}
        )
        write_predictions(tmp_path / "p.csv", said)
        first, second = read(tmp_path / "p.csv")
        assert first["path"] == first["true"] == first["label"] == second["reason"] == shown
        assert f"p_{shown.lstrip(chr(39))}" in first

    def test_a_failure_leaves_the_old_rows(self, tmp_path: Path, monkeypatch) -> None:
        path = tmp_path / "p.csv"
        path.write_text("old")

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(CsvRows, "write", full)
        with pytest.raises(OutputError):
            write_predictions(path, predictions(["a"], [[0.9, 0.1]]))
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_logits_lie_beside(self, tmp_path: Path) -> None:
        said = predictions(["a", "b"], [[0.9, 0.1]] * 2, errors={1: "damaged"})
        write_predictions(tmp_path / "p.csv", said)
        loaded = Predictions.load(tmp_path / "p.npz")
        np.testing.assert_array_equal(loaded.logits, said.logits)
        assert (loaded.ids, loaded.errors) == (said.ids, said.errors)


class TestJsonLines:
    def test_objects(self, tmp_path: Path) -> None:
        write(
            tmp_path / "p.jsonl", predictions(*THREE, errors={2: "empty file"}), RowOptions(abstain_below=0.8)
        )
        first, second, third = map(json.loads, (tmp_path / "p.jsonl").read_text("ascii").splitlines())
        assert first == {
            "path": "a.jpg",
            "label": "cat",
            "probability": 0.9,
            "probabilities": {"cat": 0.9, "dog": 0.1},
            "status": "ok",
            "reason": None,
        }
        assert (second["label"], second["probability"], second["status"]) == (None, 0.75, "abstain")
        assert (third["probability"], third["probabilities"], third["reason"]) == (None, None, "empty file")

    def test_the_best_classes(self, tmp_path: Path) -> None:
        said = predictions(["a"], [[0.7, 0.1, 0.2]], classes=FOXES)
        write(tmp_path / "p.jsonl", said, RowOptions(top_k=9))
        (row,) = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
        assert [best["label"] for best in row["top"]] == ["cat", "fox", "dog"]
        assert "probabilities" not in row

    def test_names_are_as_they_were(self, tmp_path: Path) -> None:
        names = ["=1", "a\nb", os.fsdecode(b"\xff"), 'q"', "\u2028"]
        write(tmp_path / "p.jsonl", predictions(names, [[0.9, 0.1]] * 5))
        rows = (tmp_path / "p.jsonl").read_bytes().split(b"\n")[:-1]
        assert [json.loads(row)["path"] for row in rows] == names


class TestParquet:
    def test_types_and_nulls(self, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        write(tmp_path / "p.parquet", predictions(*THREE, errors={2: "empty file"}))
        table = parquet.read_table(tmp_path / "p.parquet")
        assert table.column_names == ["path", "label", "probability", "p_cat", "p_dog", "status", "reason"]
        assert table.column("label").to_pylist() == ["cat", "dog", None]
        assert table.column("p_dog").to_pylist() == [0.1, 0.75, None]
        assert table.column("reason").to_pylist() == [None, None, "empty file"]

    def test_without_the_extra(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ConfigError, match=r"pip install 'catsdogs\[parquet\]'"):
            format_of(tmp_path / "p.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("options", [RowOptions(), RowOptions(top_k=2), RowOptions(abstain_below=0.6)])
def test_rows_in_parts_are_those_of_the_whole(suffix: str, options: RowOptions, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    chance = np.random.default_rng(0).dirichlet([1, 1, 1], size=17)
    said = predictions([str(n) for n in range(17)], chance, classes=FOXES, errors={1: "x", 5: "y"})
    for parts in (1, 5):
        write(tmp_path / f"{parts}{suffix}", said, options, parts=parts)
    assert (tmp_path / f"1{suffix}").read_bytes() == (tmp_path / f"5{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("name", "wanted", "kind"),
    [("a.csv", None, "csv"), ("a", None, "csv"), ("a.JSONL", None, "jsonl"), ("a.csv", "jsonl", "jsonl")],
)
def test_the_name_says_the_format_unless_somebody_does(name: str, wanted: str | None, kind: str) -> None:
    assert format_of(Path(name), wanted) == kind


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"abstain_below": 1.5}, {"abstain_below": float("nan")}])
def test_options_that_mean_nothing(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        RowOptions(**wrong)
