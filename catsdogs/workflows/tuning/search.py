"""Search: trials inside the training and validation pictures; the result is a config file.

A trial is an ordinary run whose test pictures are the validation pictures of the split; it validates and
calibrates on a part of the training pictures. So no trial sees what it is judged on, strategies with and
without gradients are judged alike, and the split's own test pictures have no part in any of it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catsdogs.core.deadline import OutOfTime, deadline
from catsdogs.core.errors import ConfigError, DivergedError, UserError
from catsdogs.core.files import write_json, write_text
from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import log_losses
from catsdogs.data.folds import hold_out
from catsdogs.evaluation.repeats import luck_of_choosing, mean_over_pictures
from catsdogs.reporting.console import say
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.search import Tried, Verdict, draw_search, show_search, write_trials
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.settingsfile import settings_text
from catsdogs.workflows.tuning.members import Members, Order
from catsdogs.workflows.tuning.searchspace import SearchSpace, search_space


def search(
    settings: TrainSettings,
    path: Path,
    *,
    minutes: float,
    trials: int,
    space: Sequence[str],
    strategies: Sequence[str],
) -> None:
    """Search for settings with a lower calibrated log loss, and write ``best.yaml`` and what led to it.

    The same call goes on where it was interrupted, also with more minutes or trials.

    Args:
        settings: As they are given: the first trial, and what the others change.
        path: Folder of it all.
        minutes: For all trials together, those of earlier calls included.
        trials: At most.
        space: Names of ``DIMENSIONS``.
        strategies: That are tried.

    Raises:
        UserError: The pictures, the settings or the time do not allow it.
    """
    found = search_space(settings, space, strategies)
    from catsdogs.workflows.tuning.trials import Trials

    started_s = time.monotonic()
    members = Members(path)
    options = {"minutes": minutes, "trials": trials, "space": list(space), "strategies": list(strategies)}
    records = members.begin(Order("search", options, settings), free=("minutes", "trials"))
    pictures = _pictures(members, settings, records)
    work = _Search(members, found, pictures, Trials(path / "study.log", settings.seed))
    try:
        work.run(minutes * 60, trials, started_s)
    except OutOfTime:
        say(f"the {minutes:g} minutes are over")
    _conclude(path, found, work)


def _pictures(
    members: Members, settings: TrainSettings, records: Sequence[ImageRecord]
) -> tuple[ImageRecord, ...]:
    """Return what every trial learns from and is judged on."""
    judged = {record.id for record in records if record.split == "val"}
    used = [record for record in records if record.split != "test"]
    try:
        if not judged:
            raise ConfigError("trials are judged on the validation pictures, and there are none")
        pictures = hold_out(
            used, judged, val_fraction=settings.data.val_fraction, seed=settings.seed, tie=members.ties
        )
    except UserError:
        members.discard_if_alone()
        raise
    aside = len(records) - len(used)
    say(
        f"each trial learns from {len(used) - len(judged):,} pictures and is tested on {len(judged):,} "
        f"validation pictures; the {aside:,} test pictures stay aside"
    )
    return pictures


class _Search:
    """The loop over the trials, and what lies in their folders."""

    def __init__(
        self, members: Members, space: SearchSpace, pictures: tuple[ImageRecord, ...], trials: Any
    ) -> None:
        self.members, self.space, self.pictures, self.trials = members, space, pictures, trials

    def run(self, budget_s: float, count: int, started_s: float) -> None:
        """Run trials until there are so many, or the time is over.

        Raises:
            OutOfTime: It is over.
        """
        before_s = self.trials.spent_s
        while len(self.trials) < count or self.trials.unfinished:
            spent_s = before_s + time.monotonic() - started_s
            try:
                with deadline(budget_s - spent_s):
                    self._one()
            finally:
                if self.members.order.exists():  # a mistake in the first trial leaves no folder
                    self.trials.note_spent(before_s + time.monotonic() - started_s)

    def losses(self, number: int) -> dict[str, float]:
        """Return what a finished trial lost on each picture by its id."""
        scored = Predictions.load(self.folder(number).path / "predictions.npz").scorable()
        return dict(zip(scored.ids, log_losses(scored.logits, scored.labels).tolist(), strict=True))

    def folder(self, number: int) -> RunFolder:
        """Return where a trial lies; one that was drawn twice lies where it was run."""
        same = self.trials.all[number].user_attrs.get("same_as") if number < len(self.trials) else None
        return self.members.run(f"trial-{number if same is None else same}")

    def settings(self, number: int) -> TrainSettings:
        """Return the settings of a trial."""
        if number == 0:
            return self.space.settings
        return self.space.draw(self.trials.drawn(number))

    def _one(self) -> None:
        if not len(self.trials):
            say("trial 0: the settings as given")
            started_s = time.monotonic()
            self._train(0, self.space.settings)
            value, values = self._value(0), self.space.values(self.space.settings)
            seconds = time.monotonic() - started_s
            self.trials.add_given(value, {"values": values, "seconds": seconds})
            say(f"trial 0: log loss {value:.4f}")
            _trim(self.members.run("trial-0"))
            return
        trial = self.trials.next(self.space.usual)
        settings = self.space.draw(trial)
        values = self.space.values(settings)
        trial.set_user_attr("values", values)
        say(f"trial {trial.number}: {', '.join(f'{name} {value}' for name, value in values.items())}")
        same = [one for one in self.trials.finished if one.user_attrs["values"] == values]
        if same:
            trial.set_user_attr("same_as", same[0].user_attrs.get("same_as", same[0].number))
            self.trials.finish(trial, same[0].value)
            return
        self._try(trial, settings)

    def _try(self, trial: Any, settings: TrainSettings) -> None:
        from catsdogs.training.callbacks.tell import TellEpochs
        from catsdogs.workflows.tuning.trials import Pruned, Watched

        try:
            self._train(trial.number, settings, TellEpochs(Watched(trial)))
        except (Pruned, DivergedError) as error:
            why = "pruned" if isinstance(error, Pruned) else "diverged"
            self.trials.give_up(trial, why)
            say(f"trial {trial.number}: {why}, {error}")
        else:
            value = self._value(trial.number)
            self.trials.finish(trial, value)
            say(f"trial {trial.number}: log loss {value:.4f}")
        _trim(self.members.run(f"trial-{trial.number}"))

    def _train(self, number: int, settings: TrainSettings, *also: Any) -> None:
        self.members.complete(f"trial-{number}", settings, self.pictures, also=also)

    def _value(self, number: int) -> float:
        return float(np.mean(list(self.losses(number).values())))


def _trim(run: RunFolder) -> None:
    """Leave a trial's settings, curves and predictions: it is there to be read, not to be used."""
    for folder in (run.model, run.start.parent):
        shutil.rmtree(folder, ignore_errors=True)
    run.audit.unlink(missing_ok=True)


