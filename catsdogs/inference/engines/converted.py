"""Models as ONNX in the cache folder: made once from a model file, then found and read without torch.

A file is one line of JSON (the digest of the rest, and how far each engine is from torch), then the ONNX. It
is named by all that it follows from, so that another model, temperature or version has another file.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catsdogs.core.cachefolder import cache_folder
from catsdogs.core.errors import ConfigError, ModelError, OutputError
from catsdogs.core.files import replacing
from catsdogs.core.predictions import softmax
from catsdogs.inference.engines.engine import Engine, Pixels
from catsdogs.inference.engines.onnx_runtime import NAME as ONNX_RUNTIME
from catsdogs.inference.engines.onnx_runtime import OnnxRuntimeEngine
from catsdogs.inference.engines.open_vino import NAME as OPENVINO
from catsdogs.inference.engines.open_vino import OpenVinoEngine
from catsdogs.models.choosing import available_cores
from catsdogs.models.modelcard import ModelCard, read_tensors

FOLDER = "engines"
ENGINES = (ONNX_RUNTIME, OPENVINO)
# Largest difference of a probability to torch's, in fp32.
TOLERANCE = 1e-4
# Raise it whenever the same model gives another graph than before.
_CONVERSION_VERSION = 2
_PROBES, _PATCHES = 5, 8


@dataclass(frozen=True)
class Converted:
    """A model as ONNX, or why there is none.

    Attributes:
        onnx: Empty where it could not be made.
        distances: Engine -> largest difference of a probability to torch's, in [0, 1], of those installed.
        failure: Why it could not be made, if so.
    """

    onnx: bytes
    distances: dict[str, float]
    failure: str = ""

    def require(self, engine: str) -> bytes:
        """Return the ONNX for this engine.

        Raises:
            ModelError: There is none, or the engine does not agree with torch.
        """
        if self.failure:
            raise ModelError(f"--engine {engine}: {self.failure}; take --engine torch")
        distance = self.distances.get(engine, 1.0)
        if not distance <= TOLERANCE:
            raise ModelError(
                f"--engine {engine}: it computes other probabilities than torch (by {distance:.2g}); "
                "take --engine torch"
            )
        return self.onnx


def installed_engines() -> tuple[str, ...]:
    """Return those of ``ENGINES`` that can be imported."""
    return tuple(name for name in ENGINES if importlib.util.find_spec(name))


def require_installed(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises:
        ConfigError: It is not installed.
    """
    if engine not in installed_engines():
        raise ConfigError(f"--engine {engine} is not installed: pip install 'catsdogs[fast]'")


def build(engine: str, onnx: bytes, *, precision: str = "fp32", threads: int | None = None) -> Engine:
    """Return an engine for a converted model, with as many threads as there are cores by default.

    Raises:
        ModelError: The engine cannot run it.
    """
    threads = threads or available_cores()
    if engine == ONNX_RUNTIME:
        return OnnxRuntimeEngine(onnx, threads=threads)
    return OpenVinoEngine(onnx, precision=precision, threads=threads)


def converted_model(folder: Path, say: Callable[[str], None]) -> Converted:
    """Return the model of a model folder as ONNX: from the cache, or made now and kept there.

    Args:
        folder: Of ``find_model``.
        say: Is told when it has to be made, which loads torch and takes seconds.

    Raises:
        ModelError: The model is damaged.
    """
    path = _place(folder)
    known = _read(path)
    if known is None:
        say("converting the model for faster engines; this happens once a model")
        known = _convert(folder)
        with contextlib.suppress(OutputError):  # a cache that cannot be written costs seconds a run, no more
            _write(path, known)
    return known


def _place(folder: Path) -> Path:
    """Return where the model lies in the cache; the tensors are checked against the card on the way."""
    card, tensors = read_tensors(folder)
    said: dict[str, Any] = {
        "card": card.to_dict() | {"training": None},
        "tensors": hashlib.sha256(tensors).hexdigest(),
        "version": _CONVERSION_VERSION,
        "engines": {name: importlib.metadata.version(name) for name in installed_engines()},
    }
    text = json.dumps(said, sort_keys=True)
    return cache_folder() / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.onnx"


def _read(path: Path) -> Converted | None:
    """Return what is kept there; None where it is nothing whole."""
    try:
        line, _, onnx = path.read_bytes().partition(b"\n")
        head = json.loads(line)
        if hashlib.sha256(onnx).hexdigest() == head["sha256"]:
            return Converted(onnx, dict(head["distances"]), str(head["failure"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(path: Path, converted: Converted) -> None:
    digest = hashlib.sha256(converted.onnx).hexdigest()
    head = {"sha256": digest, "distances": converted.distances, "failure": converted.failure}
    with replacing(path) as temporary:
        temporary.write_bytes(json.dumps(head).encode() + b"\n" + converted.onnx)


def _convert(folder: Path) -> Converted:
    """Convert with torch, and measure how far every installed engine is from it."""
    from catsdogs.models.deployment import DeployedClassifier, to_onnx
    from catsdogs.models.execution import Execution, Runner
    from catsdogs.models.modelfile import load_model

    classifier, card = load_model(folder)
    try:
        onnx = to_onnx(DeployedClassifier(classifier, card.temperature))
    except ModelError as error:
        return Converted(b"", {}, str(error))
    reference = Runner(classifier, Execution())
    return Converted(onnx, {name: _distance(name, onnx, reference, card) for name in installed_engines()})


def _distance(engine: str, onnx: bytes, reference: Engine, card: ModelCard) -> float:
    """Return the largest difference of a probability of some pictures; 1 where the engine cannot run them."""
    pixels = _probes(card)
    try:
        found = next(build(engine, onnx).stream([pixels]))
    except ModelError:
        return 1.0
    expected = next(reference.stream([pixels]))
    gap = np.abs(softmax(found / card.temperature) - softmax(expected / card.temperature)).max()
    return float(gap) if np.isfinite(gap) else 1.0


def _probes(card: ModelCard) -> Pixels:
    """Return a few pictures of coloured patches, an odd number of them."""
    spec = card.preprocess
    chance = np.random.default_rng(0)
    side = 8
    coarse = chance.integers(0, 256, (_PROBES + 1, side, side, 3), dtype=np.uint8)
    rows, columns = (
        np.arange(spec.height_px) * side // spec.height_px,
        np.arange(spec.width_px) * side // spec.width_px,
    )
    return coarse[:, rows][:, :, columns]
