"""A picture far from all that were learned from is told apart, at the promised rate of false alarms."""

import numpy as np
import pytest

from catsdogs.core.errors import ModelError
from catsdogs.core.familiarity import Familiarity


def blob(generator, n, direction):
    """Features around one direction, of any length."""
    return (direction + 0.3 * generator.normal(size=(n, len(direction)))) * generator.uniform(
        0.5, 2, size=(n, 1)
    )


@pytest.fixture
def known():
    generator = np.random.default_rng(0)
    centres = np.eye(64)[:2] * 4
    training, held_out, new = (
        np.concatenate([blob(generator, n, centre) for centre in centres]) for n in (100, 60, 2000)
    )
    return Familiarity.learn(training, held_out), new, blob(generator, 500, np.eye(64)[5] * 4)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.01])
def test_new_pictures_like_those_held_out_are_strange_no_more_often_than_promised(share) -> None:
    alarms = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        training, held_out, new = (generator.normal(size=(n, 8)) + 1 for n in (40, 99, 200))
        found = Familiarity.learn(training, held_out)
        alarms.append(np.mean(found.unfamiliar(new) >= 1 - share - 1e-9))
    assert np.mean(alarms) == pytest.approx(share, abs=4 * np.std(alarms) / np.sqrt(60))


@pytest.mark.parametrize("spread", [0.1, 0.01, 0.001])
def test_the_promise_holds_where_all_features_lie_close_together(spread) -> None:
    generator = np.random.default_rng(0)
    common = generator.random(64) + 0.5
    training, held_out, new = (
        (common + spread * generator.normal(size=(n, 64))).astype(np.float32) for n in (300, 300, 2000)
    )
    found = Familiarity.learn(training, held_out).unfamiliar(new)
    assert np.mean(found >= 0.5) == pytest.approx(0.5, abs=0.1)
    assert np.mean(found >= 0.95) == pytest.approx(0.05, abs=0.03)


def test_features_of_another_network_are_an_error(known) -> None:
    with pytest.raises(ModelError, match="its familiar pictures have 64 features, others 65"):
        known[0].unfamiliar(np.ones((2, 65)))


def test_another_direction_is_stranger_than_all_that_were_held_out(known) -> None:
    familiarity, new, strange = known
    assert (familiarity.unfamiliar(strange) > 0.99).all()
    assert np.mean(familiarity.unfamiliar(new) > 0.95) < 0.08


def test_the_length_of_features_means_nothing(known) -> None:
    familiarity, new, _ = known
    np.testing.assert_allclose(familiarity.unfamiliar(new), familiarity.unfamiliar(7 * new), atol=0.01)


def test_the_fifth_nearest_reference_counts() -> None:
    references = np.eye(12)[:6]
    held_out = np.eye(12)[np.arange(24) % 12]
    # Of a reference: 0 to itself and 2 to the others; of any other direction 2 to all.
    np.testing.assert_allclose(Familiarity.learn(references, held_out).distances, 2.0)


def test_what_is_no_number_is_strange_and_nothing_is_too(known) -> None:
    familiarity, _, _ = known
    odd = np.stack([np.full(64, np.nan), np.full(64, np.inf), np.zeros(64)])
    assert (familiarity.unfamiliar(odd) > 0.98).all()
    assert familiarity.unfamiliar(np.empty((0, 64))).shape == (0,)


def test_too_few_pictures_tell_nothing() -> None:
    rows = np.ones((30, 4))
    assert Familiarity.learn(rows, rows[:19]) is None
    assert Familiarity.learn(rows[:0], rows) is None
    assert Familiarity.learn(rows[:1], rows[:20]) is not None