def _conclude(path: Path, space: SearchSpace, work: _Search) -> None:
    """Write the config of the best trial, the table, the figure, and how sure it is.

    Raises:
        ConfigError: Not even the settings as given came to their end.
    """
    finished = work.trials.finished
    if not finished:
        raise ConfigError(
            "no trial came to its end in that time; go on with more: "
            f"catsdogs tune search --resume {path} --minutes MORE"
        )
    ids, losses = _table_of_losses([work.losses(trial.number) for trial in finished])
    best = min(finished, key=lambda trial: (trial.value, trial.number))
    chosen = [trial.number for trial in finished].index(best.number)
    seed = space.settings.seed
    verdict = Verdict(
        trials=len(work.trials),
        finished=len(finished),
        pictures=len(ids),
        best=best.number,
        values=best.user_attrs["values"],
        log_loss=float(losses[chosen].mean()),
        given_log_loss=float(losses[0].mean()),
        gain=mean_over_pictures(losses[0] - losses[chosen], seed=seed),
        luck=luck_of_choosing(losses, chosen, seed=seed),
    )
    tried = [_tried(trial) for trial in work.trials.all]
    write_trials(tried, path / "trials.csv")
    write_json(path / "search.json", verdict.to_dict())
    write_text(path / "best.yaml", f"{verdict.comment}{settings_text(work.settings(best.number))}")
    save_figure(draw_search(tried), path / "search.png")
    show_search(tried, verdict)
    say(f"written to {path}: best.yaml, trials.csv, search.json, search.png")
    say(f"train it with: catsdogs train --config {path / 'best.yaml'} --run NEW")


def _table_of_losses(each: Sequence[dict[str, float]]) -> tuple[list[str], FloatArray]:
    """Return the ids of the N pictures that all M trials could read, and the losses (M, N)."""
    ids = sorted(set(each[0]).intersection(*each[1:]))
    return ids, np.array([[losses[name] for name in ids] for losses in each])


def _tried(trial: Any) -> Tried:
    state = "done" if trial.value is not None else trial.user_attrs.get("why", "unfinished")
    seconds = trial.user_attrs.get("seconds", trial.duration.total_seconds() if trial.duration else None)
    values = trial.user_attrs.get("values", {})
    return Tried(trial.number, state, trial.value, seconds, values, trial.user_attrs.get("same_as"))
