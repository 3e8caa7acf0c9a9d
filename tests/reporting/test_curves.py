import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from catsdogs.evaluation.diagnosis import Diagnosis
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.reporting.curves import draw_curves
from catsdogs.reporting.figures import save_figure

NAN = math.nan


def curve(**changes) -> LearningCurve:
    values = {
        "epochs": (1, 2, 3),
        "train_loss": (0.9, 0.5, 0.3),
        "val_loss": (0.8, 0.4, 0.6),
        "train_accuracy": (0.6, 0.8, 0.9),
        "val_accuracy": (0.7, 0.9, 0.8),
        "learning_rate": (1e-3, 1e-3, 1e-4),
    }
    return LearningCurve(**(values | changes))


def lines(figure: Figure) -> dict[str, dict[str, list[float]]]:
    """Axes -> line -> its heights."""
    return {
        axes.get_ylabel(): {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
        for axes in figure.axes
    }


def test_lines_are_those_of_the_curve_and_the_best_epoch_is_marked() -> None:
    figure = draw_curves(curve())
    drawn = lines(figure)
    assert drawn["loss"]["train"] == [0.9, 0.5, 0.3]
    assert drawn["loss"]["val"] == [0.8, 0.4, 0.6]
    assert drawn["accuracy"]["val"] == [0.7, 0.9, 0.8]
    assert drawn["learning rate"]["rate"] == [1e-3, 1e-3, 1e-4]
    assert all("best (epoch 2)" in of for of in drawn.values())
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [1, 2, 3]


def test_what_was_not_measured_has_no_panel_and_no_line() -> None:
    nothing = (NAN,) * 3
    bare = curve(val_loss=nothing, train_accuracy=nothing, val_accuracy=nothing, learning_rate=nothing)
    assert list(lines(draw_curves(bare))) == ["loss"]
    assert list(lines(draw_curves(bare))["loss"]) == ["train"]


def test_an_epoch_that_diverged_is_not_the_best() -> None:
    assert "best (epoch 3)" in lines(draw_curves(curve(val_loss=(0.8, NAN, 0.6))))["loss"]


def test_epochs_of_unfreezing_and_of_overfitting_are_marked() -> None:
    found = Diagnosis("overfitting", "", ("it rose",), 3)
    figure = draw_curves(curve(), found, unfrozen=[2, 9], name="night")
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert "unfrozen (epoch 2)" in labels
    assert "overfits (from epoch 3)" in labels
    assert figure.get_suptitle() == "night: overfitting from epoch 3"
    assert figure.axes[0].get_title(loc="left") == "it rose"


def test_a_loss_over_orders_of_magnitude_has_a_logarithmic_axis() -> None:
    assert draw_curves(curve()).axes[0].get_yscale() == "linear"
    assert draw_curves(curve(train_loss=(90.0, 2.0, 0.3))).axes[0].get_yscale() == "log"
    assert draw_curves(curve(train_loss=(90.0, 2.0, -0.3))).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("name", ["$x_1$", "猫", "\x1b[31m", "x" * 300])
def test_any_name_can_be_drawn(name, tmp_path: Path) -> None:
    save_figure(draw_curves(curve(), Diagnosis("good fit"), name=name), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert np.asarray(picture).std() > 1
