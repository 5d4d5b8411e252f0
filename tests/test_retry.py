"""Which failed request is sent again, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.errors import Ambiguous, Auth, ProviderError, RateLimited, Rejected, Unavailable, Unsupported
from crmctl.retry import Limit, Policy


def highest() -> float:
    return 1.0


def next_wait(error: ProviderError, attempt: int = 1, elapsed: float = 0, *, repeatable: bool = True) -> float | None:
    return Policy().next_wait(error, attempt, elapsed, highest, repeatable=repeatable)


@pytest.mark.parametrize("error", [Rejected("no"), Auth("no"), Unsupported("no"), ProviderError("no")])
def test_final(error: ProviderError) -> None:
    """What would be answered the same again is never sent again."""
    assert next_wait(error) is None


@pytest.mark.parametrize("error", [RateLimited("slow"), Unavailable("gone")])
def test_not_processed(error: ProviderError) -> None:
    """What certainly was not processed is sent again, repeatable or not."""
    assert [next_wait(error), next_wait(error, repeatable=False)] == [0.5, 0.5]


@pytest.mark.parametrize("error", [Ambiguous("lost"), Unavailable("busy", status=503)])
def test_maybe_processed(error: ProviderError) -> None:
    """What may have been processed is sent again only if repeatable."""
    assert [next_wait(error), next_wait(error, repeatable=False)] == [0.5, None]


def test_backoff() -> None:
    """The backoff doubles up to its longest, and randomness takes any part of it."""
    error = RateLimited("slow")
    assert [next_wait(error, attempt) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert Policy().next_wait(error, 3, 0, lambda: 0.25, repeatable=True) == 0.5


@pytest.mark.parametrize("error", [RateLimited("slow", wait=7), Unavailable("busy", wait=7)])
def test_hint(error: ProviderError) -> None:
    """The server's hint wins over the backoff, also when it is zero."""
    assert next_wait(error, 6 - 1) == 7
    assert next_wait(RateLimited("slow", wait=0), 5) == 0


def test_attempts() -> None:
    """A request is given up after its class's attempts."""
    assert next_wait(Ambiguous("lost"), 3) == 2
    assert next_wait(Ambiguous("lost"), 4) is None


def test_seconds() -> None:
    """A request is given up after its class's seconds, and never waits beyond them."""
    assert Policy().next_wait(RateLimited("slow"), 11, 299.5, highest, repeatable=True) == 0.5
    assert next_wait(RateLimited("slow", wait=1), elapsed=300) is None


@pytest.mark.parametrize(
    ("error", "left"),
    [(RateLimited("slow", wait=10), 10), (Unavailable("busy", wait=10), 10), (Ambiguous("lost", wait=10), 10)],
)
def test_a_hint_is_kept_or_the_request_given_up(error: ProviderError, left: float) -> None:
    """Nothing is sent before the server said, and nothing is waited for that would be given up in the end."""
    seconds = {RateLimited: 300, Unavailable: 60, Ambiguous: 120}[type(error)]
    assert next_wait(error, 2, elapsed=seconds - left) == left
    assert next_wait(error, 2, elapsed=seconds - left + 1) is None


def test_a_hint_as_long_as_the_total_time_is_waited_for_once() -> None:
    """The first sending has taken time as well; a minute is what many servers ask for."""
    assert next_wait(Unavailable("busy", status=503, wait=60), elapsed=0.2) == 60
    assert next_wait(Unavailable("busy", status=503, wait=61), elapsed=0.2) is None


def test_whoever_is_in_doubt_is_not_asked_at_once() -> None:
    """A hint of nothing at all doesn't make three more attempts of no time."""
    assert next_wait(Ambiguous("lost", wait=0), 3) == 2
    assert next_wait(Ambiguous("lost", wait=7), 3) == 7


@given(st.integers(1, 100), st.floats(0, 1000), st.floats(0, 1), st.none() | st.floats(0, 10000))
def test_bounds(attempt: int, elapsed: float, chance: float, hint: float | None) -> None:
    """Whatever happens, a wait is neither negative nor longer than what is left."""
    policy = Policy(rate_limited=Limit(attempts=50, seconds=500))
    error = RateLimited("slow", wait=hint)
    wait = policy.next_wait(error, attempt, elapsed, lambda: chance, repeatable=False)
    assert wait is None or 0 <= wait <= (500 if attempt == 1 else 500 - elapsed)
