"""The helper process of ``data.isolation``: decodes what it is sent, one picture after the other.

Answers are numbers and bytes, nothing that could run in the process that reads them.
"""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

from catsdogs.core.errors import PictureError
from catsdogs.data import memory
from catsdogs.data.decode import DecodeLimits, decode
from catsdogs.data.isolation import GO, JOB, NEED, PICTURE, REASON, receive, send

# Beyond the memory that headers promise: decoders that hold more than they should fail here, alone.
_MOST_BYTES = 2 * 2**30


def main() -> None:
    """Answer until the other side has gone."""
    # Ctrl-C is for the program that sends the pictures.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    jobs = sys.stdin.buffer
    memory.BUDGET = _Asking(jobs, answers)
    answers.write(b"!")
    answers.flush()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            _answer(jobs, answers)


def _answer(jobs: BinaryIO, answers: BinaryIO) -> None:
    kind, width, height, message = receive(jobs)
    if kind != JOB:
        raise EOFError
    (length,) = struct.unpack_from("<q", message)
    limits = DecodeLimits(**ast.literal_eval(message[8 : 8 + length].decode()))
    data = message[8 + length :]
    del message
    try:
        picture = decode(data, at_least_px=(width, height) if width else None, limits=limits)
        send(answers, PICTURE, *picture.size, picture.tobytes())
    except PictureError as error:
        send(answers, REASON, 0, 0, str(error).encode())
    except MemoryError:
        send(answers, REASON, 0, 0, b"not enough memory")


class _Asking(memory.MemoryBudget):
    """Asks the other side for memory, which holds the budget of all threads and helpers together."""

    def __init__(self, jobs: BinaryIO, answers: BinaryIO) -> None:
        super().__init__(memory.MEMORY_BUDGET_BYTES)
        self._jobs, self._answers = jobs, answers

    @contextlib.contextmanager
    def share(self, needed_bytes: int, size: tuple[int, int]) -> Iterator[None]:
        with super().share(needed_bytes, size):
            send(self._answers, NEED, needed_bytes, size[0] << 32 | size[1])
            if receive(self._jobs)[0] != GO:
                raise EOFError
            yield


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
