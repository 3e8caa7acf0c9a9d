import math

import pytest

from catsdogs.core.errors import DataError
from catsdogs.evaluation.learningcurves import LearningCurve, read_curve


def read(folder, text: str | bytes) -> LearningCurve:
    path = folder / "curve.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_curve(path)


def test_columns_are_found_by_name_whatever_stands_beside_them(tmp_path) -> None:
    curve = read(tmp_path, "val_loss, Epoch ,note,train_loss,lr\n0.8,1,x,0.9,1e-3\n0.7,2,,0.5,1e-4\n")
    assert curve.epochs == (1, 2)
    assert curve.train_loss == (0.9, 0.5)
    assert curve.val_loss == (0.8, 0.7)
    assert curve.learning_rate == (1e-3, 1e-4)
    assert all(map(math.isnan, curve.train_accuracy))
    assert not curve.counts_from_zero


def test_epochs_count_from_one_and_stand_in_order(tmp_path) -> None:
    curve = read(tmp_path, "epoch,train_loss,val_loss\n2,0.3,0.6\n0,0.9,0.8\n1,0.5,0.4\n")
    assert curve.epochs == (1, 2, 3)
    assert curve.train_loss == (0.9, 0.5, 0.3)
    assert (curve.counts_from_zero, curve.best_epoch) == (True, 2)


def test_lightnings_rows_of_an_epoch_are_one(tmp_path) -> None:
    """Steps, validation and training have rows of their own, and a rate may have one without any loss."""
    curve = read(
        tmp_path,
        "epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss\n"
        "0,,9,,1.4,\n0,,19,,0.6,\n0,,19,,,0.8\n0,,19,1.0,,\n"
        "1,,39,,,0.7\n1,,39,0.5,,\n,1e-3,40,,,\n2,,49,,0.4,\n",
    )
    assert curve.epochs == (1, 2)
    assert curve.train_loss == (1.0, 0.5)
    assert curve.val_loss == (0.8, 0.7)


def test_rows_of_steps_become_their_mean(tmp_path) -> None:
    curve = read(tmp_path, "epoch,train_loss,val_loss\n0,1.0,\n0,0.5,\n0,,0.7\n1,0.4,0.6\n")
    assert curve.train_loss == (0.75, 0.4)
    assert curve.val_loss == (0.7, 0.6)


def test_an_epoch_without_validation_is_kept(tmp_path) -> None:
    curve = read(tmp_path, "epoch,train_loss,val_loss\n1,0.9,\n2,0.5,0.7\n3,0.3\n")
    assert curve.train_loss == (0.9, 0.5, 0.3)
    assert [math.isnan(loss) for loss in curve.val_loss] == [True, False, True]


def test_the_epoch_that_diverged_is_known(tmp_path) -> None:
    curve = read(tmp_path, "epoch,train_loss,val_loss\n0,0.9,0.8\n1,nan,inf\n2,0.9,0.9\n")
    assert curve.diverged == 2
    assert curve.best_epoch == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column epoch and no column train_loss and no column val_loss; it has nothing"),
        ("epoch,loss\n0,1\n", "has no column val_loss; it has epoch, loss"),
        ("epoch,train_loss,val_loss\n", "holds no epoch with a loss"),
        ("epoch,train_loss,val_loss\n0,,\n", "holds no epoch with a loss"),
        ("epoch,train_loss,val_loss\n0,1,1\n1,much,1\n", "row 3, column train_loss: 'much' is not a number"),
        ("epoch,train_loss,val_loss\n0.5,1,1\n", "row 2: an epoch is a whole number from 0, not 0.5"),
        ("epoch,train_loss,val_loss\n-1,1,1\n", "an epoch is a whole number from 0"),
        ("epoch,train_loss,val_loss\nnan,1,1\n", "an epoch is a whole number from 0"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "cannot be read: it is not a CSV file"),
        ('epoch,train_loss,val_loss\n"0,1,1\n', "cannot be read: it is not a CSV file"),
    ],
)
def test_what_is_no_curve_is_said_in_one_line(tmp_path, text, said) -> None:
    with pytest.raises(DataError, match=r"^[^\n]+$") as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_no_file(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_curve(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_curve(tmp_path)
