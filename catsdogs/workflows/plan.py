"""Plan: what a run would do, measured and shown, without training."""

from __future__ import annotations

import tempfile
from pathlib import Path

from catsdogs.core.files import require_writable, write_json
from catsdogs.data.layouts import DataLayout
from catsdogs.models.backbones import RANDOM
from catsdogs.models.layergroups import layer_groups
from catsdogs.reporting.console import say, table
from catsdogs.reporting.evidencefigures import draw_evidence, draw_plan
from catsdogs.reporting.figures import save_figure
from catsdogs.training.outline import LayerOutline, outline
from catsdogs.transfer.strategies import AUTO, FreezePlan, Strategy, find_strategy
from catsdogs.workflows.choose import consider
from catsdogs.workflows.prepare import audit_and_split, find_pictures_to_learn, study_of
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import assemble, phases_for, recipe_for
from catsdogs.workflows.study import Base, open_base


def plan(settings: TrainSettings, *, pictures: int | None = None, out: Path | None = None) -> None:
    """Show which layers would train when and at which rate; with ``auto``, also why.

    Args:
        settings: As for training.
        pictures: Training pictures to plan for, where no data is to be looked at.
        out: Folder for the same as figures and JSON.

    Raises:
        UserError: The pictures, the backbone or the settings do not allow it.
    """
    if out is not None:
        require_writable(out / "plan.json")
    if settings.transfer.strategy == AUTO:
        strategy, base = _measured(settings, out)
    else:
        strategy = find_strategy(settings.transfer.strategy)
        names: tuple[str, ...] = ("a", "b")
        count = pictures
        if count is None:
            layout = find_pictures_to_learn(settings)
            names, count = layout.class_names, _training_share(layout, settings)
        base = open_base(settings, names, training_pictures=count, weights=RANDOM)
    _show(strategy, base, settings, out)


def _training_share(layout: DataLayout, settings: TrainSettings) -> int:
    if any(record.split for record in layout.records):
        return sum(record.split == "train" for record in layout.records)
    return round(len(layout.records) * (1 - settings.data.val_fraction - settings.data.test_fraction))


def _measured(settings: TrainSettings, out: Path | None) -> tuple[Strategy, Base]:
    """Measure the pictures as a run would; everything it writes on the way goes away again."""
    layout = find_pictures_to_learn(settings)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        records = audit_and_split(settings, layout, run)
        base, found = study_of(settings, layout.class_names, records, run)
    considered = consider(base, found, settings)
    if out is not None:
        save_figure(draw_evidence(considered.to_dict()), out / "evidence.png")
        write_json(out / "evidence.json", considered.to_dict())
    if considered.tuned is not None:
        say(f"training would hold a bake-off between {considered.strategy} and {considered.tuned}")
        return find_strategy(considered.tuned), base
    return find_strategy(considered.strategy), base


def _show(strategy: Strategy, base: Base, settings: TrainSettings, out: Path | None) -> None:
    say(f"{strategy.name}: {strategy.summary}")
    if not strategy.trains_backbone:
        say("no layer of the backbone trains; the head is fitted on cached features")
        return
    classifier = assemble(strategy, base, None, settings, timed=False).classifier
    groups = layer_groups(classifier.backbone)
    phases = phases_for(strategy, len(groups), base.training_pictures, settings.transfer)
    layers = outline(classifier, groups, phases, recipe_for(strategy, phases, settings))
    table(
        f"{strategy.name} of {base.name}, {base.training_pictures:,} training pictures: highest rates",
        ("layers", "parameters", *(_epochs(phases, number) for number in range(len(phases.phases)))),
        [(layer.name, f"{layer.parameters:,}", *_cells(layer)) for layer in layers]
        + [("trained", "", *_totals(layers))],
    )
    if settings.schedule.name == "plateau":
        say("these rates are plateau's best case: they fall whenever validation stops improving")
    if out is not None:
        save_figure(
            draw_plan(layers, phases.epochs, title=f"{strategy.name} of {base.name}"), out / "plan.png"
        )
        write_json(out / "plan.json", {"strategy": strategy.name, "freeze_plan": phases.to_list()})
        say(f"written to {out}")


def _epochs(phases: FreezePlan, number: int) -> str:
    first = phases.starts[number] + 1
    last = first + phases.phases[number].epochs - 1
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"


def _cells(layer: LayerOutline) -> list[str]:
    cells = []
    for training, rate in zip(layer.training, layer.peak_rate, strict=True):
        part = "" if training in (0, layer.parameters) else f" ({training:,})"
        cells.append(f"{rate:.2g}{part}" if training else "frozen")
    return cells


def _totals(layers: list[LayerOutline]) -> list[str]:
    phases = range(len(layers[0].training))
    return [f"{sum(layer.training[phase] for layer in layers):,}" for phase in phases]
