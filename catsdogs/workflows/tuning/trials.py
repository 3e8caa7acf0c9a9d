"""Trials: Optuna's study in a file of the search's folder, so that the same command goes on where it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError, DataError

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ConfigError("catsdogs tune search needs Optuna: pip install 'catsdogs[tune]'") from error

Pruned = optuna.TrialPruned
_SPENT = "spent_s"
# Fewer whole trials say little about what is usual.
_TRIALS_BEFORE_PRUNING = 4
# Strategies have different numbers of epochs; what they are compared at is a share of the training.
_CHECKPOINTS = 4


class Trials:
    """The trials of one search: number 0 is that of the settings as given, Optuna draws the others.

    What is drawn for a trial is a function of the seed, its number and the trials before it, so an
    interrupted search goes on with what an uninterrupted one would have drawn.

    Raises:
        DataError: The file is damaged.
    """

    def __init__(self, path: Path, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._seed = seed
        _drop_half_a_line(path)
        try:
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
                study_name="search",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=_TRIALS_BEFORE_PRUNING),
                load_if_exists=True,
            )
        except (ValueError, KeyError, OSError) as error:
            raise DataError(f"{path} is damaged: {error}") from error

    def __len__(self) -> int:
        """Return how many have begun."""
        return len(self._study.trials)

    @property
    def spent_s(self) -> float:
        """Seconds that were spent on the search before."""
        return float(self._study.user_attrs.get(_SPENT, 0.0))

    def note_spent(self, seconds: float) -> None:
        """Remember how many seconds were spent, all in all."""
        self._study.set_user_attr(_SPENT, seconds)

    @property
    def all(self) -> list[FrozenTrial]:
        """In the order of their numbers."""
        return self._study.get_trials()

    @property
    def finished(self) -> list[FrozenTrial]:
        """Those with a value."""
        return self._study.get_trials(states=(TrialState.COMPLETE,))

    @property
    def unfinished(self) -> bool:
        """Whether the last one was interrupted."""
        return any(not trial.state.is_finished() for trial in self._study.trials)

    def add_given(self, value: float, facts: Mapping[str, Any]) -> None:
        """Add the trial of the settings as given, which is outside the space that Optuna draws from."""
        self._study.add_trial(optuna.trial.create_trial(value=value, user_attrs=dict(facts)))

    def next(self, usual: Sequence[Mapping[str, Any]] = ()) -> optuna.Trial:
        """Return the trial that was interrupted, or a new one; the first ones get what is usual."""
        for trial in self._study.trials:
            if trial.state == TrialState.RUNNING:
                return optuna.Trial(self._study, trial._trial_id)
        if 0 < len(self) <= len(usual) and not self.unfinished:
            self._study.enqueue_trial(dict(usual[len(self) - 1]))
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed + len(self))
        return self._study.ask()

    def drawn(self, number: int) -> optuna.trial.FixedTrial:
        """Return what gives once more what was drawn for a trial."""
        return optuna.trial.FixedTrial(self._study.trials[number].params)

    def finish(self, trial: optuna.Trial, value: float) -> None:
        """Note the value of a trial."""
        self._study.tell(trial, value)

    def give_up(self, trial: optuna.Trial, why: str) -> None:
        """Note that a trial will have no value."""
        trial.set_user_attr("why", why)
        self._study.tell(trial, state=TrialState.PRUNED)


class Watched:
    """Reports a trial's validation loss at every quarter of its epochs, and ends it where it lags behind.

    It is behind where its best loss so far is worse than the median of the finished trials at that point.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._told = set(trial.study.get_trials()[trial.number].intermediate_values)

    def __call__(self, done: int, epochs: int, loss: float) -> None:
        """Take the loss after so many epochs.

        Raises:
            Pruned: The trial is behind.
        """
        quarter = _CHECKPOINTS * done // max(1, epochs)
        if quarter in self._told or not 0 < quarter < _CHECKPOINTS:
            return
        self._told.add(quarter)
        self._trial.report(loss, quarter)
        if self._trial.should_prune():
            raise Pruned(f"behind after epoch {done} of {epochs}")


def _drop_half_a_line(path: Path) -> None:
    """Cut off what a process that was killed while it wrote has left at the end of the file."""
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as stream:
        whole = stream.read().rfind(b"\n") + 1
        stream.truncate(whole)
        os.fsync(stream.fileno())
