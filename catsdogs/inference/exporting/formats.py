"""The formats of an exported model: how each is written, and how it is run again to be judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from catsdogs.core.errors import ConfigError
from catsdogs.inference.engines.engine import Pixels
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

    Attributes:
        suffix: Of its name.
        precisions: What it can hold, the usual one first.
        packages: That write and run it.
        write: Writes the model, with words about it, to a path.
        open: Returns pixels (N, H, W, 3) -> logits and probabilities (N, C), from such a path.
    """

    suffix: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...]
    write: Callable[[Path, DeployedClassifier, Mapping[str, str], str], None]
    open: Callable[[Path], Run]


def _write_onnx(path: Path, model: DeployedClassifier, words: Mapping[str, str], _: str) -> None:
    import onnx

    written = onnx.load_model_from_string(to_onnx(model))
    onnx.helper.set_model_props(written, dict(words))
    onnx.checker.check_model(written)
    onnx.save_model(written, path)


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(pixels: Pixels) -> Outputs:
        logits, probabilities = session.run(list(_JUDGED), {INPUT: pixels})
        return logits, probabilities

    return run


def _write_openvino(path: Path, model: DeployedClassifier, words: Mapping[str, str], precision: str) -> None:
    import openvino

    network = openvino.Core().read_model(to_onnx(model), b"")
    for key, value in words.items():
        network.set_rt_info(value, [SECTION, key])
    openvino.save_model(network, path, compress_to_fp16=precision == "fp16")


def _open_openvino(path: Path) -> Run:
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(pixels: Pixels) -> Outputs:
        found = compiled([pixels])
        logits, probabilities = (found[compiled.output(name)].copy() for name in _JUDGED)
        return logits, probabilities

    return run


def _write_program(path: Path, model: DeployedClassifier, words: Mapping[str, str], precision: str) -> None:
    if precision == "bf16":
        to_bf16(model.classifier)
    program = to_program(model)
    torch.export.save(program, path, extra_files={f"{SECTION}.json": json.dumps(dict(words))})


def _open_program(path: Path) -> Run:
    module = torch.export.load(path).module()

    def run(pixels: Pixels) -> Outputs:
        with torch.inference_mode():
            logits, probabilities, _ = module(torch.from_numpy(pixels))
        return logits.numpy(), probabilities.numpy()

    return run


FORMATS = {
    "onnx": Format(".onnx", ("fp32",), ("onnx", "onnxruntime"), _write_onnx, _open_onnx),
    "openvino": Format(".xml", ("fp32", "fp16"), ("openvino",), _write_openvino, _open_openvino),
    "torch-export": Format(".pt2", ("fp32", "bf16"), ("torch",), _write_program, _open_program),
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
