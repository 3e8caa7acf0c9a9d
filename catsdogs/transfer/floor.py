"""The floor: how pictures were told apart before deep learning, which a backbone has to beat.

Histograms of oriented gradients and of colours; a support vector machine is put on top of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from catsdogs.core.errors import DataError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.stream import batches
from catsdogs.data.views import VIEWS

Rows = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

# Measured: 96 px is no better on photos (71.8 against 71.9 %) and worse on X-rays (79.8 against 81.0 %).
FLOOR_SPEC = PreprocessSpec(height_px=64, width_px=64, crop_fraction=1.0, interpolation="bilinear")

_ORIENTATIONS = 9
_CELL_PX = 8
_BLOCK_CELLS = 2
_MOST = 0.2  # of a block's length: one strong edge must not drown the others
_EPSILON = 1e-5
_LEVELS = 4
_LUMA = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)  # ITU-R BT.709
_BATCH = 64


def floor_features(
    records: Sequence[ImageRecord],
    spec: PreprocessSpec = FLOOR_SPEC,
    *,
    workers: int,
    advance: Callable[[int], None],
) -> tuple[tuple[ImageRecord, ...], Rows]:
    """Return the readable pictures and their hand-engineered features, float32 (N, D).

    Args:
        records: Whose pictures.
        spec: The evaluation view; its mean and standard deviation are not used.
        workers: Decoding threads.
        advance: Called with the number of pictures that are done since the last call.

    Raises:
        DataError: None of them can be read.
    """
    kept: list[ImageRecord] = []
    rows: list[Rows] = []
    for batch in batches(records, spec=spec, views=VIEWS["none"], batch_size=_BATCH, workers=workers):
        if len(batch.good):
            pixels = batch.pixels[:, 0]
            rows.append(np.concatenate([oriented_gradients(pixels), colour_histogram(pixels)], axis=1))
            kept.extend(batch.records[position] for position in batch.good)
        advance(len(batch.records))
    if not kept:
        raise DataError(f"none of the {len(records)} pictures can be read any more")
    return tuple(kept), np.concatenate(rows)


def oriented_gradients(pixels: Pixels) -> Rows:
    """Return histograms of oriented gradients (HOG), float32 (N, D).

    Gradients of the luminance vote with their length for one of 9 directions in cells of 8x8 px; every
    block of 2x2 cells is brought to length 1, cut off at 0.2 and brought to length 1 again (L2-Hys).

    Args:
        pixels: uint8 (N, H, W, 3), two cells a side at least; what whole cells leave over at the right and at
            the bottom does not vote.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005; without their
        interpolation between neighbouring cells and directions, as in scikit-image.
    """
    cells = _cell_histograms(*_gradients(_luminance(pixels)))
    down, across = (count - _BLOCK_CELLS + 1 for count in cells.shape[1:3])
    places = [(y, x) for y in range(_BLOCK_CELLS) for x in range(_BLOCK_CELLS)]
    blocks = np.concatenate([cells[:, y : y + down, x : x + across] for y, x in places], axis=3)
    rows: Rows = _unit_length(np.minimum(_unit_length(blocks), _MOST)).reshape(len(pixels), -1)
    return rows


def colour_histogram(pixels: Pixels) -> Rows:
    """Return the square roots of the shares of 4x4x4 colours, float32 (N, 64): each row has length 1.

    Between square roots the plain dot product is the Bhattacharyya coefficient, the usual likeness of
    histograms.

    Args:
        pixels: uint8 (N, H, W, 3).
    """
    red, green, blue = np.moveaxis(pixels // (256 // _LEVELS), 3, 0).astype(np.int64)
    codes = ((red * _LEVELS + green) * _LEVELS + blue).reshape(len(pixels), -1)
    colours = _LEVELS**3
    codes += colours * np.arange(len(pixels))[:, None]
    counts = np.bincount(codes.ravel(), minlength=colours * len(pixels))
    shares = counts.reshape(len(pixels), colours) / codes.shape[1]
    rows: Rows = np.sqrt(shares).astype(np.float32)
    return rows


def _luminance(pixels: Pixels) -> Rows:
    return np.asarray(pixels @ (_LUMA / 255), dtype=np.float32)


def _gradients(grey: Rows) -> tuple[Rows, Rows]:
    """Return differences down and across, (N, H, W) each; there are none across the picture's border."""
    down, across = np.zeros_like(grey), np.zeros_like(grey)
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    return down, across


def _cell_histograms(down: Rows, across: Rows) -> Rows:
    """Return how strongly each direction occurs in each cell: (N, cells down, cells across, 9)."""
    length = np.hypot(down, across)
    angle = np.degrees(np.arctan2(down, across)) % 180  # an edge from dark to light is one from light to dark
    direction = np.minimum(angle * (_ORIENTATIONS / 180), _ORIENTATIONS - 1).astype(np.int8)
    votes = [_mean_of_cells(np.where(direction == number, length, 0)) for number in range(_ORIENTATIONS)]
    return np.stack(votes, axis=3)


def _mean_of_cells(values: Rows) -> Rows:
    n, height, width = (values.shape[0], *(side // _CELL_PX for side in values.shape[1:]))
    whole = values[:, : height * _CELL_PX, : width * _CELL_PX]
    means: Rows = whole.reshape(n, height, _CELL_PX, width, _CELL_PX).mean(axis=(2, 4))
    return means


def _unit_length(blocks: Rows) -> Rows:
    scaled: Rows = blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + _EPSILON**2)
    return scaled
