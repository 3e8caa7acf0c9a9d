"""One training run with everything that its learning curve is made of, and what the curve does not show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from benchmarks.curve_families import Family
from torch import Tensor, nn
from torch.nn import functional as F

Schedule = Literal["constant", "step", "cosine", "one-cycle"]


@dataclass(frozen=True)
class Recipe:
    """How a run trains.

    Attributes:
        width: Of the network; 0 is a linear model.
        epochs: Of the curve.
        rate: At the top of the schedule.
        schedule: ``cosine`` has a warm-up of three epochs.
        dropout: Share of units.
        noise: Standard deviation of what is added to the inputs while training.
        decay: Weight decay.
        batch: Examples a step.
        frozen_epochs: In which the last layer trains alone.
        patience: Epochs without a better validation loss after which training stops; 0 never does.
        momentum: SGD with momentum in place of AdamW.
        running: Whether the training loss is the mean over the epoch's steps, as Lightning and Keras log it,
            or measured after the epoch without dropout and noise.
        fresh_validation: Examples that are drawn for the validation of each epoch; 0 takes all, always.
    """

    width: int
    epochs: int
    rate: float = 3e-3
    schedule: Schedule = "constant"
    dropout: float = 0.0
    noise: float = 0.0
    decay: float = 1e-4
    batch: int = 64
    frozen_epochs: int = 0
    patience: int = 0
    momentum: bool = False
    running: bool = True
    fresh_validation: int = 0


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of training and validation, and of a large set that shows what is true."""

    train: tuple[Tensor, Tensor]
    val: tuple[Tensor, Tensor]
    large: tuple[Tensor, Tensor]


@dataclass
class Curve:
    """Losses and accuracies by epoch; accuracies are NaN where targets are numbers.

    Attributes:
        train_loss: As the recipe logs it.
        clean: Loss on the training examples after each epoch, without dropout and noise.
        large: Loss on the large set; hidden from the diagnosis.
        future: The same for as many epochs again at the last rate.
        start: Loss of the untrained network on the large set.
    """

    train_loss: list[float]
    val_loss: list[float]
    train_accuracy: list[float]
    val_accuracy: list[float]
    rate: list[float]
    clean: list[float]
    large: list[float]
    future: list[float]
    start: float


def train(family: Family, examples: Examples, recipe: Recipe, seed: int, *, further: bool) -> Curve:
    """Train and record; ``further`` continues for as long again to know the future."""
    torch.manual_seed(seed)
    network = family.network(examples.train[0], recipe.width, recipe.dropout)
    solver = _solver(network, recipe)
    curve = Curve([], [], [], [], [], [], [], [], _measured(family, network, examples.large)[0])
    best = (math.inf, 0)
    for epoch in range(recipe.epochs):
        rate = recipe.rate * _factor(recipe, epoch)
        solver.param_groups[0]["lr"] = rate
        for layer in list(network)[:-1]:
            layer.requires_grad_(epoch >= recipe.frozen_epochs)
        running = _epoch(family, network, solver, examples.train, recipe)
        clean = _measured(family, network, examples.train)
        loss, accuracy = running if recipe.running else clean
        val = _measured(family, network, _drawn(examples.val, recipe.fresh_validation))
        curve.train_loss.append(loss)
        curve.train_accuracy.append(accuracy)
        curve.val_loss.append(val[0])
        curve.val_accuracy.append(val[1])
        curve.rate.append(rate)
        curve.clean.append(clean[0])
        curve.large.append(_measured(family, network, examples.large)[0])
        best = min(best, (val[0], epoch))
        if recipe.patience and epoch - best[1] >= recipe.patience:
            break
    for _ in curve.train_loss if further else ():
        _epoch(family, network, solver, examples.train, recipe)
        curve.future.append(_measured(family, network, examples.large)[0])
    return curve


def _solver(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.momentum:
        return torch.optim.SGD(network.parameters(), recipe.rate, momentum=0.9, weight_decay=recipe.decay)
    return torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay, fused=True)


def _factor(recipe: Recipe, epoch: int) -> float:
    """Return the schedule's factor on the rate."""
    done = epoch / recipe.epochs
    if recipe.schedule == "step":
        return 0.1 ** sum(done >= share for share in (0.5, 0.8))
    if recipe.schedule == "cosine":
        return min(1.0, (epoch + 1) / 3) * (1 + math.cos(math.pi * done)) / 2
    if recipe.schedule == "one-cycle":
        return max(0.02, (done + 0.05) / 0.35 if done < 0.3 else (1 - done) / 0.7)
    return 1.0


def _epoch(
    family: Family,
    network: nn.Module,
    solver: torch.optim.Optimizer,
    examples: tuple[Tensor, Tensor],
    recipe: Recipe,
) -> tuple[float, float]:
    """Train on every example once; return the mean loss and accuracy of the steps."""
    inputs, targets = examples
    network.train()
    loss_sum = right = 0.0
    for chosen in torch.randperm(len(inputs)).split(recipe.batch):
        x, y = inputs[chosen], targets[chosen]
        outputs = network(x + recipe.noise * torch.randn_like(x) if recipe.noise else x)
        loss = _loss(family, outputs, y)
        solver.zero_grad()
        loss.backward()
        solver.step()
        loss_sum += loss.item() * len(y)
        right += float((outputs.detach().argmax(1) == y).sum())
    return loss_sum / len(inputs), right / len(inputs) if family.classes else math.nan


@torch.no_grad()
def _measured(family: Family, network: nn.Module, examples: tuple[Tensor, Tensor]) -> tuple[float, float]:
    network.eval()
    outputs, targets = network(examples[0]), examples[1]
    accuracy = float((outputs.argmax(1) == targets).float().mean()) if family.classes else math.nan
    return float(_loss(family, outputs, targets)), accuracy


def _loss(family: Family, outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets) if family.classes else F.mse_loss(outputs[:, 0], targets)


def _drawn(examples: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    if not count:
        return examples
    chosen = torch.randperm(len(examples[0]))[:count]
    return examples[0][chosen], examples[1][chosen]
