"""Averages of weights: their closed form from the first step, what validation sees, resuming."""

import pytest
import torch
import torch.nn.functional as F
from proving import make_classifier, named_plan, train
from small import STEPS, Steps, learn, points

from catsdogs.core.errors import ConfigError
from catsdogs.training.averaging import AverageWeights, averaging_for
from catsdogs.training.recipe import Averaging, Recipe, Schedule, Solver

PLAIN = {"schedule": Schedule(name="constant", warmup=0.0), "epochs": 4}
RECIPE = Recipe(4, 0.1, 1.0, 1.0, 16, 0, 0)


class Averages(Steps):
    """Notes the average after every step too; it must come after what keeps it."""

    def __init__(self, average):
        super().__init__()
        self.average, self.found = average, []

    def on_train_batch_end(self, trainer, pl_module, *rest):
        super().on_train_batch_end(trainer, pl_module, *rest)
        self.found.append({name: v.clone() for name, v in self.average.state_dict()["average"].items()})


def watched(folder, average, **more):
    steps = Averages(average)
    return steps, learn(folder, average, steps, **{**PLAIN, **more})


def mean(states, weights):
    total = sum(weights)
    return {
        name: sum(w * state[name] for w, state in zip(weights, states, strict=True)) / total
        for name in states[0]
    }


def assert_close(found, expected):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.9, None])
def test_ema_is_its_closed_form_from_the_first_step_on(tmp_path, decay):
    """Without bias correction the first weights would weigh as much as all that came later."""
    steps, _ = watched(tmp_path, AverageWeights("ema", decay=decay))
    used = 1 - 1 / (0.1 * 4 * STEPS) if decay is None else decay
    for step in range(len(steps.states)):
        weights = [used ** (step - earlier) for earlier in range(step + 1)]
        assert_close(steps.found[step], mean(steps.states[: step + 1], weights))
    assert len(steps.found) == 4 * STEPS


def test_swa_is_the_mean_of_the_later_epochs_ends(tmp_path):
    steps, task = watched(tmp_path, AverageWeights("swa", start=0.5))
    ends = [steps.states[epoch * STEPS - 1] for epoch in (3, 4)]
    assert not any(steps.found[: 3 * STEPS - 1])
    assert_close(steps.found[-1], mean(ends, [1, 1]))
    assert_validated_with(task, steps.found[-1])


def test_asgd_is_the_mean_of_the_later_steps(tmp_path):
    """Of torch's ASGD that mean is a side product that nothing uses."""
    average = averaging_for(Recipe(4, 0.1, 1.0, 1.0, 16, 0, 0, solver=Solver(name="asgd")))
    steps, task = watched(tmp_path, average, solver=Solver(name="asgd"), learning_rate=0.1)
    later = steps.states[2 * STEPS :]
    assert_close(steps.found[-1], mean(later, [1] * len(later)))
    assert_validated_with(task, steps.found[-1])


def assert_validated_with(task, average):
    """Hold the last validation loss to that of the average, not of the weights that train."""
    rows, labels = points(1)
    weights = {name: value.clone() for name, value in task.classifier.state_dict().items()}
    losses = []
    for tensors in (average, weights):
        task.classifier.load_state_dict(tensors)
        with torch.no_grad():
            losses.append(float(F.cross_entropy(task.classifier.eval()(rows), torch.tensor(labels))))
    assert float(task.trainer.callback_metrics["val_loss"]) == pytest.approx(losses[0], rel=1e-5)
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


def test_validation_sees_the_average_and_training_goes_on_with_the_weights(tmp_path):
    steps, task = watched(tmp_path / "ema", AverageWeights("ema", decay=0.9))
    assert_validated_with(task, steps.found[-1])
    plain = Steps()
    learn(tmp_path / "plain", plain, **PLAIN)
    assert all(torch.equal(value, steps.states[-1][name]) for name, value in plain.states[-1].items())


def test_it_is_put_in_place_and_taken_out_again_whatever_happens(tmp_path):
    average = AverageWeights("ema", decay=0.9)
    steps, task = watched(tmp_path, average)
    with average.in_place(task.classifier):
        assert_close(task.classifier.state_dict(), steps.found[-1])
    with pytest.raises(ZeroDivisionError), average.in_place(task.classifier):
        _ = 1 / 0
    assert_close(task.classifier.state_dict(), steps.states[-1])


def test_accumulated_batches_are_one_step(tmp_path):
    steps, _ = watched(tmp_path, AverageWeights("ema", decay=0.9), options={"accumulate_grad_batches": 2})
    stepped = steps.states[1::2]
    assert_close(steps.found[-1], mean(stepped, [0.9 ** (len(stepped) - n) for n in range(len(stepped))]))


def test_moving_statistics_are_averaged_and_what_is_frozen_stays_to_the_last_bit(tmp_path):
    classifier = make_classifier("resnet", dropout=0.0)
    start = {name: value.clone() for name, value in classifier.state_dict().items()}
    plan = named_plan("finetune_top", classifier, epochs=2)
    classifier.frozen_statistics = False
    average = AverageWeights("ema", decay=0.5)
    steps = Averages(average)
    train(classifier, plan, tmp_path, average, steps)
    weights = [0.5 ** (len(steps.states) - n) for n in range(len(steps.states))]
    moved = []
    for name, value in steps.found[-1].items():
        if torch.equal(start[name], steps.states[-1][name]):
            assert torch.equal(value, start[name]), name
        elif name.endswith("num_batches_tracked"):
            assert torch.equal(value, steps.states[-1][name])
        else:
            moved.append(name)
            torch.testing.assert_close(value, mean([{0: s[name]} for s in steps.states], weights)[0])
    assert any(name.endswith("running_var") for name in moved)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_resumed_run_has_the_same_average(tmp_path, kind):
    class Keep(Averages):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                (tmp_path / "cut.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes())

    average = AverageWeights(kind, start=0.25)
    keep = Keep(average)
    learn(tmp_path, average, keep, **PLAIN)
    rest, _ = watched(tmp_path / "rest", AverageWeights(kind, start=0.25), checkpoint=tmp_path / "cut.ckpt")
    assert len(rest.found) == STEPS
    assert all(torch.equal(value, keep.found[-1][name]) for name, value in rest.found[-1].items())


def test_none_is_kept_where_none_is_asked_for():
    assert averaging_for(RECIPE) is None


@pytest.mark.parametrize(("option", "value"), [("decay", 1.0), ("start", 1.0), ("models", 1)])
def test_what_no_average_can_use_is_refused(option, value):
    with pytest.raises(ConfigError, match=f"--averaging.{option} must be "):
        Averaging(**{option: value})
