"""Lets the tests of this folder import ``families``; weights to load."""

import sys
from pathlib import Path

import pytest
import timm
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of a whole test_resnet, its 1000-class head included."""
    torch.manual_seed(1)
    network = timm.create_model("test_resnet")
    return {key: value.clone() for key, value in network.state_dict().items()}
