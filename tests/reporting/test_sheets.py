"""Sheets: every pixel of a tile is where it belongs and as it was."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.lib.stride_tricks import sliding_window_view

from catsdogs.reporting.sheets import Tile, draw_sheet, tile_size


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def place(page, pixels):
    """Return the only (row, column) at which these pixels lie on the page."""
    height, width, _ = pixels.shape
    corners = (page[: 1 - height, : 1 - width] == pixels[0, 0]).all(-1)
    found = [(y, x) for y, x in np.argwhere(corners) if (page[y : y + height, x : x + width] == pixels).all()]
    assert len(found) == 1
    return found[0]


def noise(*size):
    return np.random.default_rng(size[0]).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_tiles_lie_in_rows_and_columns_pixel_by_pixel():
    tiles = [[Tile(noise(170 + 0, 200), "1 cat"), Tile(noise(170, 200)[::-1].copy())] for _ in range(1)]
    tiles.append([Tile(noise(170, 200)[:, ::-1].copy(), "2 dog\nb.jpg"), Tile(255 - noise(170, 200))])
    page = drawn(draw_sheet("a title", ["picture", "epoch 1"], tiles))
    places = np.array([[place(page, tile.pixels) for tile in row] for row in tiles])
    assert (places[:, 0, 0] == places[:, 1, 0]).all()
    assert (places[0, :, 1] == places[1, :, 1]).all()
    assert places[1, 0, 0] - places[0, 0, 0] > 170
    assert places[0, 1, 1] - places[0, 0, 1] > 200


@pytest.mark.parametrize(
    ("size", "shown"), [((32, 32), (160, 160)), ((24, 48), (168, 336)), ((300, 200), (300, 200))]
)
def test_small_pictures_are_enlarged_by_whole_numbers(size, shown):
    assert tile_size(*size) == shown
    whole, small = noise(*shown), 255 - noise(*size)
    page = drawn(draw_sheet("", ["picture", "epoch 1"], [[Tile(whole), Tile(small)]]))
    scale = shown[0] // size[0]
    place(page, whole)
    place(page, small.repeat(scale, 0).repeat(scale, 1))


def test_captions_stand_above_their_tile_and_end_with_it():
    white = np.full((160, 160, 3), 255, dtype=np.uint8)
    page = drawn(draw_sheet("", ["", ""], [[Tile(white, "long \x1b name $x_1$ " * 20), Tile(white)]]))
    inked = (sliding_window_view(page, (1, 1), (0, 1)) < 128).any((2, 3, 4))
    columns = np.flatnonzero(inked.any(0))
    assert len(columns)
    assert columns.max() < 10 + 160 + 10
    assert np.flatnonzero(inked.any(1)).max() < len(page) - 160


def test_a_long_title_is_broken():
    tile = [[Tile(noise(160, 160))]]
    short, long = (draw_sheet("word " * count, ["picture"], tile) for count in (1, 60))
    assert long.get_size_inches()[1] > short.get_size_inches()[1]
    assert long.get_size_inches()[0] == short.get_size_inches()[0]
