"""Lightning's Trainer as it is: which of its options people may set, and how ours are added."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonargparse
import lightning.pytorch as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from catsdogs.core.errors import ConfigError
from catsdogs.training.callbacks import DurableCheckpointIO

# What the run folder, the plan or exactness decide.
OURS = frozenset(
    {
        "callbacks",
        "max_epochs",
        "min_epochs",
        "default_root_dir",
        "enable_checkpointing",
        "use_distributed_sampler",
        "reload_dataloaders_every_n_epochs",
        "enable_model_summary",
        "num_sanity_val_steps",
        "model_registry",
    }
)
_UNUSED = "ddp_find_unused_parameters_true"
# Advice that does not apply: each is about something that is meant.
_ADVICE = (
    ".*does not have many workers.*",
    ".*is smaller than the logging interval.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*in eval mode at the start of training.*",
    ".*Total length of `list` across ranks is zero.*",
    ".*find_unused_parameters=True was specified.*",
    ".*Checkpoint directory .* exists and is not empty.*",
)


def add_trainer_arguments(parser: jsonargparse.ArgumentParser) -> None:
    """Add ``--trainer.*`` to a parser."""
    parser.add_class_arguments(pl.Trainer, "trainer", skip=set(OURS), instantiate=False, fail_untyped=False)


def changed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from the Trainer's own defaults: what is worth keeping in a config."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    add_trainer_arguments(parser)
    defaults = parser.get_defaults().as_dict()["trainer"]
    return {name: value for name, value in options.items() if value != defaults[name]}


def build_trainer(
    options: Mapping[str, Any],
    *,
    epochs: int,
    precision: str,
    folder: str,
    callbacks: Sequence[Callback],
    unfreezes: bool = False,
    alone: bool = False,
) -> pl.Trainer:
    """Return a Trainer with the user's options, our callbacks and durable checkpoints.

    Args:
        options: What the user set of ``--trainer.*``.
        epochs: At most.
        precision: Where the user set none.
        folder: For loggers.
        callbacks: Ours.
        unfreezes: Whether what trains changes between epochs. Several processes then need a DDP that looks
            for parameters without gradients; plain DDP would stop at the second step.
        alone: Ignore the processes that a launcher may have started beside this one.

    Raises:
        ConfigError: An option does not exist or cannot be honoured here.
    """
    given = _instantiate(options)
    given.setdefault("precision", precision)
    given.setdefault("enable_progress_bar", sys.stderr.isatty())
    given["logger"] = _logger(given.get("logger"), folder)
    plugins = given.pop("plugins", None)
    extra = list(plugins) if isinstance(plugins, list | tuple) else [plugins] if plugins else []
    extra += [LightningEnvironment()] if alone else []

    def build() -> pl.Trainer:
        return pl.Trainer(
            **given,
            max_epochs=epochs,
            default_root_dir=folder,
            callbacks=list(callbacks),
            plugins=[*extra, DurableCheckpointIO()],
            use_distributed_sampler=False,
            enable_checkpointing=True,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )

    with quiet():
        try:
            trainer = build()
            if unfreezes and trainer.world_size > 1:
                given["strategy"] = _looking_for_unused(given.get("strategy", "auto"))
                trainer = build()
            return trainer
        except (ValueError, TypeError, RuntimeError) as error:
            raise ConfigError(f"the Trainer refuses these options: {str(error).splitlines()[0]}") from error


def _looking_for_unused(strategy: Any) -> str:
    """Return the strategy that several processes need when layers unfreeze between epochs.

    Raises:
        ConfigError: The user's cannot do it.
    """
    if strategy in ("auto", "ddp", _UNUSED):
        return _UNUSED
    raise ConfigError(
        f"this plan unfreezes layers between epochs, which --trainer.strategy {strategy} cannot do: "
        "leave it out, or take a transfer strategy that does not"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's banners, and its advice about what we do on purpose, from the user's screen."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in _ADVICE:
            warnings.filterwarnings("ignore", message=message)
        yield


def _instantiate(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain values (a logger as class path and arguments) into what the Trainer takes."""
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    add_trainer_arguments(parser)
    try:
        parsed = parser.parse_object({"trainer": dict(options)})
        made = parser.instantiate(parsed)["trainer"]
        return {name: made[name] for name in options}
    except (jsonargparse.ArgumentError, ValueError, ImportError, TypeError) as error:
        raise ConfigError(f"--trainer: {' '.join(str(error).split())[:300]}") from error


def _logger(wanted: Any, folder: str) -> Any:
    """Lightning's own CSV log is left out: ``metrics.csv`` has one whole row an epoch."""
    if wanted is True:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version="tensorboard")
    if isinstance(wanted, Logger) or (isinstance(wanted, list) and wanted):
        return wanted
    return False
