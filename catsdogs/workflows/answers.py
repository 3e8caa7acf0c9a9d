"""Saved answers: of a run, of an evaluation, or a file of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.errors import DataError
from catsdogs.core.predictions import Predictions

ANSWERS = "predictions.npz"


def saved_answers(path: Path) -> Predictions:
    """Return the predictions that a run folder, an evaluation folder or an ``.npz`` holds.

    Raises:
        DataError: There are none.
    """
    if path.is_dir():
        if not (path / ANSWERS).is_file():
            raise DataError(
                f"{path} has no {ANSWERS}: let `catsdogs evaluate --checkpoint {path}` judge it first"
            )
        return Predictions.load(path / ANSWERS)
    if not path.exists():
        raise DataError(f"{path}: no such run, evaluation or file of predictions")
    return Predictions.load(path)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a short name a path: its last parts, as many as tell them all apart.

    A run and the ``predictions.npz`` in it are the same; so are the ends that all of them share.

    >>> names_of([Path("runs/a/evaluation-val"), Path("runs/b/evaluation-val")])
    ['a', 'b']

    Raises:
        DataError: A path is given twice.
    """
    homes = [path.parent if path.name == ANSWERS else path for path in paths]
    parts = [home.resolve().parts for home in homes]
    if len(set(parts)) < len(parts):
        raise DataError("a model is given twice")
    while len(parts) > 1 and len({own[-1] for own in parts}) == 1:
        parts = [own[:-1] for own in parts]
    length = 1
    while len({own[-length:] for own in parts}) < len(parts):
        length += 1
    return ["/".join(own[-length:]) for own in parts]
