"""The engine ``openvino``: a converted model on the processor, with several requests under way."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from catsdogs.core.errors import ModelError
from catsdogs.core.printable import first_line
from catsdogs.inference.engines.engine import Pixels, Rows, lanes_of, outputs_of, stream_in_chunks

NAME = "openvino"
# Small batches stay in the processor's cache; 32 at once were a fifth slower.
_BATCH_SIZE = 4
# While the requests of all lanes are computed the next ones must be there already.
_REQUESTS_WAITING = 2
_HINTS = {"fp32": "f32", "bf16": "bf16"}


@cache
def core() -> Any:
    """Return the one core of this process, which is never given back.

    On processors with AMX a core (2026.4) sets an alternative stack for signals, and restores what it found
    when it goes. Of two whose lives overlap the second restores the stack of the first, which is gone by
    then: the next signal that Python handled ended the process.
    """
    import openvino

    return openvino.Core()


class OpenVinoEngine:
    """Runs an ONNX model with OpenVINO's asynchronous requests."""

    name = NAME
    batch_size = _BATCH_SIZE

    def __init__(self, model: bytes, *, precision: str, threads: int, shift: Rows | None = None) -> None:
        """Compile it.

        Args:
            model: ONNX, of ``models.deployment.to_onnx``.
            precision: ``fp32`` is asked for in so many words: left alone, OpenVINO computes in bf16 where
                the processor can.
            threads: That compute.
            shift: Subtracted from every row (C + D,): what bf16 does to all pictures alike.

        Raises:
            ModelError: OpenVINO cannot run it.
        """
        self.precision = precision
        self._shift = shift
        self._requests = lanes_of(threads) + _REQUESTS_WAITING
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "EXECUTION_MODE_HINT": "ACCURACY" if precision == "fp32" else "PERFORMANCE",
            "NUM_STREAMS": str(lanes_of(threads)),
            "INFERENCE_NUM_THREADS": str(threads),
        }
        try:
            network = core().read_model(model, b"")
            network.reshape([_BATCH_SIZE, *list(network.inputs[0].partial_shape)[1:]])
            self._compiled = core().compile_model(network, "CPU", settings)
        except Exception as error:  # what it raises depends on where in its C++ it stops
            raise _cannot_run(error) from error

    def stream(self, batches: Iterable[Pixels], *, features: bool = False) -> Iterator[Rows]:
        """Turn batches uint8 (N, H, W, 3) into rows float32 (N, C) or (N, C + D), as ``Engine`` says."""
        return stream_in_chunks(batches, self.batch_size, partial(self._answers, outputs_of(features)))

    def _answers(self, names: Sequence[str], chunks: Iterator[Pixels]) -> Generator[Rows, None, None]:
        """Start requests in turn; before one is used again its answer, the oldest, is waited for.

        The requests are this stream's own: two streams may be read in turns, or by two threads.
        """
        outputs = [self._compiled.output(name) for name in names]
        # The chunks are kept: a request reads where they lie.
        running: deque[tuple[Any, Pixels]] = deque()
        free = deque(self._compiled.create_infer_request() for _ in range(self._requests))

        def start(chunk: Pixels) -> None:
            request = free.popleft()
            try:
                request.start_async({0: chunk}, share_inputs=True)
            except Exception as error:
                raise _cannot_run(error) from error
            running.append((request, chunk))

        def oldest() -> Rows:
            request, _ = running.popleft()
            try:
                request.wait()
                rows = np.concatenate([request.get_tensor(output).data for output in outputs], axis=1)
            except Exception as error:
                raise _cannot_run(error) from error
            free.append(request)
            return rows if self._shift is None else rows - self._shift[: rows.shape[1]]

        try:
            for chunk in chunks:
                start(chunk)
                if not free:
                    yield oldest()
            while running:
                yield oldest()
        finally:
            for request, _ in running:
                with contextlib.suppress(Exception):  # nobody asks for this answer any more
                    request.wait()


def _cannot_run(error: Exception) -> ModelError:
    return ModelError(f"OpenVINO cannot run this model: {first_line(error)}")
