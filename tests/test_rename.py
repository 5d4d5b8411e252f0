"""A key that changes: `was` finds the record by either, so that no second one is made."""

from typing import Any

import pytest
from harness import actions, crm, read, statuses

from crmctl import schema
from crmctl.apply import Settings
from crmctl.capability import Capability
from crmctl.desired import Collector
from crmctl.diff import Rules, diff
from crmctl.live import Live
from crmctl.parser import parse
from crmctl.plan import fit_to
from crmctl.resource import Address, Resource

RENAMED = "accounts: [{domain: new.example, was: https://Old.example, name: N}]"


def said(manifest: str) -> list[str]:
    """The findings about a manifest, with their places."""
    documents, _ = parse(manifest.encode(), "m.yaml", schema.shape())
    collector = Collector()
    collector.add(documents)
    collector.finish()
    return [f"{found.source}: {found.field}: {found.message}" for found in collector.diagnostics]


def test_a_former_key_is_normalised_like_any_key() -> None:
    """It is no field: it is neither compared nor sent."""
    resource = read(RENAMED).resources["account"]["new.example"]
    assert ("old.example", {"domain": "new.example", "name": "N"}) == (resource.was, dict(resource.fields))


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("accounts: [{domain: a.example, was: b}]", "m.yaml:1:37: was: {value} has no dot"),
        ("accounts: [{domain: a.example, was: A.example}]", "m.yaml:1:37: was: {value} is the key it has now"),
        (
            "accounts: [{domain: a.example, was: b.example}, {domain: b.example}]",
            "m.yaml:1:37: was: {value} is another record's (at m.yaml:1:49)",
        ),
        (
            "accounts: [{domain: a.example, was: c.example}, {domain: b.example, was: c.example}]",
            "m.yaml:1:74: was: {value} is another record's (at m.yaml:1:12)",
        ),
    ],
)
def test_a_former_key_that_makes_no_sense_is_an_error(manifest: str, expected: str) -> None:
    """No key, the key itself, or somebody else's."""
    [found] = said(manifest)
    assert found.startswith(expected)


def test_where_keys_can_not_be_changed_the_record_is_reported_and_not_doubled() -> None:
    """Until somebody changed the key in the CRM; then `was` does no harm."""
    with crm() as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "old.example", "name": "N"}])
        assert {"account/new.example": "report"} == actions(there.plan(RENAMED))
        assert {"account/new.example": "skipped"} == statuses(there.apply(RENAMED))
        [record] = there.records("accounts")
        there.request("PATCH", "/v1/accounts/bulk", {record["id"]: {"domain": "new.example"}})
        assert {} == actions(there.plan(RENAMED))


def test_a_record_that_never_was_is_created() -> None:
    """Neither key is known to the CRM."""
    with crm() as there:
        assert {"account/new.example": "created"} == statuses(there.apply(RENAMED, settings=Settings()))
        assert {} == actions(there.plan(RENAMED))


def test_the_new_key_wins_where_both_are_there() -> None:
    """Two records: the one with the key that is declared is meant."""
    with crm() as there:
        bodies = [{"domain": "old.example", "name": "O"}, {"domain": "new.example", "name": "N"}]
        there.request("POST", "/v1/accounts/bulk", bodies)
        assert {} == actions(there.plan(RENAMED))


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("thena", "/v1/accounts/contacts", {"email": "JO.NEW@A.example", "firstName": "Other"}),
        ("octolane", "/v1/contacts/bulk", [{"email": "JO.NEW@A.example", "first_name": "Other"}]),
    ],
)
def test_the_new_key_wins_in_any_spelling(provider: str, path: str, body: Any) -> None:
    """A look-up that minds case finds the one with the former key: the other is looked for all the same."""
    switches = {"key_normalisation": "none"} if provider == "octolane" else {}
    with crm(switches, provider=provider) as there:
        there.apply("contacts: [{email: jo@a.example, first_name: Jo}]")
        there.request("POST", path, body)
        renamed = "contacts: [{email: jo.new@a.example, was: jo@a.example, first_name: Jo}]"
        assert {"contact/jo.new@a.example": "updated"} == statuses(there.apply(renamed))
        assert {} == actions(there.plan(renamed))


def test_where_keys_can_be_changed_the_update_changes_it() -> None:
    """The key is a field of the update like any other."""
    desired = read(RENAMED)
    old = Resource(Address("account", "old.example"), {"domain": "old.example", "name": "N"}, remote_id="1")
    [change] = diff(desired, Live({"account": {"new.example": old}}, {}, {}, {}), Rules()).changes
    assert [("domain", "old.example", "new.example")] == [(f.path, f.before, f.after) for f in change.fields]
    able = Capability(update=True, rekeys=True)
    assert change == fit_to(change, able)
    reported = fit_to(change, able._replace(rekeys=False))
    assert ("report", "the CRM holds it as old.example, and this target can't change a key: change it there") == (
        reported.action,
        reported.reason,
    )
