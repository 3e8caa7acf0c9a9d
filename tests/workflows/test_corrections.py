"""Corrected labels: what a file means for pictures, and what a run makes of it, through the command line."""

import csv
import json

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.splits import read_split
from catsdogs.workflows.corrections import Correction, Corrections, read_corrections

TINY = [
    *["--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"],
    *["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"],
]
PROBE = ["--transfer.strategy", "linear_probe"]
RECORDS = [
    ImageRecord("cat/1.jpg", "photos", "cat/1.jpg", "cat", None, "train"),
    ImageRecord("cat/ü.jpg", "photos", "cat/ü.jpg", "cat", "litter", "test"),
    ImageRecord("dog/1.jpg", "photos", "dog/1.jpg", "dog", None, "test"),
    ImageRecord("dog/2.jpg", "photos", "dog/2.jpg", "dog"),
]


def write(path, *rows, header="path,label"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def read(path, *, whole=True):
    return read_corrections(path, RECORDS, ("cat", "dog"), whole=whole)


class TestTheFile:
    def test_only_changes_count(self, tmp_path, capsys):
        rows = ["cat/1.jpg,DOG,x", "cat/ü.jpg,cat,x", "dog/1.jpg,Remove,", "dog/2.jpg,,"]
        path = write(tmp_path / "l.csv", *rows, header="path,label,checked")
        found = read(path)
        assert found.given == {"cat/1.jpg": "cat"}
        assert [record.id for record in found.removed] == ["dog/1.jpg"]
        kept = found.apply(RECORDS)
        assert [(record.id, record.label) for record in kept] == [
            ("cat/1.jpg", "dog"),
            ("cat/ü.jpg", "cat"),
            ("dog/2.jpg", "dog"),
        ]
        said = capsys.readouterr().out
        assert "1 label changed, 1 picture removed; 2 of its rows are marked as checked" in " ".join(
            said.split()
        )

    def test_paths_as_other_systems_write_them(self, tmp_path):
        found = read(write(tmp_path / "l.csv", " cat\\u\u0308.jpg ,dog"))
        assert list(found.by_id) == ["cat/ü.jpg"]

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            (["cat/1.jpg,dgo"], r"line 2: 'dgo' is no class of these pictures \(cat, dog\) and not 'remove'"),
            (
                ["cat/1.jpg,dog", "cat/9.jpg,dog", "x,cat"],
                r"line 3: there is no picture 'cat/9.jpg' \(2 such",
            ),
            (["cat/1.jpg,dog", "cat/1.jpg,cat"], "lines 2 and 3 say different things of cat/1.jpg"),
            (["a.jpg,dog"], "none of its 1 rows names one of these pictures, such as 'a.jpg'"),
            ([], "none of its 0 rows"),
        ],
    )
    def test_mistakes_are_named(self, rows, words, tmp_path):
        with pytest.raises(DataError, match=words):
            read(write(tmp_path / "l.csv", *rows))

    def test_a_part_of_the_pictures_may_be_corrected(self, tmp_path):
        assert list(read(write(tmp_path / "l.csv", "dog/1.jpg,cat", "x,cat"), whole=False).by_id) == [
            "dog/1.jpg"
        ]


def test_what_was_given_stays_known_through_two_files(tmp_path):
    first = Corrections(
        {"dog/1.jpg": Correction(RECORDS[2], "cat"), "dog/2.jpg": Correction(RECORDS[3], None)}
    )
    second = read_corrections(
        write(tmp_path / "l.csv", "dog/1.jpg,remove", "cat/1.jpg,dog"),
        first.apply(RECORDS),
        ("cat", "dog"),
        whole=True,
    )
    both = first.and_then(second)
    assert {id: (one.record.label, one.label) for id, one in both.by_id.items()} == {
        "dog/1.jpg": ("dog", None),
        "dog/2.jpg": ("dog", None),
        "cat/1.jpg": ("cat", "dog"),
    }
    undone = Corrections({"dog/1.jpg": Correction(first.apply(RECORDS)[2], "dog")})
    assert "dog/1.jpg" not in first.and_then(undone).by_id


def test_a_class_brings_a_removed_picture_back_and_an_empty_cell_does_not(tmp_path):
    first = Corrections({record.id: Correction(record, None) for record in RECORDS[2:4]})
    removed = [record.id for record in first.removed]
    path = write(tmp_path / "l.csv", "dog/1.jpg,dog", "dog/2.jpg,")
    both = first.and_then(read_corrections(path, RECORDS, ("cat", "dog"), whole=True, removed=removed))
    assert [record.id for record in both.removed] == ["dog/2.jpg"]


