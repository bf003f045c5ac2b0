"""How far a run is: on a terminal, in a file, for programs; and at what cost."""

import io
import json
import os
import pty
import select
import termios
import time

import pytest
import torch

from mcore.training.shown.reporter import Reporter


class Clock:
    """Seconds that go on only when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Closed(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def told(mode, *, steps, total, seconds=1.0, first=0, file=None, **numbers):
    """What a reporter writes of so many steps, each of which takes so many seconds."""
    file, clock = file or io.StringIO(), Clock()
    reporter = Reporter(total, title="run", mode=mode, first_step=first, file=file, clock=clock)
    for step in range(first + 1, first + steps + 1):
        clock.now += seconds
        reporter.update(step, **numbers)
    reporter.close()
    return file.getvalue()


def test_a_short_run_has_a_plain_line_for_each_twentieth_of_the_way():
    lines = told("plain", steps=1000, total=1000, seconds=0.001).splitlines()

    assert len(lines) == 20
    assert lines[0].startswith("run: step 50/1000 (5 %), ")
    assert lines[-1].startswith("run: step 1000/1000 (100 %), ")


def test_a_long_run_has_a_plain_line_every_half_a_minute():
    assert len(told("plain", steps=600, total=10**6).splitlines()) == 20


def test_a_plain_line_tells_numbers_rate_and_time_left():
    line = told("plain", steps=5, total=100, seconds=2.0, loss=0.51239, lr=1e-3, samples_per_second=83.14, epoch=2)

    assert line == ("run: step 5/100 (5 %), loss 0.5124, lr 0.001, 83.1 samples/s, epoch 2, 0.5 steps/s, 3:10 left\n")


def test_a_step_without_numbers_shows_those_of_before():
    file, clock = io.StringIO(), Clock()
    reporter = Reporter(1000, mode="plain", file=file, clock=clock)

    reporter.update(1, loss=0.25)
    reporter.update(50)

    assert "step 50/1000 (5 %), loss 0.25," in file.getvalue()


def test_where_a_run_stops_is_told_at_the_end():
    assert "step 7/1000" in told("plain", steps=7, total=1000, seconds=0.1)


def test_a_run_that_goes_on_reckons_with_its_own_steps_alone():
    line = told("json", steps=10, total=200, first=90, seconds=1.0).splitlines()[-1]

    assert json.loads(line) == {"title": "run", "done": 100, "total": 200, "rate": 1.0, "eta": 100.0}


def test_json_lines_have_null_for_a_number_that_is_not_finite():
    line = told("json", steps=1, total=1, loss=float("nan"), lr=0.1, epoch=3)

    assert json.loads(line) == {
        **{"title": "run", "done": 1, "total": 1, "rate": 1.0, "eta": 0.0},
        **{"loss": None, "lr": 0.1, "epoch": 3},
    }


def test_a_message_is_a_json_line_of_its_own():
    file = io.StringIO()

    Reporter(1, title="run", mode="json", file=file).say("goes on\nfrom step 3")

    assert json.loads(file.getvalue()) == {"title": "run", "text": "goes on\nfrom step 3"}


def test_a_quiet_reporter_says_nothing():
    file = io.StringIO()

    with Reporter(3, mode="quiet", file=file) as reporter:
        reporter.update(3, loss=1.0)
        reporter.say("hello")

    assert file.getvalue() == ""


def test_a_terminal_gets_a_bar_with_numbers_and_messages_stand_above_it():
    file = Terminal()
    reporter = Reporter(2, title="run", file=file)

    reporter.update(1, loss=0.25)
    reporter.say("a message")
    reporter.update(2, loss=0.125)
    reporter.close()

    assert "a message\n" in file.getvalue()
    last = file.getvalue().rstrip("\n").rpartition("\r")[2]
    assert "2/2" in last
    assert "loss 0.125" in last


@pytest.mark.parametrize("columns", [70, 0])
def test_a_bar_is_one_line_on_a_real_terminal_and_without_colours(monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm-256color")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with open(theirs, "w") as file:
        reporter = Reporter(10, mode="auto", file=file)
        reporter.update(10, loss=0.5)
        reporter.close()
        # What a terminal has been sent comes in pieces.
        shown = ""
        while select.select([ours], [], [], 0.2)[0]:
            shown += os.read(ours, 10**6).decode()
    os.close(ours)

    assert "10/10" in shown
    assert "loss 0.5" in shown
    assert shown.count("\n") == 1
    assert "\x1b[3" not in shown


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")

    assert told("auto", steps=1, total=1, file=Terminal()).startswith("run: step 1/1 ")


def test_a_file_gets_plain_lines():
    assert told("auto", steps=1, total=1).startswith("run: step 1/1 ")


def test_what_would_steer_a_terminal_is_shown_as_an_escape():
    file = io.StringIO()

    Reporter(1, title="a\x1b[2J", mode="plain", file=file).say("b\x1b]0;c\x07")

    assert file.getvalue() == "b\\x1b]0;c\\x07\n"


def test_the_run_goes_on_when_nobody_reads_any_more():
    reporter = Reporter(2, mode="plain", file=Closed())

    reporter.update(1)
    reporter.update(2)
    reporter.say("hello")
    reporter.close()


def test_a_tensor_is_read_only_when_it_is_shown():
    class Watched:
        reads = 0

        def __float__(self):
            self.reads += 1
            return 0.5

    loss, clock = Watched(), Clock()
    reporter = Reporter(1000, mode="plain", file=io.StringIO(), clock=clock)
    for step in range(1, 50):
        reporter.update(step, loss=loss)

    assert loss.reads == 0
    reporter.update(50, loss=loss)
    assert loss.reads == 1


def test_tensors_of_one_number_are_shown():
    assert "loss 0.5," in told("plain", steps=1, total=1, loss=torch.tensor(0.5))


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="no mode 'fancy'; there are auto, bar, plain, json, quiet"):
        Reporter(1, mode="fancy")


@pytest.mark.parametrize("mode", ["bar", "plain", "json"])
def test_an_update_costs_next_to_nothing(mode):
    reporter = Reporter(10**6, mode=mode, file=io.StringIO())
    loss = torch.tensor(0.5)

    best = min(_seconds(reporter, loss) for _ in range(5))

    # A step of the smallest network takes a millisecond; measured: a microsecond.
    assert best / 2000 < 20e-6


def _seconds(reporter, loss):
    began = time.perf_counter()
    for step in range(2000):
        reporter.update(step, loss=loss, lr=1e-3, samples_per_second=100.0, epoch=1)
    return time.perf_counter() - began
