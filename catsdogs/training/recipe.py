"""Recipe: the numbers of one training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """The numbers of one training run.

    Attributes:
        epochs: At most; early stopping may end sooner.
        learning_rate: Of the backbone at the top of the schedule.
        head_rate: The head's learning rate is this times the backbone's.
        layer_decay: Each layer group's rate is this times that of the group above it.
        weight_decay: Of AdamW, on weight matrices and kernels only.
        warmup: Share of all steps in which the rate rises from zero.
        label_smoothing: Share of probability spread over all classes.
        batch_size: Pictures per step over all processes.
        patience_epochs: Epochs without a better validation loss before the run stops; 0 never stops.
        seed: Of order, augmentation and dropout.
    """

    epochs: int
    learning_rate: float
    head_rate: float
    layer_decay: float
    weight_decay: float
    warmup: float
    label_smoothing: float
    batch_size: int
    patience_epochs: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)
