"""RunFolder: where everything about one run lies, and how far the run has come."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError, DataError, OutputError
from catsdogs.core.files import write_text


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; a file's presence says what has been done."""

    path: Path

    @property
    def config(self) -> Path:
        """All settings, resolved; written first."""
        return self.path / "config.yaml"

    @property
    def audit(self) -> Path:
        """What every picture turned out to be."""
        return self.path / "audit.json"

    @property
    def split(self) -> Path:
        """Which picture is in train, val or test."""
        return self.path / "split.csv"

    @property
    def corrections(self) -> Path:
        """Which labels somebody has corrected and which pictures removed, where any were."""
        return self.path / "corrections.csv"

    @property
    def labels(self) -> Path:
        """The labels that look wrong first, to be edited."""
        return self.path / "labels.csv"

    @property
    def label_check(self) -> Path:
        """How many labels look wrong, and the first of them."""
        return self.path / "labels.json"

    @property
    def plan(self) -> Path:
        """Strategy, numbers and speed settings; written last by prepare, so it says that prepare is done."""
        return self.path / "plan.json"

    @property
    def evidence(self) -> Path:
        """Why the strategy was chosen, as a figure."""
        return self.path / "evidence.png"

    @property
    def start(self) -> Path:
        """The model that gradient epochs begin with."""
        return self.path / "checkpoints" / "start"

    @property
    def teacher(self) -> Path:
        """The model whose answers are learned beside the labels."""
        return self.path / "checkpoints" / "teacher"

    @property
    def features(self) -> Path:
        """Cached features that a head learns from where the backbone stays frozen."""
        return self.path / "checkpoints" / "features.npz"

    @property
    def out_of_fold(self) -> Path:
        """What the probe's cross-validation said of the pictures that the head learned from."""
        return self.path / "out_of_fold.npz"

    @property
    def validation(self) -> Path:
        """What the model says of the validation pictures, where it has not learned from them."""
        return self.path / "validation.npz"

    @property
    def last(self) -> Path:
        """The resumable checkpoint of the last whole epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def soup(self) -> Path:
        """The models of the best epochs, until a soup is made of them."""
        return self.path / "checkpoints" / "soup"

    @property
    def metrics(self) -> Path:
        """One row an epoch."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The same as a figure."""
        return self.path / "curves.png"

    @property
    def watch(self) -> Path:
        """What the layers did: one row for each layer group and epoch."""
        return self.path / "watch.csv"

    @property
    def watch_figure(self) -> Path:
        """The same as a figure."""
        return self.path / "watch.png"

    @property
    def diverged(self) -> Path:
        """The pictures of the step at which the loss was no number any more."""
        return self.path / "diverged.csv"

    @property
    def log(self) -> Path:
        """What the run said, where it is one of many."""
        return self.path / "log.txt"

    @property
    def model(self) -> Path:
        """The best model."""
        return self.path / "model"

    @property
    def summary(self) -> Path:
        """What came of it; its presence says that the run is complete."""
        return self.path / "summary.json"

    def create(self, settings: str) -> None:
        """Make the folder and write the settings into it.

        Raises:
            ConfigError: A run is there already.
            OutputError: The folder cannot be written.
        """
        if self.config.exists():
            raise ConfigError(
                f"{self.path} already holds a run: go on with --resume {self.path}, or choose another --run"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise OutputError(f"{self.path} exists and is not a run; choose another --run")
        write_text(self.config, settings)

    def discard(self) -> None:
        """Remove a run that a mistake ended before it had a plan: nothing half-written stays behind."""
        shutil.rmtree(self.path, ignore_errors=True)

    def read_plan(self) -> dict[str, Any]:
        """Return the plan.

        Raises:
            DataError: It is missing or damaged.
        """
        try:
            plan = json.loads(self.plan.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.plan} cannot be read: {error}") from error
        if not isinstance(plan, dict):
            raise DataError(f"{self.plan} is not a plan")
        return plan


def open_run(path: str | Path) -> RunFolder:
    """Return an existing run.

    Raises:
        ConfigError: There is none.
    """
    run = RunFolder(Path(path))
    if not run.config.is_file():
        what = (
            "an ensemble, not a run" if (run.path / "ensemble.json").is_file() else "no run (no config.yaml)"
        )
        raise ConfigError(f"{path} holds {what}")
    return run
