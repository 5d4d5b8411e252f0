"""Hold requests back until their route takes them again; one per target, pure, the clock is an argument.

Vendors limit by route: a 429 stops everything on its route, and nothing elsewhere. After one, requests of the route
also keep a distance, doubled by each further 429; each success takes a tenth off, until it is gone. Where answers tell
how many more requests are welcome until when, no more are sent until then: there the 429 never comes. And if a rate was
asked for, all requests together keep to it, whatever their route.
"""

from collections import defaultdict
from collections.abc import Callable

RECOVERY = 0.9  # what is left of the distance after each success
GONE = 0.1  # what part of the first distance is as good as none
SAME_WINDOW = 1.5  # seconds: ends of a window are told in whole seconds, so two tellings of one may be so far apart


class Route:
    """Nothing leaves before `opens`; requests keep `spacing` seconds between them; a 429 counts until `rests`.

    `left` is how many may leave until `renews`, as far as the server told; `flying` how many are not answered yet.
    """

    def __init__(self) -> None:
        self.opens = 0.0
        self.rests = 0.0
        self.spacing = 0.0
        self.left: int | None = None
        self.renews = 0.0
        self.flying = 0


class RateLimit:
    """The routes of one target. `first` and `longest` bound the spacing, `patience` what is waited for, in seconds.

    `rate` is how many requests a second there may be at most, over all routes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        rate: float | None = None,
        first: float = 0.05,
        longest: float = 10,
        patience: float = 300,
    ) -> None:
        self._distance = 1 / rate if rate else 0.0
        self._next = 0.0
        self._clock = clock
        self._first = first
        self._longest = longest
        self._patience = patience
        self._routes: defaultdict[str, Route] = defaultdict(Route)

    def delay(self, route: str) -> float:
        """Return the seconds after which to ask again; 0 takes the turn: the request has to leave now, and to `land`.

        Whoever waited asks again, because a 429 may have come in between.
        """
        state, now = self._routes[route], self._clock()
        if now < state.opens:
            return state.opens - now
        if now < self._next:
            return self._next - now
        if state.left is not None and now < state.renews:
            if state.left <= 0:
                return state.renews - now
            state.left -= 1
        state.opens = now + state.spacing
        self._next = now + self._distance
        state.flying += 1
        return 0

    def land(self, route: str) -> None:
        """Note that a request which took its turn is over, whatever came of it."""
        self._routes[route].flying -= 1

    def allow(self, route: str, remaining: int, seconds: float) -> None:
        """Note what an answer tells, before it has landed: so many more requests are welcome within so many seconds.

        Whether that counts the others in flight is not known: they are taken off. Within one window the count only goes
        down, since answers overtake each other.
        """
        state, now = self._routes[route], self._clock()
        left, renews = remaining - (state.flying - 1), now + min(seconds, self._patience)
        if state.left is not None and now < state.renews:
            if renews < state.renews - SAME_WINDOW:
                return
            if renews <= state.renews + SAME_WINDOW:
                left, renews = min(left, state.left), max(renews, state.renews)
        state.left, state.renews = left, renews

    def refuse(self, route: str, wait: float) -> None:
        """Note a 429: the route rests for `wait` seconds and slows down.

        Several requests in flight are refused together; those after the first find the route resting and slow nothing.
        """
        state, now = self._routes[route], self._clock()
        if now >= state.rests:
            state.spacing = min(self._longest, max(self._first, 2 * state.spacing))
        state.rests = max(state.rests, now + max(wait, state.spacing))
        state.opens = max(state.opens, state.rests)

    def accept(self, route: str) -> None:
        """Note a success: the route speeds up, slowly, or each 429 would be followed by the next one."""
        state = self._routes[route]
        state.spacing = state.spacing * RECOVERY if state.spacing > GONE * self._first else 0
