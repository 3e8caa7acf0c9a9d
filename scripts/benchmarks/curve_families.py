"""Families of real training runs: a set of examples with a network that can learn it.

Families are divided into two halves: the limits of the diagnosis are set on one and measured on the other,
so no set and no kind of task is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn

Half = Literal["tune", "held-out"]
Examples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Family:
    """Examples and the network for them.

    Attributes:
        load: Returns inputs (N, ...) and targets (N,): classes from 0, or numbers.
        half: What its curves are for.
        classes: Of the targets; 0 where they are numbers.
        width: Of a network that is large enough.
        pictures: Whether the network is convolutional.
        training: Examples that an ordinary training has.
        epochs: That it takes.
        activation: Of the network.
    """

    load: Callable[[], Examples]
    half: Half
    classes: int
    width: int = 32
    pictures: bool = False
    training: int = 700
    epochs: int = 32
    activation: type[nn.Module] = nn.ReLU

    def network(self, inputs: Tensor, width: int, dropout: float) -> nn.Sequential:
        """Return a fresh network; width 0 is a linear model."""
        outputs = self.classes or 1
        if self.pictures:
            channels = max(1, width)
            return nn.Sequential(
                nn.Conv2d(inputs.shape[1], channels, 3, stride=2, padding=1),
                self.activation(),
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
                self.activation(),
                nn.Conv2d(2 * channels, 2 * channels, 3, stride=2, padding=1),
                self.activation(),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
                nn.Dropout(dropout),
                nn.Linear(8 * channels, outputs),
            )
        if not width:
            return nn.Sequential(nn.Linear(inputs.shape[1], outputs))
        return nn.Sequential(
            nn.Linear(inputs.shape[1], width),
            self.activation(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            self.activation(),
            nn.Dropout(dropout),
            nn.Linear(width, outputs),
        )

    @cache  # noqa: B019
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return standardised inputs and targets, in a random order that is always the same."""
        inputs, targets = self.load()
        order = np.random.default_rng(0).permutation(len(inputs))
        x = torch.tensor(np.asarray(inputs)[order], dtype=torch.float32)
        scale = x.std() if self.pictures else x.std(0).clamp_min(1e-3)
        x = (x - (x.mean() if self.pictures else x.mean(0))) / scale
        y = torch.tensor(np.asarray(targets)[order])
        return x, y.long() if self.classes else ((y - y.mean()) / y.std()).float()


def _digits() -> Examples:
    return datasets.load_digits(return_X_y=True)


def _digit_pictures() -> Examples:
    x, y = _digits()
    return x.reshape(-1, 1, 8, 8).repeat(2, axis=2).repeat(2, axis=3), y


def _cancer() -> Examples:
    return datasets.load_breast_cancer(return_X_y=True)


def _moons() -> Examples:
    return datasets.make_moons(2000, noise=0.2, random_state=0)


def _spheres() -> Examples:
    return datasets.make_gaussian_quantiles(n_samples=2400, n_features=3, n_classes=3, random_state=1)


def _clusters() -> Examples:
    return datasets.make_classification(
        2400, 16, n_informative=8, n_classes=5, n_clusters_per_class=2, class_sep=1.6, random_state=2
    )


def _friedman() -> Examples:
    return datasets.make_friedman1(2000, noise=1.0, random_state=0)


def _impedance() -> Examples:
    return datasets.make_friedman2(2000, noise=60.0, random_state=1)


def _diabetes() -> Examples:
    return datasets.load_diabetes(return_X_y=True)


def _patches() -> Examples:
    """Patches of a photo of scikit-learn's; their class is the band of the photo that they are from."""
    chance = np.random.default_rng(0)
    picture = datasets.load_sample_images().images[0]
    x, y = [], []
    for _ in range(1800):
        top, left = chance.integers(0, picture.shape[0] - 20), chance.integers(0, picture.shape[1] - 20)
        x.append(picture[top : top + 20, left : left + 20].transpose(2, 0, 1))
        y.append(3 * top // (picture.shape[0] - 20))
    return np.stack(x), np.array(y)


FAMILIES: Mapping[str, Family] = {
    "digits": Family(_digits, "tune", 10),
    "moons": Family(_moons, "tune", 2, width=24, epochs=40),
    "cancer": Family(_cancer, "tune", 2, width=16, training=280, epochs=30),
    "friedman": Family(_friedman, "tune", 0, epochs=40),
    "china": Family(_patches, "tune", 3, width=10, pictures=True, training=1000, epochs=30),
    "digit-pictures": Family(_digit_pictures, "held-out", 10, width=12, pictures=True),
    "clusters": Family(_clusters, "held-out", 5, training=1200, epochs=40),
    "spheres": Family(_spheres, "held-out", 3, training=1000, epochs=50, activation=nn.Tanh),
    "impedance": Family(_impedance, "held-out", 0, epochs=40, activation=nn.GELU),
}
