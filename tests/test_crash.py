"""Any crash and one more run equal one clean run: at every request of an apply, before and after it took effect."""

import contextlib
from typing import Any

import pytest
from crashing import Crash, Trap
from harness import Crm, actions, crm

FOUND = [
    ("accounts", {"domain": "old.example", "name": "Other"}),
    ("contacts", {"email": "lee@old.example", "first_name": "Li"}),
]
MANIFEST = """
accounts:
  - {domain: old.example, name: Old, contacts: [{email: lee@old.example, first_name: Lee}]}
  - {domain: new.example, name: New, contacts: [{email: jane@new.example, first_name: Jane}]}
"""
# Planning: per kind a look-up, two requests to learn how keys can be searched for (contacts: also how they are looked
# up), and a search. Applying: four batches, each read back, and before an update once more whether it is as planned.
REQUESTS = (1 + 2 + 1) + (1 + 3 + 1) + 2 * 4 + 2


def content(there: Crm) -> dict[str, list[dict[str, Any]]]:
    """Everything in the CRM but ids and times."""
    moving = {"id", "account_id", "created_at", "updated_at"}
    return {
        plural: sorted(
            ({k: v for k, v in record.items() if k not in moving} for record in there.records(plural)), key=str
        )
        for plural in ("accounts", "contacts")
    }


def run(trap: Trap, *, crash: bool) -> tuple[dict[str, Any], int]:
    """Apply in a CRM that holds something, with a crash first or without one; returns what it holds then."""
    left, trap.left = trap.left, 0
    with crm(interfere=trap) as there:
        for plural, record in FOUND:
            there.request("POST", f"/v1/{plural}/bulk", [record])
        trap.left, trap.seen = left, 0
        if crash:
            # Asyncio hands on what happened in a task of a group in a group.
            with contextlib.suppress(Crash, ConnectionResetError, BaseExceptionGroup):
                there.apply(MANIFEST)
            assert trap.left <= 0
        there.apply(MANIFEST)
        seen = trap.seen
        assert {} == actions(there.plan(MANIFEST))
        return content(there), seen


CLEAN = run(Trap(), crash=False)


def test_a_clean_run_has_so_many_requests() -> None:
    """So that the test below crashes at each of them."""
    assert REQUESTS == CLEAN[1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, REQUESTS + 1))
def test_a_crash_and_one_more_run_equal_one_clean_run(nth: int, after: bool) -> None:  # noqa: FBT001 - by name
    """Whatever had arrived by then, nothing is lost and nothing doubled."""
    trap = Trap()
    trap.left, trap.after = nth, after
    assert CLEAN[0] == run(trap, crash=True)[0]
