"""Prepare: everything that happens once, in one process, before any gradient step.

Audit, split, features, first head and speed settings, all written to the run folder. What follows reads only
those files, so a resumed run and every process of a distributed one start from the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.files import write_json
from catsdogs.core.records import ImageRecord
from catsdogs.data.audit import AuditReport, audit
from catsdogs.data.balance import rare_classes
from catsdogs.data.layouts import DataLayout, find_labelled, names_of_classes
from catsdogs.data.splits import read_split, split_records, straddling, write_split
from catsdogs.models.backbones import RANDOM
from catsdogs.models.modelfile import save_model
from catsdogs.reporting.console import progress, say, table
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.strategies import AUTO, find_strategy
from catsdogs.workflows.batchsize import find_batch_size, with_batch_size
from catsdogs.workflows.choose import Choice, choose, take
from catsdogs.workflows.corrections import Corrections, read_corrections
from catsdogs.workflows.environment import environment
from catsdogs.workflows.familiarity import familiar_to_backbone
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.sections import FIND, DataSettings
from catsdogs.workflows.seen import warn_of_seen
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import assemble
from catsdogs.workflows.study import Base, open_base, study, write_features
from catsdogs.workflows.teaching import adopt_teacher
from catsdogs.workflows.workers import decoding_workers

_MOST_NAMED = 3


def prepare(settings: TrainSettings, run: RunFolder) -> None:
    """Fill the run folder up to ``plan.json``.

    Raises:
        UserError: The pictures, the backbone or the settings do not allow it.
    """
    records = pictures_of(settings, run)
    class_names = names_of_classes(records)
    adopt_teacher(settings.distillation, class_names, run)
    _prepare_model(settings, class_names, records, run)


def pictures_of(settings: TrainSettings, run: RunFolder) -> tuple[ImageRecord, ...]:
    """Find, audit and share out the pictures; a split that lies in the run folder already is kept.

    Raises:
        UserError: The pictures or the settings do not allow it.
    """
    if run.audit.exists() and run.split.exists():
        records = read_split(run.split)
        _require_validation(settings, sum(record.split == "val" for record in records))
        return records
    return audit_and_split(settings, find_pictures_to_learn(settings), run)


def find_pictures_to_learn(settings: TrainSettings) -> DataLayout:
    """Find the labelled pictures, after fetching them where that is asked for."""
    data = settings.data
    root = data.root
    if data.download:
        from catsdogs.data.download import download_public_archive

        with progress("downloading", None) as advance:
            folder = Path("data" if root == DataSettings().root else root)
            root = str(download_public_archive(folder, advance=advance))
    layout = find_labelled(
        root, group_by=data.group_by, limit_per_class=data.limit_per_class, seed=settings.seed
    )
    say(f"{root}: {len(layout.records):,} pictures of {', '.join(layout.class_names)} ({layout.kind})")
    return layout


def audit_and_split(settings: TrainSettings, layout: DataLayout, run: RunFolder) -> tuple[ImageRecord, ...]:
    """Open every picture once, leave out the unreadable ones, and share the others out.

    What was corrected is written beside the split, which is drawn with the labels as given: a run with
    corrections is judged on the pictures that one without is judged on.
    """
    corrections = corrections_of(settings, layout)
    workers = decoding_workers(settings.data.workers)
    with progress("auditing", len(layout.records)) as advance:
        report = audit(corrections.relabel(layout.records), workers=workers, advance=advance)
    report.save(run.audit)
    table("Audit", ("", ""), report.rows())
    for warning in report.warnings:
        say(f"warning: {warning}")
    readable = report.readable(layout.records)
    _require_two_each(corrections.apply(readable), layout.class_names)
    records = split_records(
        readable,
        val_fraction=settings.data.val_fraction,
        test_fraction=settings.data.test_fraction,
        seed=settings.seed,
        tie=report.ties,
    )
    corrections = corrections.within(records)
    if corrections:
        corrections.save(run.corrections)
    records = corrections.apply(records)
    write_split(run.split, records)
    shared = straddling(records, report.ties)
    if shared:
        say(f"warning: {len(shared):,} groups or duplicates lie in several splits that the layout fixes")
    counts = Counter(record.split for record in records)
    say("split: " + ", ".join(f"{counts[name]:,} {name}" for name in ("train", "val", "test")))
    _require_validation(settings, counts["val"])
    _warn_of_rare_classes(records)
    return records


def corrections_of(settings: TrainSettings, layout: DataLayout) -> Corrections:
    """Return what ``--data.corrections`` changes of these pictures.

    Raises:
        DataError: The file cannot be read, or names a picture or a class that is not there.
    """
    path = settings.data.corrections
    if path is None:
        return Corrections()
    # A limit leaves pictures out that the file may well name.
    whole = settings.data.limit_per_class is None
    return read_corrections(path, layout.records, layout.class_names, whole=whole)


def _require_validation(settings: TrainSettings, pictures: int) -> None:
    for option, value, needs in (
        ("--schedule.name", settings.schedule.name, "plateau"),
        ("--averaging.kind", settings.averaging.kind, "soup"),
    ):
        if value == needs and not pictures:
            raise ConfigError(
                f"{option} {needs} follows the validation loss, and there are no validation pictures"
            )


def _warn_of_rare_classes(records: Sequence[ImageRecord]) -> None:
    counts = Counter(record.label or "" for record in records if record.split == "train")
    rare = rare_classes(counts)
    if not rare:
        return
    total = sum(counts.values())
    named = [f"{name!r} (1 training picture in {total / counts[name]:.0f})" for name in rare[:_MOST_NAMED]]
    more = f" and {len(rare) - _MOST_NAMED} more" if len(rare) > _MOST_NAMED else ""
    say(
        f"warning: rare: {', '.join(named)}{more}; judge by balanced accuracy, and let gradient "
        "epochs see them with --data.sampler balanced or --loss.class_weights balanced"
    )


def _require_two_each(records: Sequence[ImageRecord], class_names: Sequence[str]) -> None:
    counts = Counter(record.label for record in records)
    for name in class_names:
        if counts[name] < 2:
            raise DataError(f"class {name!r} has {counts[name]} readable pictures; it needs two or more")


def _choose(
    settings: TrainSettings, class_names: tuple[str, ...], records: Sequence[ImageRecord], run: RunFolder
) -> Choice:
    name = settings.transfer.strategy
    if name == AUTO:
        return choose(lambda asked: study_of(asked, class_names, records, run), settings, run)
    strategy = find_strategy(name)
    if strategy.pretrained:
        return take(strategy, *study_of(settings, class_names, records, run), settings)
    base = open_base(settings, class_names, training_pictures=_training(records), weights=RANDOM)
    return Choice(strategy, assemble(strategy, base, None, settings), {})


def study_of(
    settings: TrainSettings,
    class_names: tuple[str, ...],
    records: Sequence[ImageRecord],
    run: RunFolder,
    *,
    splits: Collection[str] = ("train", "val"),
) -> tuple[Base, Study]:
    """Open the backbone and extract the features of the pictures that are learned from.

    Args:
        settings: Of the run.
        class_names: In the order of the labels.
        records: All pictures, split.
        run: Where the audit is.
        splits: Whose pictures; those of the others are not opened.

    Raises:
        UserError: The backbone or the pictures cannot be used.
    """
    weights = settings.model.weights
    if weights == RANDOM:
        say(f"warning: --model.weights none: {settings.transfer.strategy} builds on random features")
    base = open_base(settings, class_names, training_pictures=_training(records), weights=weights)
    learned = [record for record in records if record.split in splits]
    if base.embedded:
        warn_of_seen(learned, "what cross-validation and validation say of them flatters")
    found = study(
        base,
        learned,
        AuditReport.load(run.audit).ties,
        seed=settings.seed,
        workers=decoding_workers(settings.data.workers),
    )
    return base, found


def _training(records: Sequence[ImageRecord]) -> int:
    return sum(record.split == "train" for record in records)


def _prepare_model(
    settings: TrainSettings, class_names: tuple[str, ...], records: Sequence[ImageRecord], run: RunFolder
) -> None:
    """Choose the strategy, build the model that it starts with, and write model and plan."""
    search = find_batch_size(settings, class_names, _training(records))
    settings = with_batch_size(settings, search)
    chosen = _choose(settings, class_names, records, run)
    start = chosen.start
    plan: dict[str, Any] = {
        "strategy": chosen.strategy.name,
        "summary": chosen.strategy.summary,
        "weights": settings.model.weights,
        "environment": environment(),
        **({"batch_size_search": search.to_dict()} if search else {}),
        **chosen.evidence,
        **start.plan,
    }
    if start.plan:
        speed, epochs = start.plan["training_speed"], start.plan["recipe"]["epochs"]
        say(f"{chosen.strategy.name}: {epochs} epochs at {speed['precision']}")
    if settings.distillation.teacher and not chosen.strategy.trains_backbone:
        say(f"warning: --distillation.teacher teaches nothing: {chosen.strategy.name} trains no backbone")
    if start.plan.get("cached_features"):
        assert chosen.study is not None
        write_features(run.features, chosen.study, start.card.stages)
    if chosen.out_of_fold is not None:
        chosen.out_of_fold.save(run.out_of_fold)
    familiarity = None
    if chosen.study is not None and not chosen.strategy.trains_backbone:
        familiarity = familiar_to_backbone(chosen.study, start.card.stages)
    folder = run.start if start.plan else run.model
    save_model(folder, start.classifier, start.card, familiarity=familiarity)
    if start.plan and settings.transfer.learning_rate == FIND:
        from catsdogs.workflows.rate import find_rate

        sweep = find_rate(plan, settings, run)
        plan["rate_sweep"] = sweep.to_dict()
        plan["recipe"]["learning_rate"] = sweep.found or plan["recipe"]["learning_rate"]
    write_json(run.plan, plan)
