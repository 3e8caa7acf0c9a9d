"""Small networks of many families, for tests that must hold for each."""

import timm
from torch import nn

from catsdogs.models.backbones import create_backbone

NAMES = (
    "test_resnet",
    "test_byobnet",
    "test_efficientnet",
    "test_convnext",
    "test_vit",
    "test_nfnet",
    "test_coatnet",
    "test_maxvit",
    "catsdogs_cnn",
)
FAMILIES = (*NAMES, "swin")
_SWIN = {"img_size": 64, "window_size": 4, "embed_dim": 16, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 4)}


def small_backbone(family: str) -> nn.Module:
    """Return a backbone for pictures of 64 pixels; timm has no small swin of its own."""
    if family == "swin":
        return timm.create_model("swin_tiny_patch4_window7_224", num_classes=0, **_SWIN)
    return create_backbone(family, input_size=64)[0]
