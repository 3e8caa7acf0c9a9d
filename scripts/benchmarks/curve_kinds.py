"""Curves of a known kind: how each kind is made, and what must be true of a run so that it is of this kind.

The construction gives a run its kind, and a check that the diagnosis cannot make confirms it: a large set of
examples, the loss without dropout, the run continued for as long again, and the loss that the family reaches
when it is trained well. A run that does not show its kind is thrown away; none is thrown away for what the
diagnosis says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from benchmarks.curve_families import FAMILIES, Family
from benchmarks.curve_runs import Curve, Examples, Recipe, Schedule, train

Tensors = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Sample:
    """A kept run: its curve, its kind and how it was made."""

    kind: str
    family: str
    variant: str
    curve: Curve


@dataclass(frozen=True)
class Bench:
    """What a construction works with.

    Attributes:
        family: Of the run.
        chance: Of this run.
        reached: Loss on the large set that good training reaches.
    """

    family: Family
    chance: np.random.Generator

    def examples(self, training: float = 1.0, validation: int = 250) -> Examples:
        """Draw disjoint sets: a share of the ordinary training set, a validation set, and a large set."""
        x, y = self.family.tensors()
        order = torch.tensor(self.chance.permutation(len(x)))
        large = max(len(x) // 4, 150)
        validation = min(validation, (len(x) - large) // 4)
        count = max(12, min(int(self.family.training * training), len(x) - large - validation))
        held, rest = order[:large], order[large:]
        val, chosen = rest[:validation], rest[validation : validation + count]
        return Examples((x[chosen], y[chosen]), (x[val], y[val]), (x[held], y[held]))

    def recipe(self, **changes: object) -> Recipe:
        """Return the ordinary recipe with the habits that differ from one engineer to the next."""
        ordinary = Recipe(
            self.family.width,
            int(self.family.epochs * self.chance.uniform(0.7, 1.3)),
            rate=float(3e-3 * np.exp(self.chance.uniform(-0.7, 0.3))),
            running=bool(self.chance.random() < 0.7),
        )
        return replace(ordinary, **changes)  # type: ignore[arg-type]


Made = tuple[str, Examples, Recipe]


def _good(bench: Bench) -> Made:
    chance = bench.chance
    decay = float(chance.choice([1e-2, 5e-2, 0.2]))
    variant = str(
        chance.choice(["plain", "dropout", "noise", "step", "cosine", "one-cycle", "early", "frozen"])
    )
    recipe = bench.recipe(decay=decay, dropout=float(chance.choice([0.0, 0.1])))
    if variant in ("step", "cosine", "one-cycle"):
        schedule: Schedule = variant  # type: ignore[assignment]
        short = 0.5 if chance.random() < 0.5 else 1.0
        recipe = replace(recipe, schedule=schedule, rate=2 * recipe.rate, epochs=int(recipe.epochs * short))
    changes: dict[str, dict[str, object]] = {
        "dropout": {"dropout": float(chance.uniform(0.15, 0.35)), "running": True},
        "noise": {"noise": float(chance.uniform(0.1, 0.35)), "running": True},
        "early": {"patience": 5, "epochs": 3 * recipe.epochs},
        "frozen": {"frozen_epochs": 5},
    }
    return variant, bench.examples(), replace(recipe, **changes.get(variant, {}))  # type: ignore[arg-type]


def _flat(bench: Bench) -> Made:
    chance = bench.chance
    variant = str(chance.choice(["capacity", "rate", "decay", "momentum"]))
    width = 1 if bench.family.pictures else int(chance.choice([0, 1]))
    recipe = bench.recipe()
    return (
        variant,
        bench.examples(),
        {
            "capacity": replace(recipe, width=width, rate=3 * recipe.rate),
            "rate": replace(recipe, rate=float(10 ** chance.uniform(-6, -5))),
            "decay": replace(recipe, decay=float(chance.uniform(0.05, 0.3)), rate=0.05, momentum=True),
            "momentum": replace(recipe, rate=float(chance.uniform(0.2, 1.5)), momentum=True, batch=16),
        }[variant],
    )


def _falling(bench: Bench) -> Made:
    chance = bench.chance
    variant = str(chance.choice(["stopped", "slow", "momentum"]))
    recipe = bench.recipe()
    few = int(chance.integers(8, 25))
    return (
        variant,
        bench.examples(),
        {
            "stopped": replace(recipe, epochs=few, rate=float(10 ** chance.uniform(-4, -3))),
            "slow": replace(recipe, rate=float(10 ** chance.uniform(-4.3, -3.3))),
            "momentum": replace(recipe, rate=float(10 ** chance.uniform(-4, -2.7)), momentum=True),
        }[variant],
    )


def _overfitting(bench: Bench) -> Made:
    chance = bench.chance
    variant = str(chance.choice(["few", "fewer", "noisy labels"]))
    share = {"few": 0.2, "fewer": 0.08, "noisy labels": 0.5}[variant] * chance.uniform(0.7, 1.4)
    examples = bench.examples(share)
    if variant == "noisy labels":
        examples = replace(examples, train=_with_wrong_labels(bench, examples.train))
    wider = 2 if bench.family.pictures else 4
    recipe = bench.recipe(width=bench.family.width * wider, decay=0.0, batch=32)
    recipe = replace(recipe, rate=1.5 * recipe.rate)
    longer = float(chance.uniform(1, 2.5))
    return variant, examples, replace(recipe, epochs=int(recipe.epochs * longer))


def _with_wrong_labels(bench: Bench, examples: Tensors) -> Tensors:
    x, y = examples
    wrong = torch.tensor(bench.chance.random(len(y)) < 0.25)
    other = y[torch.tensor(bench.chance.permutation(len(y)))]
    return x, torch.where(wrong, other, y)


def _training_set(bench: Bench) -> Made:
    """Train on other examples than those of the validation: too few, of one side, or distorted."""
    chance = bench.chance
    variant = str(chance.choice(["few", "one side", "distorted"]))
    examples = bench.examples(float(chance.uniform(0.05, 0.15)) if variant == "few" else 0.6)
    x, y = examples.train
    if variant == "one side":
        direction = torch.tensor(chance.normal(size=x[0].numel()), dtype=torch.float32)
        side = x.flatten(1) @ direction
        kept = side > side.quantile(float(chance.uniform(0.5, 0.8)))
        x, y = x[kept], y[kept]
    if variant == "distorted":
        strength = float(chance.uniform(0.4, 1.2))
        x = x * (1 + strength * torch.tensor(chance.normal(size=x[0].shape), dtype=torch.float32))
    decay = float(chance.choice([1e-3, 0.1, 0.5, 1.0]))
    recipe = bench.recipe(decay=decay, dropout=float(chance.choice([0.0, 0.1, 0.3])))
    schedule: Schedule = chance.choice(["constant", "cosine", "step"])
    batch = 32 if len(x) > 100 else 8
    return variant, replace(examples, train=(x, y)), replace(recipe, schedule=schedule, batch=batch)


def _noisy_validation(bench: Bench) -> Made:
    variant = str(bench.chance.choice(["tiny", "drawn anew"]))
    count = int(bench.chance.integers(4, 16))
    _, examples, recipe = _good(bench)
    recipe = replace(recipe, patience=0, epochs=min(recipe.epochs, bench.family.epochs), frozen_epochs=0)
    if variant == "drawn anew":
        return variant, examples, replace(recipe, fresh_validation=count)
    faster = replace(recipe, rate=recipe.rate * 2, schedule="constant", batch=16)
    return variant, replace(examples, val=tuple(part[:count] for part in examples.val)), faster  # type: ignore[arg-type]


def _easy_validation(bench: Bench) -> Made:
    """Validate on what the network finds easy, or train on labels that are partly wrong."""
    variant = str(bench.chance.choice(["easy", "clean"]))
    _, examples, recipe = _good(bench)
    recipe = replace(recipe, patience=0, epochs=min(recipe.epochs, bench.family.epochs), frozen_epochs=0)
    if variant == "clean":
        return variant, replace(examples, train=_with_wrong_labels(bench, examples.train)), recipe
    return (
        variant,
        replace(examples, val=_easiest(bench, examples, float(bench.chance.uniform(0.2, 0.5)))),
        recipe,
    )


@torch.no_grad()
def _easiest(bench: Bench, examples: Examples, share: float) -> Tensors:
    """Return the share of the validation examples that a model of the training examples is best at."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if bench.family.classes else RandomForestRegressor
    forest = kind(60, random_state=0, min_samples_leaf=3).fit(examples.train[0].flatten(1), examples.train[1])
    x, y = examples.val
    if bench.family.classes:
        places = np.searchsorted(forest.classes_, y.numpy())
        badness = -forest.predict_proba(x.flatten(1))[
            np.arange(len(y)), np.minimum(places, len(forest.classes_) - 1)
        ]
    else:
        badness = np.abs(forest.predict(x.flatten(1)) - y.numpy())
    kept = torch.tensor(np.argsort(badness)[: int(share * len(y))].copy())
    return x[kept], y[kept]


