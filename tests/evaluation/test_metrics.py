"""Every figure against scikit-learn or torchmetrics, or its definition where those have no answer."""

import math

import numpy as np
import pytest
import sklearn.metrics as reference

from catsdogs.core.predictions import softmax
from catsdogs.evaluation import metrics, weighted

CASES = [(1, 2), (2, 2), (37, 2), (500, 2), (500, 3), (300, 7)]


def draw(n: int, classes: int, *, ties: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of a model that is right more often than not; ``ties`` leaves a handful of scores."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    logits = generator.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1.5
    return (logits.round() if ties else logits), labels


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}x{case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    return draw(*request.param)


@pytest.fixture(params=[False, True], ids=["distinct", "ties"])
def ties(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_shares_equal_scikit_learn(case):
    logits, labels = case
    predicted, classes = logits.argmax(axis=1), logits.shape[1]
    confusion = metrics.confusion_matrix(logits, labels)
    np.testing.assert_array_equal(
        confusion, reference.confusion_matrix(labels, predicted, labels=range(classes))
    )
    assert metrics.accuracy(logits, labels) == pytest.approx(reference.accuracy_score(labels, predicted))
    if len(np.unique(labels)) == classes:
        expected = reference.balanced_accuracy_score(labels, predicted)
        assert metrics.balanced_accuracy(logits, labels) == pytest.approx(expected)
    wanted = reference.precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=np.nan
    )
    for ours, theirs in zip((metrics.precision, metrics.recall, metrics.f1), wanted, strict=False):
        np.testing.assert_allclose(ours(confusion), theirs)


def test_log_loss_equals_scikit_learn(case):
    logits, labels = case
    expected = reference.log_loss(labels, softmax(logits), labels=range(logits.shape[1]))
    assert metrics.log_loss(logits, labels) == pytest.approx(expected, rel=1e-12)


def test_brier_equals_scikit_learn_halved_for_any_number_of_classes(case):
    logits, labels = case
    probabilities, classes = softmax(logits), logits.shape[1]
    expected = reference.brier_score_loss(
        np.arange(classes)[labels], probabilities, labels=range(classes), scale_by_half=True
    )
    assert metrics.brier(probabilities, labels) == pytest.approx(expected)
    if classes == 2 and len(labels) > 1:
        binary = reference.brier_score_loss(labels, probabilities[:, 1])
        assert metrics.brier(probabilities, labels) == pytest.approx(binary)


@pytest.mark.parametrize("n", [4, 60, 501])
def test_binary_ranking_equals_scikit_learn(n, ties):
    logits, labels = draw(n, 2, ties=ties)
    probabilities = softmax(logits)
    expected = reference.roc_auc_score(labels, probabilities[:, 1])
    assert metrics.auroc(probabilities, labels) == pytest.approx(expected, rel=1e-12)
    expected = reference.average_precision_score(labels, probabilities[:, 1])
    assert metrics.average_precision(probabilities, labels) == pytest.approx(expected, rel=1e-12)


def test_ranking_of_many_classes_equals_scikit_learn(ties):
    logits, labels = draw(240, 5, ties=ties)
    probabilities = softmax(logits)
    expected = reference.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert metrics.auroc(probabilities, labels) == pytest.approx(expected, rel=1e-12)
    expected = reference.average_precision_score(np.eye(5)[labels], probabilities, average="macro")
    assert metrics.average_precision(probabilities, labels) == pytest.approx(expected, rel=1e-12)


def test_ranking_leaves_out_classes_without_pictures():
    logits, labels = draw(300, 3)
    logits = np.insert(logits, 1, -1.0, axis=1)  # a class that no picture has
    labels = np.array([0, 2, 3])[labels]
    probabilities = softmax(logits)
    expected = [reference.roc_auc_score(labels == c, probabilities[:, c]) for c in (0, 2, 3)]
    assert metrics.auroc(probabilities, labels) == pytest.approx(np.mean(expected))
    recalls = [(logits.argmax(axis=1) == c)[labels == c].mean() for c in (0, 2, 3)]
    assert metrics.balanced_accuracy(logits, labels) == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("classes", [2, 4])
def test_ece_equals_torchmetrics(classes):
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    logits, labels = draw(400, classes)
    probabilities = softmax(logits)
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=classes, n_bins=15
    )
    assert metrics.ece(probabilities, labels) == pytest.approx(float(expected), abs=1e-6)


def error_of_resamples(probabilities, labels, counts):
    return np.abs(weighted.gaps(probabilities, labels, counts)).sum(axis=1)


@pytest.mark.parametrize(
    ("name", "of_counts"),
    [
        ("auroc", weighted.auroc),
        ("average_precision", weighted.average_precision),
        ("ece", error_of_resamples),
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_figure_of_counts_is_the_figure_of_the_pictures_repeated(name, of_counts, classes, ties):
    logits, labels = draw(40, classes, ties=ties)
    probabilities = softmax(logits)
    drawn = np.random.default_rng(3).integers(0, 4, size=(40, 6))
    figures = of_counts(probabilities, labels, drawn.astype(np.float64))
    for column, figure in zip(drawn.T, figures, strict=True):
        again = np.repeat(np.arange(40), column)
        assert figure == pytest.approx(getattr(metrics, name)(probabilities[again], labels[again]))


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_a_resample_of_one_class_has_no_ranking(name):
    probabilities, labels = softmax(draw(4, 2)[0]), np.array([0, 0, 1, 1])
    counts = np.array([[2.0, 2, 0, 0], [0, 0, 1, 3], [1, 1, 1, 1]]).T
    undefined = np.isnan(getattr(weighted, name)(probabilities, labels, counts))
    np.testing.assert_array_equal(undefined, [True, True, False])


def test_logits_of_ten_thousand_give_finite_exact_figures():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, -1e4], [0.0, 0.0]])
    labels = np.array([0, 1, 1, 0])
    probabilities = softmax(logits)
    assert metrics.log_loss(logits, labels) == pytest.approx((2e4 + math.log(2)) / 4, rel=1e-15)
    assert metrics.brier(probabilities, labels) == pytest.approx((1 + 0.25) / 4)
    assert metrics.accuracy(logits, labels) == 0.75
    assert metrics.auroc(probabilities, labels) == pytest.approx(
        reference.roc_auc_score(labels, probabilities[:, 1])
    )


def test_brier_spans_zero_to_one_for_any_number_of_classes():
    for classes in (2, 5):
        sure = np.eye(classes)
        assert metrics.brier(sure, np.arange(classes)) == 0
        assert metrics.brier(sure, np.roll(np.arange(classes), 1)) == 1


def test_equal_scores_are_called_the_first_class():
    assert metrics.confusion_matrix(np.full((2, 3), 1 / 3), np.array([0, 2])).tolist() == [
        [1, 0, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]


@pytest.mark.parametrize(
    "name", ["accuracy", "balanced_accuracy", "auroc", "average_precision", "brier", "ece"]
)
def test_no_pictures_have_no_figure(name):
    assert math.isnan(getattr(metrics, name)(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)))
    assert math.isnan(metrics.log_loss(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)))


def test_inputs_stay_as_they_were():
    logits, labels = draw(20, 3)
    probabilities = softmax(logits)
    before = probabilities.copy()
    for figure in (metrics.brier, metrics.auroc, metrics.ece, metrics.average_precision):
        figure(probabilities, labels)
    np.testing.assert_array_equal(probabilities, before)
