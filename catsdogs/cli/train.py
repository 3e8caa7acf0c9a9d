"""``catsdogs train``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import OneLineParser, command_parser
from catsdogs.cli.trainoptions import add_train_options, settings_of
from catsdogs.core.errors import ConfigError
from catsdogs.core.interrupts import Terminated
from catsdogs.workflows.processes import launched_together, process_rank
from catsdogs.workflows.settings import TrainSettings

_RUN_VARIABLE = "CATSDOGS_RUN"


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        settings: Of the run.
        path: The run's folder.
        resumed: Whether an interrupted run is to be carried on.
        check: What is to be checked instead of training; None trains.
        named: Whether ``--run`` was given.
    """

    settings: TrainSettings
    path: Path
    resumed: bool = False
    check: str | None = None
    named: bool = True


def run(arguments: list[str]) -> int:
    """Parse the command line and train, or check; return 1 where the check says no."""
    request = parse(arguments)
    tune_allocator()
    if request.check == "overfit":
        from catsdogs.workflows.overfit import check_overfit

        return 0 if check_overfit(request.settings, request.path if request.named else None) else 1
    from catsdogs.workflows.train import resume, train

    try:
        if request.resumed:
            resume(request.path)
        else:
            train(request.settings, request.path)
    except (KeyboardInterrupt, Terminated):
        if process_rank() == 0:
            print(f"\ngo on with: catsdogs train --resume {request.path}", flush=True)
        raise
    return 0


def parse(arguments: list[str]) -> Request:
    """Return what is asked for.

    Raises:
        ConfigError: A flag or a config file is wrong.
    """
    parser = _parser(arguments)
    parsed = parser.parse_args(arguments)
    if parsed.resume is not None:
        others = [word for word in arguments if word.startswith("--") and not word.startswith("--resume")]
        if others:
            raise ConfigError(f"--resume takes the run as it was started; leave out {', '.join(others)}")
        return Request(TrainSettings(), Path(parsed.resume), resumed=True)
    settings = settings_of(parsed.as_dict())
    if parsed.check is not None:
        return Request(settings, Path(parsed.run or "."), check=parsed.check, named=parsed.run is not None)
    return Request(settings, _run_folder(parsed.run, settings))


def _parser(arguments: list[str]) -> OneLineParser:
    parser = command_parser("train", "Fine-tune a backbone on labelled pictures.")
    parser.add_argument(
        "--run", type=str | None, default=None, help="Folder of the run (default: runs/<time>)."
    )
    parser.add_argument(
        "--resume", type=str | None, default=None, help="Folder of an interrupted run to carry to its end."
    )
    parser.add_argument(
        "--check",
        type=Literal["overfit"] | None,
        default=None,
        help="'overfit': only show that one small batch can be learned by heart, without augmentation, "
        "dropout or decay; exit code 1 where it cannot. --run keeps the figure.",
    )
    add_train_options(parser, arguments)
    return parser


def _run_folder(named: str | None, settings: TrainSettings) -> Path:
    """Return the run's folder; processes that the Trainer launches find it in the environment."""
    if named is None:
        named = os.environ.get(_RUN_VARIABLE)
    if named is None:
        if launched_together():
            raise ConfigError("several processes need one folder: give it with --run")
        named = f"runs/{settings.transfer.strategy}-{time.strftime('%Y%m%d-%H%M%S')}"
        os.environ[_RUN_VARIABLE] = named
    return Path(named)
