"""Predictions hold together, lose nothing on disk and refuse what is not theirs."""

import contextlib
import os
import zipfile

import numpy as np
import pytest

from catsdogs.core.errors import DataError, OutputError
from catsdogs.core.predictions import UNLABELLED, Predictions, log_softmax, softmax


@pytest.fixture
def predictions() -> Predictions:
    logits = np.array([[2.0, 0.0, 1.0], [np.nan] * 3, [0.0, 0.1, 0.0], [-1.0, -1.0, 3.0]])
    ids = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    return Predictions(ids, ("cat", "dog", "emu"), logits, np.array([0, 1, UNLABELLED, 2]), {1: "truncated"})


def test_softmax_is_normalised_ordered_and_safe():
    logits = np.array([[1e4, -1e4], [-1e4, -1e4], [0.5, 0.25]], dtype=np.float32)
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities[:2], [[1, 0], [0.5, 0.5]])
    assert np.isnan(softmax(np.full((1, 2), np.nan))).all()
    assert softmax(np.zeros((0, 2))).shape == (0, 2)


def test_log_softmax_is_exact_where_probabilities_vanish():
    np.testing.assert_array_equal(log_softmax(np.array([[1e4, -1e4]])), [[0.0, -2e4]])
    logits = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(np.exp(log_softmax(logits)), softmax(logits))


def test_what_is_read_off(predictions):
    assert len(predictions) == 4
    assert predictions.readable.tolist() == [True, False, True, True]
    assert predictions.predicted.tolist() == [0, UNLABELLED, 1, 2]
    assert np.isnan(predictions.probabilities[1]).all()
    assert predictions.has_labels
    assert predictions.scorable().ids == ("a.jpg", "d.jpg")


def test_nothing_at_all_is_allowed():
    empty = Predictions((), ("cat", "dog"), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    assert len(empty.scorable()) == 0
    assert empty.predicted.shape == (0,)
    assert not empty.has_labels


def test_selecting_carries_errors_along(predictions):
    some = predictions.select([3, 1, 1])
    assert some.ids == ("d.jpg", "b.jpg", "b.jpg")
    assert dict(some.errors) == {1: "truncated", 2: "truncated"}
    assert some.labels.tolist() == [2, 1, 1]
    assert predictions.select(np.array([False, True, False, True])).ids == ("b.jpg", "d.jpg")
    assert dict(predictions.select([-3]).errors) == {0: "truncated"}
    assert predictions.select([]).logits.shape == (0, 3)
    with pytest.raises(IndexError):
        predictions.select([4])


@pytest.mark.parametrize(
    "change",
    [
        {"ids": ("a.jpg",)},
        {"class_names": ("cat", "dog")},
        {"logits": np.zeros((4, 2))},
        {"labels": np.zeros(3, dtype=np.int64)},
        {"labels": np.array([0, 1, 2, 3])},
        {"labels": np.array([0, 1, 2, -2])},
        {"errors": {4: "beyond"}},
        {"errors": {-1: "before"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_parts_that_do_not_fit_are_refused(predictions, change):
    with pytest.raises(DataError):
        Predictions(**({name: getattr(predictions, name) for name in predictions.__dict__} | change))


def test_a_file_gives_back_what_was_saved(predictions, tmp_path):
    predictions.save(tmp_path / "predictions.npz")
    again = Predictions.load(tmp_path / "predictions.npz")
    assert (again.ids, again.class_names, again.errors) == (
        predictions.ids,
        predictions.class_names,
        predictions.errors,
    )
    np.testing.assert_array_equal(again.logits, predictions.logits)
    np.testing.assert_array_equal(again.labels, predictions.labels)
    assert again.logits.dtype == np.float64


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("",),
        ("", ""),
        ("zero\0byte", "new\nline"),
        ("Küche.jpg", "日本.jpg", "\U0001f436.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "\ud800.jpg"),
    ],
)
def test_any_name_and_any_reason_comes_back(names, tmp_path):
    n = len(names)
    errors = dict(enumerate(names))
    given = Predictions(names, ("c\0t", "dög"), np.full((n, 2), np.nan), np.full(n, UNLABELLED), errors)
    given.save(tmp_path / "p.npz")
    again = Predictions.load(tmp_path / "p.npz")
    assert (again.ids, again.class_names, again.errors) == (names, given.class_names, errors)


def test_a_damaged_file_is_one_clear_line_wherever_the_damage_is(predictions, tmp_path):
    path = tmp_path / "p.npz"
    predictions.save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        start = int(generator.integers(len(whole)))
        damaged[start : start + 8] = generator.bytes(8)
        path.write_bytes(damaged if generator.random() < 0.7 else whole[:start])
        # Where the damage is in a date or the like the file still loads; a checksum guards every array.
        with contextlib.suppress(DataError):
            np.testing.assert_array_equal(Predictions.load(path).logits, predictions.logits)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.zeros((2, 2))},
        {"labels": np.array([9, 9, 9, 9])},
        {"logits": np.array(["a"])},
        {"ids": np.zeros(3)},
        {"error_positions": np.ones((1, 1))},
        {"error_positions": np.array([99])},
        {"ids": np.array([{"any": "object"}], dtype=object)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_of_another_kind_is_one_clear_line(predictions, tmp_path, change):
    predictions.save(tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz") as arrays:
        np.savez(tmp_path / "other.npz", **(dict(arrays) | change))
    with pytest.raises(DataError, match=r"other\.npz is not a file of predictions"):
        Predictions.load(tmp_path / "other.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(predictions, tmp_path):
    predictions.save(tmp_path / "p.npz")
    with zipfile.ZipFile(tmp_path / "p.npz", "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("more.npy", bytes(300 * 2**20))
    with pytest.raises(DataError, match="bytes would unpack to 314,57"):
        Predictions.load(tmp_path / "p.npz")


def test_a_missing_or_foreign_file_is_one_clear_line(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("missing.npz", "text.npz", "array.npy", "."):
        with pytest.raises(DataError, match="is not a file of predictions"):
            Predictions.load(tmp_path / name)


def test_saving_where_nothing_can_be_written_is_an_output_error(predictions, tmp_path):
    with pytest.raises(OutputError):
        predictions.save(tmp_path)
