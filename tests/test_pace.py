"""What the connections of a target share: rates, a budget, a window."""

import pytest

from crmctl.errors import Ambiguous, BudgetSpent, RateLimited, Rejected, Unavailable
from crmctl.pace import Budget, Pace

ROUTE = "POST /v1/accounts/bulk"


def test_a_budget_is_spent_to_the_last_request() -> None:
    """The one after that is refused, every time."""
    budget = Budget(2)
    budget.spend()
    budget.spend()
    for _ in range(2):
        with pytest.raises(BudgetSpent, match=r"the budget \(--max-requests 2\) is spent") as caught:
            budget.spend()
        assert 7 == caught.value.exit_code


def test_without_a_limit_nothing_is_spent() -> None:
    """And anything can be held."""
    budget = Budget()
    budget.spend()
    assert budget.hold(10**9)
    assert not budget.limited


def test_what_is_held_is_left_to_who_holds_it() -> None:
    """Nothing new is begun that could not be finished."""
    budget = Budget(5)
    assert budget.limited
    assert budget.hold(3)
    assert not budget.hold(3)
    assert "has 5 left, too few" in str(budget.refusal())
    assert str(budget.refusal(7)).endswith("the next run goes on with 7")
    budget.release(3)
    budget.spend()
    budget.spend()
    assert budget.hold(3)
    assert not budget.hold(1)


@pytest.mark.parametrize(
    ("error", "width"), [(RateLimited("x"), 2), (Unavailable("x"), 2), (Ambiguous("x"), 2), (Rejected("x"), 4)]
)
def test_trouble_narrows(error: Rejected, width: int) -> None:
    """What the server understood and refused is no trouble."""
    pace = Pace(lambda: 0.0, parallelism=4)
    pace.fail(ROUTE, error, 1)
    assert width == pace.window.width


def test_a_429_holds_its_route() -> None:
    """And an answer speeds it up again."""
    pace = Pace(lambda: 0.0)
    pace.fail(ROUTE, RateLimited("x"), None)
    assert 0 < pace.limit.delay(ROUTE)
    pace.accept(ROUTE, 0.1)
    assert 0 == pace.limit.delay("GET /v1/x")


def test_the_least_of_what_was_too_large_is_kept() -> None:
    """What was in flight with it may have been larger; other kinds and actions are sent to other routes."""
    pace = Pace(lambda: 0.0)
    for weight in (900, 400, 800):
        pace.shrink(("account", "create"), weight)
    pace.shrink(("account", "update"), 7000)
    assert {("account", "create"): 400, ("account", "update"): 7000} == pace.too_large
