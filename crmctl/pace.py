"""How fast, how much and how many at once: what one target's connections share, planning and applying alike. Pure.

In: what became of each request. Out: whether there may be another one, and when.
"""

from collections.abc import Callable
from math import inf

from crmctl.errors import Ambiguous, BudgetSpent, ProviderError, RateLimited, Unavailable
from crmctl.ratelimit import RateLimit
from crmctl.window import Window


class Budget:
    """Requests that may be sent in all; None is no limit.

    Who begins something that needs more requests to be finished holds them back first: what was written has to be read
    back as well. What is held is refused to others who hold, not to the requests themselves.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = inf if most is None else most
        self._spent = 0
        self._held = 0

    @property
    def limited(self) -> bool:
        """Tell whether there is a limit."""
        return self._most < inf

    def spend(self) -> None:
        """Count a request; raise BudgetSpent instead of the one that is too many."""
        if self._spent >= self._most:
            raise self.refusal()
        self._spent += 1

    def hold(self, number: int) -> bool:
        """Hold requests back, until they are released; False if there are not so many left."""
        if not self.has(number):
            return False
        self._held += number
        return True

    def release(self, number: int) -> None:
        """Give back what was held."""
        self._held -= number

    def has(self, number: int) -> bool:
        """Tell whether so many requests are left that nobody holds."""
        return self._spent + self._held + number <= self._most

    def refusal(self, needed: int = 0) -> BudgetSpent:
        """Return the error that says so; `needed` is how many more it takes, where a run like this never has them."""
        left = self._most - self._spent
        spent = "is spent" if left < 1 else f"has {left} left, too few to write more and read it back"
        step = "the next run goes on" + (f" with {self._spent + needed}" if needed else "")
        return BudgetSpent(f"the budget (--max-requests {self._most}) {spent}: {step}")


class Pace:
    """The rates, the budget and the window of one target; `rate` is requests per second at most.

    `too_large` is the least weight, by kind and action, of what was refused for its size: 413 comes for a body's bytes,
    so what weighs no less need not be sent to know.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        parallelism: int = 1,
        rate: float | None = None,
        max_requests: int | None = None,
    ) -> None:
        self.limit = RateLimit(clock, rate=rate)
        self.budget = Budget(max_requests)
        self.window = Window(parallelism, clock)
        self.too_large: dict[tuple[str, str], int] = {}

    def accept(self, route: str, seconds: float) -> None:
        """Note an answer, and how long it took."""
        self.limit.accept(route)
        self.window.note(route, seconds)

    def fail(self, route: str, error: ProviderError, wait: float | None) -> None:
        """Note a failure, and what is waited for it."""
        if isinstance(error, RateLimited):
            self.limit.refuse(route, wait or 0)
        if isinstance(error, RateLimited | Unavailable | Ambiguous):
            self.window.trouble()

    def shrink(self, sort: tuple[str, str], weight: int) -> None:
        """Note that a request of a kind and action was too large."""
        self.too_large[sort] = min(weight, self.too_large.get(sort, weight))
