"""Labelled features: all that the frozen strategies are fitted and judged on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from catsdogs.core.predictions import IntArray
from catsdogs.models.stages import Stage
from catsdogs.transfer.features import Features


@dataclass(frozen=True)
class Study:
    """What frozen features tell about N readable pictures.

    Attributes:
        classes: C.
        features: Of the N pictures, at every stage.
        labels: Classes (N,) in [0, C).
        units: Length N; equal names belong on one side of every fold.
        seed: Of the folds.
    """

    classes: int
    features: Features
    labels: IntArray
    units: tuple[str, ...]
    seed: int

    @property
    def stages(self) -> tuple[Stage, ...]:
        """From the input to the top."""
        return self.features.stages

    def of_split(self, *splits: str) -> Study:
        """Return the study of the pictures of these splits alone."""
        chosen = [i for i, record in enumerate(self.features.records) if record.split in splits]
        return self.take(np.asarray(chosen, dtype=np.int64))

    def take(self, positions: npt.NDArray[np.int64]) -> Study:
        """Return the study of some of the pictures."""
        return replace(
            self,
            features=self.features.take(positions),
            labels=self.labels[positions],
            units=tuple(self.units[i] for i in positions),
        )
