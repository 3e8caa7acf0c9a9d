import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from catsdogs.core.columns import NumberColumn, WordColumn
from catsdogs.evaluation.association import ClassDifference, class_differences

CHANCE = np.random.default_rng(0)
LABELS = np.arange(300) % 2


def brightness(shift):
    return NumberColumn("brightness", CHANCE.normal(size=300) + shift * LABELS, "dark", "bright")


def test_the_auroc_is_scikit_learns_on_the_side_above_a_half():
    darker = brightness(-1.0)
    (found,) = class_differences([darker], LABELS, ("cat", "dog"))
    assert found.auroc.value == pytest.approx(roc_auc_score(LABELS, -darker.values))
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert (found.of_class, found.more, found.telling) == ("dog", "dark", True)
    assert found.sentence().startswith("training pictures of dog are more often dark (brightness: AUROC 0.7")


def test_equal_classes_are_not_told_apart():
    assert not any(one.telling for one in class_differences([brightness(0.0)] * 3, LABELS, ("cat", "dog")))


def test_words_and_unknown_values():
    same_as_class = WordColumn("format", tuple("PNG" if label else "JPEG" for label in LABELS))
    holed = brightness(-1.0)
    holed.values[:50] = np.nan
    constant = NumberColumn("size", np.ones(300), "small", "large")
    found = class_differences([constant, holed, same_as_class], LABELS, ("cat", "dog"))
    assert [one.column for one in found] == ["format", "brightness"]
    assert (found[0].more, found[0].auroc.value) == ("format PNG", 1.0)
    expected = roc_auc_score(LABELS[50:], -holed.values[50:])
    assert found[1].auroc.value == pytest.approx(expected)


def test_of_three_classes_each_is_told_from_the_others():
    labels = np.arange(300) % 3
    column = NumberColumn("size", (labels == 1) + 0.1 * CHANCE.normal(size=300), "small", "large")
    found = class_differences([column], labels, ("a", "b", "c"))
    assert (found[0].of_class, found[0].more) == ("b", "large")
    assert {(one.of_class, one.more) for one in found[1:]} == {("a", "small"), ("c", "small")}


def test_a_difference_survives_its_file():
    (found,) = class_differences([brightness(-1.0)], LABELS, ("cat", "dog"))
    assert ClassDifference.from_dict(found.to_dict()) == found


def test_small_sets_without_a_difference_give_hardly_ever_a_warning():
    warned = 0
    for seed in range(60):
        chance = np.random.default_rng(seed)
        columns = [NumberColumn(f"c{n}", chance.normal(size=40), "low", "high") for n in range(8)]
        found = class_differences(columns, np.arange(40) % 2, ("cat", "dog"), seed=seed)
        assert all(one.among == 8 for one in found)
        warned += any(one.telling for one in found)
    assert warned <= 3


def test_few_pictures_of_a_class_give_hardly_ever_a_warning():
    warned = 0
    for seed in range(10):
        chance = np.random.default_rng(seed)
        columns = [NumberColumn(f"c{n}", chance.normal(size=100), "low", "high") for n in range(4)]
        found = class_differences(columns, np.arange(100) % 20, [str(n) for n in range(20)], seed=seed)
        warned += any(one.telling for one in found)
    assert warned <= 1


def test_of_many_classes_the_best_told_are_named_and_all_are_counted():
    labels = np.arange(480) % 24
    column = NumberColumn("size", 2 * (labels == 7) + CHANCE.normal(size=480), "small", "large")
    found = class_differences([column], labels, [str(n) for n in range(24)])
    assert found[0].of_class == "7"
    assert found[0].telling
    assert len(found) == 8
    assert {one.among for one in found} == {24}
    expected = sorted(max(a, 1 - a) for n in range(24) for a in [roc_auc_score(labels == n, column.values)])
    assert [one.auroc.value for one in found] == pytest.approx(expected[:-9:-1])
