"""``catsdogs COMMAND``: one table of commands; a command's module is loaded when it is called.

Exit codes: 0 done, 1 an unexpected error, 2 a mistake the user can mend (one line on stderr), 130 and 143
interrupted by Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from catsdogs import __version__
from catsdogs.core.errors import UserError
from catsdogs.core.interrupts import Terminated
from catsdogs.core.printable import printable

COMMANDS = {
    "train": "fine-tune a backbone on labelled pictures",
    "plan": "show which layers a run would train, when and at which rate, and why",
    "preview": "draw pictures beside what augmentation makes of them",
    "tune": "cross-validate, repeat with several seeds, or search for better settings",
    "capacity": "train catsdogs_cnn at several sizes and draw the losses against the size",
    "diagnose": "say what learning curves show, of runs or of any CSV, and draw them",
    "evaluate": "judge a model on the pictures it was not trained on, or on any labelled ones",
    "compare": "say whether one run is better than another, picture by picture",
    "robustness": "measure what noise, blur, JPEG, small shifts and attacks do to a model's answers",
    "predict": "classify a folder, zip, file or list of pictures",
    "ensemble": "make one model of several, and say what that brought and why not more",
    "export": "write a model as ONNX, OpenVINO or torch.export, and how far that is from torch",
    "tta": "learn how much each view of a picture should count",
    "report": "write one page that tells a run, or several beside each other",
    "labels": "list the labels that look wrong, as a CSV to edit and train with",
    "explain": "draw what the model sees where in a picture",
    "backbones": "say which backbone to take: accuracy, licence, speed here, and on your pictures",
    "draw": "write a folder of drawn cats and dogs to try things on",
    "demo": "show how poisoned pictures plant a wrong boundary, and what shows them",
    "doctor": "say what was found on this machine and what 'auto' becomes",
    "cache": "show where caches lie and what they hold, or clear them",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"catsdogs {__version__}")
        return 0
    if words[0] not in COMMANDS:
        return _fail(f"{words[0]!r} is not a command; there are {', '.join(COMMANDS)}")
    return _run(words[0], words[1:])


def script(command: str) -> int:
    """Run the command that a file in ``scripts/`` stands for."""
    return main([command, *sys.argv[1:]])


def _run(command: str, arguments: list[str]) -> int:
    with _terminating():
        try:
            return int(importlib.import_module(f"catsdogs.cli.{command}").run(arguments) or 0)
        except UserError as error:
            return _fail(str(error))
        except KeyboardInterrupt:
            return _interrupted(130)
        except Terminated:
            return _interrupted(143)
        except BrokenPipeError:
            # The reader of our output has gone, as `| head` does: nothing is wrong and nobody listens.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


class _terminating:  # noqa: N801
    """Makes SIGTERM raise ``Terminated`` while a command runs."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, _terminate)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)


def _terminate(_: int, __: FrameType | None) -> None:
    raise Terminated


def _fail(message: str) -> int:
    print(f"catsdogs: {printable(' '.join(message.split()))}", file=sys.stderr)
    return 2


def _interrupted(code: int) -> int:
    print("catsdogs: interrupted", file=sys.stderr)
    return code


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: catsdogs COMMAND [options]",
            "",
            *lines,
            "",
            "catsdogs COMMAND --help tells the options of one.",
        ]
    )
