"""What layer statistics mean, in words, and only where something is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from catsdogs.training.layerstatistics import Units

# More than half of a layer's units. Pretrained networks have some that fire for things that the pictures at
# hand do not show, the more the nearer to the top (2 % of MobileNetV2's last stage on X-rays, an eighth of
# its first). A few units or a few outputs say nothing.
_MOST_DEAD = 0.5
_FEWEST_UNITS = 8
_FEWEST_OUTPUTS = 64
# A step changes weights by about a thousandth, in the first steps of a fresh head by a tenth. One that
# changes them by half forgets what it has learned.
_LARGEST_UPDATE = 0.5
# The resolution of float32: an update smaller than that, beside the weight, is lost.
_SMALLEST_UPDATE = 6e-8
# Beside the largest gradient. What is smaller drowns in the rounding of the numbers that it is made from.
_SMALLEST_GRADIENT = 1e-7


def unit_words(units: Sequence[Units], training: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong where, sentence) for layers of the groups that train."""
    for layer in units:
        if layer.group not in training:
            continue
        if layer.count < _FEWEST_UNITS or layer.outputs < _FEWEST_OUTPUTS:
            continue
        of = f"of {layer.count} units of {layer.layer}"
        if (layer.dead or 0) > _MOST_DEAD * layer.count:
            yield (
                f"dead {layer.layer}",
                f"{layer.dead} {of} never fire and learn nothing: lower --transfer.learning_rate",
            )
        if (layer.saturated or 0) > _MOST_DEAD * layer.count:
            yield (
                f"saturated {layer.layer}",
                f"{layer.saturated} {of} are saturated and hardly learn: lower --transfer.learning_rate",
            )


def group_words(gradients: Mapping[str, float], updates: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong where, sentence) for the groups that train.

    Args:
        gradients: Length of each group's gradient.
        updates: Length of each group's step beside its weights.
    """
    finite = [value for value in gradients.values() if math.isfinite(value)]
    largest = max(finite, default=0.0)
    for group, value in gradients.items():
        if value == 0:
            yield f"gradient {group}", f"no gradient reaches {group}"
        elif value < _SMALLEST_GRADIENT * largest:
            yield (
                f"gradient {group}",
                f"gradients vanish: that of {group} is {value / largest:.0e} of the largest",
            )
    for group, value in updates.items():
        if value > _LARGEST_UPDATE:
            yield (
                f"update {group}",
                f"each step changes the weights of {group} by {value:.0%}: lower --transfer.learning_rate",
            )
        elif 0 < value < _SMALLEST_UPDATE:
            yield (
                f"update {group}",
                f"steps change the weights of {group} by {value:.0e} of their size, too little to count: "
                "raise --transfer.learning_rate",
            )
