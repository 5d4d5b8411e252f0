"""Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

INTERVAL = 5.0
# What a broken pipe, a full disk and a closed stream raise. Nobody hears what is said then, but an apply that is
# writing must go on: stopped in the middle of a batch it would leave records of which nobody knows what became.
DEAF = (OSError, ValueError)


def tell(line: str) -> None:
    """Write a line to standard error, if somebody is there to read it."""
    with suppress(*DEAF):
        click.echo(line, err=True)


class Progress:
    """Shows how many changes are settled; call it with (done, total)."""

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.quiet = quiet
        self.clock = clock
        self.started = self.said = clock()
        self.bar: Any = None
        self.shown = 0

    def __call__(self, done: int, total: int) -> None:
        """Take the news."""
        if not self.quiet:
            with suppress(*DEAF):
                self._show(done, total)

    def close(self) -> None:
        """Leave the terminal on a new line."""
        if self.bar is not None:
            with suppress(*DEAF):
                self.bar.render_finish()

    def _show(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar = click.progressbar(length=total, label="Applying", file=sys.stderr, show_pos=True)
                self.bar.render_progress()
            self.bar.update(done - self.shown)
            self.shown = done
        elif self.clock() - self.said >= INTERVAL:
            self.said = self.clock()
            rate = done / (self.said - self.started)
            left = f", about {(total - done) / rate:.0f} s left" if rate else ""
            tell(f"applied {done} of {total} ({rate:.0f}/s), {total - done} left{left}")
