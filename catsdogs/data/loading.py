"""Loading processes: started from a small server, and quiet."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.context import BaseContext

import torch

_HELD = ["catsdogs.data.datasets"]


def loading_context() -> BaseContext:
    """Return how the processes that make examples are started.

    Not as forks of this one: of all memory that this process changes afterwards a fork keeps the old copy,
    gigabytes once features are extracted or a network has trained, and it holds locks of threads that it
    does not have. A server that has imported what they need, and nothing else, forks in milliseconds; on
    systems that have none each process starts anew.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_HELD)
    _start_server()
    return context


def calm_loader(_: int) -> None:
    """Leave signals to the process that loads: it ends this one, which need not say so, or dies with it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_loader, daemon=True).start()


def _end_with_loader() -> None:
    """Wait for the process that loads to be gone; torch looks for its own parent, which is the server."""
    loader = multiprocessing.parent_process()
    if loader is not None:
        loader.join()
        os._exit(1)


def _start_server() -> None:
    """Start the server unless it runs; it must not import what lies in the current folder."""
    # Not every system has one.
    from multiprocessing import forkserver

    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
