import errno
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.core.errors import OutputError
from catsdogs.reporting.figures import draw_curves, draw_gallery, save_figure

ROWS = [
    {"epoch": "0", "train_loss": "0.9", "val_loss": "0.8", "train_accuracy": "0.6", "val_accuracy": "0.7"},
    {"epoch": "1", "train_loss": "0.5", "val_loss": "0.4", "train_accuracy": "0.8", "val_accuracy": "0.9"},
    {"epoch": "2", "train_loss": "0.3", "val_loss": "0.6", "train_accuracy": "0.9", "val_accuracy": "0.8"},
]


def lines(figure: Figure) -> dict[str, dict[str, list[float]]]:
    """Axes -> line -> its heights."""
    return {
        axes.get_ylabel(): {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
        for axes in figure.axes
    }


def without(rows, *names: str):
    return [row | dict.fromkeys(names, "") for row in rows]


class TestCurves:
    def test_lines_are_those_of_the_file_and_the_best_epoch_is_marked(self, tmp_path: Path) -> None:
        drawn = lines(draw_curves(ROWS))
        assert drawn["loss"]["train"] == [0.9, 0.5, 0.3]
        assert drawn["loss"]["val"] == [0.8, 0.4, 0.6]
        assert drawn["accuracy"]["val"] == [0.7, 0.9, 0.8]
        assert "best (epoch 2)" in drawn["loss"]

    def test_epochs_count_from_one(self) -> None:
        axes = draw_curves(ROWS).axes[0]
        assert list(axes.get_lines()[0].get_xdata()) == [1, 2, 3]

    def test_without_validation(self, tmp_path: Path) -> None:
        figure = draw_curves(without(ROWS, "val_loss", "val_accuracy"))
        assert list(lines(figure)["loss"]) == ["train"]
        save_figure(figure, tmp_path / "c.png")

    @pytest.mark.parametrize("rows", [[], without(ROWS, *ROWS[0].keys() - {"epoch"})])
    def test_nothing_to_draw_is_no_mistake(self, rows, tmp_path: Path) -> None:
        save_figure(draw_curves(rows), tmp_path / "c.png")
        assert (tmp_path / "c.png").stat().st_size

    def test_an_epoch_that_diverged_is_not_the_best(self) -> None:
        rows = [ROWS[0] | {"val_loss": "nan"}, ROWS[1], ROWS[2]]
        assert "best (epoch 2)" in lines(draw_curves(rows))["loss"]
        assert not any("best" in label for label in lines(draw_curves(rows[:1]))["loss"])


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
