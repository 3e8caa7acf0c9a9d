import numpy as np
import pytest

from catsdogs.transfer.scoring import ScoredProbe
from catsdogs.workflows.bakeoff import BakeOff
from catsdogs.workflows.verdict import Verdict

M = 400


def scored(losses) -> ScoredProbe:
    nothing = np.empty((0, 2))
    return ScoredProbe("svm", ("top",), None, nothing, np.asarray(losses), np.ones(len(losses)))  # type: ignore[arg-type]


def verdict(*, frozen: float, tuned: float, head_start: float) -> Verdict:
    """What comes of a bake-off in which the candidates lose so much on average."""
    noise = np.random.default_rng(0).exponential(size=(2, M))
    losses = noise / noise.mean(axis=1, keepdims=True) * [[frozen], [tuned]]
    contest = BakeOff("finetune_full", 1200, 2, losses[0], losses[1], 0.98, 0.97)
    return Verdict("svm_probe", None, scored(losses[0]), None, head_start).after(contest)


@pytest.mark.parametrize(
    ("tuned", "head_start", "taken"),
    [
        (0.09, 1.0, "finetune_full"),
        (0.11, 1.0, "svm_probe"),
        (0.11, 0.8, "finetune_full"),
        (0.13, 0.8, "svm_probe"),
    ],
)
def test_a_head_start_decides_for_the_one_that_is_not_done(
    tuned: float, head_start: float, taken: str
) -> None:
    given = verdict(frozen=0.1, tuned=tuned, head_start=head_start)
    assert given.strategy == taken
    assert {given.strategy, given.runner_up} == {"svm_probe", "finetune_full"}


@pytest.mark.parametrize("tuned", [0.08, 0.1, 0.11, 0.12, 0.124, 0.126, 0.2])
def test_what_is_taken_is_more_likely_right_than_not(tuned: float) -> None:
    given = verdict(frozen=0.1, tuned=tuned, head_start=0.8)
    assert given.confidence is not None
    assert given.confidence >= 0.5


def test_the_surer_the_wider_apart() -> None:
    near, far = (verdict(frozen=0.1, tuned=tuned, head_start=1.0).confidence for tuned in (0.11, 0.2))
    assert near is not None
    assert far is not None
    assert near < far
    assert far > 0.99


def test_the_loss_to_expect_is_that_of_the_whole_training() -> None:
    given = verdict(frozen=0.1, tuned=0.1, head_start=0.8)
    assert given.expected["log_loss"] == pytest.approx(0.08)
    assert given.expected["accuracy"] == 0.97
    frozen = verdict(frozen=0.1, tuned=0.2, head_start=0.8)
    assert frozen.expected["log_loss"] == pytest.approx(0.1)
