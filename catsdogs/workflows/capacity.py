"""Capacity: the same training for networks of several sizes, and what each makes of the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import require_writable
from catsdogs.core.metricsfile import read_metrics
from catsdogs.models.modelfile import load_model
from catsdogs.models.networkspec import CNN
from catsdogs.reporting.capacity import TrainedSize, draw_capacity, show_capacity, write_capacity
from catsdogs.reporting.console import say
from catsdogs.reporting.figures import save_figure
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.sections import NetworkSettings
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.settingsfile import read_settings
from catsdogs.workflows.train import resume, train


def sweep_capacity(
    settings: TrainSettings, out: Path, *, option: str, sizes: Sequence[int], seeds: int
) -> None:
    """Train ``catsdogs_cnn`` from scratch at several sizes; draw losses and accuracies against parameters.

    Runs that are whole are taken as they are, one that was interrupted goes on.

    Args:
        settings: Of every run, but for its size and seed.
        out: Folder of the runs, of ``capacity.png`` and of ``capacity.csv``.
        option: What varies, ``width`` or ``depth``.
        sizes: Its values.
        seeds: Runs of each size, with consecutive seeds.

    Raises:
        UserError: The settings are not those of such a sweep, or a run cannot be trained.
    """
    _require_sweep(settings, option, sizes, seeds)
    require_writable(out / "capacity.png")
    runs = [
        (_sized(settings, option, size, seed), RunFolder(out / f"{option}-{size}-seed-{seed}"))
        for size in sorted(set(sizes))
        for seed in range(settings.seed, settings.seed + seeds)
    ]
    for one, run in runs:
        _require_same(one, run)
    trained = []
    for number, (one, run) in enumerate(runs, start=1):
        say(f"run {number} of {len(runs)}: {run.path.name}")
        _complete(one, run)
        trained.append(_measured(one, run))
    write_capacity(trained, out / "capacity.csv")
    save_figure(draw_capacity(trained, option), out / "capacity.png")
    show_capacity(trained, option)
    say(f"written to {out}")


def _require_sweep(settings: TrainSettings, option: str, sizes: Sequence[int], seeds: int) -> None:
    if settings.model.backbone != CNN or settings.transfer.strategy != "from_scratch":
        raise ConfigError(f"a capacity sweep trains --model.backbone {CNN} --transfer.strategy from_scratch")
    if getattr(settings.network, option) != getattr(NetworkSettings, option):
        raise ConfigError(f"--network.{option} is what the sweep changes; give --{option}s")
    if len(set(sizes)) < 2:
        raise ConfigError(f"--{option}s needs two or more sizes to compare")
    if seeds < 1:
        raise ConfigError(f"--seeds must be 1 or more, not {seeds}")


def _sized(settings: TrainSettings, option: str, size: int, seed: int) -> TrainSettings:
    network = settings.network
    sized = replace(network, width=size) if option == "width" else replace(network, depth=size)
    return replace(settings, network=sized, seed=seed)


def _require_same(settings: TrainSettings, run: RunFolder) -> None:
    if run.config.exists() and read_settings(run) != settings:
        raise ConfigError(f"{run.path} was trained with other settings; choose another --out")


def _complete(settings: TrainSettings, run: RunFolder) -> None:
    if run.config.exists():
        resume(run.path)
    else:
        train(settings, run.path)


def _measured(settings: TrainSettings, run: RunFolder) -> TrainedSize:
    """Return what the run's files say about its size.

    Raises:
        DataError: Nothing was validated.
    """
    rows = [row for row in read_metrics(run.metrics) if row["val_loss"]]
    if not rows:
        raise DataError("sizes are compared on validation pictures, and there are none")
    last, best = rows[-1], min(rows, key=lambda row: float(row["val_loss"]))
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    classifier, _ = load_model(run.path)
    test = summary["test"].get("accuracy", {})
    return TrainedSize(
        width=settings.network.width,
        depth=settings.network.depth,
        seed=settings.seed,
        parameters=sum(parameter.numel() for parameter in classifier.parameters()),
        train_loss=float(last["train_loss"]),
        val_loss=float(last["val_loss"]),
        best_val_loss=float(best["val_loss"]),
        train_accuracy=float(last["train_accuracy"]),
        val_accuracy=float(last["val_accuracy"]),
        best_val_accuracy=float(best["val_accuracy"]),
        epochs=int(last["epoch"]) + 1,
        best_epoch=int(best["epoch"]) + 1,
        test_accuracy=test.get("value"),
        test_low=test.get("low"),
        test_high=test.get("high"),
    )
