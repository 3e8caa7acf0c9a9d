"""What is drawn of a watched training."""

import math

from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.sparkline import sparkline
from catsdogs.reporting.watchfigures import draw_overfit, draw_watch

ROWS = [
    {
        "epoch": epoch,
        "group": group,
        "gradient_norm": "" if group == "stem" else "inf" if epoch == "1" else "0.5",
        "update_ratio": "0.001",
        "dead_share": "0.25" if group != "head" else "",
        "saturated_share": "",
    }
    for epoch in "012"
    for group in ("stem", "top", "head")
]


def test_a_panel_for_each_statistic_that_there_is_and_a_line_for_each_group(tmp_path):
    figure = draw_watch(ROWS)
    gradient, update, dead = figure.axes
    assert [line.get_label() for line in gradient.get_lines()] == ["top", "head"]
    assert [len(axes.get_lines()) for axes in (update, dead)] == [3, 2]
    assert math.isnan(gradient.get_lines()[0].get_ydata()[1])
    save_figure(figure, tmp_path / "watch.png")


def test_an_empty_table_is_no_error(tmp_path):
    save_figure(draw_watch([]), tmp_path / "watch.png")
    assert (tmp_path / "watch.png").stat().st_size > 0


def test_the_loss_on_one_batch_is_drawn_beside_guessing(tmp_path):
    figure = draw_overfit([0.7, 0.2, 0.01], 0.69)
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == [0.7, 0.2, 0.01]
    save_figure(figure, tmp_path / "overfit.png")


def test_a_line_of_blocks():
    assert sparkline([8, 6, 3, 1, 0]) == "█▆▃▁▁"
    assert sparkline([1.0, math.nan, 1.0]) == "█ █"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert len(sparkline([1.0] * 1000)) == 40
