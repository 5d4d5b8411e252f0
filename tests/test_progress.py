"""Progress on standard error: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet."""

import io

import pytest
from harness import Clock

from crmctl.commands.progress import INTERVAL, Progress, tell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_comes_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Not one for each batch, and with the rate so far."""
    clock = Clock()
    progress = Progress(quiet=False, clock=clock)
    for done in (100, 200, 300):
        clock.now += INTERVAL / 2
        progress(done, 1000)
    progress.close()
    assert "applied 200 of 1000 (40/s), 800 left, about 20 s left\n" == capsys.readouterr().err


def test_on_a_terminal_a_bar_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with a line break."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    progress = Progress(quiet=False, clock=Clock())
    progress(1, 2)
    progress(2, 2)
    progress.close()
    assert "2/2" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


class Broken(io.StringIO):
    def __init__(self, error: Exception, *, terminal: bool) -> None:
        super().__init__()
        self.error, self.terminal = error, terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        del text
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(), ValueError("I/O operation on closed file")])
def test_a_broken_standard_error_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, *, terminal: bool
) -> None:
    """What is writing to a CRM goes on, whoever has gone."""
    monkeypatch.setattr("sys.stderr", Broken(error, terminal=terminal))
    clock = Clock()
    progress = Progress(quiet=False, clock=clock)
    for done in (1, 2):
        clock.now += INTERVAL
        progress(done, 2)
    progress.close()
    tell("a")


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the question whether it is a terminal is answered then."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    Progress(quiet=False, clock=Clock())(1, 2)
    tell("a")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """-q shows neither."""
    clock = Clock()
    progress = Progress(quiet=True, clock=clock)
    clock.now += 60
    progress(1, 2)
    progress.close()
    assert "" == capsys.readouterr().err
