"""Finding a learning rate for a run that has everything but its gradient epochs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from catsdogs.core.errors import ConfigError
from catsdogs.reporting.console import progress, say
from catsdogs.reporting.figures import draw_rates, save_figure
from catsdogs.training.ratefinder import STEPS, LossByRate, RateSweep, find, rising_factor
from catsdogs.training.trainer import build_trainer, quiet
from catsdogs.transfer.strategies import FreezePlan, Phase
from catsdogs.workflows.data import training_data
from catsdogs.workflows.prepared import read_prepared
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.task import training_task


def find_rate(plan: dict[str, Any], settings: TrainSettings, run: RunFolder) -> RateSweep:
    """Let the rate rise from the start model in the layers of the plan's last phase; draw what the loss did.

    Args:
        plan: As ``plan.json`` will hold it.
        settings: Of the run.
        run: Split and start model are there.

    Raises:
        ConfigError: There are too few pictures for a single batch.
    """
    prepared = read_prepared(run, settings, plan)
    recipe = prepared.recipe
    data = training_data(plan, recipe, prepared.card, settings, run, validates=False)
    batches = data.batches_per_epoch(1)
    if not batches:
        raise ConfigError("there are too few training pictures to find a learning rate")
    last = prepared.phases.phases[-1]
    epochs = math.ceil(STEPS / batches)
    sweep = FreezePlan((Phase(epochs, last.groups, last.norm_and_bias),))
    log = LossByRate()
    trainer = build_trainer(
        {**settings.trainer, "devices": 1, "max_steps": STEPS},
        epochs=epochs,
        precision=prepared.speed.precision,
        folder=str(run.path),
        callbacks=[log],
        alone=True,
    )
    task = training_task(
        replace(prepared, recipe=replace(recipe, epochs=epochs), phases=sweep),
        data,
        batches_per_epoch=batches,
        factor=rising_factor(recipe.learning_rate, STEPS),
        mixed_until=epochs,
    )
    with progress("finding a learning rate", None), quiet():
        trainer.fit(task, datamodule=data)
    found = find(log.rates[: len(log.losses)], log.losses)
    save_figure(draw_rates(found.rates, found.losses, found.smoothed, found.found), run.path / "rates.png")
    if found.found is None:
        say(f"the loss never broke away: the learning rate stays {recipe.learning_rate:g}")
    else:
        say(f"learning rate {found.found:.2g}: a tenth of where the loss breaks away")
    return found
