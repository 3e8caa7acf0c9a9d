"""Warping: everything that moves pixels in one resampling, drawn from torch's generator."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from catsdogs.data.presets import AugmentationSpec

_ELASTIC_NODES = 6  # a side


class Warp:
    """Rotation, shear, translation, perspective and elastic displacements of a crop, all at once.

    One transform after the other, as torchvision has them, would resample the picture each time and leave
    blank corners that no evaluation picture has. This samples once and mirrors the picture at its edges.
    Elastic displacements are drawn at a few nodes and interpolated between them; drawn for each pixel and
    then blurred, as torchvision's are, they take a hundred times as long.

    Args:
        changes: How far each may go.

    Source: Simard et al. 2003, Best practices for convolutional neural networks, section 2.
    """

    def __init__(self, changes: AugmentationSpec) -> None:
        self._changes = changes

    def __call__(self, picture: Image.Image) -> Image.Image:
        """Return an RGB picture of the same size, warped."""
        planes = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()  # (1, 3, H, W)
        sources = self._sources(picture.height, picture.width)
        warped = F.grid_sample(planes, sources, padding_mode="reflection", align_corners=False)
        return Image.fromarray(warped[0].round_().to(torch.uint8).permute(1, 2, 0).numpy())

    def _sources(self, height: int, width: int) -> Tensor:
        """Return where each pixel comes from, (1, H, W, 2) of x and y, -1 to 1 inside the picture."""
        changes = self._changes
        (turn,), shears = _draw(changes.rotation, 1), _draw(changes.shear, 2)
        (tilt_x, tilt_y), (shift_x, shift_y) = _draw(changes.perspective, 2), _draw(changes.translation, 2)
        (xx, xy), (yx, yy) = _matrix(turn, *shears)
        # In pixels from the centre; element by element, because how BLAS rounds depends on the threads.
        x = torch.arange(width) - (width - 1) / 2  # (W,)
        y = (torch.arange(height) - (height - 1) / 2)[:, None]  # (H, 1)
        depth = 1 + x * (2 * tilt_x / width) + y * (2 * tilt_y / height)  # (H, W)
        x, y = x / depth, y / depth
        sources = torch.stack(
            (
                (xx * x + xy * y) * (2 / width) + 2 * shift_x,
                (yx * x + yy * y) * (2 / height) + 2 * shift_y,
            ),
            dim=-1,
        )
        if changes.elastic:
            nodes = torch.randn(1, 2, _ELASTIC_NODES, _ELASTIC_NODES)
            smooth = F.interpolate(nodes, (height, width), mode="bicubic", align_corners=True)
            sources += 2 * changes.elastic * smooth[0].permute(1, 2, 0)
        return sources[None]


def _draw(most: float, count: int) -> list[float]:
    """Draw numbers from -most to most."""
    drawn: list[float] = (most * (2 * torch.rand(count) - 1)).tolist()
    return drawn


def _matrix(turn: float, shear_x: float, shear_y: float) -> list[list[float]]:
    """Return the matrix of a rotation after two shears, of angles in degrees.

    One shear comes after the other: both in one matrix would flatten the picture at 45 degrees.
    """
    sine, cosine = math.sin(math.radians(turn)), math.cos(math.radians(turn))
    along_x, along_y = math.tan(math.radians(shear_x)), math.tan(math.radians(shear_y))
    rotated = np.array([[cosine, -sine], [sine, cosine]])
    sheared = np.array([[1, along_x], [0, 1]]) @ np.array([[1, 0], [along_y, 1]])
    matrix: list[list[float]] = (rotated @ sheared).tolist()
    return matrix
