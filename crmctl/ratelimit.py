"""Hold requests back until their route takes them again; one per target, pure, the clock is an argument.

Vendors limit by route: a 429 stops everything on its route, and nothing elsewhere. After one, requests of the route
also keep a distance, doubled by each further 429 and halved by each success until it is gone.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Route:
    """Nothing leaves before `opens`; requests keep `spacing` seconds between them; a 429 counts until `rests`."""

    opens: float = 0
    rests: float = 0
    spacing: float = 0


class RateLimit:
    """The routes of one target. `first` and `longest` bound the spacing, in seconds."""

    def __init__(self, clock: Callable[[], float], *, first: float = 0.05, longest: float = 10) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._routes: defaultdict[str, Route] = defaultdict(Route)

    def delay(self, route: str) -> float:
        """Return the seconds after which to ask again; 0 takes the turn: the request has to leave now.

        Whoever waited asks again, because a 429 may have come in between.
        """
        state, now = self._routes[route], self._clock()
        if now < state.opens:
            return state.opens - now
        state.opens = now + state.spacing
        return 0

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
        """Note a success: the route speeds up."""
        state = self._routes[route]
        state.spacing = state.spacing / 2 if state.spacing > self._first else 0
