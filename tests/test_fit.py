"""What a target can hold of what is declared, and what is said of the rest."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from harness import actions, crm, read

from crmctl.capability import Capability, Definition
from crmctl.desired import Desired
from crmctl.errors import InvalidInput
from crmctl.fit import Fitted, fit
from crmctl.provider import Finding, Provider, Resolution
from crmctl.resource import Address, Resource

TEXT = """
accounts:
  - domain: acme.example
    name: Acme
    industry: Tools
    notes:
      - {key: kickoff, text: Hello}
"""
ACME = Address("account", "acme.example")


class Small:
    """A provider that holds domains and names only."""

    capabilities: Mapping[str, Capability] = {"account": Capability(create=True)}

    def __init__(self, *, findings: Sequence[str] = (), homeless: bool = False) -> None:
        self.findings = findings
        self.homeless = homeless

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        account = desired["account"]["acme.example"]
        found = [Finding(account, field, "is no such thing") for field in self.findings]
        return Resolution(found, [Definition("account", "tier", "string")])

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        if self.homeless:
            return resource, [("", "there is no room")]
        held = {name: value for name, value in resource.fields.items() if name in {"domain", "name"}}
        return Resource(resource.address, held, resource.refs, resource.origin), [
            (name, "no place for it") for name in resource.fields if name not in held
        ]


def fitted(*, strict: bool = False, text: str = TEXT, **how: Any) -> Fitted:
    return asyncio.run(fit(cast("Provider", Small(**how)), read(text), strict=strict))


def wrong(**how: Any) -> list[tuple[str, str]]:
    """Return where something is wrong, and what."""
    with pytest.raises(InvalidInput) as caught:
        fitted(**how)
    return [(str(found.source), found.message) for found in caught.value.diagnostics]


def test_what_has_no_place_is_left_out_and_told_of() -> None:
    """With the position of the value."""
    found = fitted()
    assert {"domain": "acme.example", "name": "Acme"} == found.desired.resources["account"]["acme.example"].fields
    assert [("manifests/test.yaml:5:15", "industry: no place for it")] == [
        (str(notice.source), notice.text) for notice in found.desired.notices
    ]
    assert (Definition("account", "tier", "string"),) == found.definitions


def test_a_kind_without_a_place_stays_in_the_plan_and_is_blocked() -> None:
    """A note is declared, so it is said that nothing will come of it."""
    found = fitted()
    address = Address("note", "acme.example/kickoff")
    assert {address: "this target has no place for notes: `crmctl providers` shows what it takes"} == found.blocked
    assert ["acme.example/kickoff"] == list(found.desired.resources["note"])


def test_a_record_without_a_place_is_blocked() -> None:
    """The provider says why."""
    assert "there is no room" == fitted(homeless=True).blocked[ACME]


def test_unknown_names_are_errors_where_they_stand() -> None:
    """All of them at once."""
    assert [
        ("manifests/test.yaml:4:11", "is no such thing"),
        ("manifests/test.yaml:5:15", "is no such thing"),
    ] == wrong(findings=["industry", "name"])


def test_a_strict_target_takes_nothing_it_can_not_hold() -> None:
    """What would be a notice is an error there, and so is a record without a place."""
    assert [
        ("manifests/test.yaml:5:15", "industry: no place for it"),
        ("manifests/test.yaml:7:9", "this target has no place for notes: `crmctl providers` shows what it takes"),
    ] == wrong(strict=True)


def test_nothing_declared_is_fitted_to_nothing() -> None:
    """A strict target is content with what it can hold."""
    found = fitted(strict=True, text="accounts: [{domain: acme.example}]\n")
    assert isinstance(found.desired, Desired)
    assert {} == found.blocked


def test_what_a_policy_ignores_is_never_heard_of() -> None:
    """Neither an unknown name there nor a missing place is worth a word."""
    small = cast("Provider", Small())
    found = asyncio.run(fit(small, read(TEXT), strict=False, ignored={"account": frozenset({"industry"})}))
    assert () == found.desired.notices
    assert {"domain": "acme.example", "name": "Acme"} == found.desired.resources["account"]["acme.example"].fields
    assert "manifests/test.yaml:3:5" == str(found.desired.resources["account"]["acme.example"].source)


CLEARED = """
accounts:
  - domain: a.example
    name: NAME
    industry: INDUSTRY
    thena: {status: STATUS}
    contacts:
      - {email: jane@a.example, first_name: Jane, type: TYPE}
"""


def test_what_an_api_can_not_clear_is_said_in_the_plan() -> None:
    """Not record by record in each run: the rest of the record is written, and the next plan is empty."""
    values = {"NAME": "A", "INDUSTRY": "FINANCE", "STATUS": "ACTIVE", "TYPE": "LEGAL"}
    first, then = CLEARED, CLEARED.replace("NAME", "B")
    for name, value in values.items():
        first, then = first.replace(name, value), then.replace(name, "~")
    with crm(provider="thena") as there:
        there.apply(first)
        plan = there.plan(then)
        assert [("account/a.example", ["industry", "name"])] == [
            (str(change.address), sorted(field.path for field in change.fields)) for change in plan.changes
        ]
        why = "can't be cleared, as {} counts where nothing is named: declare that, or leave the field out"
        assert [
            ("manifests/test.yaml:6:21", f"thena.status: {why.format('PROSPECT')}"),
            ("manifests/test.yaml:8:57", f"type: {why.format('PRIMARY')}"),
        ] == [(str(notice.source), notice.text) for notice in plan.notices]
        assert 1 == there.apply("", plan=plan).count("updated")
        assert {} == actions(there.plan(then))
