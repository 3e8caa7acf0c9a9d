import io
import os
import sys

import pytest

from catsdogs.core.estimate import Estimate
from catsdogs.core.report import EvaluationReport, Mistake
from catsdogs.reporting import console
from catsdogs.reporting.console import (
    figure_text,
    figure_title,
    progress,
    say,
    say_nothing,
    show_report,
    table,
)

ODD_NAMES = [
    "[red]x[/red]",
    r"back\[slash]",
    ":cat:.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "\x1b[31m.jpg",
    "a\nb.jpg",
]
SHOWN = ["[red]x[/red]", r"back\[slash]", ":cat:.jpg", r"caf\udce9.jpg", r"\x1b[31m.jpg", r"a\nb.jpg"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def estimate(value: float = 0.5) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def report(class_names: tuple[str, ...] = ("cat", "dog"), **changes: object) -> EvaluationReport:
    classes = len(class_names)
    values = {
        "split": "test",
        "n": 1234,
        "n_unreadable": 0,
        "tta": "flip",
        "class_names": class_names,
        "metrics": {"accuracy": estimate(), "log_loss": estimate(), "auroc": Estimate.undefined()},
        "per_class": {name: {"precision": estimate(), "recall": estimate()} for name in class_names},
        "confusion": [[1000 * row + column for column in range(classes)] for row in range(classes)],
        "mistakes": (),
    }
    return EvaluationReport(**(values | changes))


class TestSay:
    @pytest.mark.parametrize(("text", "shown"), list(zip(ODD_NAMES, SHOWN, strict=True)))
    def test_one_line_whatever_the_name(self, text: str, shown: str, capsys) -> None:
        say(text)
        assert capsys.readouterr() == (f"{shown}\n", "")

    def test_what_the_terminals_encoding_lacks_is_escaped(self, monkeypatch) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", stream)
        say("Ente 🦆")
        assert stream.buffer.getvalue() == b"Ente \\U0001f986\n"

    def test_nothing(self, capsys) -> None:
        say_nothing("x")
        assert capsys.readouterr() == ("", "")


class TestTable:
    def test_cells_are_shown_as_they_are(self, capsys) -> None:
        table("[bold]title", ("[b]head", "two"), [(name, "1") for name in ODD_NAMES])
        shown = capsys.readouterr().out
        assert all(name in shown for name in [*SHOWN, "[bold]title", "[b]head"])

    def test_a_long_name_goes_on_below(self, capsys) -> None:
        table("title", ("name", "figure"), [("q" * 300, "98.5%")])
        out = capsys.readouterr().out
        assert out.count("q") == 300
        assert "98.5%" in out

    def test_without_a_header_there_is_none(self, capsys) -> None:
        table("title", ("", ""), [("a", "b")])
        assert len(capsys.readouterr().out.splitlines()) == 4

    def test_an_ascii_terminal_gets_ascii(self, monkeypatch) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", stream)
        table("Ente 🦆", ("Größe",), [("é",)])
        stream.flush()
        assert rb"\xe9" in stream.buffer.getvalue()


class TestFigureText:
    @pytest.mark.parametrize(
        ("name", "text"),
        [("accuracy", "50.00% (40.00% to 60.00%)"), ("log_loss", "0.5000 (0.4000 to 0.6000)")],
    )
    def test_shares_are_in_percent(self, name: str, text: str) -> None:
        assert figure_text(name, estimate()) == text

    def test_an_undefined_figure_says_so(self) -> None:
        assert figure_text("auroc", Estimate.undefined()) == "undefined"


class TestShowReport:
    def test_names_figures_with_intervals_classes_and_mistakes(self, capsys) -> None:
        show_report(report(n_unreadable=7, mistakes=(Mistake("a/[1].jpg", "cat", "dog", 0.98765),)))
        shown = " ".join(capsys.readouterr().out.split())
        for part in (
            "1,234 pictures of test, views flip; 7 unreadable left out",
            "50.00% (40.00% to 60.00%)",
            "0.5000 (0.4000 to 0.6000)",
            "log loss",
            "undefined",
            "called dog",
            "1,001",
            "The 1 most confident mistakes",
            "a/[1].jpg",
            "0.9877",
        ):
            assert part in shown, part

    def test_without_mistakes_there_is_no_table_of_them(self, capsys) -> None:
        show_report(report())
        assert "mistakes" not in capsys.readouterr().out

    @pytest.mark.parametrize("classes", [6, 30])
    def test_any_number_of_classes_stays_readable(self, classes: int, capsys) -> None:
        names = tuple(f"class{n}" for n in range(classes))
        show_report(report(names))
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 110
        assert all(f" {name} " in shown for name in names)
        assert ("called" in shown) == (classes == 6)


class TestProgress:
    def test_a_log_hears_of_it_now_and_then(self, capsys, monkeypatch) -> None:
        now = [100.0]
        monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
        with progress("predicting", 5000) as advance:
            for _ in range(5):
                now[0] += 20
                advance(1000)
        assert capsys.readouterr().err.splitlines() == [
            "predicting: 2,000 of 5,000 after 40 s",
            "predicting: 4,000 of 5,000 after 80 s",
        ]

    def test_an_unknown_total_is_left_out(self, capsys, monkeypatch) -> None:
        monkeypatch.setattr(console, "_REPORT_EVERY_S", -1.0)
        with progress("downloading", None) as advance:
            advance(7)
        assert capsys.readouterr().err == "downloading: 7 after 0 s\n"

    def test_a_terminal_gets_a_bar_that_goes_away(self, capsys, monkeypatch) -> None:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress("predicting", 10) as advance:
            advance(10)
        assert "predicting" in terminal.getvalue()
        assert capsys.readouterr().out == ""

    def test_short_work_is_silent(self, capsys) -> None:
        with progress("predicting", 2) as advance:
            advance(2)
        assert capsys.readouterr() == ("", "")


def test_figures_are_called_what_people_call_them() -> None:
    assert [figure_title(name) for name in ("auroc", "ece_mass", "log_loss")] == [
        "AUROC",
        "ECE, equal mass",
        "log loss",
    ]