def test_saved_corrections_come_back(tmp_path):
    made = Corrections(
        {"cat/ü.jpg": Correction(RECORDS[1], "dog"), "dog/2.jpg": Correction(RECORDS[3], None)}
    )
    made.save(tmp_path / "c.csv")
    assert Corrections.load(tmp_path / "c.csv") == made
    assert not Corrections.load(tmp_path / "none.csv")
    (tmp_path / "c.csv").write_text("something else\n")
    with pytest.raises(DataError, match="holds no corrections"):
        Corrections.load(tmp_path / "c.csv")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run without corrections."""
    run = tmp_path_factory.mktemp("runs") / "plain"
    assert main(["train", *TINY, *PROBE, "--run", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def edited(plain, tmp_path_factory):
    """An edited file: of the test pictures one is changed and one removed, of the others one of each."""
    tests = [record.id for record in read_split(plain / "split.csv") if record.split == "test"]
    others = [record.id for record in read_split(plain / "split.csv") if record.split == "train"]
    with (plain / "labels.csv").open(newline="", encoding="utf-8") as stream:
        listed = list(csv.DictReader(stream))
    assert {row["path"] for row in listed} == {
        record.id for record in read_split(plain / "split.csv") if record.split != "test"
    }
    path = tmp_path_factory.mktemp("edited") / "labels.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        rows = csv.writer(stream, delimiter=";")
        rows.writerow(["path", "label"])
        rows.writerow([tests[0], "DOG" if tests[0].startswith("cat") else "Cat"])
        rows.writerow([tests[-1], "Remove"])
        rows.writerow([others[0], "dog" if others[0].startswith("cat") else "cat"])
        rows.writerow([others[-1], "remove"])
    return path, (tests[0], tests[-1], others[0], others[-1])


@pytest.fixture(scope="module")
def corrected(edited, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "corrected"
    assert main(["train", *TINY, *PROBE, "--data.corrections", str(edited[0]), "--run", str(run)]) == 0
    return run


def other(name):
    return "dog" if name.startswith("cat") else "cat"


def test_the_split_is_the_one_without_corrections(plain, corrected, edited):
    changed, removed, learned, dropped = edited[1]
    before = {record.id: record for record in read_split(plain / "split.csv")}
    after = {record.id: record for record in read_split(corrected / "split.csv")}
    assert set(before) - set(after) == {removed, dropped}
    assert all(before[name].split == record.split for name, record in after.items())
    assert {name for name, record in after.items() if record.label != before[name].label} == {
        changed,
        learned,
    }
    labels = {name: record.label for name, record in after.items()}
    out_of_fold = Predictions.load(corrected / "out_of_fold.npz")
    assert [labels[name] for name in out_of_fold.ids] == [
        out_of_fold.class_names[k] for k in out_of_fold.labels
    ]


def test_figures_on_corrected_and_on_raw_labels(plain, corrected, edited):
    changed, removed, *_ = edited[1]
    report = EvaluationReport.load(corrected / "evaluation.json")
    raw, before = report.raw_labels, EvaluationReport.load(plain / "evaluation.json")
    assert before.raw_labels is None
    assert (report.n, raw.n, raw.changed, raw.removed) == (before.n - 1, before.n, 1, 1)
    said = Predictions.load(corrected / "predictions.npz")
    assert removed not in said.ids
    assert said.class_names[said.labels[said.ids.index(changed)]] == other(changed)
    right = said.predicted == said.labels
    assert report.metrics["accuracy"].value == pytest.approx(right.mean())
    # With the raw labels the changed picture is judged the other way, and the removed one once more.
    flipped = right.sum() - 2 * right[said.ids.index(changed)] + 1
    assert raw.metrics["accuracy"].value in (
        pytest.approx(flipped / raw.n),
        pytest.approx((flipped + 1) / raw.n),
    )


def test_the_list_of_a_corrected_run_may_take_the_place_of_the_file(corrected, edited, tmp_path):
    changed, removed, learned, dropped = edited[1]
    with (corrected / "labels.csv").open(newline="", encoding="utf-8") as stream:
        listed = {row["path"]: row for row in csv.DictReader(stream)}
    assert (listed[learned]["label"], listed[learned]["given"]) == (other(learned), other(other(learned)))
    assert listed[removed]["label"] == listed[dropped]["label"] == "remove"
    out = tmp_path / "again"
    words = ["--data.corrections", str(corrected / "labels.csv"), "--run", str(out)]
    assert main(["train", *TINY, *PROBE, *words]) == 0
    again = Corrections.load(out / "corrections.csv").by_id
    assert {name: one.label for name, one in again.items()} == {
        changed: other(changed),
        learned: other(learned),
        removed: None,
        dropped: None,
    }


def test_evaluate_scores_both_labels_too(plain, corrected, edited, tmp_path):
    assert main(["evaluate", "--checkpoint", str(corrected), "--out", str(tmp_path / "a")]) == 0
    own = EvaluationReport.load(corrected / "evaluation.json")
    again = EvaluationReport.load(tmp_path / "a" / "evaluation.json")
    for name in ("accuracy", "log_loss"):
        assert again.metrics[name].value == pytest.approx(own.metrics[name].value, abs=2e-3)
        assert again.raw_labels.metrics[name].value == pytest.approx(
            own.raw_labels.metrics[name].value, abs=2e-3
        )
    undone = write(tmp_path / "undone.csv", f"{edited[1][0]},{other(other(edited[1][0]))}")
    words = ["--corrections", undone, "--out", str(tmp_path / "c")]
    assert main(["evaluate", "--checkpoint", str(corrected), *words]) == 0
    less = EvaluationReport.load(tmp_path / "c" / "evaluation.json")
    assert (less.raw_labels.changed, less.raw_labels.removed) == (0, 1)
    assert np.sum(less.confusion, axis=1).tolist() != np.sum(own.confusion, axis=1).tolist()
    back = write(tmp_path / "back.csv", f"{edited[1][1]},{other(other(edited[1][1]))}", f"{edited[1][0]},")
    assert (
        main(["evaluate", "--checkpoint", str(corrected), "--corrections", back, "--out", str(tmp_path)]) == 0
    )
    more = EvaluationReport.load(tmp_path / "evaluation.json")
    assert (more.n, more.raw_labels.changed, more.raw_labels.removed) == (own.n + 1, 1, 0)
    words = ["--corrections", str(edited[0]), "--out", str(tmp_path / "b")]
    assert main(["evaluate", "--checkpoint", str(plain), *words]) == 0
    judged = EvaluationReport.load(tmp_path / "b" / "evaluation.json")
    before = EvaluationReport.load(plain / "evaluation.json")
    assert (judged.n, judged.raw_labels.changed, judged.raw_labels.removed) == (before.n - 1, 1, 1)
    for name in ("accuracy", "log_loss"):
        assert judged.raw_labels.metrics[name].value == pytest.approx(before.metrics[name].value, abs=2e-3)


def test_a_resumed_run_asks_the_file_nothing(edited, tmp_path, monkeypatch):
    copy = tmp_path / "labels.csv"
    copy.write_bytes(edited[0].read_bytes())
    monkeypatch.setattr("catsdogs.workflows.prepare._prepare_model", interrupt)
    with pytest.raises(InterruptedError):
        main(["train", *TINY, *PROBE, "--data.corrections", str(copy), "--run", str(tmp_path / "run")])
    monkeypatch.undo()
    copy.unlink()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    report = EvaluationReport.load(tmp_path / "run" / "evaluation.json")
    assert (report.raw_labels.changed, report.raw_labels.removed) == (1, 1)


def interrupt(*_):
    raise InterruptedError


@pytest.mark.slow
def test_folds_learn_from_corrected_labels(edited, tmp_path):
    changed, removed, learned, dropped = edited[1]
    words = ["--folds", "2", "--include_test", "true", "--run", str(tmp_path / "cv")]
    assert main(["tune", "kfold", *TINY, *PROBE, "--data.corrections", str(edited[0]), *words]) == 0
    said = Predictions.load(tmp_path / "cv" / "predictions.npz")
    assert not {removed, dropped} & set(said.ids)
    for name in (changed, learned):
        assert said.class_names[said.labels[said.ids.index(name)]] == other(name)
    pooled = EvaluationReport.from_dict(json.loads((tmp_path / "cv" / "cv.json").read_text())["pooled"])
    assert (pooled.n, pooled.raw_labels.n, pooled.raw_labels.changed) == (38, 38, 2)
    assert np.isfinite(pooled.raw_labels.metrics["log_loss"].value)
