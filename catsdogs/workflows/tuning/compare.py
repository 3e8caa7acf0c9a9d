"""Compare: what a change of the settings brings, over several seeds, each with a split of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError
from catsdogs.core.files import write_json
from catsdogs.data.audit import AuditReport
from catsdogs.data.splits import split_records
from catsdogs.evaluation.repeats import mean_of_runs
from catsdogs.reporting.console import say
from catsdogs.reporting.repeats import COMPARED, show_comparison
from catsdogs.workflows.prepare import find_pictures_to_learn
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.tuning.members import Members, Order

_FEWEST = 2


def compare(
    settings: TrainSettings, path: Path, *, change: str, changed: TrainSettings, seeds: Sequence[int]
) -> None:
    """Train two runs a seed, as asked for and changed, on the same split; write ``comparison.json``.

    Each seed draws its own split, so the spread holds the draw of the training pictures too; a layout that
    fixes the splits has the same one every time. Runs that are whole are taken as they are.

    Args:
        settings: As asked for.
        path: Folder of it all.
        change: The change in the words of the command line, for people.
        changed: The settings with that change.
        seeds: Two or more, each once.

    Raises:
        UserError: The pictures or the settings do not allow it.
    """
    if len(set(seeds)) < max(_FEWEST, len(seeds)):
        raise ConfigError(f"--seeds needs two or more different seeds, not {','.join(map(str, seeds))}")
    if settings.data != changed.data:
        raise ConfigError("--change must leave --data as it is: both runs learn from the same pictures")
    if settings == changed:
        raise ConfigError(f"--change {change!r} changes nothing")
    members = Members(path)
    options = {"seeds": list(seeds), "change": change, "changed": asdict(changed)}
    members.begin(Order("compare", options, settings))
    readable = AuditReport.load(RunFolder(path).audit).readable(find_pictures_to_learn(settings).records)
    results = []
    for place, seed in enumerate(seeds, start=1):
        records = split_records(
            readable,
            val_fraction=settings.data.val_fraction,
            test_fraction=settings.data.test_fraction,
            seed=seed,
            tie=members.ties,
        )
        records = members.corrections.apply(records)
        if not any(record.split == "test" for record in records):
            members.discard_if_alone()
            raise ConfigError("runs are compared on test pictures: --data.test_fraction must be more than 0")
        result: dict[str, Any] = {"seed": seed}
        for name, own in (("as_asked", settings), ("changed", changed)):
            say(f"seed {seed} ({place} of {len(seeds)}), {'as asked' if own is settings else change}")
            run = members.complete(f"seed-{seed}-{name}", replace(own, seed=seed), records)
            evaluated = json.loads((run.path / "evaluation.json").read_text(encoding="utf-8"))
            result |= {"n": evaluated["n"], name: {key: evaluated["metrics"][key] for key in COMPARED}}
        results.append(result)
    _conclude(path, change, results)


def _conclude(path: Path, change: str, results: list[dict[str, Any]]) -> None:
    gains = {name: mean_of_runs([_gain(one, name) for one in results]) for name in COMPARED}
    written = {name: asdict(gain) for name, gain in gains.items()}
    comparison = {"change": change, "seeds": results, "as_asked_minus_changed": written}
    write_json(path / "comparison.json", comparison)
    show_comparison(change, results, gains)
    say(f"written to {path}: comparison.json")


def _gain(result: Mapping[str, Any], name: str) -> float:
    return float(result["as_asked"][name]["value"] - result["changed"][name]["value"])
