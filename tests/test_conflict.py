"""Whether an update may still be sent, from what is there just before."""

from typing import Any

import pytest

from crmctl.conflict import recheck
from crmctl.diff import Change, FieldChange, Rules
from crmctl.found import look_for
from crmctl.outcome import Outcome
from crmctl.provider import Page, Record
from crmctl.resource import Address, Resource

ADDRESS = Address("account", "a.example")
DESIRED = Resource(ADDRESS, {"domain": "a.example", "name": "A", "tags": ["x"]}, was="old.example")


def update(*fields: FieldChange) -> Change:
    """Return an update of the record 7."""
    return Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="7"), DESIRED, fields)


NAME, TAGS = FieldChange("name", "B", "A"), FieldChange("tags", ["y"], ["x"])


def checked(change: Change, *records: tuple[str, str, dict[str, Any]], fails: bool = True) -> Outcome | None:
    """Check an update against live records: key, id and fields of each."""
    found = look_for("account", {"a.example": DESIRED})
    found.add(Page([Record(key, fields, remote_id) for key, remote_id, fields in records], {"name"}))
    return recheck(change, found, Rules({"account": {"tags": "set"}}), fails=fails)


def test_a_field_that_somebody_changed_is_a_conflict() -> None:
    """It names what was planned for, what is there, and what is declared."""
    came = checked(update(NAME, TAGS), ("a.example", "7", {"name": "C", "tags": ["y"]}))
    assert came is not None
    assert ("skipped", "7", True) == (came.status, came.remote_id, came.conflict)
    assert "changed since the plan was made (name), so it was left alone: plan again" == came.error
    assert [("name", "B", "C", "A")] == [(one.path, one.before, one.now, one.after) for one in came.clashes]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "B", "tags": ["y"], "industry": "Other"},
        {"name": "B", "tags": "y"},
        {"name": "A", "tags": ["y"]},
    ],
)
def test_what_the_update_leaves_alone_is_no_conflict(fields: dict[str, Any]) -> None:
    """Other fields, other spellings, and what somebody has already made as declared."""
    assert checked(update(NAME, TAGS), ("a.example", "7", fields)) is None


def test_what_is_as_declared_already_is_not_sent() -> None:
    """Somebody else has done it."""
    came = checked(update(NAME), ("a.example", "7", {"name": "A"}))
    assert came is not None
    assert ("existed", "7", False, "") == (came.status, came.remote_id, came.conflict, came.error)


def test_a_field_that_was_emptied_is_a_conflict() -> None:
    """Whatever left it out."""
    came = checked(update(NAME), ("a.example", "7", {}))
    assert came is not None
    assert [None] == [one.now for one in came.clashes]


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ([], "no longer found by its key"),
        ([("a.example", "8", {"name": "B"})], "another record has its key since the plan was made (8)"),
        ([("a.example", "7", {}), ("a.example", "8", {})], "the CRM now holds 2 records of this key (7, 8)"),
    ],
)
def test_another_record_or_none_is_a_conflict(records: list[tuple[str, str, dict[str, Any]]], error: str) -> None:
    """Deleted, made anew, or doubled."""
    came = checked(update(NAME), *records)
    assert came is not None
    assert ("skipped", True, ()) == (came.status, came.conflict, came.clashes)
    assert error in came.error


def test_a_record_under_its_former_key_is_the_one() -> None:
    """It is about to be renamed."""
    renamed = FieldChange("domain", "old.example", "a.example")
    assert checked(update(renamed, NAME), ("old.example", "7", {"domain": "old.example", "name": "B"})) is None


def test_where_the_rest_may_go_on_a_conflict_is_no_failure() -> None:
    """It is left alone, as what a stale plan file names is."""
    came = checked(update(NAME), ("a.example", "7", {"name": "C"}), fails=False)
    assert came is not None
    assert ("skipped", False) == (came.status, came.conflict)
