"""What can go wrong between a client and a server, on purpose: interferences, and a rate limit per route.

An `Interfere` function looks at each request and returns an `Interference` or None; `chaos.py` makes them from a list
of faults. A `Limiter` says how long a route has to wait.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from crmctl.sandbox.exchange import Answer, Request

Process = Callable[[Request], Answer]
Refuse = Callable[[int, str], Answer]
Twist = Callable[[Request, Process, Refuse], Answer]
"""Answers a request in another way, with what the sandbox would do and how it words a refusal."""


class Interference(NamedTuple):
    """Spoil one request, `before` it is looked at (it has no effect then) or `after` its effect is committed.

    `status`, `headers` and `body` replace what would have been answered; `cut` announces the whole body, sends that
    many bytes and drops the connection; `drop` drops it without an answer; `delay` waits that many seconds first;
    `closed` drops it and takes no connection for that many seconds. `message` makes the body one of the API's own
    errors. `twist` processes the request in another way (with `after`). Dropping needs a real connection
    (`server.py`); in process it raises `ConnectionResetError`, or `ConnectionRefusedError` for `closed`.
    """

    when: Literal["before", "after"] = "before"
    status: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None
    cut: int | None = None
    drop: bool = False
    delay: float = 0.0
    closed: float = 0.0
    message: str = ""
    twist: Twist | None = None

    @property
    def answers(self) -> bool:
        """Tell whether it answers in the server's place."""
        return self.status is not None or self.body is not None


Interfere = Callable[[str, str, int], Interference | None]
"""Takes method, path and which request of that method and path it is, counted from 1."""


class Limiter:
    """A token bucket per route: `rate` requests per second, as many at once."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """Start with full buckets; a rate of 0 lets everything through."""
        self._rate, self._clock = rate, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def describe(self, route: str) -> tuple[int, int, float]:
        """Return how many requests of a route fit at once, how many are left, and the seconds until all fit again."""
        size = max(self._rate, 1.0)
        tokens, _ = self._buckets.get(route, (size, 0.0))
        return int(size), int(tokens), (size - tokens) / self._rate

    @property
    def limits(self) -> bool:
        """Tell whether there is a limit at all."""
        return self._rate > 0

    def wait_for(self, route: str) -> float:
        """Take a token, or return the seconds until there is one."""
        if not self._rate:
            return 0.0
        now, size = self._clock(), max(self._rate, 1.0)
        tokens, since = self._buckets.get(route, (size, now))
        tokens = min(size, tokens + (now - since) * self._rate)
        if tokens < 1:
            self._buckets[route] = (tokens, now)
            return (1 - tokens) / self._rate
        self._buckets[route] = (tokens - 1, now)
        return 0.0
