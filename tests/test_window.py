"""How many batches are in flight: fewer while the server has trouble."""

import pytest

from crmctl.window import Window

ROUTE = "POST /v1/accounts/bulk"
OTHER = "POST /v1/accounts/search"


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def answer(window: Window, clock: Clock, seconds: float, times: int = 1, route: str = ROUTE) -> None:
    for _ in range(times):
        clock.now += seconds
        window.note(route, seconds)


def test_all_at_first() -> None:
    """A server without trouble gets what was asked for, and no more."""
    clock = Clock()
    window = Window(4, clock)
    answer(window, clock, 0.2, 50)
    assert 4 == window.width


def test_trouble_halves() -> None:
    """Down to one in flight, and never to none."""
    clock = Clock()
    window = Window(16, clock)
    widths = []
    for _ in range(6):
        window.trouble()
        widths.append(window.width)
        clock.now += 60
    assert [8, 4, 2, 1, 1, 1] == widths


def test_the_same_trouble_counts_once() -> None:
    """Requests in flight that fail together halve once; after a round trip it counts again."""
    clock = Clock()
    window = Window(16, clock)
    answer(window, clock, 1)
    for _ in range(10):
        window.trouble()
    assert 8 == window.width
    clock.now += 1
    window.trouble()
    assert 4 == window.width


def test_recovery_is_slow() -> None:
    """One more after about a whole window of answers."""
    clock = Clock()
    window = Window(8, clock)
    window.trouble()
    widths = []
    for _ in range(30):
        answer(window, clock, 0.1)
        widths.append(window.width)
    assert widths == sorted(widths)
    assert [4, 5, 6, 7, 8] == list(dict.fromkeys(widths))
    assert 4 <= widths.index(5)


def test_a_server_that_gets_slower_gets_less() -> None:
    """Answers that take much longer than usual narrow the window step by step; when they come fast again it widens."""
    clock = Clock()
    window = Window(8, clock)
    answer(window, clock, 0.2, 10)
    answer(window, clock, 2, 6)
    assert 2 <= window.width < 8
    narrow = window.width
    answer(window, clock, 0.2, 60)
    assert narrow < window.width == 8


def test_a_route_that_stays_slow_becomes_usual() -> None:
    """Then it is just how long that takes."""
    clock = Clock()
    window = Window(4, clock)
    answer(window, clock, 0.2, 10)
    answer(window, clock, 1.5, 200)
    assert 4 == window.width


def test_routes_are_compared_with_themselves() -> None:
    """A search that takes longer than a create is no trouble."""
    clock = Clock()
    window = Window(4, clock)
    for _ in range(20):
        answer(window, clock, 0.05)
        answer(window, clock, 3, route=OTHER)
    assert 4 == window.width


def test_milliseconds_are_no_trouble() -> None:
    """Many times the usual is still nothing while it is little."""
    clock = Clock()
    window = Window(4, clock)
    answer(window, clock, 0.001, 10)
    answer(window, clock, 0.05, 10)
    assert 4 == window.width


@pytest.mark.parametrize("seconds", [0.001, 10])
def test_one_is_always_one(seconds: float) -> None:
    """At parallelism 1 nothing changes that."""
    clock = Clock()
    window = Window(1, clock)
    for _ in range(5):
        window.trouble()
        answer(window, clock, seconds)
        assert 1 == window.width
