"""Lots: a fixed random number for every name, whatever other names there are."""

from __future__ import annotations

import hashlib


def lot(*words: object) -> int:
    """Return a number in [0, 2^64) that is a function of the words."""
    text = " ".join(map(str, words)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
