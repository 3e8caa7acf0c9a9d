"""Sharing prediction among several processes or GPUs, through Lightning's own launchers.

Every rank answers for its own records, each exactly once, also where there are fewer records than ranks;
the first rank gets all answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch.utils.data import DataLoader, IterableDataset

from catsdogs.core.errors import ConfigError
from catsdogs.core.predictions import UNLABELLED, FloatArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.viewanswers import ViewAnswers
from catsdogs.data.inputs import Pictures
from catsdogs.inference.engines.engine import Engine
from catsdogs.inference.journal import Journal
from catsdogs.inference.predictor import Answers, Predictor
from catsdogs.models.choosing import available_cores
from catsdogs.training.trainer import quiet
from catsdogs.workflows.applyoptions import ApplyOptions, open_predictor, settings_of
from catsdogs.workflows.loaded import load
from catsdogs.workflows.processes import process_rank
from catsdogs.workflows.workers import decoding_workers


def predict_shared(
    checkpoint: Path,
    records: Sequence[ImageRecord],
    options: ApplyOptions,
    *,
    keep_views: bool,
    advance: Callable[[int], None],
) -> tuple[Predictions, Engine] | None:
    """Predict all records with several processes; None in every process but the first.

    Beside the predictions it returns the first one's engine.

    Raises:
        ConfigError: The machine does not have so many devices.
    """
    trainer = _trainer(checkpoint, options)
    task = _ShareOfPredictions()
    engines: list[Engine] = []

    def answers() -> Iterator[Answers]:
        predictor = _open_share(trainer, checkpoint, options, keep_views=keep_views)
        task.class_names = predictor.class_names
        engines.append(predictor.engine)
        for answer in predictor.answers(records[trainer.global_rank :: trainer.world_size]):
            advance(len(answer.records) * trainer.world_size)
            yield answer

    with quiet():
        loader = DataLoader(_Answers(answers), batch_size=None)
        trainer.predict(task, loader, return_predictions=False)
    return (_weave(task, records), engines[0]) if trainer.is_global_zero else None


def answer_shared(
    checkpoint: Path,
    pictures: Pictures,
    options: ApplyOptions,
    *,
    journals: Sequence[Journal],
    resume: bool,
    keep_features: bool,
    advance: Callable[[int], None],
) -> bool:
    """Answer all pictures with one process a journal, each into its own; say whether this is the first.

    When the first returns, all journals are complete.

    Raises:
        ConfigError: The machine does not have so many devices.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    trainer = _trainer(checkpoint, options)

    def answers() -> Iterator[Answers]:
        rank, ranks = trainer.global_rank, trainer.world_size
        predictor = _open_share(trainer, checkpoint, options, keep_features=keep_features)
        journal, records = journals[rank], islice(pictures, rank, None, ranks)
        journal.begin(settings_of(checkpoint, options, predictor), resume=resume)
        with contextlib.closing(journal):
            for answers in journal.complete(records, len(predictor.class_names), predictor.answers):
                advance(len(answers.records) * ranks)
                yield answers

    try:
        with quiet():
            trainer.predict(
                _Drain(), DataLoader(_Answers(answers), batch_size=None), return_predictions=False
            )
    except BaseException as error:
        _end_the_others(trainer)
        if isinstance(error, SystemExit):
            raise KeyboardInterrupt from error  # how Lightning ends after Ctrl-C
        raise
    return trainer.is_global_zero


