"""The engines ``torch`` and ``compile``: a Runner, on the best device and in the faster precision."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from catsdogs.core.errors import ConfigError
from catsdogs.core.printable import first_line
from catsdogs.models.execution import Runner, best_device
from catsdogs.models.modelfile import load_model
from catsdogs.models.trial import fastest_execution

_SAFE_PATH = "PYTHONSAFEPATH"


def torch_engine(folder: Path, *, precision: str, device: str, compiled: bool = False) -> Runner:
    """Return a model of a model folder as torch runs it.

    Args:
        folder: Of ``find_model``.
        precision: ``auto`` tries which is faster, and remembers it.
        device: ``auto``, or torch's name of one.
        compiled: Compile the network now; this takes half a minute.

    Raises:
        ModelError: The model is damaged.
        ConfigError: The precision is unknown, or nothing can be compiled here.
    """
    classifier, card = load_model(folder)
    execution = fastest_execution(
        classifier, card.preprocess, card.backbone, precision=precision, device=device
    )
    runner = Runner(classifier, replace(execution, compiled=compiled))
    if compiled:
        try:
            with _no_modules_from_the_current_folder():
                runner.logits(
                    np.zeros((1, card.preprocess.height_px, card.preprocess.width_px, 3), dtype=np.uint8)
                )
        except Exception as error:  # a missing compiler, an unknown layer: torch has no one name for them
            raise ConfigError(
                f"--engine compile does not work here ({first_line(error)}); take --engine torch"
            ) from error
    return runner


def computes_elsewhere() -> bool:
    """Say whether torch has a device here that is not the processor."""
    return best_device() != "cpu"


@contextlib.contextmanager
def _no_modules_from_the_current_folder() -> Iterator[None]:
    """Keep what lies among a stranger's photos from the Python processes that torch compiles with."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]
        if before is not None:
            os.environ[_SAFE_PATH] = before
