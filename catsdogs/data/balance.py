"""Classes of uneven size: which are rare, and what makes all weigh the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

_RARE = 0.1
_UNEVEN = 0.5


def balanced_weights(labels: Sequence[int], classes: int) -> list[float]:
    """Return a weight for each class, ``pictures / (classes * its pictures)``, so that all weigh the same.

    A class without pictures weighs as much as one with a single one.

    >>> balanced_weights([0, 0, 0, 1], 2)
    [0.6666666666666666, 2.0]
    """
    counts = Counter(labels)
    return [len(labels) / (classes * max(1, counts[number])) for number in range(classes)]


def rare_classes(counts: Mapping[str, int]) -> list[str]:
    """Return the classes with fewer than 1 in 10 pictures, and less than half of an equal share.

    >>> rare_classes({"cat": 95, "dog": 5})
    ['dog']
    >>> rare_classes({str(number): 1 for number in range(100)})
    []
    """
    total = sum(counts.values())
    least = total * min(_RARE, _UNEVEN / max(1, len(counts)))
    return [name for name, count in counts.items() if count < least]
