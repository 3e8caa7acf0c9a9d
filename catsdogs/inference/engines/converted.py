"""Models as ONNX in the cache folder: made once from a model file, then found and read without torch.

A file is one line of JSON (the digest of the rest, and how far each engine is from torch), then the ONNX. It
is named by all that it follows from, so that another model, temperature, version or processor has another
file. What does not work is never kept: the disk may have been full for a moment.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from catsdogs.core.cachefolder import cache_folder, cap_limit_bytes
from catsdogs.core.errors import ConfigError, ModelError, OutputError
from catsdogs.core.files import replacing
from catsdogs.core.predictions import softmax
from catsdogs.inference.engines.engine import Engine, Pixels, Rows
from catsdogs.inference.engines.onnx_runtime import NAME as ONNX_RUNTIME
from catsdogs.inference.engines.onnx_runtime import OnnxRuntimeEngine
from catsdogs.inference.engines.open_vino import NAME as OPENVINO
from catsdogs.inference.engines.open_vino import OpenVinoEngine
from catsdogs.models.choosing import available_cores, flags_digest, installed_version
from catsdogs.models.modelcard import ModelCard, read_digest

FOLDER = "engines"
ENGINES = (ONNX_RUNTIME, OPENVINO)
# Largest difference of a probability to torch's, in fp32.
TOLERANCE = 1e-4
# Raise it whenever the same model gives another graph than before.
_CONVERSION_VERSION = 4
# Whose other version may write another graph.
_CONVERTERS = ("torch", "timm", "onnx", "onnxscript")
# What a card says that the graph and its distance to torch follow from, beside the tensors.
_DECISIVE = ("backbone", "network", "head", "stages", "preprocess", "temperature", "members", "vote")
_SHORTAGES = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
# Odd: the last batch of an engine is padded.
_PROBES = 5


@dataclass(frozen=True)
class Converted:
    """A model as ONNX, or why there is none.

    Attributes:
        onnx: Empty where it could not be made.
        distances: Engine -> largest difference of a probability to torch's, in [0, 1], of those installed
            that could run it.
        refusals: Engine -> why it could not.
        failure: Why the ONNX could not be made, if so.
        passing: Whether that may be otherwise in a moment: no memory, no disk.
        bf16_shift: What OpenVINO's bf16 adds to the logits and features of all pictures alike, (C + D,).
    """

    onnx: bytes
    distances: dict[str, float]
    refusals: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    passing: bool = False
    bf16_shift: Rows | None = None

    def require(self, engine: str) -> bytes:
        """Return the ONNX for this engine.

        Raises:
            ModelError: There is none, or the engine does not agree with torch.
        """
        failure = self.failure or self.refusals.get(engine)
        if failure:
            raise ModelError(f"--engine {engine}: {failure}; take --engine torch")
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


def conversion_packages() -> tuple[str, ...]:
    """Return the installed packages that write or run a converted model."""
    return tuple(name for name in (*_CONVERTERS, *ENGINES) if importlib.util.find_spec(name))


def require_installed(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises:
        ConfigError: It is not installed.
    """
    if engine not in installed_engines():
        raise ConfigError(f"--engine {engine} is not installed: pip install 'catsdogs[fast]'")


def build(
    engine: str,
    onnx: bytes,
    *,
    precision: str = "fp32",
    threads: int | None = None,
    bf16_shift: Rows | None = None,
) -> Engine:
    """Return an engine for a converted model, with as many threads as there are cores by default.

    Raises:
        ModelError: The engine cannot run it.
    """
    threads = threads or available_cores()
    if engine == ONNX_RUNTIME:
        return OnnxRuntimeEngine(onnx, threads=threads)
    shift = bf16_shift if precision == "bf16" else None
    return OpenVinoEngine(onnx, precision=precision, threads=threads, shift=shift)


def converted_model(folder: Path, engine: str, say: Callable[[str], None]) -> Converted:
    """Return the model of a model folder as ONNX: from the cache, or made now and kept there.

    What cannot be kept, a failure above all, is remembered until this process ends.

    Args:
        folder: Of ``find_model``.
        engine: That will run it.
        say: Is told when it has to be made, which loads torch and takes seconds.

    Raises:
        ModelError: The model is damaged.
        ConfigError: ``CATSDOGS_CACHE_LIMIT`` is not a size.
    """
    path = _place(folder)
    if path in _unkept:
        return _unkept[path]
    known = _read(path)
    if known is None or engine not in known.distances:
        say("converting the model for faster engines; this happens once a model")
        known = _convert(folder)
        if not _keep(path, known):
            _unkept[path] = known
    return known


_unkept: dict[Path, Converted] = {}


