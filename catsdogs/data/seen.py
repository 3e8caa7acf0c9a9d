"""The pictures that a model has learned from, kept so small that they travel with it, and recognised again.

A picture is the 63 lowest frequencies of its thumbnail, each a byte. Copies at another size, stretched, or
recompressed are recognised; crops and mirrored copies are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.data.duplicates import Thumbnails, is_flat, spectra

# Cosine of the frequencies that makes two pictures one. Of 2,002 photos, squashed to 160 px and compressed
# again, all but one reach it; of as many others, none does (docs/LOG.md).
SAME = 0.99
_SCALE = 127
_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class SeenPictures:
    """What is remembered of N pictures.

    Attributes:
        signatures: int8 (N, 63).
    """

    signatures: npt.NDArray[np.int8]

    @classmethod
    def of(cls, thumbnails: Thumbnails) -> SeenPictures:
        """Remember pictures by their thumbnails uint8 (N, 48, 48); those of one colour are left out."""
        found = spectra(thumbnails[~is_flat(thumbnails)])
        largest = np.abs(found).max(axis=1, keepdims=True)
        return cls(np.round(found / largest * _SCALE).astype(np.int8))

    def contains(self, thumbnails: Thumbnails) -> npt.NDArray[np.bool_]:
        """Return bool (N,): the picture behind each thumbnail uint8 (N, 48, 48) is one of these."""
        seen = np.zeros(len(thumbnails), dtype=np.bool_)
        if not len(self.signatures):
            return seen
        known = self.signatures.astype(np.float32)
        known /= np.linalg.norm(known, axis=1, keepdims=True)
        places = np.flatnonzero(~is_flat(thumbnails))
        for start in range(0, len(places), _BLOCK):
            some = places[start : start + _BLOCK]
            seen[some] = (spectra(thumbnails[some]) @ known.T).max(axis=1) >= SAME
        return seen

    def save(self, path: Path) -> None:
        """Write them durably.

        Raises:
            OutputError: The file cannot be written.
        """
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, signatures=self.signatures)

    @classmethod
    def load(cls, path: Path) -> SeenPictures:
        """Read what ``save`` wrote; nothing in the file is run.

        Raises:
            DataError: It is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                signatures = arrays["signatures"]
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error}") from error
        if signatures.dtype != np.int8 or signatures.ndim != 2:
            raise DataError(f"{path} is damaged: it holds no signatures")
        return cls(signatures)
