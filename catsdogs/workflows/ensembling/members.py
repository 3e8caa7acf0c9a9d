"""The models that take part: runs, model folders, the runs of folds and seeds, the kept epochs of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.core.preprocess import common_spec
from catsdogs.models.modelcard import CARD, ModelCard, find_model, load_card
from catsdogs.workflows.answers import names_of
from catsdogs.workflows.evaluate import learned_from
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.tuning.members import Members

_SUBRUNS = {"kfold": "fold-*", "seeds": "seed-*"}
# runs/NAME/model and runs/NAME/checkpoints/soup/EPOCH.
_DEEPEST = 3


@dataclass(frozen=True)
class Member:
    """A model that takes part.

    Attributes:
        name: Tells it from the others.
        model: Its model folder.
        card: What it is.
        run: That made it; None where it came without one.
    """

    name: str
    model: Path
    card: ModelCard
    run: RunFolder | None

    @property
    def is_final(self) -> bool:
        """Whether it is what its run ended with: the run's files tell its answers."""
        return self.run is not None and self.model.resolve() == self.run.model.resolve()

    @property
    def learned(self) -> tuple[str, ...]:
        """The splits of its run that its weights come from."""
        return () if self.run is None else tuple(learned_from(self.run))


def open_members(paths: Sequence[Path]) -> list[Member]:
    """Return the members that paths name, in their order.

    Raises:
        ConfigError: There are fewer than two, or a folder holds runs that are no members.
        ModelError: One is no usable model, an ensemble itself, or they cannot be one network.
    """
    places = [place for path in paths for place in _expanded(path)]
    if len(places) < 2:
        raise ConfigError("an ensemble needs two or more members")
    members = [_member(name, place) for name, place in zip(names_of(places), places, strict=True)]
    for member in members[1:]:
        _require_same_classes(members[0], member)
        _require_common_pictures(members[0], member)
    return members


def _expanded(path: Path) -> list[Path]:
    """Return the members in a folder of folds, seeds or epochs; else the path as it is."""
    if (path / "tune.yaml").is_file():
        job = Members(path).read_order().job
        if job not in _SUBRUNS:
            raise ConfigError(f"{path} holds the runs of catsdogs tune {job}: give those that should vote")
        found = [run for run in path.glob(_SUBRUNS[job]) if RunFolder(run).summary.is_file()]
        return sorted(found, key=_number)
    if path.is_dir() and not any((place / CARD).is_file() for place in (path, path / "model")):
        epochs = [folder for folder in path.iterdir() if (folder / CARD).is_file()]
        return sorted(epochs, key=_number) or [path]
    return [path]


def _number(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.name)
    return (int(digits[-1]) if digits else 0, path.name)


def _member(name: str, path: Path) -> Member:
    model = find_model(path)
    card = load_card(model)
    if card.members:
        raise ModelError(f"{path} is an ensemble itself: give its members")
    parents = list(model.resolve().parents)[:_DEEPEST]
    run = next((RunFolder(parent) for parent in parents if RunFolder(parent).split.is_file()), None)
    return Member(name, model, card, run)


def _require_same_classes(first: Member, other: Member) -> None:
    if first.card.class_names != other.card.class_names:
        raise ModelError(
            f"{first.name} knows {', '.join(first.card.class_names)}; "
            f"{other.name} knows {', '.join(other.card.class_names)}"
        )


def _require_common_pictures(first: Member, other: Member) -> None:
    try:
        common_spec([first.card.preprocess, other.card.preprocess])
    except ModelError as error:
        raise ModelError(f"{first.name} and {other.name} cannot share pictures: {error}") from error
