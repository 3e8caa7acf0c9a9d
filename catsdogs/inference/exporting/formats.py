"""The formats of an exported model: how each is written, and how it is run again to be judged."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from catsdogs.core.errors import ConfigError, ModelError, OutputError, UserError
from catsdogs.core.printable import first_line
from catsdogs.inference.engines.engine import Pixels
from catsdogs.inference.engines.open_vino import core
from catsdogs.models.deployment import INPUT, OUTPUTS, DeployedClassifier, to_onnx, to_program
from catsdogs.models.execution import to_bf16

Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
Run = Callable[[Pixels], Outputs]
# What openvino and torch-export keep our words under.
SECTION = "catsdogs"
_JUDGED = OUTPUTS[:2]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    What its functions raise is a ``ModelError``, or an ``OutputError`` where the disk is in the way.

    Attributes:
        suffix: Of its name.
        precisions: What it can hold, the usual one first.
        packages: That write and run it.
        build: Returns the graph, in a precision, as ``save`` takes it; it may use up the model.
        save: Writes a graph, with words about it, to a path; it may be called again.
        open: Returns pixels (N, H, W, 3) -> logits and probabilities (N, C), from such a path.
    """

    suffix: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...]
    build: Callable[[DeployedClassifier, str], Any]
    save: Callable[[Any, Path, Mapping[str, str]], None]
    open: Callable[[Path], Run]


@contextlib.contextmanager
def _by(library: str) -> Iterator[None]:
    """Say in one line what a library raises, by which name it may."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise OutputError(f"{library} stopped: {error.strerror or first_line(error)}") from error
    except Exception as error:  # the libraries share no class of errors
        raise ModelError(f"{library} cannot do this model: {first_line(error)}") from error


def _build_onnx(model: DeployedClassifier, _: str) -> Any:
    with _by("onnx"):
        import onnx

        return onnx.load_model_from_string(to_onnx(model))


def _save_onnx(written: Any, path: Path, words: Mapping[str, str]) -> None:
    with _by("onnx"):
        import onnx

        onnx.helper.set_model_props(written, dict(words))
        onnx.checker.check_model(written)
        onnx.save_model(written, path)


def _open_onnx(path: Path) -> Run:
    with _by("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(pixels: Pixels) -> Outputs:
        with _by("onnxruntime"):
            logits, probabilities = session.run(list(_JUDGED), {INPUT: pixels})
        return logits, probabilities

    return run


def _build_openvino(model: DeployedClassifier, precision: str) -> Any:
    with _by("openvino"):
        return core().read_model(to_onnx(model), b""), precision


def _save_openvino(graph: Any, path: Path, words: Mapping[str, str]) -> None:
    network, precision = graph
    with _by("openvino"):
        import openvino

        for key, value in words.items():
            network.set_rt_info(value, [SECTION, key])
        openvino.save_model(network, path, compress_to_fp16=precision == "fp16")


def _open_openvino(path: Path) -> Run:
    with _by("openvino"):
        compiled = core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(pixels: Pixels) -> Outputs:
        with _by("openvino"):
            found = compiled([pixels])
            logits, probabilities = (found[compiled.output(name)].copy() for name in _JUDGED)
        return logits, probabilities

    return run


def _build_program(model: DeployedClassifier, precision: str) -> Any:
    if precision == "bf16":
        to_bf16(model.classifier)
    return to_program(model)


def _save_program(program: Any, path: Path, words: Mapping[str, str]) -> None:
    with _by("torch.export"):
        torch.export.save(program, path, extra_files={f"{SECTION}.json": json.dumps(dict(words))})


def _open_program(path: Path) -> Run:
    with _by("torch.export"):
        module = torch.export.load(path).module()

    def run(pixels: Pixels) -> Outputs:
        with _by("torch.export"), torch.inference_mode():
            logits, probabilities, _ = module(torch.from_numpy(pixels))
        return logits.numpy(), probabilities.numpy()

    return run


FORMATS = {
    "onnx": Format(".onnx", ("fp32",), ("onnx", "onnxruntime"), _build_onnx, _save_onnx, _open_onnx),
    "openvino": Format(
        ".xml", ("fp32", "fp16"), ("openvino",), _build_openvino, _save_openvino, _open_openvino
    ),
    "torch-export": Format(
        ".pt2", ("fp32", "bf16"), ("torch",), _build_program, _save_program, _open_program
    ),
}


def find_format(name: str, precision: str) -> Format:
    """Return the format of that name.

    Raises:
        ConfigError: There is none, or it does not hold this precision.
    """
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is not one of {', '.join(FORMATS)}")
    if precision not in FORMATS[name].precisions:
        raise ConfigError(f"--format {name} holds {' or '.join(FORMATS[name].precisions)}, not {precision}")
    return FORMATS[name]
