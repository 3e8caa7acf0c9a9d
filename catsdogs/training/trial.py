"""The fastest way to train a given classifier on this machine, by a short trial of real steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.choosing import choose
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.trial import device_name, has_bf16


@dataclass(frozen=True, slots=True)
class TrainingSpeed:
    """How training steps are computed.

    Attributes:
        precision: As Lightning's Trainer names it.
        channels_last: Whether pictures lie in memory pixel by pixel.
    """

    precision: str
    channels_last: bool


CANDIDATES = {
    "fp32, channels last": TrainingSpeed("32-true", channels_last=True),
    "fp32": TrainingSpeed("32-true", channels_last=False),
    "bf16, channels last": TrainingSpeed("bf16-mixed", channels_last=True),
}


def fastest_training(
    classifier: ImageClassifier,
    spec: PreprocessSpec,
    backbone: str,
    *,
    trainable: Collection[str],
    batch_size: int,
    device: str,
) -> TrainingSpeed:
    """Time a few steps of each candidate; the classifier and the random state are left as they were.

    Args:
        classifier: What will train.
        spec: How large its pictures are.
        backbone: Its name, by which the result is remembered.
        trainable: Names of the backbone's parameters that train beside the head.
        batch_size: Of a process.
        device: ``cpu`` or ``cuda``.
    """
    names = [name for name in CANDIDATES if "bf16" not in name or has_bf16(device)]

    def work(name: str) -> Callable[[], object]:
        return training_step(
            classifier, spec, CANDIDATES[name], trainable=trainable, batch_size=batch_size, device=device
        )

    statistics = "frozen statistics" if classifier.frozen_statistics else "own statistics"
    key = (
        f"train {len(trainable)} tensors of {backbone} {spec.height_px}x{spec.width_px} "
        f"batch {batch_size} {statistics} {device_name(device)}"
    )
    with torch.random.fork_rng():
        return CANDIDATES[choose(key, names, work)]


def training_step(
    classifier: ImageClassifier,
    spec: PreprocessSpec,
    speed: TrainingSpeed,
    *,
    trainable: Collection[str],
    batch_size: int,
    device: str,
) -> Callable[[], None]:
    """Return a step of a copy of the classifier on black pictures, to be called several times.

    Args:
        classifier: It stays as it is.
        spec: How large its pictures are.
        speed: How to compute.
        trainable: Names of the backbone's parameters that train beside the head.
        batch_size: Pictures.
        device: ``cpu`` or ``cuda``.
    """
    pixels = torch.zeros(batch_size, spec.height_px, spec.width_px, 3, dtype=torch.uint8, device=device)
    labels = torch.zeros(batch_size, dtype=torch.long, device=device)
    network = copy.deepcopy(classifier).to(device)
    network.set_trainable(trainable)
    network.train()
    network.set_channels_last(speed.channels_last)
    training = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(training, fused=True)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=speed.precision == "bf16-mixed"):
            loss = F.cross_entropy(network(pixels).float(), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()

    return step
