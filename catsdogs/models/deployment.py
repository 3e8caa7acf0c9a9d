"""A classifier as one graph that others can run: pixels in; logits, probabilities and features out."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.printable import first_line
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.folding import folded

INPUT, OUTPUTS = "pixels", ("logits", "probabilities", "features")
_OPSET = 17
# Not 1: torch.export takes a length of 1 for a constant.
_EXAMPLES = 2
_CLOSING = threading.Lock()


class DeployedClassifier(nn.Module):
    """A classifier, folded, in evaluation mode, with its temperature.

    Input is uint8 (B, H, W, 3), resized and cropped; output is logits (B, C), without temperature, the
    probabilities (B, C) that follow from them with it, and the features (B, D) that the head was given.
    """

    def __init__(self, classifier: ImageClassifier, temperature: float) -> None:
        super().__init__()
        self.classifier = folded(classifier)
        self.classifier.set_channels_last(False)
        self.temperature = temperature
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn uint8 (B, H, W, 3) into logits, probabilities (both B, C) and features (B, D), all float32."""
        features = self.classifier.features(pixels)
        logits = self.classifier.head(features).float()
        return logits, torch.softmax(logits / self.temperature, dim=1), features


def to_program(deployed: DeployedClassifier) -> torch.export.ExportedProgram:
    """Return the graph, for batches of any length.

    Raises:
        ModelError: The network cannot be written down as a graph.
    """
    batch = torch.export.Dim("batch", min=1)
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(deployed, (_example(deployed),), dynamic_shapes={INPUT: {0: batch}})
    except Exception as error:  # whatever stands in the way, there is no graph
        raise ModelError(f"this network cannot be exported: {first_line(error)}") from error


def to_onnx(deployed: DeployedClassifier) -> bytes:
    """Return the graph as ONNX with inputs and outputs named ``INPUT`` and ``OUTPUTS``, for any batch.

    torch's older exporter comes first: it takes under a second where the newer one takes ten and more. The
    newer one takes over where the older one is gone, or does not know a layer.

    Raises:
        ModelError: The network cannot be written as ONNX, or onnxscript is needed and not installed.
    """
    try:
        return _traced_onnx(deployed)
    except Exception:  # whatever it cannot do, the other may
        return _program_onnx(deployed)


def _traced_onnx(deployed: DeployedClassifier) -> bytes:
    written = io.BytesIO()
    with _quiet(), _standard_output_closed(), torch.no_grad():
        torch.onnx.export(
            deployed,
            (_example(deployed),),
            written,  # type: ignore[arg-type]  # it takes open files too, and needs no disk then
            dynamo=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *OUTPUTS)},
        )
    return written.getvalue()


def _program_onnx(deployed: DeployedClassifier) -> bytes:
    program = to_program(deployed)
    try:
        with _quiet(), torch.no_grad():
            written = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=[INPUT], output_names=list(OUTPUTS)
            )
            assert written is not None
            model: bytes = written.model_proto.SerializeToString()
            return model
    except Exception as error:  # whatever stands in the way, there is no file
        # The exporter's own words are advice to its developers; what they wrap names the layer.
        reason = first_line(error.__cause__ or error)
        raise ModelError(f"this network cannot be written as ONNX: {reason}") from error


def _example(deployed: DeployedClassifier) -> Tensor:
    height, width = deployed.classifier.input_size
    return torch.zeros(_EXAMPLES, height, width, 3, dtype=torch.uint8)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say to their own developers from people."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _standard_output_closed() -> Iterator[None]:
    """Throw away what C++ prints: the whole graph, where torch's older exporter does not know a layer.

    It is asked not to and does so all the same (2.15: ``setup_onnx_logging`` looks at a function where it
    means to call it). What other threads print meanwhile is lost, too. Without a standard output nothing is
    done.
    """
    with _CLOSING:  # the second of two threads would keep, and put back, what the first has closed
        try:
            kept = os.dup(1)
        except OSError:
            yield
            return
        try:
            _flush()
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), 1)
            yield
        finally:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    """Send off what Python and C have collected of the standard output."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):  # its reader has gone, or it is closed
            sys.stdout.flush()
    with contextlib.suppress(OSError, TypeError):  # a C library of another name keeps its own
        (ctypes.CDLL("ucrtbase") if sys.platform == "win32" else ctypes.CDLL(None)).fflush(None)
