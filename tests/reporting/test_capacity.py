"""A capacity sweep as figure, table and CSV."""

import csv
from dataclasses import replace

import pytest

from catsdogs.reporting.capacity import TrainedSize, draw_capacity, show_capacity, write_capacity

SMALL = TrainedSize(4, 1, 0, 1000, 0.6, 0.65, 0.6, 0.7, 0.6, 0.65, 9, 3, 0.5, 0.3, 0.7)
TRAINED = [
    replace(SMALL, width=8, parameters=4000, train_loss=0.2, val_loss=0.8, best_val_loss=0.4),
    SMALL,
    replace(SMALL, seed=1, train_loss=0.4, test_accuracy=None, test_low=None, test_high=None),
]


def test_lines_go_through_the_means_of_each_size_and_dots_are_runs():
    losses, accuracies = draw_capacity(TRAINED, "width").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in losses.get_lines()}
    assert lines["train, last epoch"] == [[1000, pytest.approx(0.5)], [4000, 0.2]]
    assert lines["val, last epoch"] == [[1000, 0.65], [4000, 0.8]]
    assert lines["val, best epoch (the one that is kept)"] == [[1000, 0.6], [4000, 0.4]]
    assert len(losses.collections[0].get_offsets()) == len(TRAINED)
    assert [text.get_text() for text in losses.get_xticklabels()] == ["1,000\nwidth 4", "4,000\nwidth 8"]
    assert losses.get_xscale() == accuracies.get_xscale() == "log"
    assert accuracies.get_ylabel() == "accuracy"


def test_depths_are_named_as_such():
    axes = draw_capacity([SMALL, replace(SMALL, depth=2, parameters=3000)], "depth").axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1,000\ndepth 1", "3,000\ndepth 2"]


def test_the_table_names_the_best_size(capsys):
    show_capacity(TRAINED, "width")
    printed = capsys.readouterr().out
    assert "lowest validation loss: 0.4000 at width 8 (4,000 parameters)" in printed
    assert "0.6000 (epoch 3)" in printed
    assert "50.0% (30% to 70%)" in printed


def test_every_number_is_in_the_file(tmp_path):
    write_capacity(TRAINED, tmp_path / "capacity.csv")
    with (tmp_path / "capacity.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["parameters"] for row in rows] == ["4000", "1000", "1000"]
    assert rows[2]["test_accuracy"] == ""
