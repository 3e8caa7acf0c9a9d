"""Checks before the first epoch: what reaches the network, what the first loss is, where gradients arrive.

They run on a copy of the classifier and put the random state back: a training cannot tell that they ran.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catsdogs.models.classifier import ImageClassifier

EXAMPLES = 16
# Of normalised pictures, in any channel. All black is -2.1 and all white 2.6 with ImageNet's numbers; sets of
# photos lie within 0.6, X-rays and slides within 1.6. Pixels left in [0, 255] give means of a hundred,
# pixels scaled twice deviations of a hundredth.
_LARGEST_MEAN = 1.9
_DEVIATIONS = (0.1, 3.0)
# The first loss of a fresh head: within half and twice of that of guessing.
_FRESH = (0.5, 2.0)
# A head from a probe: half of guessing, and three standard errors of a few pictures, above its promise.
_PROBED = 0.5
_ERRORS = 3.0
_MOST_NAMES = 4


@dataclass(frozen=True)
class Promise:
    """What cross-validation said of the probe that the head starts from.

    Attributes:
        log_loss: The mean.
        error: Its standard error.
        pictures: That it was taken over.
    """

    log_loss: float
    error: float
    pictures: int

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any], head: str) -> Promise | None:
        """Return that of ``plan.json``; None for a fresh head, and where there were too few pictures."""
        probe = plan.get("probe") or {}
        if head == "mlp" or probe.get("log_loss") is None:
            return None
        return cls(float(probe["log_loss"]), float(probe["log_loss_error"] or 0.0), int(probe["pictures"]))


@dataclass(frozen=True)
class Findings:
    """What the checks found.

    Attributes:
        summary: One line.
        warnings: A line for everything that is wrong.
    """

    summary: str
    warnings: tuple[str, ...]


def check(
    classifier: ImageClassifier,
    training: tuple[Tensor, Tensor],
    unseen: tuple[Tensor, Tensor],
    *,
    promise: Promise | None,
    device: str = "cpu",
) -> Findings:
    """Look at one real batch.

    Args:
        classifier: As training will begin with it; it stays as it is.
        training: Inputs (B, ...) as the network will get them, and classes (B,).
        unseen: Validation examples in the same form; may be empty.
        promise: Of the probe that the head started from; None for a fresh head.
        device: Where to compute.
    """
    with torch.random.fork_rng():
        network = copy.deepcopy(classifier).to(device)
        inputs, labels = (part.to(device) for part in training)
        warnings: list[str] = []
        parts = [_check_inputs(network, inputs, warnings)] if inputs.ndim > 2 else []
        if promise is not None and len(unseen[1]):
            parts.append(
                _check_promise(network, (unseen[0].to(device), unseen[1].to(device)), promise, warnings)
            )
        elif promise is None:
            parts.append(_check_fresh_loss(network, inputs, labels, warnings))
        parts.append(_check_gradients(network, inputs, labels, warnings))
    return Findings("checks: " + ", ".join(parts), tuple(f"warning: {line}" for line in warnings))


def _check_inputs(network: ImageClassifier, pixels: Tensor, warnings: list[str]) -> str:
    with torch.no_grad():
        planes = network.normalize(pixels).float()
    means, deviations = planes.mean((0, 2, 3)), planes.std((0, 2, 3))
    mean, deviation = float(means.abs().max()), (float(deviations.min()), float(deviations.max()))
    shown = f"mean {_extreme(means, 0.0):.2f}, deviation {_extreme(deviations, 1.0):.2f}"
    if not (mean <= _LARGEST_MEAN and deviation[0] >= _DEVIATIONS[0] and deviation[1] <= _DEVIATIONS[1]):
        warnings.append(
            f"the pictures reach the network with {shown} in one channel, not near 0 and 1: "
            "the weights' mean and std do not suit them"
        )
    return f"inputs have {shown}"


def _extreme(values: Tensor, usual: float) -> float:
    return float(values[(values - usual).abs().argmax()])


def _check_promise(
    network: ImageClassifier, unseen: tuple[Tensor, Tensor], promise: Promise, warnings: list[str]
) -> str:
    """Compare the loss on validation pictures with what the probe had on pictures that it had not seen."""
    network.eval()
    with torch.no_grad():
        logits = network(unseen[0]).float()
    loss = float(F.cross_entropy(logits, unseen[1]))
    spread = promise.error * math.sqrt(promise.pictures / len(unseen[1]))
    if not loss <= promise.log_loss + _PROBED * math.log(logits.shape[1]) + _ERRORS * spread:
        warnings.append(
            f"the first loss is {loss:.3f}, the head's probe had {promise.log_loss:.3f}: the network does "
            "not see what the probe saw"
        )
    return f"first loss {loss:.3f} (the probe had {promise.log_loss:.3f})"


def _check_fresh_loss(network: ImageClassifier, inputs: Tensor, labels: Tensor, warnings: list[str]) -> str:
    network.train()
    with torch.no_grad():
        logits = network(inputs).float()
    loss, guessing = float(F.cross_entropy(logits, labels)), math.log(logits.shape[1])
    if not _FRESH[0] * guessing <= loss <= _FRESH[1] * guessing:
        warnings.append(
            f"the first loss of a fresh head is {loss:.3f}, not near the {guessing:.3f} of guessing: "
            "the head starts too large, or the features are"
        )
    return f"first loss {loss:.3f} (guessing has {guessing:.3f})"


def _check_gradients(network: ImageClassifier, inputs: Tensor, labels: Tensor, warnings: list[str]) -> str:
    """Name the tensors that should train and get no gradient.

    Fresh networks may begin with branches multiplied by zero, behind which there is none yet: if any gradient
    is missing, the zeros are replaced and the rest counts.
    """
    missing = _without_gradient(network, inputs, labels)
    if missing:
        _replace_zeros(network)
        missing = _without_gradient(network, inputs, labels)
    count = sum(parameter.requires_grad for parameter in network.parameters())
    if missing:
        names = ", ".join(missing[:_MOST_NAMES]) + (", ..." if len(missing) > _MOST_NAMES else "")
        warnings.append(
            f"no gradient reaches {len(missing)} of the {count} tensors that should train: {names}"
        )
        return f"gradients reach {count - len(missing)} of {count} tensors"
    return f"gradients reach all {count} tensors"


def _without_gradient(network: ImageClassifier, inputs: Tensor, labels: Tensor) -> list[str]:
    network.train()
    for module in _droppers(network):
        module.training = False
    network.zero_grad()
    loss = F.cross_entropy(network(inputs).float(), labels)
    if loss.requires_grad:
        loss.backward()  # type: ignore[no-untyped-call]
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]


def _droppers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield what drops units or branches at random: it would hide gradients now and then."""
    return (module for module in network.modules() if "Drop" in type(module).__name__)


def _replace_zeros(network: nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
