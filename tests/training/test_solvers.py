"""Solvers: the steps they take, and that each name alone trains."""

from typing import get_args

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from small import learn, make_head, points
from torch import optim

from catsdogs.core.errors import ConfigError
from catsdogs.training.recipe import Loss, Schedule, Solver
from catsdogs.training.solverkinds import SOLVERS, SolverName
from catsdogs.training.solvers import build_solver

# AdamW's rate that suits the small problem; each solver's own factor is on top of it.
RATE = 0.03
WEIGHT, BIAS = torch.tensor([[1.0, -2.0], [0.5, 3.0]]), torch.tensor([0.3, -0.7])
TARGET = torch.tensor([[0.2, 0.1], [-0.4, 1.0]])

# torch's own, called as its documents say; LAMB and Lion have their papers' formulas below.
REFERENCES = {
    "sgd": (optim.SGD, {}),
    "momentum": (optim.SGD, {"momentum": 0.9}),
    "nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (optim.RMSprop, {}),
    "adagrad": (optim.Adagrad, {}),
    "adadelta": (optim.Adadelta, {}),
    "adam": (optim.Adam, {}),
    "adamw": (optim.AdamW, {}),
    "adamax": (optim.Adamax, {}),
    "nadam": (optim.NAdam, {"decoupled_weight_decay": True}),
    "radam": (optim.RAdam, {"decoupled_weight_decay": True}),
    "asgd": (optim.SGD, {}),
}


def groups(rate=0.1, decay=0.05):
    """Return a weight that decays and a bias at half the rate that does not."""
    weight, bias = (value.clone().requires_grad_() for value in (WEIGHT, BIAS))
    return [
        {"params": [weight], "lr": rate, "weight_decay": decay},
        {"params": [bias], "lr": rate / 2, "weight_decay": 0.0},
    ]


def descend(optimizer, steps=4):
    """Take steps down a bent valley; return weight and bias after each."""
    (weight,), (bias,) = (group["params"] for group in optimizer.param_groups)
    path = []
    for _ in range(steps):
        optimizer.zero_grad()
        (((weight - TARGET) ** 4).sum() + (weight.sum(0) * bias).sum() + (bias**2).sum()).backward()
        optimizer.step()
        path += [weight.detach().clone(), bias.detach().clone()]
    return torch.cat([value.flatten() for value in path])


@pytest.mark.parametrize("name", REFERENCES)
def test_the_steps_are_those_of_torch(name):
    kind, options = REFERENCES[name]
    found = descend(build_solver(Solver(name=name), groups()))
    torch.testing.assert_close(found, descend(kind(groups(), **options)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["momentum", "adamw", "rmsprop", "lamb"])
def test_its_options_change_the_steps(name):
    options = {"momentum": 0.5} if name in ("momentum", "rmsprop") else {"betas": (0.5, 0.6)}
    made = [build_solver(one, groups(0.01)) for one in (Solver(name=name), Solver(name=name, **options))]
    assert not torch.equal(*(descend(one, 20) for one in made))


def test_rprop_steps_as_torch_does_between_bounds_that_follow_the_rate():
    optimizer = build_solver(Solver(name="rprop"), groups())
    bounds = (0.01, 1.0), (0.005, 0.5)
    torchs = [{**group, "step_sizes": sizes} for group, sizes in zip(groups(), bounds, strict=True)]
    torch.testing.assert_close(descend(optimizer, 12), descend(optim.Rprop(torchs), 12))
    for group in optimizer.param_groups:
        group["lr"] = 1e-5
    before = optimizer.param_groups[0]["params"][0].detach().clone()
    descend(optimizer, 1)
    moved = (optimizer.param_groups[0]["params"][0].detach() - before).abs().max()
    assert 0 < moved <= 1.01e-4, "torch's own would step as far as before"


def test_lion_steps_by_the_sign_of_its_momentum():
    """Chen et al. 2023, algorithm 2, first step: decay and sign."""
    (group, _) = groups()
    optimizer = build_solver(Solver(name="lion"), [group])
    (weight,) = group["params"]
    weight.grad = torch.tensor([[1.0, -0.1], [5.0, -2.0]])
    optimizer.step()
    expected = WEIGHT * (1 - 0.1 * 0.05) - 0.1 * weight.grad.sign()
    torch.testing.assert_close(weight.detach(), expected)


@pytest.mark.parametrize("decay", [0.05, 0.0])
def test_lamb_scales_adams_step_by_the_norm_of_the_weights_but_not_of_biases(decay):
    """You et al. 2020, algorithm 2, first step: the step of a weight is as long as rate times its norm."""
    made = groups(decay=decay)
    optimizer = build_solver(Solver(name="lamb"), made)
    (weight,), (bias,) = (group["params"] for group in made)
    weight.grad, bias.grad = torch.full_like(WEIGHT, 0.01), torch.full_like(BIAS, 0.01)
    optimizer.step()
    assert float((weight.detach() - WEIGHT).norm()) == pytest.approx(0.1 * float(WEIGHT.norm()), rel=1e-4)
    torch.testing.assert_close(bias.detach(), BIAS - 0.05, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(SOLVERS) - {"lbfgs", "rprop"}))
