"""The options of a training run, which several commands take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from catsdogs.cli.parsing import OneLineParser, config_paths
from catsdogs.core.nesting import nested
from catsdogs.workflows.settings import TrainSettings, sections


def add_train_options(parser: OneLineParser, arguments: list[str]) -> None:
    """Add ``--config``, ``--seed`` and the sections, and the Trainer's where the command line needs them."""
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--seed", type=int, default=0, help="Of split, folds, order, augmentation and dropout."
    )
    for name, settings in sections().items():
        parser.add_class_arguments(settings, name)
    if needs_trainer(arguments):
        from catsdogs.training.trainer import add_trainer_arguments

        add_trainer_arguments(parser)
    else:
        parser.add_argument("--trainer", type=dict, default={})


def settings_of(values: Mapping[str, Any]) -> TrainSettings:
    """Return the settings among the parsed values of a command line.

    Raises:
        ConfigError: They contradict each other.
    """
    trainer = values.get("trainer") or {}
    if trainer:
        from catsdogs.training.trainer import changed_options

        trainer = changed_options(trainer)
    given = {name: values[name] for name in ("seed", *sections())}
    return nested(TrainSettings, given | {"trainer": trainer})


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
