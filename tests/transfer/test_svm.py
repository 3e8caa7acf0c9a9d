import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.datasets import make_circles
from sklearn.svm import SVC

from catsdogs.core.predictions import softmax
from catsdogs.core.temperature import log_loss
from catsdogs.models.heads import build_head
from catsdogs.models.kernelhead import REACH
from catsdogs.transfer import probes, svm
from catsdogs.transfer.probes import LinearProbe, fit_linear_probe, scales
from catsdogs.transfer.svm import KernelProbe, fit_kernel_probe

Arrays = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def blobs(n: int = 120, classes: int = 2, width: int = 12, apart: float = 1.0, seed: int = 0) -> Arrays:
    """Overlapping clouds of points whose features have very different scales, far from 0."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = chance.normal(size=(classes, width)) * apart
    points = centres[labels] + chance.normal(size=(n, width))
    return points * 10.0 ** np.linspace(-1, 3, width) + 500, labels


def rings(n: int = 200, seed: int = 0) -> Arrays:
    """One class around the other: no line parts them."""
    return make_circles(n, noise=0.1, factor=0.4, random_state=seed)


def fit(features, labels, *, units=None, seed: int = 0, kernel="rbf"):
    units = [str(i) for i in range(len(labels))] if units is None else units
    classes = int(labels.max()) + 1
    return fit_kernel_probe(features, labels, classes=classes, units=units, seed=seed, kernel=kernel)


def scaled(features) -> npt.NDArray[np.float64]:
    return np.clip((features - features.mean(axis=0)) / scales(features), -REACH, REACH)


def decisions(points, labels, probe, kernel: str) -> npt.NDArray[np.float64]:
    """The decision values of scikit-learn's own SVMs, one column a class."""
    columns = []
    for label in range(int(labels.max()) + 1):
        gamma = probe.gamma if kernel == "rbf" else 1 / points.shape[1]
        # Scikit-learn's linear kernel has no gamma; its polynomial one of degree 1 has.
        shape = {"kernel": "rbf"} if kernel == "rbf" else {"kernel": "poly", "degree": 1}
        model = SVC(C=probe.strength, gamma=gamma, class_weight="balanced", **shape)
        columns.append(model.fit(points, labels == label).decision_function(points))
    return np.stack(columns, axis=1)


def affine_error(given, wanted) -> float:
    """Return by how much no affine map of ``given`` (N, C) comes near ``wanted`` (N, C)."""
    rows = np.concatenate([given, np.ones((len(given), 1))], axis=1)
    best = rows @ np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return float(np.abs(best - wanted).max())


