import pytest

from catsdogs.core.errors import ConfigError
from catsdogs.workflows.workers import decoding_workers, loading_processes


def test_few_pictures_are_loaded_in_this_process_unless_others_are_asked_for():
    assert loading_processes(None, 199) == 0
    assert loading_processes(None, 200) == decoding_workers() > 0
    assert loading_processes(3, 10) == 3
    assert loading_processes(0, 10_000) == 0


def test_fewer_than_none_are_refused():
    with pytest.raises(ConfigError, match="workers must be 0 or more, not -1"):
        loading_processes(-1, 10)
