"""Fetching from timm's hub: in silence, and without waiting where there is no network."""

from __future__ import annotations

import contextlib
import logging
import socket
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlparse

from huggingface_hub import constants


@contextlib.contextmanager
def brief_hub() -> Iterator[None]:
    """Keep the hub's client quiet; where the hub's name cannot be resolved, let it use its own cache only.

    Left to itself it prints two lines for each of ten attempts, which take a minute.
    """
    logger, offline = logging.getLogger("huggingface_hub"), constants.HF_HUB_OFFLINE
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    constants.HF_HUB_OFFLINE = offline or not _resolves(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        logger.setLevel(level)


def _resolves(url: str) -> bool:
    """Say whether a host can be found; behind a proxy only the proxy knows, so it may be there."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(urlparse(url).hostname, None)
    except OSError:
        return False
    return True