class TestFit:
    @pytest.mark.parametrize("classes", [2, 3, 5])
    def test_logits_are_an_affine_map_of_sklearns_decision_values(self, classes: int) -> None:
        features, labels = blobs(classes=classes)
        probe = fit(features, labels)
        assert isinstance(probe, KernelProbe)
        logits = probe.logits(features)
        assert logits.shape == (len(labels), classes)
        assert logits.dtype == np.float64
        values = decisions(scaled(features), labels, probe, "rbf")
        assert affine_error(values, logits) < 1e-2
        assert affine_error(np.square(values), logits) > 0.1  # the measure can fail

    def test_two_classes_agree_with_sklearns_order_and_sign(self) -> None:
        features, labels = rings()
        probe = fit(features, labels)
        values = decisions(scaled(features), labels, probe, "rbf")[:, 1]
        logits = probe.logits(features)
        np.testing.assert_array_equal(np.argsort(logits[:, 1] - logits[:, 0]), np.argsort(values))
        assert (logits.argmax(axis=1) == labels).mean() > 0.97

    def test_finds_what_no_line_can(self) -> None:
        features, labels = rings()
        unseen, truth = rings(seed=1)
        linear = fit(features, labels, kernel="linear")
        assert (fit(features, labels).logits(unseen).argmax(axis=1) == truth).mean() > 0.97
        assert (linear.logits(unseen).argmax(axis=1) == truth).mean() < 0.7

    def test_keeps_support_vectors_only(self) -> None:
        probe = fit(*blobs(n=200, apart=2.0))
        assert 2 <= len(probe.support) < 200
        assert np.all(np.any(probe.coefficients != 0, axis=0))
        assert np.abs(probe.support).max() <= REACH

    def test_is_the_same_for_the_same_seed(self) -> None:
        one, other = fit(*blobs(), seed=3), fit(*blobs(), seed=3)
        np.testing.assert_array_equal(one.coefficients, other.coefficients)
        np.testing.assert_array_equal(one.held_out_logits, other.held_out_logits)

    def test_constant_features_do_no_harm(self) -> None:
        features, labels = blobs()
        probe = fit(np.concatenate([features, np.full((len(labels), 3), 1e3)], axis=1), labels)
        assert np.isfinite(probe.logits(probe.mean[None])).all()
        assert np.array_equal(probe.support[:, -3:], np.zeros((len(probe.support), 3)))

    def test_a_picture_unlike_all_others_gets_an_answer_that_does_not_run_away(self) -> None:
        features, labels = blobs()
        probe = fit(features, labels)
        assert isinstance(probe, KernelProbe)
        away = probe.mean + np.outer([5, 1e3, 1e9], probe.scale)
        logits = probe.logits(away)
        np.testing.assert_array_equal(logits[0], logits[2])
        assert np.abs(logits).max() < 20

    def test_a_rare_class_is_not_outvoted(self) -> None:
        features, labels = blobs(n=600, classes=2, apart=1.5)
        kept = (labels == 0) | (np.arange(600) < 60)
        features, labels = features[kept], labels[kept]
        unseen, truth = blobs(n=600, classes=2, apart=1.5)
        answers = fit(features, labels).logits(unseen[60:]).argmax(axis=1)
        assert (answers[truth[60:] == 1] == 1).mean() > 0.9

    @pytest.mark.parametrize(("n", "sharpness"), [(12, 0.3), (300, 1.0)])
    def test_a_sharper_kernel_must_be_worth_it(self, n: int, sharpness: float) -> None:
        labels = np.arange(n) % 2
        right = np.where(np.arange(n) % 3 > 0, 1, -1) * (2 * labels - 1)  # two of three
        smooth = np.zeros((n, 2))
        sharp = np.stack([-right, right], axis=1).astype(np.float64)
        held_out = {svm._Setting(0.3, 1.0): smooth, svm._Setting(1.0, 1.0): sharp}
        choice = svm._choose(held_out, labels)
        assert choice is not None
        assert choice.setting.sharpness == sharpness
        assert svm._calibrated(svm._Setting(1.0, 1.0), sharp, labels).loss < n * np.log(2)


class TestLinear:
    @pytest.mark.parametrize("classes", [2, 4])
    def test_is_sklearns_linear_svm_on_raw_features(self, classes: int) -> None:
        features, labels = blobs(classes=classes)
        probe = fit(features, labels, kernel="linear")
        assert isinstance(probe, LinearProbe)
        points = (features - features.mean(axis=0)) / scales(features)
        values = decisions(points, labels, probe, "linear")
        assert affine_error(values, probe.logits(features)) < 2e-2

    def test_becomes_a_plain_linear_head(self) -> None:
        features, labels = blobs(classes=3)
        probe = fit(features, labels, kernel="linear")
        head = build_head(12, 3, probe.head_spec(dropout=0.0)).eval().double()
        assert isinstance(head.fc, torch.nn.Linear)
        for calibrated in (False, True):
            probe.load_into(head, calibrated=calibrated)
            with torch.no_grad():
                logits = head(torch.from_numpy(features)).numpy()
            np.testing.assert_allclose(logits, probe.logits(features), rtol=0, atol=1e-3)
        assert probe.temperature == 1.0


