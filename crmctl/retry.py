"""Decide which failed request is sent again, and after how long: a pure policy, so no test ever waits.

In: the error, how often and how long it was tried, a source of randomness. Out: seconds to wait, or None to give up.

    wait = the server's hint, if it gave one
           else random() x min(longest, first x 2^(attempt - 1))      (full jitter: a crowd does not return as a crowd)
           and never more than what is left of the class's total seconds

A request is given up when its class's attempts or seconds are used up, or the server asks for more than is left. Which
classes are sent again at all:

    RateLimited                  always                 the server did nothing
    Unavailable                  always                 it never got there; but an HTTP 503 only if repeatable
    Ambiguous                    only if repeatable     it dedupes, reads, or sets what it names (PATCH, PUT)
    Rejected Auth Unsupported    never                  the answer would be the same
"""

from collections.abc import Callable
from typing import NamedTuple

from crmctl.errors import Ambiguous, ProviderError, RateLimited, Unavailable


class Limit(NamedTuple):
    """How often one request is sent in all, and within how many seconds of its first sending."""

    attempts: int
    seconds: float


class Policy(NamedTuple):
    """One limit per class of error that may be sent again, and the backoff they share, in seconds."""

    rate_limited: Limit = Limit(attempts=12, seconds=300)
    unavailable: Limit = Limit(attempts=6, seconds=60)
    ambiguous: Limit = Limit(attempts=4, seconds=120)
    first: float = 0.5
    longest: float = 30

    def next_wait(
        self, error: ProviderError, attempt: int, elapsed: float, random: Callable[[], float], *, repeatable: bool
    ) -> float | None:
        """Return the seconds to wait before sending again, None to give up.

        `attempt` counts from 1, `elapsed` from the first sending; `random` returns a number from 0 to 1.
        """
        limit = self._limit(error, repeatable=repeatable)
        if limit is None or attempt >= limit.attempts or elapsed >= limit.seconds:
            return None
        left = limit.seconds - elapsed
        backoff: float = min(left, random() * min(self.longest, self.first * 2 ** (attempt - 1)))
        if error.wait is None:
            return backoff
        if error.wait > (left if attempt > 1 else limit.seconds):  # the first sending took time as well
            return None
        # To whoever answers in doubt, at once may be too soon.
        return max(error.wait, backoff) if isinstance(error, Ambiguous) else error.wait

    def _limit(self, error: ProviderError, *, repeatable: bool) -> Limit | None:
        if isinstance(error, RateLimited):
            return self.rate_limited
        if isinstance(error, Unavailable) and (repeatable or error.status is None):
            return self.unavailable
        if isinstance(error, Ambiguous) and repeatable:
            return self.ambiguous
        return None
