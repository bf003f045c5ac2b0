"""Signals to stop: noted once, obeyed the second time."""

import os
import signal

import pytest

from mcore.training.watching import Signals


def test_the_first_signal_is_noted_and_a_step_goes_on():
    signals = Signals()

    with signals.heard():
        os.kill(os.getpid(), signal.SIGINT)

    assert signals.number == signal.SIGINT


def test_the_second_signal_is_not_waited_for():
    signals, passed = Signals(), []
    signals.pass_on = lambda: passed.append(signals.number)

    with signals.heard():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert passed == [signal.SIGINT]


def passed_on(number):
    signals = Signals()
    with signals.heard():
        os.kill(os.getpid(), number)
        signals.pass_on()


def test_a_signal_does_what_it_would_have_done():
    with pytest.raises(KeyboardInterrupt):
        passed_on(signal.SIGINT)


def test_handlers_are_as_they_were_afterwards():
    before = signal.getsignal(signal.SIGTERM)

    with Signals().heard():
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals().heard():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_nobody_listened_a_signal_ends_the_process_with_its_number():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as end:
            passed_on(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert end.value.code == 143
