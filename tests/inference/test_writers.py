import csv
import errno
import io
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from catsdogs.core.errors import ConfigError, OutputError
from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.inference.writers import (
    PredictionsCsv,
    reasons,
    submission_numbers,
    write_predictions,
    write_submission,
)

ODD_NAMES = [
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    'quo"te.jpg',
    "com,ma;semi.jpg",
    "=HYPERLINK(1).jpg",
    "+1.jpg",
    " space .jpg",
    "猫🐈.jpg",
    "tab\t.jpg",
    "",
]


def predictions(names, probabilities, *, classes=("cat", "dog"), labels=None, errors=None) -> Predictions:
    logits = np.log(np.asarray(probabilities, dtype=np.float64))
    errors = errors or {}
    logits[list(errors)] = np.nan
    labels = [UNLABELLED] * len(names) if labels is None else labels
    return Predictions(tuple(names), tuple(classes), logits, np.asarray(labels, dtype=np.int64), errors)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class TestPredictionsCsv:
    def test_columns_and_rows(self, tmp_path: Path) -> None:
        said = predictions(
            ["a.jpg", "b/c.jpg", "d.jpg"], [[0.9, 0.1], [0.25, 0.75], [0.5, 0.5]], errors={2: "empty file"}
        )
        write_predictions(tmp_path / "p.csv", said)
        assert (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines() == [
            "path,label,probability,p_cat,p_dog,status,reason",
            "a.jpg,cat,0.9,0.9,0.1,ok,",
            "b/c.jpg,dog,0.75,0.25,0.75,ok,",
            "d.jpg,,,,,error,empty file",
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
        write_predictions(tmp_path / "p.csv", predictions(["a"], [exact], classes=("x", "y", "z")))
        row = read(tmp_path / "p.csv")[0]
        assert (row["p_x"], row["p_y"], row["p_z"]) == ("0.333333333", "0.666666667", "1e-12")
        assert row["probability"] == row["p_y"]

    def test_odd_names_come_back_as_they_were(self, tmp_path: Path) -> None:
        said = predictions(ODD_NAMES, [[0.9, 0.1]] * len(ODD_NAMES), classes=('c"a,t', "=dog\n"))
        write_predictions(tmp_path / "p.csv", said)
        rows = read(tmp_path / "p.csv")
        assert [row["path"] for row in rows] == ODD_NAMES
        assert {row["label"] for row in rows} == {'c"a,t'}
        assert 'p_c"a,t' in rows[0]

    @pytest.mark.parametrize(
        ("name", "shown"),
        [(os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"), ("\ud800.jpg", r"\ud800.jpg"), ("é.jpg", "é.jpg")],
    )
    def test_what_is_no_text_is_escaped_wherever_it_stands(
        self, name: str, shown: str, tmp_path: Path
    ) -> None:
        said = predictions(
            [name, "b"], [[0.9, 0.1]] * 2, classes=(name, "dog"), labels=[0, 0], errors={1: f"no {name}"}
        )
        write_predictions(tmp_path / "p.csv", said)
        first, second = read(tmp_path / "p.csv")
        assert first["path"] == first["true"] == first["label"] == shown
        assert f"p_{shown}" in first
        assert second["reason"] == f"no {shown}"

    def test_rows_in_parts_are_those_of_the_whole(self) -> None:
        chance = np.random.default_rng(0).dirichlet([1, 1], size=7)
        said = predictions([str(n) for n in range(7)], chance, errors={1: "x", 5: "y"})
        whole, parts = io.StringIO(), io.StringIO()
        for stream, bounds in ((whole, [0, 7]), (parts, [0, 3, 5, 7])):
            rows = PredictionsCsv(stream, said.class_names, with_labels=False)
            for start, end in pairwise(bounds):
                part = said.select(list(range(start, end)))
                rows.write(part.ids, part.logits, part.labels.tolist(), dict(part.errors))
        assert whole.getvalue() == parts.getvalue()

    def test_logits_lie_beside(self, tmp_path: Path) -> None:
        said = predictions(["a", "b"], [[0.9, 0.1]] * 2, errors={1: "damaged"})
        write_predictions(tmp_path / "p.csv", said)
        loaded = Predictions.load(tmp_path / "p.npz")
        np.testing.assert_array_equal(loaded.logits, said.logits)
        assert (loaded.ids, loaded.errors) == (said.ids, said.errors)

    def test_a_failure_leaves_the_old_rows(self, tmp_path: Path, monkeypatch) -> None:
        path = tmp_path / "p.csv"
        path.write_text("old")

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(PredictionsCsv, "write", full)
        with pytest.raises(OutputError):
            write_predictions(path, predictions(["a"], [[0.9, 0.1]]))
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


class TestSubmission:
    def test_numeric_order_probability_of_dog_and_a_half_for_the_unreadable(self, tmp_path: Path) -> None:
        names = ["test1/10.jpg", "test1/9.jpg", "test1/0100.png", "1.jpg"]
        shares = [[0.9, 0.1], [0.25, 0.75], [0.5, 0.5], [1 / 3, 2 / 3]]
        write_submission(tmp_path / "s.csv", predictions(names, shares, errors={1: "damaged"}))
        text = (tmp_path / "s.csv").read_text()
        assert text.splitlines() == ["id,label", "1,0.666666667", "9,0.5", "10,0.1", "100,0.5"]

    def test_dog_is_found_by_name_in_any_case(self, tmp_path: Path) -> None:
        write_submission(tmp_path / "s.csv", predictions(["1.jpg"], [[0.9, 0.1]], classes=("Dog", "Wolf")))
        assert read(tmp_path / "s.csv") == [{"id": "1", "label": "0.9"}]

    @pytest.mark.parametrize(
        ("classes", "names", "message"),
        [
            (("normal", "pneumonia"), ["1.jpg"], "this one knows normal, pneumonia"),
            (("cat", "dog", "fox"), ["1.jpg"], "this one knows cat, dog, fox"),
            (("cat", "dog"), ["1.jpg", "Thumbs.db"], "named by number, such as 12.jpg, not Thumbs.db"),
            (("cat", "dog"), ["-1.jpg"], "not -1.jpg"),
            (("cat", "dog"), ["1.5.jpg"], "not 1.5.jpg"),
            (("cat", "dog"), ["٣.jpg"], "named by number"),
            (("cat", "dog"), ["9" * 5000], "named by number"),
            (("cat", "dog"), ["a/1.jpg", "b/01.png", "2.jpg"], "1 occurs 2 times"),
        ],
    )
    def test_what_cannot_be_submitted_is_refused_early_and_late(
        self, classes, names, message, tmp_path
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            submission_numbers(classes, names)
        assert message in str(caught.value)
        shares = np.full((len(names), len(classes)), 1 / len(classes))
        with pytest.raises(ConfigError):
            write_submission(tmp_path / "s.csv", predictions(names, shares, classes=classes))
        assert list(tmp_path.iterdir()) == []


def test_reasons_are_counted_without_their_details() -> None:
    errors = {0: "too many pixels (50000 x 50000)", 1: "too many pixels (9 x 9)", 2: "empty file"}
    said = predictions(["a", "b", "c"], [[0.5, 0.5]] * 3, errors=errors)
    assert reasons(said) == {"too many pixels": 2, "empty file": 1}
