"""Run crmctl, and kill it -9 at one write to a journal: before it, in the middle of it, after it, or around an fsync.

`python killed.py WHERE NTH ARGUMENT...`; the process is the real one, with its real files, up to the moment it dies.
"""

import os
import signal
import sys
from typing import Any, TextIO

from crmctl import journal
from crmctl.__main__ import main

WHERE = ("before", "torn", "after", "unsynced", "synced")


def die() -> None:
    """Leave no time for anything."""
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """A stream that is written to as usual, up to one write."""

    def __init__(self, stream: TextIO, where: str, nth: int) -> None:
        self.stream, self.where, self.left = stream, where, nth

    def write(self, text: str) -> int:
        """Write a line, or die of it."""
        self.left -= 1
        if self.left == 0 and self.where == "before":
            die()
        if self.left == 0 and self.where == "torn":
            self.stream.write(text[: len(text) // 2])
            self.stream.flush()
            die()
        written = self.stream.write(text)
        if self.left == 0 and self.where == "after":
            self.stream.flush()
            die()
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def arm(where: str, nth: int) -> None:
    """Make one write, or one fsync of a journal, the last."""
    begin = journal.Journal.__init__
    sync = os.fsync
    left = [nth]

    def opened(self: journal.Journal, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self.stream = Deadly(self.stream, where, nth)  # type: ignore[assignment]  # all that is asked of it is there

    def synced(fd: Any) -> None:
        left[0] -= 1
        if left[0] == 0 and where == "unsynced":
            die()
        sync(fd)
        if left[0] == 0 and where == "synced":
            die()

    journal.Journal.__init__ = opened  # type: ignore[method-assign]  # only in this process, which is about to die
    os.fsync = synced


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["crmctl", *sys.argv[3:]]
    main()
