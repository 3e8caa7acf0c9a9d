import logging
import socket

import pytest
from huggingface_hub import constants

from catsdogs.models.hub import brief_hub


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def no_names(monkeypatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


class TestBriefHub:
    def test_uses_the_cache_only_where_the_hub_cannot_be_found(self, no_names) -> None:
        with brief_hub():
            assert constants.HF_HUB_OFFLINE
        assert not constants.HF_HUB_OFFLINE

    def test_a_proxy_may_know_the_hub(self, no_names, monkeypatch) -> None:
        monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
        with brief_hub():
            assert not constants.HF_HUB_OFFLINE

    def test_asks_the_hub_where_it_can_be_found(self, monkeypatch) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
        with brief_hub():
            assert not constants.HF_HUB_OFFLINE

    def test_offline_by_the_users_wish_stays_offline(self, monkeypatch) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
        with brief_hub():
            assert constants.HF_HUB_OFFLINE
        assert constants.HF_HUB_OFFLINE

    def test_is_silent_inside_only_also_after_an_error(self, no_names, caplog) -> None:
        logger = logging.getLogger("huggingface_hub.utils._http")

        def fetch() -> None:
            with brief_hub():
                logger.warning("Retrying in 8s [Retry 4/5].")
                raise ConnectionError

        with pytest.raises(ConnectionError):
            fetch()
        assert not caplog.records
        assert not constants.HF_HUB_OFFLINE
        logger.warning("heard")
        assert [record.message for record in caplog.records] == ["heard"]
