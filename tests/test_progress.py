"""Nothing is written unless it is asked for, and then only on a terminal."""

import importlib.util
import io
import sys
from contextlib import contextmanager

import pytest

from thalweg.progress import Progress, Silent, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Recorder:
    """A reporter of the caller's own."""

    def __init__(self, events=None, depth=0):
        self.events = [] if events is None else events
        self.depth = depth

    def advance(self, n=1, note=""):
        self.events.append((self.depth, n, note))

    @contextmanager
    def stage(self, description, total=None):
        self.events.append((self.depth, description, total))
        yield Recorder(self.events, self.depth + 1)


def work(progress):
    with track(2, "outer [bold]", progress) as outer:
        for _ in range(2):
            with track(3, "inner", outer) as inner:
                inner.advance(3)
            outer.advance(note="all [red]well[/red]")


def on_terminal(monkeypatch):
    """Put a terminal in the place of standard error; in the test itself, since pytest sets its own before."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return stream


def test_it_is_silent_by_default(monkeypatch):
    terminal = on_terminal(monkeypatch)
    work(False)
    assert terminal.getvalue() == ""


def test_it_is_silent_where_there_is_no_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    work(True)
    assert stream.getvalue() == ""


def test_it_is_silent_without_rich(monkeypatch):
    terminal = on_terminal(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    work(True)
    assert terminal.getvalue() == ""


def test_a_terminal_shows_bars(monkeypatch):
    """Names are shown as they are: brackets are no markup."""
    terminal = on_terminal(monkeypatch)
    work(True)
    written = terminal.getvalue()
    assert "outer [bold]" in written
    assert "inner" in written
    assert "all [red]well[/red]" in written
    assert "2/2" in written


def test_the_terminal_is_given_back_when_the_work_fails(monkeypatch):
    terminal = on_terminal(monkeypatch)

    def fail():
        with track(2, "outer", True) as bar, track(None, "inner", bar):
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        fail()
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is still hidden"


def test_a_reporter_of_the_callers_own_hears_everything():
    recorder = Recorder()
    assert isinstance(recorder, Progress)
    work(recorder)
    inner = [(1, "inner", 3), (2, 3, ""), (1, 1, "all [red]well[/red]")]
    assert recorder.events == [(0, "outer [bold]", 2), *inner, *inner]


def test_silence_is_a_reporter_too():
    assert isinstance(Silent(), Progress)
    work(Silent())
