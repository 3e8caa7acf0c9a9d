"""``catsdogs train``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import yaml

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import OneLineParser, command_parser, config_paths
from catsdogs.core.errors import ConfigError
from catsdogs.core.interrupts import Terminated
from catsdogs.core.nesting import nested
from catsdogs.workflows.processes import launched_together, process_rank
from catsdogs.workflows.settings import TrainSettings, sections

_RUN_VARIABLE = "CATSDOGS_RUN"


def run(arguments: list[str]) -> None:
    """Parse the command line and train."""
    settings, path, resumed = parse(arguments)
    tune_allocator()
    from catsdogs.workflows.train import resume, train

    try:
        if resumed:
            resume(path)
        else:
            train(settings, path)
    except (KeyboardInterrupt, Terminated):
        if process_rank() == 0:
            print(f"\ngo on with: catsdogs train --resume {path}", flush=True)
        raise


def parse(arguments: list[str]) -> tuple[TrainSettings, Path, bool]:
    """Return the settings, the run folder, and whether an interrupted run is to be resumed.

    Raises:
        ConfigError: A flag or a config file is wrong.
    """
    parser = _parser(with_trainer=needs_trainer(arguments))
    parsed = parser.parse_args(arguments)
    if parsed.resume is not None:
        others = [word for word in arguments if word.startswith("--") and not word.startswith("--resume")]
        if others:
            raise ConfigError(f"--resume takes the run as it was started; leave out {', '.join(others)}")
        return TrainSettings(), Path(parsed.resume), True
    values = parsed.as_dict()
    trainer = values.get("trainer") or {}
    if trainer:
        from catsdogs.training.trainer import changed_options

        trainer = changed_options(trainer)
    given = {name: values[name] for name in ("seed", *sections())}
    settings = nested(TrainSettings, given | {"trainer": trainer})
    return settings, _run_folder(parsed.run, settings), False


def needs_trainer(arguments: list[str]) -> bool:
    """Say whether the Trainer's options must be known to read this command line.

    Lightning takes seconds to import, and a linear probe never uses it.
    """
    if any(word.startswith("--trainer") or word in ("-h", "--help", "--print_config") for word in arguments):
        return True
    for path in config_paths(arguments):
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue  # the parser will name what is wrong with it
        if isinstance(values, dict) and values.get("trainer"):
            return True
    return False


def _parser(*, with_trainer: bool) -> OneLineParser:
    parser = command_parser("train", "Fine-tune a backbone on labelled pictures.")
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--run", type=str | None, default=None, help="Folder of the run (default: runs/<time>)."
    )
    parser.add_argument(
        "--resume", type=str | None, default=None, help="Folder of an interrupted run to carry to its end."
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="Of split, folds, order, augmentation and dropout."
    )
    for name, settings in sections().items():
        parser.add_class_arguments(settings, name)
    if with_trainer:
        from catsdogs.training.trainer import add_trainer_arguments

        add_trainer_arguments(parser)
    else:
        parser.add_argument("--trainer", type=dict, default={})
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