class TestCalibration:
    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize("kernel", ["rbf", "linear"])
    def test_probabilities_of_unseen_pictures_are_honest(self, classes: int, kernel: str) -> None:
        features, labels = blobs(n=3000, classes=classes, apart=0.4)
        probe = fit(features[:400], labels[:400], kernel=kernel)
        logits, truth = probe.logits(features[400:]), labels[400:]
        shares = softmax(logits)
        right = (shares.argmax(axis=1) == truth).mean()
        assert shares.max(axis=1).mean() == pytest.approx(right, abs=0.06)
        assert log_loss(logits, truth) == pytest.approx(
            log_loss(probe.held_out_logits, labels[:400]), abs=0.08
        )

    def test_twenty_pictures_apart_are_trusted_but_not_blindly(self) -> None:
        features, labels = blobs(n=1000, apart=1.5, width=40)
        losses = [
            log_loss(fit(features[s : s + 20], labels[s : s + 20]).logits(features[500:]), labels[500:])
            for s in range(0, 100, 20)
        ]
        assert np.mean(losses) < 0.1  # Platt's scaling with scikit-learn's C of 1 stays above 0.4

    def test_noise_is_not_believed(self) -> None:
        chance = np.random.default_rng(0)
        features, labels = chance.normal(size=(200, 30)), np.arange(200) % 2
        logits = fit(features, labels).logits(chance.normal(size=(500, 30)))
        assert softmax(logits).max(axis=1).mean() < 0.65

    def test_what_one_class_says_about_another_is_used(self) -> None:
        chance = np.random.default_rng(0)
        values = chance.normal(size=(2000, 3))
        logits = 2 * values @ np.array([[1.0, 0.6, 0.0], [-0.6, 1.0, 0.6], [0.0, -0.6, 1.0]])
        labels = (logits + chance.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from softmax(logits)
        found = svm._calibrate(values, labels)
        assert log_loss(values @ found.matrix + found.offset, labels) < log_loss(logits, labels) + 0.01
        diagonal = values @ np.diag(np.diag(found.matrix))
        assert log_loss(diagonal, labels) > log_loss(logits, labels) + 0.05

    def test_gradient_leads_to_the_optimum(self) -> None:
        chance = np.random.default_rng(0)
        labels = np.arange(90) % 3
        values = chance.normal(size=(90, 3)) + np.eye(3)[labels]
        values -= values.mean(axis=1, keepdims=True)
        found = svm._calibrate(values, labels)
        loss = log_loss(values @ found.matrix + found.offset, labels)
        assert loss < log_loss(values @ svm._uncalibrated(values).matrix, labels)
        # No other temperature or offset is much better: the priors are weak on 90 pictures.
        for factor in (0.8, 1.25):
            assert log_loss(factor * (values @ found.matrix + found.offset), labels) > loss - 1e-3
        for shift in 0.3 * np.concatenate([np.eye(3), -np.eye(3)]):
            assert log_loss(values @ found.matrix + found.offset + shift, labels) > loss - 1e-3

    def test_scale_of_the_decision_values_does_not_matter(self) -> None:
        labels = np.arange(60) % 2
        values = np.random.default_rng(0).normal(size=(60, 1)) + labels[:, None]
        values = np.concatenate([-values, values], axis=1)
        one, other = svm._calibrate(values, labels), svm._calibrate(1e3 * values, labels)
        np.testing.assert_allclose(one.matrix, 1e3 * other.matrix, rtol=1e-4, atol=1e-6)


class TestFolds:
    def test_every_held_out_answer_is_about_a_picture_that_the_fit_has_not_seen(self) -> None:
        features = np.random.default_rng(0).normal(size=(60, 300))
        labels = np.random.default_rng(1).permutation(np.arange(60) % 2)
        for kernel in ("rbf", "linear"):
            probe = fit(features, labels, kernel=kernel)
            assert 0.2 < (probe.held_out_logits.argmax(axis=1) == probe.held_out_labels).mean() < 0.8
            np.testing.assert_array_equal(probe.held_out_labels, labels)

    def test_units_stay_together(self) -> None:
        chance = np.random.default_rng(0)
        features = np.repeat(chance.normal(size=(40, 200)), 5, axis=0)
        labels = np.repeat(chance.permutation(np.arange(40) % 2), 5)
        together = fit(features, labels, units=[str(i // 5) for i in range(200)])
        apart = fit(features, labels)
        assert (apart.held_out_logits.argmax(axis=1) == labels).mean() > 0.95
        assert (together.held_out_logits.argmax(axis=1) == labels).mean() < 0.75

    @pytest.mark.parametrize("kernel", ["rbf", "linear"])
    def test_a_class_of_one_unit_leaves_the_defaults(self, kernel: str) -> None:
        features, labels = blobs(n=40)
        units = ["one patient" if label else str(i) for i, label in enumerate(labels)]
        probe = fit(features, labels, units=units, kernel=kernel)
        assert probe.held_out_logits.shape == (0, 2)
        assert probe.held_out_labels.shape == (0,)
        shares = softmax(probe.logits(features))
        assert (shares.argmax(axis=1) == labels).mean() > 0.9
        assert 0.6 < shares.max(axis=1).mean() < 0.95

    @pytest.mark.parametrize("n", [2, 3, 4])
    def test_a_handful_of_pictures_is_enough(self, n: int) -> None:
        features, labels = blobs(n=n)
        assert np.isfinite(fit(features, labels).logits(features)).all()

    def test_pictures_that_are_all_alike_leave_the_question_open(self) -> None:
        probe = fit(np.ones((20, 5)), np.arange(20) % 2)
        np.testing.assert_allclose(softmax(probe.logits(np.ones((1, 5)))), 0.5, atol=0.05)

    @pytest.mark.parametrize("one_unit", [False, True])
    def test_of_very_many_pictures_a_share_is_used(self, monkeypatch, one_unit: bool) -> None:
        monkeypatch.setattr(probes, "_CV_PICTURES", 100)
        features, labels = blobs(n=400, apart=0.3)
        probe = fit(features, labels, units=["same"] * 400 if one_unit else None)
        assert len(probe.support) <= 100
        assert len(probe.held_out_labels) == (0 if one_unit else 100)

    def test_the_same_pictures_are_held_out_as_for_a_linear_probe(self, monkeypatch) -> None:
        monkeypatch.setattr(probes, "_CV_PICTURES", 100)
        features, labels = blobs(n=300, classes=3)
        labels = np.random.default_rng(0).permutation(labels)
        units = [str(i) for i in range(300)]
        linear = fit_linear_probe(features, labels, classes=3, units=units, seed=5)
        np.testing.assert_array_equal(fit(features, labels, seed=5).held_out_labels, linear.held_out_labels)


class TestLoadInto:
    @pytest.mark.parametrize("classes", [2, 3, 7])
    def test_a_head_gives_the_probes_logits(self, classes: int) -> None:
        features, labels = blobs(n=140, classes=classes)
        features = features.astype(np.float32)
        probe = fit(features, labels)
        head = build_head(12, classes, probe.head_spec(dropout=0.0)).eval()
        probe.load_into(head, calibrated=True)
        logits = head(torch.from_numpy(features)).numpy()
        expected = probe.logits(features)
        assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()

    @pytest.mark.parametrize(("offset", "scale"), [(0.0, 1e-4), (1e5, 1.0), (0.0, 1e6), (-3e5, 1e3)])
    def test_features_of_any_scale_keep_their_digits(self, offset: float, scale: float) -> None:
        chance = np.random.default_rng(0)
        labels = np.arange(150) % 3
        features = chance.normal(size=(150, 64)) + chance.normal(size=(3, 64))[labels]
        features = (offset + scale * features).astype(np.float32)
        probe = fit(features, labels)
        head = build_head(64, 3, probe.head_spec(dropout=0.0)).eval()
        probe.load_into(head, calibrated=True)
        expected = probe.logits(features)
        difference = head(torch.from_numpy(features)).numpy() - expected
        assert np.abs(difference).max() < 1e-4 * np.abs(expected).max()
