"""Members: ordinary runs that share one look at the pictures, as the folds, seeds and trials of ``tune`` do.

The folder above them holds ``tune.yaml`` (what was asked for), ``audit.json`` and ``split.csv``; each member
is a run folder in it, whose own ``split.csv`` says which pictures it learns from and is judged on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from catsdogs.core.errors import ConfigError, OutputError, UserError
from catsdogs.core.files import write_text
from catsdogs.core.nesting import nested
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.audit import AuditReport
from catsdogs.data.splits import write_split
from catsdogs.reporting.aside import aside
from catsdogs.reporting.console import figure_text, say
from catsdogs.workflows.corrections import Corrections
from catsdogs.workflows.prepare import pictures_of
from catsdogs.workflows.processes import launched_together, process_rank
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.settingsfile import settings_text
from catsdogs.workflows.train import resume


@dataclass(frozen=True)
class Order:
    """What ``tune`` was asked for.

    Attributes:
        job: ``kfold``, ``seeds``, ``compare`` or ``search``.
        options: Of the job; plain values.
        settings: Of every run, but for what the job changes.
    """

    job: str
    options: Mapping[str, Any]
    settings: TrainSettings

    def to_text(self) -> str:
        """Return it as YAML."""
        head = yaml.safe_dump({"job": self.job, "options": dict(self.options)}, sort_keys=False)
        settings = settings_text(self.settings).splitlines()
        return head + "settings:\n" + "".join(f"  {line}\n" for line in settings)

    def same_but(self, other: Order, free: Sequence[str]) -> bool:
        """Say whether two orders differ at most in these options."""
        kept = [{**order.options, **dict.fromkeys(free)} for order in (self, other)]
        alike = (self.job, self.settings) == (other.job, other.settings)
        return alike and kept[0] == kept[1]


@dataclass(frozen=True)
class Members:
    """The folder above the members."""

    path: Path

    @property
    def order(self) -> Path:
        """What was asked for; written first."""
        return self.path / "tune.yaml"

    def run(self, name: str) -> RunFolder:
        """Return the run folder of a member."""
        return RunFolder(self.path / name)

    def read_order(self) -> Order:
        """Return what was asked for.

        Raises:
            ConfigError: There is no such file, or it is damaged.
        """
        if not self.order.is_file():
            raise ConfigError(f"{self.path} holds nothing that catsdogs tune has started (no tune.yaml)")
        try:
            values = yaml.safe_load(self.order.read_text(encoding="utf-8"))
            return Order(values["job"], values["options"], nested(TrainSettings, values["settings"]))
        except (OSError, yaml.YAMLError, KeyError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"{self.order} is damaged: {' '.join(str(error).split())[:200]}") from error

    def begin(self, order: Order, *, free: Sequence[str] = ()) -> tuple[ImageRecord, ...]:
        """Write what is asked for, or find that it is the same as before; return the pictures, shared out.

        Args:
            order: What is asked for.
            free: Options that may differ from those of the first time.

        Raises:
            ConfigError: Something else was started here, or several processes are asked for.
            OutputError: The folder holds other things, or cannot be written.
            UserError: The pictures or the settings do not allow it.
        """
        _require_one_process(order.settings)
        new = not self.order.exists()
        if new and self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise OutputError(f"{self.path} exists and is no work of catsdogs tune; choose another --run")
        if not new and not self.read_order().same_but(order, free):
            raise ConfigError(f"{self.path} was started with other settings; choose another --run")
        write_text(self.order, order.to_text())
        try:
            return pictures_of(order.settings, RunFolder(self.path))
        except UserError:
            if new:
                RunFolder(self.path).discard()
            raise

    @property
    def ties(self) -> Mapping[str, str]:
        """Id -> key, for pictures with duplicates."""
        return AuditReport.load(RunFolder(self.path).audit).ties

    @property
    def corrections(self) -> Corrections:
        """What was corrected of their pictures."""
        return Corrections.load(RunFolder(self.path).corrections)

    def complete(
        self, name: str, settings: TrainSettings, records: Sequence[ImageRecord], *, also: Sequence[Any] = ()
    ) -> RunFolder:
        """Carry a member to its end, from wherever it is, and return it; what it says goes to its log.

        Args:
            name: Of its folder.
            settings: Its own.
            records: Its pictures, each with its split.
            also: Callbacks for its epochs, as ``fit`` takes them.

        Raises:
            UserError: The settings do not allow it; the first member then leaves no folder behind.
        """
        run = self.run(name)
        if not run.config.exists():
            write_split(run.split, records)
            if corrections := self.corrections.within(records):
                corrections.save(run.corrections)
            write_text(run.audit, RunFolder(self.path).audit.read_text(encoding="utf-8"))
            alone = replace(settings, trainer={**settings.trainer, "devices": 1})
            write_text(run.config, settings_text(alone))  # last: its presence says that the others are there
        if not run.summary.exists():
            started = time.monotonic()
            try:
                with aside(run.log):
                    resume(run.path, also=also)
            except UserError:
                if not run.plan.exists():
                    run.discard()
                    self.discard_if_alone()
                raise
            say(f"  {_figures(run)}{time.monotonic() - started:.0f} s; its words are in {run.log}")
        return run

    def discard_if_alone(self) -> None:
        """Remove the folder where a mistake ended the first member: nothing half-written stays behind."""
        if not any(path.is_dir() for path in self.path.iterdir()):
            RunFolder(self.path).discard()


def _figures(run: RunFolder) -> str:
    """Return how a run did on its test pictures, where it has some."""
    path = run.path / "evaluation.json"
    if not path.exists():
        return ""
    metrics = EvaluationReport.load(path).metrics
    return "".join(
        f"{name.replace('_', ' ')} {figure_text(name, metrics[name])}, " for name in ("accuracy", "log_loss")
    )


def _require_one_process(settings: TrainSettings) -> None:
    several = settings.trainer.get("devices") not in (None, 1, "1", "auto") or (
        settings.trainer.get("num_nodes") not in (None, 1)
    )
    if several or launched_together() or process_rank():
        raise ConfigError(
            "catsdogs tune trains one run after the other in one process: leave out --trainer.devices "
            "and start it without a launcher"
        )
