"""How requests are held back after a 429."""

import pytest

from crmctl.ratelimit import RateLimit

ROUTE = "POST /v1/accounts/bulk"
OTHER = "POST /v1/contacts/bulk"


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_free() -> None:
    """Without a 429 nothing waits."""
    limit = RateLimit(Clock())
    assert [limit.delay(ROUTE) for _ in range(3)] == [0, 0, 0]


def test_rest() -> None:
    """After a 429 every request of the route waits, and no other."""
    limit = RateLimit(Clock())
    limit.refuse(ROUTE, 12)
    assert [limit.delay(ROUTE), limit.delay(ROUTE), limit.delay(OTHER)] == [12, 12, 0]


def test_longest_rest() -> None:
    """The longest of several waits holds."""
    clock = Clock()
    limit = RateLimit(clock)
    limit.refuse(ROUTE, 12)
    limit.refuse(ROUTE, 3)
    clock.now += 11
    assert limit.delay(ROUTE) == 1


def test_spacing() -> None:
    """After the rest requests keep a distance, which each further 429 doubles."""
    clock = Clock()
    limit = RateLimit(clock, first=1)
    spacings = []
    for _ in range(3):
        limit.refuse(ROUTE, 0)
        clock.now += limit.delay(ROUTE)
        assert limit.delay(ROUTE) == 0
        spacings.append(limit.delay(ROUTE))
        clock.now += 100
    assert spacings == [1, 2, 4]


def test_together() -> None:
    """Requests in flight that are refused together slow the route down once."""
    clock = Clock()
    limit = RateLimit(clock, first=1)
    for _ in range(8):
        limit.refuse(ROUTE, 5)
    clock.now += 5
    assert [limit.delay(ROUTE), limit.delay(ROUTE)] == [0, 1]


def test_longest_spacing() -> None:
    """The distance does not grow without end."""
    clock = Clock()
    limit = RateLimit(clock, first=1, longest=4)
    for _ in range(10):
        limit.refuse(ROUTE, 0)
        clock.now += 100
    assert [limit.delay(ROUTE), limit.delay(ROUTE)] == [0, 4]


def recover(refusals: int) -> list[float]:
    """Return the distances that a route keeps after so many 429s, success after success."""
    clock = Clock()
    limit = RateLimit(clock, first=1)
    for _ in range(refusals):
        limit.refuse(ROUTE, 0)
        clock.now += 100
    spacings = []
    for _ in range(38):
        limit.delay(ROUTE)
        spacings.append(limit.delay(ROUTE))
        limit.accept(ROUTE)
        clock.now += 100
    return spacings


@pytest.mark.parametrize(("refusals", "first", "gone"), [(1, 1, 23), (3, 4, 37)])
def test_recovery(refusals: int, first: float, gone: int) -> None:
    """Each success takes a tenth off the distance, until it is gone: that takes many more than the 429s did."""
    spacings = recover(refusals)
    assert spacings[:3] == [first, pytest.approx(0.9 * first), pytest.approx(0.81 * first)]
    assert spacings == sorted(spacings, reverse=True)
    assert gone == spacings.index(0)


def test_rate() -> None:
    """All routes together keep to the rate that was asked for."""
    clock = Clock()
    limit = RateLimit(clock, rate=4)
    assert [limit.delay(ROUTE), limit.delay(OTHER), limit.delay(ROUTE)] == [0, 0.25, 0.25]
    clock.now += 0.25
    assert [limit.delay(OTHER), limit.delay(ROUTE)] == [0, 0.25]


def test_rate_and_allowance() -> None:
    """A request that the rate holds back takes nothing off what the server welcomes."""
    clock = Clock()
    limit = RateLimit(clock, rate=1)
    limit.delay(ROUTE)
    limit.allow(ROUTE, 1, 30)
    limit.land(ROUTE)
    assert limit.delay(ROUTE) == 1
    clock.now += 1
    assert limit.delay(ROUTE) == 0


# What the server tells before a 429


def test_allowance() -> None:
    """No more requests leave than the server welcomes, until it welcomes more; other routes are free."""
    clock = Clock()
    limit = RateLimit(clock)
    limit.delay(ROUTE)
    limit.allow(ROUTE, 2, 30)
    limit.land(ROUTE)
    assert [limit.delay(ROUTE), limit.delay(ROUTE), limit.delay(ROUTE), limit.delay(OTHER)] == [0, 0, 30, 0]
    clock.now += 30
    assert limit.delay(ROUTE) == 0


def test_allowance_in_flight() -> None:
    """Requests that are not answered yet may not be counted by the server, so they are."""
    limit = RateLimit(Clock())
    assert [limit.delay(ROUTE) for _ in range(3)] == [0, 0, 0]
    limit.allow(ROUTE, 3, 30)
    limit.land(ROUTE)
    assert [limit.delay(ROUTE), limit.delay(ROUTE)] == [0, 30]


def test_allowance_overtaken() -> None:
    """Within a window an answer that comes late raises nothing, and one of an earlier window says nothing."""
    clock = Clock()
    limit = RateLimit(clock)
    for remaining, seconds in ((1, 30), (7, 31), (9, 20)):
        limit.delay(ROUTE)
        limit.allow(ROUTE, remaining, seconds)
        limit.land(ROUTE)
    assert limit.delay(ROUTE) == 31


def test_allowance_renewed() -> None:
    """A later window counts anew."""
    limit = RateLimit(Clock())
    assert [limit.delay(ROUTE), limit.delay(ROUTE)] == [0, 0]
    for remaining, seconds in ((0, 5), (4, 60)):
        limit.allow(ROUTE, remaining, seconds)
        limit.land(ROUTE)
    assert [limit.delay(ROUTE) for _ in range(5)] == [0, 0, 0, 0, 60]


def test_allowance_far_away() -> None:
    """A window that ends in an hour is not waited for: after some minutes the server is asked."""
    limit = RateLimit(Clock(), patience=300)
    limit.delay(ROUTE)
    limit.allow(ROUTE, 0, 3600)
    assert limit.delay(ROUTE) == 300
