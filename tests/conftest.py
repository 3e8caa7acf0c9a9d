"""What every test may use: the folder of real files, and a cache that is nobody's."""

import os
from collections.abc import Iterator
from pathlib import Path

# Two tests run at once on two cores: a second thread each would only wait. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Converting a model takes seconds; what auto chooses where nobody has decided has tests of its own.
os.environ.setdefault("CATSDOGS_ENGINE", "torch")

import pytest

LONG = ("workflows", "training")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first: `make test` hands out whole files, and short ones fill the time at the end."""
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: min((places.get(part, len(LONG)) for part in item.path.parts), default=0))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real photos and weights, laid out as CATSDOGS_REAL promises."""
    named = os.environ.get("CATSDOGS_REAL")
    if not named or not Path(named).is_dir():
        pytest.skip("CATSDOGS_REAL does not name a folder of real photos and weights")
    return Path(named).resolve()


@pytest.fixture(scope="session", autouse=True)
def cache_of_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the fixtures of a whole module cache in a folder of this session: they come first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATSDOGS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every cache of a test in a folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CATSDOGS_CACHE", str(folder))
    return folder
