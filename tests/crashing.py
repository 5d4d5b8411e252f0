"""A crash at one request, before or after it took effect."""

from crmctl.sandbox.faults import Interference


class Crash(Exception):
    """The process is gone."""


class Trap:
    """Crashes at one request, counted from when it is armed; then at none."""

    def __init__(self) -> None:
        self.left = 0
        self.after = False
        self.seen = 0

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del method, path, nth
        self.seen += 1
        self.left -= 1
        if self.left != 0:
            return None
        if self.after:
            # An answer that is lost with whoever waits for it: in process, dropping the connection raises.
            return Interference(when="after", drop=True)
        raise Crash
