"""Fitting: pictures that were prepared for several networks at once become what each of them wants."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from catsdogs.core.preprocess import PreprocessSpec


class Fit(nn.Module):
    """Planes (B, 3, H, W) of pixels in [0, 255] as one spec prepares them, to another spec's normalised ones.

    The central part is resampled by a triangle as wide as a step, which is Pillow's antialiased ``BILINEAR``.
    It is written as two products of matrices, which every engine knows.
    """

    rows: Tensor
    columns: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, given: PreprocessSpec, wanted: PreprocessSpec) -> None:
        super().__init__()
        shrunk = given.resized_height_px / wanted.resized_height_px
        if wanted.crop_mode == "squash":
            height, width = float(given.height_px), float(given.width_px)
        else:
            # Sizes are whole pixels, so that the wanted part may be a little larger than what there is.
            height = min(wanted.height_px * shrunk, given.height_px)
            width = min(wanted.width_px * shrunk, given.width_px)
        mean, std = torch.tensor(wanted.mean), torch.tensor(wanted.std)
        # They follow from the cards, which the model file holds already.
        for name, values in (
            ("rows", _resampling(given.height_px, height, wanted.height_px)),
            ("columns", _resampling(given.width_px, width, wanted.width_px)),
            ("scale", (1 / (255 * std)).view(1, 3, 1, 1)),
            ("shift", (-mean / std).view(1, 3, 1, 1)),
        ):
            self.register_buffer(name, values, persistent=False)
        self._resamples = not (_is_identity(self.rows) and _is_identity(self.columns))

    def forward(self, planes: Tensor) -> Tensor:
        """Crop, resample and normalise."""
        if self._resamples:
            planes = self.rows @ planes @ self.columns.T
        return torch.addcmul(self.shift, planes, self.scale)


def _resampling(given: int, part: float, wanted: int) -> Tensor:
    """Return weights (wanted, given) that resample the central part of a line; each row sums to 1."""
    step = part / wanted
    start = (given - part) / 2
    if step == 1:
        start = float(round(start))
    centres = start + (torch.arange(wanted, dtype=torch.float64) + 0.5) * step
    places = torch.arange(given, dtype=torch.float64) + 0.5
    weights = (1 - (places[None] - centres[:, None]).abs() / max(step, 1.0)).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def _is_identity(weights: Tensor) -> bool:
    return weights.shape[0] == weights.shape[1] and torch.equal(weights, torch.eye(len(weights)))
