"""The journal: answers come back exactly, torn lines are dropped, other runs are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catsdogs.core.errors import ConfigError, DataError, OutputError
from catsdogs.core.records import ImageRecord
from catsdogs.inference.journal import Journal
from catsdogs.inference.predictor import Answers

NAMES = ["a", "\udcff\n", "c", "d", "e"]
SETTINGS = {"model": "x", "tta": "none"}


def records(names=NAMES):
    return iter([ImageRecord(name, ".", name) for name in names])


def answers() -> list[Answers]:
    logits = np.random.default_rng(0).normal(size=(5, 3))
    logits[1] = np.nan
    found = tuple(records())
    return [Answers(found[:3], logits[:3], {1: "damaged"}), Answers(found[3:], logits[3:], {})]


def written(path: Path, *, resume: bool = False) -> Journal:
    journal = Journal(path)
    journal.begin(SETTINGS, resume=resume)
    for each in answers():
        journal.append(each)
    journal.close()
    return journal


def test_answers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    replayed = list(written(tmp_path / "j").replay(records(), 3))
    for before, after in zip(answers(), replayed, strict=True):
        assert (before.records, before.errors) == (after.records, after.errors)
        np.testing.assert_array_equal(before.logits, after.logits)


def test_the_iterator_of_records_is_taken_along(tmp_path: Path) -> None:
    found = records([*NAMES, "next"])
    list(written(tmp_path / "j").replay(found, 3))
    assert next(found).id == "next"


@pytest.mark.parametrize("lost", [1, 50, 90])
def test_a_torn_line_is_dropped_and_written_over(lost: int, tmp_path: Path) -> None:
    path = written(tmp_path / "j").path
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    journal = Journal(path)
    journal.begin(SETTINGS, resume=True)
    replayed = list(journal.replay(records(), 3))
    assert len(replayed) == 1
    journal.append(answers()[1])
    journal.close()
    assert path.read_bytes() == whole


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    first = written(tmp_path / "j").path.read_bytes()
    assert written(tmp_path / "j").path.read_bytes() == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b'{"format": "catsdogs-answers-1", "settings": {"model": "y", "tta": "none"}}\n',
            "had model 'y', not 'x'",
        ),
        (b"nothing\n", "is not the journal of an interrupted run"),
    ],
)
def test_another_run_is_refused(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        Journal(tmp_path / "j").begin(SETTINGS, resume=True)


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c", "d", "e"], []])
def test_another_input_is_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the input has changed"):
        list(written(tmp_path / "j").replay(records(names), 3))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.begin(SETTINGS, resume=False)
    journal.close()
    journal._stream = Path("/dev/full").open("wb")  # noqa: SIM115 - the journal closes it
    with pytest.raises(OutputError, match="No space left on device"):
        journal.append(answers()[0])
    journal.close()


def test_features_come_back_to_the_last_bit(tmp_path: Path) -> None:
    features = np.random.default_rng(1).normal(size=(2, 7)).astype(np.float32)
    nobody = np.empty((0, 0), dtype=np.float32)
    given = [replace(one, features=rows) for one, rows in zip(answers(), (features, nobody), strict=True)]
    journal = Journal(tmp_path / "j")
    journal.begin(SETTINGS, resume=False)
    for one in given:
        journal.append(one)
    journal.close()
    found = [one.features for one in journal.replay(records(), 3)]
    np.testing.assert_array_equal(found[0], features)
    assert found[1].shape == (0, 0)
