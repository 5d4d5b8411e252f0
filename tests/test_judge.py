"""What became of a change, from what is there."""

from typing import Any

import pytest

from crmctl.capability import Capability
from crmctl.diff import Change, FieldChange, Rules
from crmctl.found import look_for
from crmctl.judge import absent, close, judge_create, judge_update, orphaned, unsent
from crmctl.outcome import Outcome
from crmctl.provider import Page, Record
from crmctl.resource import Address, Resource

ADDRESS = Address("account", "a.example")
CREATE = Change(ADDRESS, "create", None, Resource(ADDRESS, {"domain": "a.example", "name": "A"}))
FULL = Capability(create=True, dedupes=True)


def found(*records: dict[str, Any], kind: str = "account", wanted: Resource = CREATE.after) -> Any:
    """Return what a read has found."""
    result = look_for(kind, {wanted.address.key: wanted})
    result.add(Page([Record("a.example", fields, str(index)) for index, fields in enumerate(records)], {"name"}))
    return result


def judged(records: list[dict[str, Any]], *, reviewed: bool = False, **capability: Any) -> tuple[str, str]:
    """Return status (or action) and error of a create."""
    can = Capability(create=True, **{"dedupes": True, **capability})
    came = judge_create(CREATE, found(*records), Rules(), frozenset(), reviewed=reviewed, capability=can)
    if isinstance(came, Outcome):
        return came.status, came.error
    return came.action, ", ".join(one.path for one in came.fields)


@pytest.mark.parametrize(
    ("records", "how", "status", "error"),
    [
        ([{"name": "A"}], {}, "created", ""),
        ([], {}, "unknown", "the next plan will tell"),
        ([], {"dedupes": False}, "unknown", "will not be sent again"),
        ([{"name": "A"}, {"name": "A"}], {}, "failed", "now holds 2 records"),
        ([{"name": "B"}], {}, "update", "name"),
        ([{"name": "B"}], {"reviewed": True}, "failed", "exists since the plan was made, with other values (name)"),
        ([{"name": None}], {"reviewed": True, "bare": True}, "update", "name"),
    ],
)
def test_a_create_is_what_is_there(records: list[dict[str, Any]], how: Any, status: str, error: str) -> None:
    """Whatever the server answered."""
    came, said = judged(records, **how)
    assert status == came
    assert error in said


@pytest.mark.parametrize(("bare", "status"), [(False, "existed"), (True, "created")])
def test_an_update_behind_a_create_tells_whose_record_it_was(bare: bool, status: str) -> None:  # noqa: FBT001 - a table
    """Somebody else's, unless a create takes no more than a key."""
    met = Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="0"), CREATE.after)
    came = judge_update(met, CREATE, found({"name": "A"}), Rules(), frozenset(), bare=bare)
    assert (status, "") == (came.status, came.error)


def test_an_updated_record_that_is_gone_is_unknown() -> None:
    """Somebody has deleted it, or given it another key."""
    update = Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="0"), CREATE.after)
    came = judge_update(update, update, found(), Rules(), frozenset(), bare=False)
    assert ("unknown", "sent, but the record is no longer found by its key") == (came.status, came.error)


def test_a_value_that_a_policy_keeps_was_not_put_there_by_a_create() -> None:
    """So the record is somebody else's."""
    rules = Rules(policies={"account": {"name": "create_only"}})
    came = judge_create(CREATE, found({"name": "B"}), rules, frozenset(), reviewed=False, capability=FULL)
    assert isinstance(came, Outcome)
    assert "existed" == came.status


@pytest.mark.parametrize(
    ("action", "fields", "status", "error"),
    [
        ("update", {"name": "B", "tags": "y"}, "unknown", "nothing of it shows within the time allowed"),
        ("update", {"name": "A", "tags": "y"}, "failed", "accepted the update and still reads otherwise: tags"),
        ("update", {"name": "C", "tags": "y"}, "failed", "accepted the update and still reads otherwise: name, tags"),
        ("create", {"name": "B", "tags": "y"}, "failed", "accepted the update and still reads otherwise: name, tags"),
    ],
)
def test_an_update_of_which_nothing_shows_may_be_late(
    action: Any, fields: dict[str, Any], status: str, error: str
) -> None:
    """One of which a part shows is not; nor is one that follows a create, which has been waited for already."""
    desired = Resource(ADDRESS, {"name": "A", "tags": "x"})
    changed = (FieldChange("name", "B", "A"), FieldChange("tags", "y", "x"))
    update = Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="0"), desired, changed)
    planned = Change(ADDRESS, action, None, desired)
    came = judge_update(update, planned, found(fields, wanted=desired), Rules(), frozenset(), bare=False)
    assert status == came.status
    assert error in came.error