MAKERS: Mapping[str, Callable[[Bench], Made]] = {
    "good fit": _good,
    "underfitting (flat)": _flat,
    "underfitting (still falling)": _falling,
    "overfitting": _overfitting,
    "unrepresentative training set": _training_set,
    "unrepresentative validation set (noisy)": _noisy_validation,
    "unrepresentative validation set (easy)": _easy_validation,
}

_NEEDS_FUTURE = ("good fit", "underfitting (flat)", "underfitting (still falling)")


def shows(kind: str, curve: Curve, reached: float) -> bool:
    """Say whether a run is what it was made to be, by what the curve does not show.

    Args:
        kind: Of ``MAKERS``.
        curve: With its hidden parts.
        reached: Loss on the large set that good training of the family reaches.
    """
    span = max(curve.start - reached, 1e-9)
    large, clean, val = (_smooth(values) for values in (curve.large, curve.clean, curve.val_loss))
    future = _smooth(curve.future) if curve.future else large[-1:]
    if not all(map(np.isfinite, (large[-1], clean[-1], val[-1]))):
        return False
    more, rise = (large[-1] - future.min()) / span, (large[-1] - large.min()) / span
    gap = (large[-1] - clean[-1]) / span
    learnt = (curve.start - large[-1]) / span
    residual = np.array(curve.val_loss) - np.array(curve.large)
    residual = residual[len(residual) // 3 :] / span
    noise = float(np.std(np.diff(residual)) / np.sqrt(2)) if len(residual) > 2 else 0.0
    healthy = learnt > 0.75 and gap < 0.15 and rise < 0.1
    own_rise = (val[-1] - val.min()) / span
    return {
        "good fit": healthy and more < 0.05 and own_rise < 0.05 and abs(val[-1] - large[-1]) / span < 0.1,
        "underfitting (flat)": learnt < 0.6 and more < 0.04 and gap < 0.1,
        "underfitting (still falling)": more > 0.12
        and gap < 0.12
        and large[-len(large) // 4] - large[-1] > 0.03 * span,
        "overfitting": rise > 0.1
        and own_rise > 0.08
        and clean[-1] < large.min()
        and large.argmin() < 0.8 * len(large),
        "unrepresentative training set": gap > 0.2
        and learnt > 0.15
        and own_rise < 0.12 * gap
        and rise < 0.12 * gap,
        "unrepresentative validation set (noisy)": healthy and noise > 0.06,
        "unrepresentative validation set (easy)": rise < 0.1
        and noise < 0.06
        and learnt > 0.4
        and (clean[-1] - val[-1]) / span > 0.12,
    }[kind]


def make_samples(family: str, kind: str, wanted: int, tries: int) -> tuple[list[Sample], int]:
    """Return runs of one kind, and how many were trained for them."""
    samples: list[Sample] = []
    reached = reachable(family)
    for seed in range(tries):
        if len(samples) == wanted:
            return samples, seed
        number = list(MAKERS).index(kind) * 1000 + seed
        bench = Bench(FAMILIES[family], np.random.default_rng([list(FAMILIES).index(family), number]))
        variant, examples, recipe = MAKERS[kind](bench)
        curve = train(bench.family, examples, recipe, number, further=kind in _NEEDS_FUTURE)
        if shows(kind, curve, reached):
            samples.append(Sample(kind, family, variant, curve))
    return samples, tries


@cache
def reachable(family: str) -> float:
    """Return the lowest loss on a large set that ordinary training reaches."""
    bench = Bench(FAMILIES[family], np.random.default_rng(99))
    recipe = replace(bench.recipe(decay=0.05), schedule="cosine", rate=4e-3, epochs=2 * bench.family.epochs)
    return min(_smooth(train(bench.family, bench.examples(), recipe, 99, further=False).large))


def _smooth(values: list[float]) -> np.ndarray:
    """Return the median of three."""
    padded = np.pad(np.array(values), 1, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 3), axis=1)
