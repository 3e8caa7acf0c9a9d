"""Familiarity: how near a picture lies to those that a model has learned from, among its features.

A classifier of cats and dogs calls a car one of both and may be sure of it. What gives the car away is that
its features lie far from those of every picture in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import ModelError
from catsdogs.core.predictions import FloatArray

NEIGHBOURS = 5
LEAST_HELD_OUT = 20
"""Fewer pictures cannot tell the strangest 5 % from the others."""


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Features of some training pictures, and how far from them others lie that the model has not seen.

    The distance of a picture is that to its fifth nearest reference, between features of length 1. Against
    Mahalanobis' distance, the residual of a PCA and unscaled features it alone found all X-rays and drawings
    among photos, and it needs a few hundred references only (docs/LOG.md).

    Attributes:
        references: (R, D), rows of length 1.
        distances: (V,) ascending: of held-out pictures.

    Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"; the share is the
    conformal p-value of Bates et al. 2023, "Testing for Outliers with Conformal p-values", subtracted from 1.
    """

    references: npt.NDArray[np.floating]
    distances: npt.NDArray[np.floating]

    @classmethod
    def learn(
        cls, references: npt.NDArray[np.floating], held_out: npt.NDArray[np.floating]
    ) -> Familiarity | None:
        """Measure held-out features (V, D) against references (R, D); None where there are too few."""
        if not len(references) or len(held_out) < LEAST_HELD_OUT:
            return None
        # Measured by what is kept, as new pictures will be.
        kept = _unit(references).astype(np.float16)
        return cls(kept, np.sort(_distances(held_out, _unit(kept))).astype(np.float32))

    @property
    def highest(self) -> float:
        """The largest share that it can give: n of n + 1 held-out pictures lie nearer."""
        return len(self.distances) / (len(self.distances) + 1)

    def unfamiliar(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Return, for features (N, D), the share of familiar pictures that lie nearer: (N,) in [0, 1).

        Of new pictures like those held out at most 5 % get 0.95 or more, and so for every share.

        Raises:
            ModelError: The references are those of another network.
        """
        if features.shape[1] != self.references.shape[1]:
            raise ModelError(
                f"the model is damaged: its familiar pictures have {self.references.shape[1]:,} features, "
                f"others {features.shape[1]:,}"
            )
        found = _distances(features, self._directions).astype(np.float32)
        nearer = np.searchsorted(self.distances, found, side="left")
        return np.asarray(nearer / (len(self.distances) + 1), dtype=np.float64)

    @cached_property
    def _directions(self) -> FloatArray:
        return _unit(self.references)


def _distances(features: npt.NDArray[np.floating], directions: FloatArray) -> FloatArray:
    """Return the squared distance of each picture to its fifth nearest reference, (N,) in [0, 4]."""
    place = min(NEIGHBOURS, len(directions)) - 1
    # Of two unit vectors: 2 - 2 cos, which in float32 is noise where all pictures lie close together. What is
    # no number is farther than anything.
    squared = np.nan_to_num(2 - 2 * _unit(features) @ directions.T, nan=4.0)
    return np.asarray(np.partition(squared, place, axis=1)[:, place], dtype=np.float64)


def _unit(features: npt.NDArray[np.floating]) -> FloatArray:
    wide = np.asarray(features, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
