import io
import sys

import pytest

from catsdogs.reporting import aside as module
from catsdogs.reporting.aside import aside
from catsdogs.reporting.console import say, table


def test_what_is_said_goes_to_the_file_and_warnings_to_people_too(tmp_path, capsys):
    log = tmp_path / "log.txt"
    with aside(log):
        say("epoch 1/2: train loss 0.5")
        say("warning: a layer is dead")
        table("", ("class", "pictures"), [("cat", "3")])
    assert capsys.readouterr().out == "  warning: a layer is dead\n"
    lines = log.read_text().splitlines()
    assert lines[:2] == ["epoch 1/2: train loss 0.5", "warning: a layer is dead"]
    assert any("cat" in line for line in lines[2:])
    say("heard again")
    assert capsys.readouterr().out == "heard again\n"
    with aside(log):
        say("more")
    assert log.read_text().splitlines() == [*lines, "more"]


def test_in_a_long_work_the_latest_line_is_shown_now_and_then(tmp_path, capsys, monkeypatch):
    clock = iter([0.0, 10.0, 31.0, 40.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with aside(tmp_path / "log.txt"):
        for number in range(3):
            say(f"line {number}")
    assert capsys.readouterr().out == "  line 1\n"


def test_in_a_terminal_the_latest_line_stands_in_one_place(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with aside(tmp_path / "log.txt"):
        say("epoch [1]/2")
        say("epoch [2]/2")
    assert (tmp_path / "log.txt").read_text() == "epoch [1]/2\nepoch [2]/2\n"
    assert "epoch [2]/2" in screen.getvalue()


def test_an_error_passes_and_ends_it(tmp_path, capsys):
    def interrupted():
        print("half a line", end="")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), aside(tmp_path / "log.txt"):
        interrupted()
    assert (tmp_path / "log.txt").read_text() == "half a line\n"
    say("back")
    assert capsys.readouterr().out == "back\n"


def test_names_that_are_no_text_are_escaped(tmp_path):
    with aside(tmp_path / "log.txt"):
        print("caf\udce9")
    assert (tmp_path / "log.txt").read_text() == "caf\\udce9\n"
