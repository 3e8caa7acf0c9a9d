"""Familiar pictures in a stranger's model file: read, absent, or one line, and never a crash."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from catsdogs.core.errors import ModelError
from catsdogs.models.familiar import load_familiarity

GOOD = {"references": torch.ones(5, 3, dtype=torch.float16), "distances": torch.tensor([0.5, 0.1])}


def model(folder: Path, **tensors: torch.Tensor) -> Path:
    save_file({f"familiar.{name}": one for name, one in tensors.items()}, folder / "model.safetensors")
    return folder


def test_distances_ascend(tmp_path: Path) -> None:
    found = load_familiarity(model(tmp_path, **GOOD))
    np.testing.assert_allclose(found.distances, [0.1, 0.5])


def test_most_models_have_none(tmp_path: Path) -> None:
    assert load_familiarity(tmp_path) is None
    assert load_familiarity(model(tmp_path)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"references": torch.ones(5, 3, dtype=torch.bfloat16)},
        {"references": torch.ones(5, 3).to(torch.float8_e4m3fn)},
        {"references": torch.ones(5)},
        {"references": torch.ones(0, 3)},
        {"distances": torch.ones(4, dtype=torch.int64)},
        {"distances": torch.ones(4, dtype=torch.complex64)},
        {"distances": torch.ones(0)},
        {"distances": torch.ones(2, 2)},
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ModelError, match="its familiar pictures are damaged"):
        load_familiarity(model(tmp_path, **GOOD | other))