def test_norms_and_biases_do_not_decay(name):
    """With no gradient nothing but decay moves anything."""
    made = groups()
    optimizer = build_solver(Solver(name=name), made)
    (weight,), (bias,) = (group["params"] for group in made)
    for _ in range(3):
        weight.grad, bias.grad = torch.zeros_like(WEIGHT), torch.zeros_like(BIAS)
        optimizer.step()
    assert torch.equal(bias.detach(), BIAS)
    assert (weight.detach().abs() < WEIGHT.abs()).all()


@pytest.mark.parametrize("name", get_args(SolverName))
def test_the_name_alone_trains(tmp_path, name):
    """Through the ordinary loop, with the default factor on the rate, groups, warm-up and schedule."""
    solver = Solver(name=name)
    batch = 64 if solver.full_batch else 16
    more = {"learning_rate": RATE * solver.rate, "batch_size": batch, "epochs": 12}
    task = learn(tmp_path, solver=solver, options={"check_val_every_n_epoch": 12}, **more)
    figures = task.trainer.callback_metrics
    assert float(figures["train_loss"]) < 0.5, "a head that has learned nothing has 0.69"
    assert float(figures["val_accuracy"]) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", get_args(SolverName))
def test_each_resumes_bit_equal(tmp_path, name):
    solver = Solver(name=name)

    class Keep(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                (tmp_path / "cut.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes())

    more = {
        "solver": solver,
        "learning_rate": RATE * solver.rate,
        "batch_size": 64 if solver.full_batch else 16,
    }
    whole = learn(tmp_path, Keep(), **more)
    rest = learn(tmp_path / "rest", checkpoint=tmp_path / "cut.ckpt", **more)
    ends = (task.classifier.state_dict().values() for task in (whole, rest))
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_lbfgs_reaches_what_the_others_only_approach(tmp_path):
    """Full batches and a line search: the gradient of loss and penalty together vanishes."""
    solver = Solver(name="lbfgs")
    task = learn(tmp_path, solver=solver, learning_rate=1.0, batch_size=64, loss=Loss(l2=0.1), epochs=8)
    rows, labels = points()
    loss = torch.nn.functional.cross_entropy(task.classifier(rows), torch.tensor(labels)) + task.penalty()
    gradients = torch.autograd.grad(loss, list(task.classifier.head.parameters()))
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-4
    assert task.trainer.global_step == 8


@pytest.mark.parametrize("name", ["adamw", "sgd", "lamb", "lbfgs"])
def test_clipped_gradients_change_the_training_with_every_kind_of_kernel(tmp_path, name):
    solver = Solver(name=name)
    ends = []
    for clip in (None, 1e-9):
        options = {"gradient_clip_val": clip}
        task = learn(tmp_path / str(clip), options=options, solver=solver, learning_rate=RATE, epochs=1)
        ends.append(torch.cat([value.flatten() for value in task.classifier.head.parameters()]))
    assert not torch.equal(*ends)


def test_gradients_are_clipped_in_mixed_precision_too(tmp_path):
    """Lightning refuses it with a fused kernel, in the first step."""
    options = {"gradient_clip_val": 1e-9, "precision": "bf16-mixed"}
    still = make_head()
    plain = Solver(name="sgd", weight_decay=0)
    task = learn(
        tmp_path, options=options, solver=plain, class_weights=[1.0, 2.0], loss=Loss(class_weights="balanced")
    )
    for before, after in zip(still.parameters(), task.classifier.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sgd", "momentum": 0.9}, "sgd has no --solver.momentum; leave it out"),
        ({"name": "momentum", "betas": (0.9, 0.99)}, "momentum has no --solver.betas; leave it out"),
        ({"name": "lion", "eps": 1e-8}, "lion has no --solver.eps; leave it out"),
        ({"name": "rprop", "weight_decay": 0.1}, "rprop has no --solver.weight_decay; take --loss.l2"),
        ({"weight_decay": -1.0}, "--solver.weight_decay must be 0 or more, not -1.0"),
        ({"betas": (0.9, 1.0)}, "--solver.betas must be two shares in [0, 1), not (0.9, 1.0)"),
        ({"name": "nesterov", "momentum": 0.0}, "--solver.momentum must be between 0 and 1, not 0.0"),
        ({"eps": 0.0}, "--solver.eps must be positive, not 0.0"),
    ],
)
def test_what_a_solver_cannot_use_is_refused(options, message):
    with pytest.raises(
        ConfigError, match="^" + message.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")
    ):
        Solver(**options)


def test_accumulated_gradients_are_those_of_the_larger_batch(tmp_path):
    """Two batches of 8 are one of 16, and the schedule counts the solver's steps."""
    more = {"epochs": 3, "schedule": Schedule(name="linear"), "loss": Loss(l1=0.01, l2=0.02)}
    large = learn(tmp_path / "1", batch_size=16, **more)
    small = learn(tmp_path / "2", batch_size=8, options={"accumulate_grad_batches": 2}, **more)
    assert large.trainer.global_step == small.trainer.global_step == 12
    for one, other in zip(large.classifier.parameters(), small.classifier.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
