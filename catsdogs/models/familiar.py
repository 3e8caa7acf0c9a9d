"""What a model file holds beside the network: by what strange pictures are known. Read without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from catsdogs.core.errors import ModelError
from catsdogs.core.familiarity import Familiarity
from catsdogs.models.modelcard import TENSORS

FAMILIAR = "familiar."
"""How the names of its tensors begin; those of a network never do."""

_REFERENCES, _DISTANCES = f"{FAMILIAR}references", f"{FAMILIAR}distances"


def load_familiarity(folder: Path) -> Familiarity | None:
    """Return it from a model folder; None where the model has none.

    A file that cannot be read has none either: what reads the network tells what is wrong with it.

    Raises:
        ModelError: It holds something else under these names.
    """
    try:
        with safetensors.safe_open(folder / TENSORS, framework="np") as opened:
            if _REFERENCES not in opened.keys():  # noqa: SIM118 - it is no mapping
                return None
            found = Familiarity(opened.get_tensor(_REFERENCES), opened.get_tensor(_DISTANCES))
    except (OSError, safetensors.SafetensorError):
        return None
    except (TypeError, AttributeError) as error:  # a kind of number that numpy does not know
        raise _damaged(folder) from error
    shapes = found.references.ndim, found.distances.ndim
    numbers = found.references.dtype.kind == found.distances.dtype.kind == "f"
    if shapes != (2, 1) or not numbers or not (found.references.size and found.distances.size):
        raise _damaged(folder)
    return Familiarity(found.references, np.sort(found.distances))


def _damaged(folder: Path) -> ModelError:
    return ModelError(f"{folder} is not a usable model: its familiar pictures are damaged")
