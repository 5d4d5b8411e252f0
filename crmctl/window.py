"""How many batches may be in flight at once: as many as were asked for, fewer while the server has trouble. Pure.

    a 429, a 5xx, no answer, no connection      half as many, at most once in a round trip
    answers that take much longer than usual    one fewer, likewise
    any other answer                            a little more: one more after a whole window of them

The clock is the caller's: whoever sends tells how long each answer took.
"""

from collections.abc import Callable

SLOW = 3.0
"""So many times the usual is slow ..."""
SLACK = 0.25
"""... if that is also so many seconds more: a server that answers in milliseconds has no trouble yet."""
WEIGHT = 0.3
"""What the last answer counts for in the mean of a route."""
DRIFT = 1.02
"""How fast "usual" follows a route that stays slow: a hundred answers are enough to take sevenfold for usual."""


class Pulse:
    """How long a route takes to answer, in seconds: the mean of late, and what is usual when it has nothing to do."""

    def __init__(self, seconds: float) -> None:
        self.mean = seconds
        self.usual = seconds


class Window:
    """Between 1 and `most`; begins with all of it, since most servers have no trouble."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._size = float(most)
        self._pulses: dict[str, Pulse] = {}
        self._calm_until = clock()

    @property
    def width(self) -> int:
        """Return how many may be in flight now."""
        return int(self._size)

    def note(self, route: str, seconds: float) -> None:
        """Note an answer: widen, unless it took long."""
        pulse = self._pulses.setdefault(route, Pulse(seconds))
        pulse.mean += WEIGHT * (seconds - pulse.mean)
        pulse.usual = min(pulse.usual * DRIFT, seconds)
        if pulse.mean > SLOW * pulse.usual and pulse.mean > pulse.usual + SLACK:
            self._narrow(self._size - 1)
        else:
            self._size = min(self._most, self._size + 1 / self._size)

    def trouble(self) -> None:
        """Note a request that the server was too busy for, or broke down over."""
        self._narrow(self._size / 2)

    def _narrow(self, size: float) -> None:
        """Narrow once for all requests that have met the same trouble."""
        now = self._clock()
        if now >= self._calm_until:
            self._size = max(1.0, size)
            self._calm_until = now + max((pulse.mean for pulse in self._pulses.values()), default=0.0)
