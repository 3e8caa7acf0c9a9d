import csv
import json

import pytest

from catsdogs.reporting.backbones import (
    NOT_AT_HAND,
    SORTS,
    BackboneRow,
    Quality,
    show_backbones,
    sort_rows,
    write_backbones,
)

GOOD = BackboneRow(
    "good", 2_223_872, 224, 72.936, "apache-2.0", "a/b.pth", 123.4, Quality(0.984, 0.0031, 0.048, 0.007)
)
WORSE = BackboneRow("worse", 400_000, 96, None, None, NOT_AT_HAND, 950.0, Quality(0.7, 0.01, 0.5, 0.02))
BARE = BackboneRow("bare", weights=NOT_AT_HAND)
ROWS = [BARE, GOOD, WORSE]


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("name", "bare good worse"),
        ("parameters", "worse good bare"),
        ("top1", "good bare worse"),
        ("speed", "worse good bare"),
        ("accuracy", "good worse bare"),
        ("log_loss", "good worse bare"),
    ],
)
def test_the_best_come_first_and_what_is_not_known_last(key, order) -> None:
    assert " ".join(row.name for row in sort_rows(ROWS, key)) == order


def test_every_order_is_tried_above() -> None:
    assert len(SORTS) == 6


def test_columns_are_those_that_were_measured(capsys) -> None:
    show_backbones(ROWS, speed=False, tried_on=None)
    printed = capsys.readouterr().out
    assert "b.pth" in printed
    assert "pic/s" not in printed
    assert "accuracy" not in printed
    show_backbones(ROWS, speed=True, tried_on="9 pictures")
    printed = capsys.readouterr().out
    assert "tried on 9 pictures" in printed
    assert "98.4 ± 0.3" in printed
    assert "0.048 ± 0.007" in printed
    assert "not at hand" in printed
    assert "950" in printed


def test_files_hold_the_same_rows(tmp_path) -> None:
    write_backbones(ROWS, csv_path=tmp_path / "rows.csv", json_path=tmp_path / "rows.json")
    from_json = json.loads((tmp_path / "rows.json").read_text())
    with (tmp_path / "rows.csv").open(newline="") as stream:
        from_csv = list(csv.DictReader(stream))
    assert from_json[1]["accuracy_error"] == 0.0031
    assert from_json[0]["accuracy"] is None
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in from_json] == from_csv


def test_no_path_no_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_backbones(ROWS, csv_path=None, json_path=None)
    assert not list(tmp_path.iterdir())
