"""The memory that decoders share: between threads, and not with a forked process."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from catsdogs.data.memory import BUDGET, MEMORY_BUDGET_BYTES, MemoryBudget


def test_threads_wait_for_their_share() -> None:
    budget, at_once, most = MemoryBudget(100), [0], [0]
    lock = threading.Lock()

    def work(needed: int) -> None:
        with budget.share(needed, (1, 1)):
            with lock:
                at_once[0] += needed
                most[0] = max(most[0], at_once[0])
            time.sleep(0.002)
            with lock:
                at_once[0] -= needed

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 10, 100, 30, 1, 50] * 5))
    assert 60 <= most[0] <= 100
    with budget.share(100, (1, 1)):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_a_budget_of_its_own() -> None:
    with BUDGET.share(MEMORY_BUDGET_BYTES, (1, 1)):
        child = os.fork()
        if child == 0:
            os._exit(0 if BUDGET._free_bytes == MEMORY_BUDGET_BYTES else 1)
        assert os.waitpid(child, 0)[1] == 0
