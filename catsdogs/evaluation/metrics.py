"""Figures over labelled pictures, each defined once: formula, meaning, range and source.

Throughout, ``probabilities`` is float64 (N, C) with rows summing to 1 and ``labels`` int (N,) in 0 to C - 1.
A figure that the pictures do not define is NaN: every figure of no pictures, a ranking figure of one class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from catsdogs.core.predictions import FloatArray, IntArray
from catsdogs.core.temperature import log_losses
from catsdogs.evaluation import weighted
from catsdogs.evaluation.calibration import DEFAULT_BINS, mass_bin
from catsdogs.evaluation.weighted import share


def confusion_matrix(scores: FloatArray, labels: IntArray) -> IntArray:
    """Return int64 (C, C): how often pictures of the row's class were called the column's class.

    Args:
        scores: Probabilities or logits (N, C); a row's largest is the prediction, the first among equals.
        labels: (N,) in 0 to C - 1.

    >>> confusion_matrix(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), np.array([0, 1, 1]))
    array([[1, 0],
           [1, 1]])
    """
    classes = scores.shape[1]
    cells = labels * classes + scores.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(scores: FloatArray, labels: IntArray) -> float:
    """Return the share of right predictions, in [0, 1]; ``scores`` as in ``confusion_matrix``.

    >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]), np.array([0, 1, 1, 1]))
    0.75
    """
    confusion = confusion_matrix(scores, labels)
    return float(share(np.trace(confusion), confusion.sum()))


def recall(confusion: IntArray) -> FloatArray:
    """Return, per class (C,) in [0, 1], the share of its pictures that were found: TP / (TP + FN).

    >>> recall(np.array([[1, 0], [1, 1]]))
    array([1. , 0.5])
    """
    return share(confusion.diagonal(), confusion.sum(axis=1))


def precision(confusion: IntArray) -> FloatArray:
    """Return, per class (C,) in [0, 1], the share of its predictions that are right: TP / (TP + FP).

    >>> precision(np.array([[1, 0], [1, 1]]))
    array([0.5, 1. ])
    """
    return share(confusion.diagonal(), confusion.sum(axis=0))


def f1(confusion: IntArray) -> FloatArray:
    """Return, per class (C,) in [0, 1], the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    >>> f1(np.array([[1, 0], [1, 1]])).round(4)
    array([0.6667, 0.6667])
    """
    return share(2 * confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1))


def balanced_accuracy(scores: FloatArray, labels: IntArray) -> float:
    """Return the mean recall over the classes that have pictures, in [0, 1]; 1 / C is chance.

    ``scores`` as in ``confusion_matrix``.

    Source: Brodersen et al. 2010, "The Balanced Accuracy and Its Posterior Distribution".

    >>> balanced_accuracy(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), np.array([0, 1, 1]))
    0.75
    """
    recalls = recall(confusion_matrix(scores, labels))
    return float(share(np.nansum(recalls), (~np.isnan(recalls)).sum()))


def log_loss(logits: FloatArray, labels: IntArray) -> float:
    """Return the mean of -ln p(true class), from 0 up, in nats; ln C is what knowing nothing costs.

    It comes from the logits, (N, C), so nothing is clipped: a saturated mistake costs what it costs.

    Source: Good 1952, "Rational Decisions", section 8.

    >>> log_loss(np.zeros((3, 2)), np.array([0, 1, 1])).__round__(4)
    0.6931
    """
    return _plain(weighted.mean(log_losses(logits, labels), _once(labels)))


def brier_scores(probabilities: FloatArray, labels: IntArray) -> FloatArray:
    """Return sum over classes (p_c - [c is true])^2, halved, of each picture: (N,) in [0, 1].

    >>> brier_scores(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).round(4)
    array([0.04, 0.64])
    """
    misses = probabilities.copy()
    misses[np.arange(len(labels)), labels] -= 1.0
    return np.asarray(np.square(misses).sum(axis=1) / 2)


def brier(probabilities: FloatArray, labels: IntArray) -> float:
    """Return the mean of ``brier_scores``, in [0, 1]; 0 is perfect, 1 is sure and always wrong.

    Halved for any number of classes. For two it is thereby the mean of (p_1 - y)^2, the usual binary form;
    Brier's own form for more classes is twice this.

    Source: Brier 1950, "Verification of Forecasts Expressed in Terms of Probability".

    >>> brier(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).__round__(4)
    0.34
    """
    return _plain(weighted.mean(brier_scores(probabilities, labels), _once(labels)))


def auroc(probabilities: FloatArray, labels: IntArray) -> float:
    """Return the area under the ROC curve, in [0, 1]; 0.5 is chance.

    It is the share of pairs, one picture of the class and one of the rest, that the probability of the class
    puts in the right order, a tie being half right. Two classes: the second is the positive one. More: the
    mean over the classes that have pictures, each against the rest. NaN with pictures of fewer than two.

    Source: Hanley and McNeil 1982, "The Meaning and Use of the Area under a ROC Curve".

    >>> auroc(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 0, 1, 1]))
    0.75
    """
    return _plain(weighted.auroc(probabilities, labels, _once(labels)))


def average_precision(probabilities: FloatArray, labels: IntArray) -> float:
    """Return the step-wise area under the precision-recall curve, in [0, 1]; the class's share is chance.

    AP = sum over thresholds (R_k - R_(k-1)) P_k, without interpolation. Classes are treated as in ``auroc``.

    Source: Davis and Goadrich 2006, on why interpolating this curve is wrong.

    >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> average_precision(probabilities, np.array([0, 0, 1, 1])).__round__(4)
    0.8333
    """
    return _plain(weighted.average_precision(probabilities, labels, _once(labels)))


def ece(probabilities: FloatArray, labels: IntArray, bins: int = DEFAULT_BINS) -> float:
    """Return the expected calibration error, in [0, 1]: how far confidence and accuracy lie apart.

    ECE = sum over bins n_b / N |accuracy_b - confidence_b|, over equally wide bins of the probability of the
    predicted class (``calibration.reliability`` gives the parts). Noise alone makes it positive: few pictures
    give a high ECE even to a calibrated model.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; 15 bins
    after Guo et al. 2017.

    >>> ece(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0]), bins=2).__round__(4)
    0.2
    """
    return float(np.abs(weighted.gaps(probabilities, labels, _once(labels), bins)).sum())


def ece_mass(probabilities: FloatArray, labels: IntArray, bins: int = DEFAULT_BINS) -> float:
    """Return ``ece`` over bins of as many pictures each as ties allow, in [0, 1].

    Good models put nearly all pictures into the uppermost of equally wide bins; these bins look inside it.

    Source: Nguyen and O'Connor 2015, "Posterior Calibration and Exploratory Analysis", section 3.

    >>> ece_mass(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0]), bins=1).__round__(4)
    0.2
    """
    return float(np.abs(weighted.gaps(probabilities, labels, _once(labels), bins, mass_bin)).sum())


def _once(labels: IntArray) -> FloatArray:
    """Every picture counts once: the one resample that is the sample."""
    return np.ones((len(labels), 1))


def _plain(figures: npt.NDArray[np.float64]) -> float:
    return float(figures[0])
