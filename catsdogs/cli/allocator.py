"""Tune the C allocator for large tensors that come and go; commands do this, an import never does.

With glibc's defaults torch hands freed memory back to the kernel and pays for it in page faults: measured
here, a training step takes about twice as long (docs/LOG.md). Other allocators need no such help.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 64 * 2**20


def tune_allocator() -> bool:
    """Keep freed memory in the process; return whether the allocator took the settings (glibc only)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _TOP_PAD_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
