"""What more pictures bring."""

import numpy as np
import pytest

from catsdogs.transfer.growth import GrowthPoint, at_twice, growth


def pictures(n, separation=1.0, width=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 2)
    features = rng.normal(size=(n, width)).astype(np.float32)
    features[:, :10] += separation * labels[:, None] * 0.5
    return features, labels, [f"u{i}" for i in range(n)]


def test_more_pictures_help():
    points = growth(*pictures(600), strength=0.01, seed=0)
    assert [point.pictures for point in points] == [56, 112, 225, 450]
    losses = [point.log_loss for point in points]
    assert losses == sorted(losses, reverse=True)
    assert points[-1].accuracy > points[0].accuracy
    assert at_twice(points) < losses[-1]


def test_the_same_seed_gives_the_same_points():
    assert growth(*pictures(100), strength=0.01, seed=3) == growth(*pictures(100), strength=0.01, seed=3)


def test_units_stay_on_one_side():
    # Twins with equal features and random labels: whoever splits them looks clever.
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(150, 200)), 2, axis=0).astype(np.float32)
    labels = np.repeat(rng.permutation(np.arange(150) % 2), 2)
    together = growth(features, labels, [f"u{i // 2}" for i in range(300)], strength=1.0, seed=0)
    apart = growth(features, labels, [f"u{i}" for i in range(300)], strength=1.0, seed=0)
    assert together[-1].accuracy < 0.65
    assert apart[-1].accuracy > 0.75


def test_too_few_pictures_have_no_growth():
    points = growth(*pictures(12), strength=0.01, seed=0)
    assert points == ()
    assert at_twice(points) is None


@pytest.mark.parametrize(("losses", "expected"), [((0.4, 0.2), 0.1), ((0.2, 0.3), 0.3), ((0.0, 0.0), 0.0)])
def test_it_falls_on_at_the_last_rate_and_never_rises(losses, expected):
    points = [GrowthPoint(10 * 2**i, 0.9, loss, 0.0) for i, loss in enumerate(losses)]
    assert at_twice(points) == pytest.approx(expected)
