import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from catsdogs.core.predictions import softmax
from catsdogs.core.temperature import fit_temperature, log_loss
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.transfer import probes
from catsdogs.transfer.probes import STRENGTHS, LinearProbe, fit_linear_probe, scales

Arrays = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]


def blobs(n: int = 120, classes: int = 2, width: int = 12, apart: float = 1.0, seed: int = 0) -> Arrays:
    """Overlapping clouds of points whose features have very different scales."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = chance.normal(size=(classes, width)) * apart
    points = centres[labels] + chance.normal(size=(n, width))
    return points * 10.0 ** np.linspace(-3, 3, width) + 7, labels


def fit(features, labels, *, units=None, seed: int = 0) -> LinearProbe:
    units = [str(i) for i in range(len(labels))] if units is None else units
    classes = int(labels.max()) + 1
    return fit_linear_probe(features, labels, classes=classes, units=units, seed=seed)


class TestFit:
    @pytest.mark.parametrize("classes", [2, 3, 5])
    def test_equals_sklearn_on_scaled_features(self, classes: int) -> None:
        features, labels = blobs(classes=classes)
        probe = fit(features, labels)
        scaled = (features - features.mean(axis=0)) / scales(features)
        for tolerance, allowed in ((1e-3, 1e-6), (1e-9, 0.01)):  # the same effort, and the optimum itself
            reference = LogisticRegression(C=probe.strength, tol=tolerance, max_iter=5000).fit(scaled, labels)
            expected = reference.predict_proba(scaled)
            np.testing.assert_allclose(softmax(probe.logits(features)), expected, rtol=0, atol=allowed)
        assert probe.logits(features).shape == (len(labels), classes)

    def test_scales_are_standard_deviations_where_there_are_many_pictures(self) -> None:
        features = np.random.default_rng(0).normal(size=(100_000, 4)) * [1.0, 2.0, 1.5, 0.7]
        np.testing.assert_allclose(scales(features), features.std(axis=0), rtol=0.05)

    def test_scales_are_alike_where_there_are_few_pictures(self) -> None:
        features = np.random.default_rng(0).normal(size=(10, 50)) * np.linspace(0.8, 1.2, 50)
        found, spread = scales(features), features.std(axis=0)
        assert spread.max() / spread.min() > 2
        assert found.max() / found.min() < 1.02

    def test_a_few_huge_features_do_not_set_the_scale_of_the_others(self) -> None:
        features = np.random.default_rng(0).normal(size=(20, 200))
        huge = features * np.where(np.arange(200) < 3, 1e4, 1.0)
        np.testing.assert_allclose(scales(huge)[3:], scales(features)[3:], rtol=0.1)

    def test_scales_never_divide_by_nothing(self) -> None:
        np.testing.assert_array_equal(scales(np.full((5, 3), 7.0)), np.ones(3))
        assert (scales(np.array([[1.0, 7.0], [2.0, 7.0]])) > 0).all()

    def test_constant_features_do_no_harm(self) -> None:
        features, labels = blobs()
        features = np.concatenate([features, np.full((len(labels), 3), 1e3)], axis=1)
        probe = fit(features, labels)
        assert np.isfinite(probe.weight).all()
        assert np.array_equal(probe.weight[:, -3:], np.zeros((2, 3)))

    def test_two_classes_share_one_slope(self) -> None:
        probe = fit(*blobs())
        np.testing.assert_array_equal(probe.weight[0], -probe.weight[1])
        assert probe.bias[0] == -probe.bias[1]

    def test_is_the_same_for_the_same_seed(self) -> None:
        one, other = fit(*blobs(), seed=3), fit(*blobs(), seed=3)
        assert one.strength == other.strength
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.held_out_logits, other.held_out_logits)


class TestStrength:
    def test_minimises_the_calibrated_loss_of_held_out_pictures(self) -> None:
        features, labels = blobs(n=60, classes=3, apart=0.7)
        units = [str(i) for i in range(len(labels))]
        folds = probes.folds(labels, units, 0)
        losses = {strength: self.calibrated(features, labels, folds, strength) for strength in STRENGTHS}
        probe = fit(features, labels)
        assert probe.strength == min(losses, key=lambda strength: losses[strength])
        assert probe.strength not in (STRENGTHS[0], STRENGTHS[-1])  # it is a choice
        logits = probe.held_out_logits / probe.temperature
        assert log_loss(logits, probe.held_out_labels) == pytest.approx(losses[probe.strength], abs=1e-9)

    @staticmethod
    def calibrated(features, labels, folds, strength: float) -> float:
        held_out = np.empty((len(labels), 3))
        for train, test in folds:
            mean, scale = features[train].mean(axis=0), scales(features[train])
            model = LogisticRegression(C=strength, tol=1e-3, max_iter=500)
            model.fit((features[train] - mean) / scale, labels[train])
            held_out[test] = (features[test] - mean) / scale @ model.coef_.T + model.intercept_
        return log_loss(held_out / fit_temperature(held_out, labels), labels)

    def test_noise_is_regularised_more_than_signal(self) -> None:
        labels = np.arange(100) % 2
        noise = np.random.default_rng(0).normal(size=(100, 40))
        assert fit(noise, labels).strength < fit(noise + 2 * labels[:, None], labels).strength

    def test_every_held_out_answer_is_about_a_picture_that_the_fit_has_not_seen(self) -> None:
        # 300 features separate any 60 labels: a fit that has seen them is always right.
        features = np.random.default_rng(0).normal(size=(60, 300))
        labels = np.random.default_rng(1).permutation(np.arange(60) % 2)
        probe = fit(features, labels)
        assert 0.2 < (probe.held_out_logits.argmax(1) == probe.held_out_labels).mean() < 0.8
        np.testing.assert_array_equal(probe.held_out_labels, labels)


class TestFolds:
    def test_every_picture_is_held_out_once(self) -> None:
        labels = np.arange(53) % 3
        folds = probes.folds(labels, [str(i) for i in range(53)], 0)
        assert len(folds) == 5
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(53))
        assert all(not set(train) & set(test) for train, test in folds)

    @pytest.mark.parametrize("seed", range(5))
    def test_units_never_lie_on_both_sides(self, seed: int) -> None:
        chance = np.random.default_rng(seed)
        labels = chance.integers(0, 2, 200)
        units = [f"patient {number}" for number in chance.integers(0, 30, 200)]
        folds = probes.folds(labels, units, seed)
        assert folds
        for train, test in folds:
            assert not {units[i] for i in train} & {units[i] for i in test}
            assert set(labels[train]) == {0, 1}

    def test_leaking_units_would_be_noticed(self) -> None:
        # Each unit is one point many times over: split apart, even noise is predicted.
        chance = np.random.default_rng(0)
        features = np.repeat(chance.normal(size=(40, 200)), 5, axis=0)
        labels = np.repeat(chance.permutation(np.arange(40) % 2), 5)
        together = fit(features, labels, units=[str(i // 5) for i in range(200)])
        apart = fit(features, labels)
        assert (apart.held_out_logits.argmax(1) == labels).mean() > 0.95
        assert (together.held_out_logits.argmax(1) == labels).mean() < 0.75

    @pytest.mark.parametrize("counts", [(3, 40), (2, 2), (4, 3, 50)])
    def test_small_classes_make_fewer_folds(self, counts: tuple[int, ...]) -> None:
        labels = np.repeat(np.arange(len(counts)), counts)
        folds = probes.folds(labels, [str(i) for i in range(len(labels))], 0)
        assert len(folds) in (0, min(counts))
        assert all(len(set(labels[train])) == len(counts) for train, _ in folds)

    def test_a_class_of_one_unit_leaves_the_default(self) -> None:
        features, labels = blobs(n=40)
        units = ["one patient" if label else str(i) for i, label in enumerate(labels)]
        probe = fit(features, labels, units=units)
        assert (probe.strength, probe.temperature) == (0.01, 1.0)
        assert probe.held_out_logits.shape == (0, 2)
        assert (probe.logits(features).argmax(1) == labels).mean() > 0.8

    def test_of_very_many_pictures_a_share_is_used_and_rare_classes_are_kept(self, monkeypatch) -> None:
        monkeypatch.setattr(probes, "_CV_PICTURES", 100)
        labels = np.repeat([0, 1, 2], [600, 398, 2])
        folds = probes.folds(labels, [str(i) for i in range(1000)], 0)
        used = np.concatenate([test for _, test in folds])
        assert np.bincount(labels[used]).tolist() == [60, 40, 2]
        assert len(folds) == 2
        features = np.random.default_rng(0).normal(size=(1000, 3)) + 2 * labels[:, None]
        assert len(fit(features, labels).held_out_labels) == 102


class TestLoadInto:
    def test_a_head_gives_the_probes_logits(self) -> None:
        features, labels = blobs(classes=3, apart=1.5)
        probe = fit(features, labels)
        assert probe.temperature != pytest.approx(1.0, abs=0.02)
        head = build_head(12, 3, HeadSpec(dropout=0.5)).eval().double()
        for calibrated, divisor in ((False, 1.0), (True, probe.temperature)):
            probe.load_into(head, calibrated=calibrated)
            with torch.no_grad():
                logits = head(torch.from_numpy(features)).numpy()
            np.testing.assert_allclose(logits, probe.logits(features) / divisor, rtol=0, atol=1e-8)

    def test_calibration_never_changes_a_label(self) -> None:
        features, labels = blobs(classes=3)
        probe = fit(features, labels)
        logits = probe.logits(features)
        assert np.array_equal(logits.argmax(1), (logits / probe.temperature).argmax(1))
