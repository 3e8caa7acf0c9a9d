"""The engine ``onnxruntime``: a converted model on the processor, always in fp32."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.core.ordered import ordered_map
from catsdogs.core.printable import first_line
from catsdogs.inference.engines.engine import Pixels, Rows, lanes_of, outputs_of, stream_in_chunks

NAME = "onnxruntime"
# Small batches stay in the processor's cache; 32 at once were a third slower.
_BATCH_SIZE = 2
_ERRORS_ONLY = 3


class OnnxRuntimeEngine:
    """Runs an ONNX model with ONNX Runtime."""

    name = NAME
    precision = "fp32"
    batch_size = _BATCH_SIZE

    def __init__(self, model: bytes, *, threads: int) -> None:
        """Make a session.

        Args:
            model: ONNX, of ``models.deployment.to_onnx``.
            threads: That compute.

        Raises:
            ModelError: ONNX Runtime cannot run it.
        """
        self._lanes = lanes_of(threads)
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = -(-threads // lanes_of(threads))
            options.log_severity_level = _ERRORS_ONLY
            # Threads that spin while they wait take the cores away from those that decode.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base class of their own
            raise _cannot_run(error) from error

    def stream(self, batches: Iterable[Pixels], *, features: bool = False) -> Iterator[Rows]:
        """Turn batches uint8 (N, H, W, 3) into rows float32 (N, C) or (N, C + D), as ``Engine`` says."""
        return stream_in_chunks(batches, self.batch_size, partial(self._answers, outputs_of(features)))

    def _answers(self, outputs: Sequence[str], chunks: Iterator[Pixels]) -> Generator[Rows, None, None]:
        run = partial(self._run, outputs)
        yield from ordered_map(run, chunks, workers=self._lanes, window=self._lanes + 1)

    def _run(self, outputs: Sequence[str], chunk: Pixels) -> Rows:
        try:
            return np.concatenate(self._session.run(outputs, {"pixels": chunk}), axis=1)
        except Exception as error:
            raise _cannot_run(error) from error


def _cannot_run(error: Exception) -> ModelError:
    return ModelError(f"ONNX Runtime cannot run this model: {first_line(error)}")


def refuse_bf16(precision: str) -> None:
    """Refuse what ONNX Runtime does not have on a processor.

    Raises:
        ConfigError: It is bf16.
    """
    if precision == "bf16":
        raise ConfigError("--engine onnxruntime computes in fp32 only: leave out --precision bf16")