def _end_the_others(trainer: pl.Trainer) -> None:
    """Kill the processes that this one has started, and keep Lightning's observer from killing this one.

    Seconds after a process has died it would kill all; the rows so far must be written first.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        for process in launcher.procs:
            process.kill()
        launcher.procs.clear()


class _Drain(pl.LightningModule):
    """Takes answers, which are in the journals already, and waits for the others at the end."""

    def transfer_batch_to_device(self, batch: Answers, device: torch.device, dataloader_idx: int) -> Answers:
        """Leave the answers where they are."""
        del device, dataloader_idx
        return batch

    def predict_step(self, *_: Any) -> None:
        """Do nothing with them."""

    def on_predict_end(self) -> None:
        """Wait until every process has answered its share."""
        self.trainer.strategy.barrier()


def _open_share(
    trainer: pl.Trainer,
    checkpoint: Path,
    options: ApplyOptions,
    *,
    keep_views: bool = False,
    keep_features: bool = False,
) -> Predictor:
    """Return what applies the model in one of the processes, which shares the cores with the others."""
    device = trainer.strategy.root_device
    threads = max(1, available_cores() // trainer.world_size)
    if device.type == "cpu":
        torch.set_num_threads(threads)
    model = load(
        checkpoint,
        engine=options.engine,
        precision=options.precision,
        workers=max(1, decoding_workers(options.workers) // trainer.world_size),
        device=str(device),
        threads=threads,
        at_once=False,
    )
    return model.predictor(
        options.tta, merge=options.merge, keep_views=keep_views, keep_features=keep_features
    )


class _Answers(IterableDataset[Answers]):
    """Hands over answers one by one; the work happens in this process, while the loop asks for them."""

    def __init__(self, answers: Callable[[], Iterator[Answers]]) -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[Answers]:
        return self._answers()


class _Share(NamedTuple):
    """What one process has answered."""

    logits: FloatArray
    errors: dict[int, str]
    views: ViewAnswers | None
    unfamiliar: FloatArray | None


class _ShareOfPredictions(pl.LightningModule):
    """Keeps this rank's answers and gathers those of all ranks at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.class_names: tuple[str, ...] = ()
        self.by_rank: list[_Share] = []
        self._views: list[ViewAnswers] = []
        self._unfamiliar: list[FloatArray] = []
        self._logits: list[FloatArray] = []
        self._errors: dict[int, str] = {}
        self._seen = 0

    def transfer_batch_to_device(self, batch: Answers, device: torch.device, dataloader_idx: int) -> Answers:
        """Leave the answers where they are: they are finished, and the device has done its part."""
        del device, dataloader_idx
        return batch

    def predict_step(self, answers: Answers, *_: Any) -> None:
        """Keep one batch of answers."""
        self._errors |= {self._seen + position: reason for position, reason in answers.errors.items()}
        self._logits.append(answers.logits)
        self._views += [answers.views] if answers.views is not None else []
        self._unfamiliar += [answers.unfamiliar] if answers.unfamiliar is not None else []
        self._seen += len(answers.records)

    def on_predict_end(self) -> None:
        """Exchange answers while the processes are still connected."""
        logits = np.concatenate([np.empty((0, len(self.class_names))), *self._logits])
        views = ViewAnswers.concatenate(self._views) if self._views else None
        unfamiliar = np.concatenate(self._unfamiliar) if self._unfamiliar else None
        mine = _Share(logits, self._errors, views, unfamiliar)
        gathered: list[Any] = [mine] * self.trainer.world_size
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_gather_object(gathered, mine)
        self.by_rank = gathered


def _trainer(checkpoint: Path, options: ApplyOptions) -> pl.Trainer:
    """Return the Trainer whose launcher starts the other processes, which find conversion and trials done."""
    with quiet():
        try:
            trainer = pl.Trainer(
                devices=options.devices,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"--devices {options.devices}: {str(error).splitlines()[0]}") from error
    if not process_rank():
        open_predictor(checkpoint, options)
    return trainer


def _weave(task: _ShareOfPredictions, records: Sequence[ImageRecord]) -> Predictions:
    """Put the ranks' answers back in the order of the records, which were dealt out one by one."""
    ranks = len(task.by_rank)
    logits = np.full((len(records), len(task.class_names)), np.nan)
    errors: dict[int, str] = {}
    views = _weave_views(task.by_rank, len(records))
    unfamiliar = np.full(len(records), np.nan)
    for rank, share in enumerate(task.by_rank):
        logits[rank::ranks] = share.logits
        errors |= {rank + position * ranks: reason for position, reason in share.errors.items()}
        if share.unfamiliar is not None:
            unfamiliar[rank::ranks] = share.unfamiliar
    return Predictions(
        ids=tuple(record.id for record in records),
        class_names=task.class_names,
        logits=logits,
        labels=np.full(len(records), UNLABELLED, dtype=np.int64),
        errors=errors,
        views=views,
        unfamiliar=unfamiliar if any(share.unfamiliar is not None for share in task.by_rank) else None,
    )


def _weave_views(by_rank: Sequence[_Share], count: int) -> ViewAnswers | None:
    """Do the same with what each view said; a rank without records has nothing to tell."""
    known = {rank: share.views for rank, share in enumerate(by_rank) if share.views is not None}
    if not known:
        return None
    some = next(iter(known.values()))
    logits = np.full((len(some), count, some.logits.shape[2]), np.nan)
    plain = np.full(logits.shape[1:], np.nan)
    for rank, views in known.items():
        logits[:, rank :: len(by_rank)], plain[rank :: len(by_rank)] = views.logits, views.plain
    return ViewAnswers(some.names, logits, plain)
