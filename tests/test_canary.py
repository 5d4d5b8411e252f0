"""What goes first, and whether it came out right."""

from crmctl.canary import turns
from crmctl.diff import Change
from crmctl.judge import troubled
from crmctl.outcome import Outcome, Status
from crmctl.resource import Address, Resource


def change(action: str, kind: str, key: str, owner: str = "", reason: str = "") -> Change:
    """Return a change; `owner` is the account it belongs to."""
    refs = {"account": Address("account", owner)} if owner else {}
    address = Address(kind, key)
    return Change(address, action, None, Resource(address, {}, refs), reason=reason)  # type: ignore[arg-type]


CHANGES = [
    change("create", "account", "a"),
    change("create", "account", "b"),
    change("create", "account", "c", reason="made by the CRM together with contact/3"),
    change("update", "account", "d"),
    change("report", "account", "e", reason="no way"),
    change("create", "contact", "1", owner="b"),
    change("create", "contact", "2", owner="a"),
    change("create", "contact", "3", owner="c"),
    change("update", "contact", "4"),
]


def first(size: int) -> list[str]:
    """Return the keys of those that go first."""
    found = turns(CHANGES, size)
    assert sorted(one.address for one in CHANGES) == sorted(one.address for turn in found for one in turn)
    return [one.address.key for one in found[0]]


def test_every_kind_and_action_in_turn() -> None:
    """Few records try as much as they can; a record whose owner waits, waits too."""
    assert ["a"] == first(1)
    assert ["a", "d"] == first(2)
    assert ["a", "d", "2"] == first(3)
    assert ["a", "d", "2", "4"] == first(4)
    assert ["a", "b", "d", "2", "3", "4"] == first(6)


def test_no_canary_is_one_turn() -> None:
    """None is asked for, or there is nothing left for a second turn."""
    assert [CHANGES] == turns(CHANGES, 0)
    assert [CHANGES] == turns(CHANGES, 7)
    assert [CHANGES[:1]] == turns(CHANGES[:1], 1)


def test_a_kind_that_has_no_more_leaves_the_rest_to_others() -> None:
    """One account and three of its notes: two notes go first as well."""
    notes = [change("create", "note", str(number), owner="z") for number in range(3)]
    [chosen, rest] = turns([change("create", "account", "z"), *notes], 3)
    assert (["z", "0", "1"], notes[2:]) == ([one.address.key for one in chosen], rest)


def test_what_waits_for_its_owner_may_leave_a_canary_smaller() -> None:
    """Both contacts belong to the second account, which was not chosen yet when it was their turn."""
    accounts = [change("create", "account", key) for key in "ab"]
    contacts = [change("create", "contact", key, owner="b") for key in "12"]
    assert [accounts, contacts] == turns([*accounts, *contacts], 3)


def test_a_canary_is_troubled_by_one_record() -> None:
    """Failed or unknown; or nothing at all was sent."""

    def came(*statuses: Status) -> bool:
        return troubled([Outcome(CHANGES[0], status) for status in statuses])

    assert not came("created", "updated", "existed", "sent")
    assert not came("created", "skipped")
    assert came("created", "failed")
    assert came("updated", "unknown")
    assert came("skipped")
    assert came()
