"""Opportunities, notes, links and sections: what they are called, whom they belong to, what of them is a field."""

import pytest
from harness import read

from crmctl import schema
from crmctl.desired import Collector, Desired, select
from crmctl.parser import parse
from crmctl.resource import Address, Resource


def collected(text: str) -> tuple[Desired, list[tuple[str, str]]]:
    """Return what a manifest declares, and what is wrong with it beyond what a schema sees."""
    documents, diagnostics = parse(text.encode(), "m.yaml", schema.shape())
    for document in documents:
        diagnostics += schema.check("manifest", document.root)
    assert [] == diagnostics
    collector = Collector()
    collector.add(documents)
    found = collector.finish()
    return found, [(str(one.source), one.message) for one in collector.diagnostics]


def only(text: str, kind: str) -> Resource:
    """Return the one record of a kind."""
    [found] = read(text).resources[kind].values()
    return found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "accounts: [{domain: acme.example, opportunities: [{name: 2027 renewal, pipeline: sales}]}]",
            "opportunity/acme.example/sales/2027%20renewal",
        ),
        (
            "opportunities: [{name: A/B, key: ab, pipeline: sales, account: www.acme.example}]",
            "opportunity/acme.example/sales/ab",
        ),
        ("opportunities: [{name: A/B, pipeline: x, account: a.example}]", "opportunity/a.example/x/A%2FB"),
        ("accounts: [{domain: acme.example, notes: [{key: kickoff, text: Hi}]}]", "note/acme.example/kickoff"),
        ("contacts: [{email: Jo@a.example, notes: [{key: call, text: Hi}]}]", "note/jo@a.example/call"),
        ("notes: [{key: call, text: Hi, contact: jo@a.example}]", "note/jo@a.example/call"),
        (
            "notes: [{key: call, text: Hi, account: a.example, contact: jo@a.example}]",
            "note/a.example/jo@a.example/call",
        ),
    ],
)
def test_an_address_is_made_of_what_a_record_belongs_to(text: str, address: str) -> None:
    """Its parts are percent-encoded, so that no name can pose as two."""
    kind = address.partition("/")[0]
    assert address == str(only(text, kind).address)


def test_what_is_ours_or_a_reference_is_no_field() -> None:
    """A key of ours, the account and nesting are not sent as they are."""
    text = "opportunities: [{key: k, name: N, pipeline: sales, account: a.example, deal_size: 4}]"
    assert {"name": "N", "pipeline": "sales", "deal_size": 4} == only(text, "opportunity").fields
    assert {"text": "Hi"} == only("notes: [{key: k, text: Hi, account: a.example}]", "note").fields


def test_an_opportunity_comes_after_the_people_it_names() -> None:
    """They are references besides its account."""
    people = "primary_contact_email: Jo@a.example, additional_contact_emails: [al@a.example]"
    found = only(f"opportunities: [{{name: N, pipeline: p, account: a.example, {people}}}]", "opportunity")
    assert {
        Address("account", "a.example"),
        Address("contact", "jo@a.example"),
        Address("contact", "al@a.example"),
    } == {*found.refs.values()}


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("opportunities:\n  - {name: N, pipeline: p}\n", "m.yaml:2:5", "belongs to no record: name its `account:`"),
        ("notes:\n  - {key: k, text: Hi}\n", "m.yaml:2:5", "name its `account:` or `contact:`, or nest it there"),
        (
            "accounts: [{domain: a.example, notes: [{key: k, text: Hi, account: a.example}]}]",
            "m.yaml:1:59",
            "a record nested in account/a.example belongs to it",
        ),
        (
            "notes: [{key: k, text: Hi, account: a.example}, {key: k, text: Ho, account: A.example}]",
            "m.yaml:1:55",
            "declared twice",
        ),
        ("notes: [{key: k, text: Hi, account: a b}]", "m.yaml:1:37", "{value}"),
        ("contacts: [{email: jo@a.example, accounts: [a.example, b c]}]", "m.yaml:1:56", "{value}"),
    ],
)
def test_what_belongs_nowhere_is_an_error_where_it_stands(text: str, source: str, message: str) -> None:
    """And it is the only one."""
    [(place, said)] = collected(text)[1]
    assert source == place
    assert message in said


def test_a_default_account_is_one() -> None:
    """Free opportunities of one file may share it."""
    text = "defaults: {opportunity: {account: a.example}}\nopportunities: [{name: N, pipeline: sales}]"
    assert "opportunity/a.example/sales/N" == str(only(text, "opportunity").address)


def test_a_contact_may_name_all_its_accounts() -> None:
    """The one it is nested in is one of them; each comes before it."""
    text = "accounts: [{domain: a.example, contacts: [{email: jo@a.example, accounts: [B.example, a.example]}]}]"
    found = only(text, "contact")
    assert ["a.example", "b.example"] == found.fields["accounts"]
    assert {Address("account", "a.example"), Address("account", "b.example")} == {*found.refs.values()}


def test_sections_are_fields_with_a_path_and_a_place() -> None:
    """A custom field, and one that a single vendor knows; defaults fill what is not declared."""
    text = """
defaults: {account: {custom_fields: {tier: silver, region: emea}}}
accounts:
  - domain: a.example
    custom_fields: {tier: gold}
    thena: {status: ACTIVE}
"""
    found = only(text, "account")
    assert {
        "domain": "a.example",
        "custom_fields.tier": "gold",
        "thena.status": "ACTIVE",
        "custom_fields.region": "emea",
    } == found.fields
    assert ["manifests/test.yaml:5:27", "manifests/test.yaml:6:21"] == [
        str(found.source_of(path)) for path in ("custom_fields.tier", "thena.status")
    ]
    assert found.source == found.source_of("custom_fields.region")


def test_composed_addresses_are_selected_whatever_their_case() -> None:
    """By what a plan shows, by a pattern, or by kind."""
    text = (
        "accounts: [{domain: a.example, opportunities: [{name: Big One, pipeline: sales}, {name: Two, pipeline: x}]}]"
    )
    for pattern in ("opportunity/a.example/sales/*", "opportunity/a.example/sales/Big%20One", "opportunity/*/sales/*"):
        chosen = select(read(text), [pattern], [])
        assert ["a.example/sales/Big%20One"] == list(chosen.resources["opportunity"])
