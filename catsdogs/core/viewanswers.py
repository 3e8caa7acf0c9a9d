"""ViewAnswers: what each view of the same pictures said, beside what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ViewAnswers:
    """What V views said about N pictures of C classes.

    Attributes:
        names: Length V, one a view.
        logits: Float64 (V, N, C), calibrated as each view's own answer; NaN where a picture is unreadable.
        plain: Float64 (N, C): what the plain view said, which need not be one of the V.
    """

    names: tuple[str, ...]
    logits: FloatArray
    plain: FloatArray

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            DataError: Shapes differ.
        """
        if self.logits.shape != (len(self.names), *self.plain.shape):
            raise DataError(
                f"answers of {len(self.names)} views have logits {self.logits.shape} and {self.plain.shape}"
            )

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.names)

    def select(self, positions: Sequence[int]) -> ViewAnswers:
        """Return what the views said about the pictures at these positions, in this order."""
        chosen = np.asarray(positions, dtype=np.int64)
        return ViewAnswers(self.names, self.logits[:, chosen], self.plain[chosen])

    @staticmethod
    def concatenate(parts: Sequence[ViewAnswers]) -> ViewAnswers:
        """Join what the same views said about consecutive pictures; there must be a part."""
        return ViewAnswers(
            parts[0].names,
            np.concatenate([part.logits for part in parts], axis=1),
            np.concatenate([part.plain for part in parts]),
        )