def test_an_update_that_shows_is_told_from_what_others_have_changed_meanwhile() -> None:
    """What it did not send was as declared when the plan was made: that the CRM ignored it would be untrue."""
    desired = Resource(ADDRESS, {"name": "A", "tags": "x"})
    update = Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="0"), desired, (FieldChange("name", "B", "A"),))
    fields = {"name": "A", "tags": "y"}
    came = judge_update(update, update, found(fields, wanted=desired), Rules(), frozenset(), bare=False)
    assert ("failed", "0") == (came.status, came.remote_id)
    assert "updated, but somebody has changed other fields since (tags): plan again" == came.error


def test_records_alike_leave_a_create_unknown() -> None:
    """Neither is taken for it, and both are named."""
    address, other = Address("note", "a.example/one"), Address("note", "a.example/two")
    owner = {"account": ADDRESS}
    one = Resource(address, {"text": "Hi", "type": "x"}, owner)
    two = Resource(other, {"text": "Hi", "type": "y"}, owner)
    result = look_for("note", {"a.example/one": one, "a.example/two": two})
    result.add(Page([Record("a.example/Hi", {"text": "Hi", "type": "z"}, "7")], {"text", "type"}))
    change = Change(address, "create", None, one)
    came = judge_create(change, result, Rules(), frozenset(), reviewed=False, capability=FULL)
    assert isinstance(came, Outcome)
    assert ("unknown", "sent, and 1 records are alike (7): which one it is can't be told") == (came.status, came.error)


def test_what_a_run_leaves_has_an_outcome() -> None:
    """A report was never sent, what was in flight may have arrived, and the rest was not begun."""
    report = Change(ADDRESS, "report", None, CREATE.after, reason="no way")
    assert ("skipped", "no way") == (
        close(report, "x", in_flight=False).status,
        close(report, "x", in_flight=False).error,
    )
    assert "unknown" == close(CREATE, "the run stopped", in_flight=True).status
    assert ("skipped", "it stopped") == (
        close(CREATE, "it stopped", in_flight=False).status,
        close(CREATE, "it stopped", in_flight=False).error,
    )


def test_a_write_that_came_to_nothing_is_of_what_is_there_if_a_create_has_found_it() -> None:
    """What was never sent is skipped; what an update should have followed is not as declared."""
    assert Outcome(CREATE, "skipped", error="no") == unsent(CREATE, CREATE, "skipped", "no")
    update = Change(ADDRESS, "update", Resource(ADDRESS, {}, remote_id="7"), CREATE.after)
    assert Outcome(update, "skipped", error="no") == unsent(update, update, "skipped", "no")
    came = unsent(update, CREATE, "skipped", "no")
    assert Outcome(CREATE, "failed", "7", "it is there, but not as declared: no") == came


def test_what_was_not_sent_was_made_by_somebody_else() -> None:
    """A record that is as declared before it is created."""
    for sent, status in ((True, "created"), (False, "existed")):
        same = found(dict(CREATE.after.fields))
        came = judge_create(CREATE, same, Rules(), frozenset(), reviewed=True, capability=FULL, sent=sent)
        assert isinstance(came, Outcome)
        assert status == came.status


def test_a_record_without_its_owner_is_an_orphan() -> None:
    """What failed and is not there takes along what belongs to it; what is there doesn't."""
    update = Change(ADDRESS, "update", None, CREATE.after)
    assert absent(Outcome(CREATE, "failed"))
    assert not absent(Outcome(CREATE, "failed", "7"))
    assert not absent(Outcome(CREATE, "created", "7"))
    assert not absent(Outcome(update, "failed"))
    assert not absent(None)
    assert "account/a.example is not created, and this record belongs to it" == orphaned(CREATE, ADDRESS).error
