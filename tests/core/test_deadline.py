"""A deadline breaks work off, and leaves the alarm as it was."""

import contextlib
import signal
import time

import pytest

from catsdogs.core.deadline import OutOfTime, deadline

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")


def test_it_breaks_off_work_that_catches_every_exception():
    started_s = time.monotonic()
    with pytest.raises(OutOfTime), deadline(0.05):
        _stubborn()
    assert time.monotonic() - started_s < 2


def _stubborn():
    while True:
        with contextlib.suppress(Exception):
            time.sleep(5)


def test_work_in_time_is_left_alone_and_the_alarm_is_off():
    before = signal.getsignal(signal.SIGALRM)
    with deadline(0.05):
        pass
    time.sleep(0.1)
    assert signal.getsignal(signal.SIGALRM) is before
    with deadline(float("inf")):
        assert signal.getsignal(signal.SIGALRM) is before


def test_no_time_at_all_begins_nothing():
    with pytest.raises(OutOfTime), deadline(0):
        pytest.fail("it began")
