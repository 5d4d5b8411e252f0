"""Progress on standard error: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet."""

import io

import pytest
from harness import Clock

from crmctl.commands.progress import INTERVAL, Progress


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
    assert "applied 200 of 1000 (40/s)\n" == capsys.readouterr().err


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


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """-q shows neither."""
    clock = Clock()
    progress = Progress(quiet=True, clock=clock)
    clock.now += 60
    progress(1, 2)
    progress.close()
    assert "" == capsys.readouterr().err
