"""Classes of uneven size."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from catsdogs.data.balance import balanced_weights, rare_classes


def test_balanced_weights_are_those_of_scikit_learn():
    labels = [0] * 50 + [1] * 5 + [2] * 20
    assert balanced_weights(labels, 3) == pytest.approx(
        list(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    )


def test_a_class_without_pictures_has_a_finite_weight():
    assert balanced_weights([0, 0], 2) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("counts", "rare"),
    [
        ({"cat": 19, "dog": 1}, ["dog"]),
        ({"cat": 9, "dog": 1}, []),
        ({"cat": 91, "dog": 9}, ["dog"]),
        ({"a": 100, "b": 0}, ["b"]),
        (dict.fromkeys("abcdefghijklmnopqrst", 5), []),
        ({**dict.fromkeys("abcdefghijklmnopqrst", 50), "z": 5}, ["z"]),
        ({}, []),
    ],
)
def test_rare_is_below_one_in_ten_and_below_half_of_an_equal_share(counts, rare):
    assert rare_classes(counts) == rare