def _place(folder: Path) -> Path:
    """Return where the model lies in the cache; the tensors are checked against the card on the way."""
    card, tensors = read_digest(folder)
    whole = card.to_dict()
    said: dict[str, Any] = {
        "tensors": tensors,
        "classes": len(card.class_names),
        "model": {key: whole[key] for key in _DECISIVE if key in whole},
        "version": [installed_version("catsdogs"), _CONVERSION_VERSION],
        "packages": {name: installed_version(name) for name in conversion_packages()},
        "processor": flags_digest(),
    }
    text = json.dumps(said, sort_keys=True)
    return cache_folder() / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.onnx"


def _read(path: Path) -> Converted | None:
    """Return what is kept there, which counts as used now; None where it is nothing whole."""
    try:
        line, _, onnx = path.read_bytes().partition(b"\n")
        head = json.loads(line)
        if hashlib.sha256(onnx).hexdigest() != head["sha256"]:
            return None
        shift = None if head["shift"] is None else np.array(head["shift"], dtype=np.float32)
        found = Converted(onnx, dict(head["distances"]), bf16_shift=shift)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return found


def _keep(path: Path, converted: Converted) -> bool:
    """Put what works into the cache, where the least recently used go; say whether that is all there is.

    A cache that cannot be written costs seconds a run, no more.
    """
    limit_bytes = cap_limit_bytes()
    if converted.failure or len(converted.onnx) > limit_bytes:
        return False
    try:
        _write(path, converted)
    except OutputError:
        return False
    _make_room(path, limit_bytes)
    return not converted.refusals


def _write(path: Path, converted: Converted) -> None:
    head = {
        "sha256": hashlib.sha256(converted.onnx).hexdigest(),
        "distances": converted.distances,
        "shift": None if converted.bf16_shift is None else converted.bf16_shift.tolist(),
    }
    with replacing(path) as temporary:
        temporary.write_bytes(json.dumps(head).encode() + b"\n" + converted.onnx)


def _make_room(newest: Path, limit_bytes: int) -> None:
    """Delete the models that were used longest ago until all take no more than so much; the newest stays."""
    found: list[tuple[float, int, Path]] = []
    for path in newest.parent.glob("*.onnx"):
        with contextlib.suppress(OSError):  # another process has deleted it
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total_bytes = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total_bytes <= limit_bytes:
            return
        if path != newest:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total_bytes -= size


def _convert(folder: Path) -> Converted:
    """Convert with torch, and measure how far every installed engine is from it."""
    from catsdogs.models.deployment import DeployedClassifier, to_onnx
    from catsdogs.models.execution import Execution, Runner
    from catsdogs.models.modelfile import load_model

    classifier, card = load_model(folder)
    try:
        onnx = to_onnx(DeployedClassifier(classifier, card.temperature))
    except ModelError as error:
        return Converted(b"", {}, failure=str(error), passing=_may_pass(error))
    reference = Runner(classifier, Execution())
    distances: dict[str, float] = {}
    refusals: dict[str, str] = {}
    for name in installed_engines():
        try:
            distances[name] = _distance(name, onnx, reference, card)
        except ModelError as error:
            refusals[name] = str(error)
    shift = _bf16_shift(onnx, reference, card) if OPENVINO in distances else None
    return Converted(onnx, distances, refusals, bf16_shift=shift)


def _bf16_shift(onnx: bytes, reference: Engine, card: ModelCard) -> Rows | None:
    """Return by how much OpenVINO's bf16 moves logits and features of noise on average, (C + D,)."""
    from catsdogs.models.rounding import coloured_noise

    pixels = coloured_noise(card.preprocess.height_px, card.preprocess.width_px)
    try:
        rounded = next(build(OPENVINO, onnx, precision="bf16").stream([pixels], features=True))
    except ModelError:
        return None
    exact = next(reference.stream([pixels], features=True))
    shift: Rows = (rounded - exact).mean(axis=0)
    return shift if np.isfinite(shift).all() else None


def _may_pass(error: BaseException | None) -> bool:
    """Say whether a lack of memory or disk is among the causes."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES):
            return True
        error = error.__cause__ or error.__context__
    return False


def _distance(engine: str, onnx: bytes, reference: Engine, card: ModelCard) -> float:
    """Return the largest difference of a probability of some pictures; 1 where one is not a number.

    Raises:
        ModelError: The engine cannot run them.
    """
    pixels = _probes(card)
    found = next(build(engine, onnx).stream([pixels]))
    expected = next(reference.stream([pixels]))
    gap = np.abs(softmax(found / card.temperature) - softmax(expected / card.temperature)).max()
    return float(gap) if np.isfinite(gap) else 1.0


def _probes(card: ModelCard) -> Pixels:
    """Return a few pictures of coloured patches, an odd number of them."""
    spec = card.preprocess
    chance = np.random.default_rng(0)
    side = 8
    coarse = chance.integers(0, 256, (_PROBES, side, side, 3), dtype=np.uint8)
    rows, columns = (
        np.arange(spec.height_px) * side // spec.height_px,
        np.arange(spec.width_px) * side // spec.width_px,
    )
    return coarse[:, rows][:, :, columns]
