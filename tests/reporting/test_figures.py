import errno
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.errors import OutputError
from catsdogs.reporting.figures import draw_gallery, save_figure


class TestGallery:
    @pytest.mark.parametrize(("count", "rows"), [(1, 1), (5, 1), (6, 2), (20, 4)])
    def test_rows_of_five(self, count: int, rows: int) -> None:
        pictures = [Image.new("RGB", (8, 6), (n, 0, 0)) for n in range(count)]
        figure = draw_gallery(pictures, [f"caption {n}" for n in range(count)], "title")
        assert len(figure.axes) == 5 * rows
        shown = [axes for axes in figure.axes if axes.images]
        assert [axes.get_title() for axes in shown] == [f"caption {n}" for n in range(count)]
        assert [axes.images[0].get_array()[0, 0, 0] for axes in shown] == list(range(count))

    @pytest.mark.parametrize("caption", ["$x_1$ 90%", "猫 90%", os.fsdecode(b"\xe9"), "\x1b[31m", "x" * 300])
    def test_any_caption(self, caption: str, tmp_path: Path) -> None:
        save_figure(draw_gallery([Image.new("RGB", (8, 6), (200, 0, 0))], [caption], ""), tmp_path / "g.png")
        with Image.open(tmp_path / "g.png") as picture:
            assert (np.asarray(picture)[..., :3] == (200, 0, 0)).all(axis=-1).sum() > 1000


class TestSaveFigure:
    def test_a_failure_leaves_the_old_figure(self, tmp_path: Path, monkeypatch) -> None:
        path = tmp_path / "f.png"
        path.write_bytes(b"old")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("catsdogs.reporting.figures.FigureCanvasAgg.print_png", full)
        with pytest.raises(OutputError):
            save_figure(Figure(), path)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]
