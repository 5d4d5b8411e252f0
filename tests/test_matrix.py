"""What every API takes: under each undocumented behaviour, alone and with any other, the CRM ends as declared.

Where that can't be, the report says so record by record, and nothing is doubled.
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from harness import Crm, actions, crm, statuses
from matrix import pairwise, singles

from crmctl.providers import Options

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
OPTIONS = Options(pipelines={"sales": PIPELINE}, assumed_routes=True, define=True)
MANIFESTS = {
    "octolane": f"""
accounts:
  - domain: acme.example
    name: Acme
    tags: [customer, emea]
    custom_fields: {{tier: gold}}
    contacts:
      - {{email: Jane@acme.example, first_name: Jane, phone: "+49 30 1"}}
    opportunities:
      - name: Renewal
        pipeline: sales
        stage: Proposal
        deal_size: 40000
        close_date: 2027-01-31
        primary_contact_email: jane@acme.example
      - {{name: Seats, key: seats, pipeline_id: {PIPELINE}, next_steps: call}}
    notes:
      - {{key: kickoff, text: It went well.}}
contacts:
  - {{email: sam@freemail.example, first_name: Sam}}
""",
    "octolane_inbound": """
accounts:
  - domain: acme.example
    contacts:
      - {email: Jane@acme.example, first_name: Jane}
      - {email: lee@acme.example, first_name: Lee, last_name: Park}
  - {domain: globex.example}
contacts:
  - {email: sam@freemail.example, first_name: Sam}
""",
    "thena": """
accounts:
  - domain: acme.example
    name: Acme
    description: Tools
    thena: {status: active, annual_revenue: 5, website: acme.example}
    contacts:
      - {email: Jane@acme.example, first_name: Jane, phone: "+49 30 1", type: billing}
      - {email: lee@acme.example, first_name: Lee, last_name: null}
    notes:
      - {key: kickoff, text: It went well.}
  - {domain: globex.example, name: Globex, description: null}
contacts:
  - {email: sam@freemail.example, first_name: Sam, accounts: [acme.example, globex.example]}
""",
}
UNHELPED: Mapping[tuple[str, str, str], set[str]] = {
    # What no client can do anything about: the record that the report has to name.
    ("octolane", "no_stage", "reject"): {f"opportunity/acme.example/{PIPELINE}/seats"},
    ("octolane", "patch_arrays", "append"): {"account/acme.example"},
    ("octolane", "patch_stage", "rejected"): {"opportunity/acme.example/sales/Renewal"},
    ("octolane", "patch_stage", "ignored"): {"opportunity/acme.example/sales/Renewal"},
    # Contacts have to be sent as the target's `items` says, or not at all.
    ("thena", "bulk_items", "emails"): {
        "contact/jane@acme.example",
        "contact/lee@acme.example",
        "contact/sam@freemail.example",
    },
}
ALWAYS = {("octolane", "no_stage", "reject"), ("thena", "bulk_items", "emails")}
"""Of these also what an empty CRM is spared."""

FOUND_AND_FIXED = {"octolane_inbound": {"contact/lee@acme.example"}}
"""What an API without updates can't bring into line, wherever it was there before."""

APIS = sorted(MANIFESTS)
SINGLES = [(provider, name, value) for provider in APIS for name, value in singles(provider)]
PAIRS = [
    (provider, switches)
    for provider in APIS
    for switches in pairwise(provider, [(name, value) for api, name, value in UNHELPED if api == provider])
]


def seed(there: Crm, provider: str) -> None:
    """Put somebody else's records into the CRM: some with other values, some as declared."""
    if provider == "thena":
        [acme, globex] = [
            _data(there.request("POST", "/v1/accounts", {"name": name, "primaryDomain": domain, "description": "x"}))
            for name, domain in (("ACME Inc", "acme.example"), ("Old", "globex.example"))
        ]
        for contact in (
            {"email": "jane@acme.example", "firstName": "J", "accountIds": [globex["id"]]},
            {"email": "lee@acme.example", "firstName": "Lee", "lastName": "X"},
        ):
            there.request("POST", "/v1/accounts/contacts", contact)
        there.request("POST", "/v1/accounts/notes", {"accountId": acme["id"], "content": "It went well."})
    elif provider == "octolane":
        there.request("POST", "/v1/accounts/bulk", [{"domain": "acme.example", "name": "ACME Inc", "tags": ["pilot"]}])
        there.request("POST", "/v1/contacts/bulk", [{"email": "JANE@acme.example", "first_name": "J"}])
        deal = {"name": "Renewal", "deal_size": 1, "stage_name": "Lead"}
        item = {"pipeline_id": PIPELINE, "opportunity": deal, "related_objects": {"account_domain": "acme.example"}}
        there.request("POST", "/v1/opportunities/bulk", [item])
    else:
        there.request("POST", "/v1/inbound/contacts", {"email": "lee@acme.example", "first_name": "Lee"})
    there.clock.now += 3600


def _data(answer: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = answer.get("data", answer)
    return data


def doubled(there: Crm, provider: str) -> list[str]:
    """Return every name that more than one live record has; none that this file declares is used twice."""
    there.clock.now += 3600
    columns = {
        "thena_accounts": "primaryDomain",
        "thena_contacts": "email",
        "thena_notes": "content",
        "octolane_accounts": "domain",
        "octolane_contacts": "email",
        "octolane_opportunities": "name",
    }
    names: list[str] = []
    with contextlib.closing(sqlite3.connect(there.folder / "crm.db")) as connection:
        for table, column in columns.items():
            if table.startswith(provider.partition("_")[0]):
                rows = connection.execute(f"SELECT {column} FROM {table}").fetchall()  # noqa: S608 - names from above
                names += [f"{table} {str(value).lower().removeprefix('@')}" for (value,) in rows]
    return sorted(name for name, count in Counter(names).items() if count > 1)


def check(provider: str, switches: Mapping[str, str], expected: set[str], *, used: bool) -> None:
    """Apply, and see what a second plan says."""
    with crm(switches, provider=provider, options=OPTIONS, journal=True) as there:
        if used:
            seed(there, provider)
            expected = expected | FOUND_AND_FIXED.get(provider, set())
        result = there.apply(MANIFESTS[provider])
        assert result.stopped is None
        wrong = {str(o.change.address) for o in result.outcomes if o.status in {"failed", "unknown", "skipped"}}
        there.clock.now += 3600
        again = there.plan(MANIFESTS[provider])
        assert wrong == {*actions(again)}
        assert all(o.error for o in result.outcomes if str(o.change.address) in wrong)
        assert (expected == wrong) if not used else (expected >= wrong)
        assert [] == doubled(there, provider)
        if wrong:
            repeated = there.apply(MANIFESTS[provider])
            assert wrong == {*statuses(repeated)}
            assert [] == doubled(there, provider)


@pytest.mark.parametrize(("provider", "name", "value"), SINGLES, ids=str)
@pytest.mark.parametrize("used", [False, True], ids=["empty", "used"])
def test_every_unknown_by_itself(provider: str, name: str, value: str, used: bool) -> None:  # noqa: FBT001 - by name
    """The second plan is empty, but for what the first report has named."""
    found = (provider, name, value)
    expected = UNHELPED.get(found, set()) if used or found in ALWAYS else set()
    check(provider, {name: value}, expected, used=used)


@pytest.mark.parametrize(
    ("provider", "switches"), PAIRS, ids=[f"{api}-{number}" for number, (api, _) in enumerate(PAIRS)]
)
@pytest.mark.parametrize("used", [False, True], ids=["empty", "used"])
def test_every_two_unknowns_together(provider: str, switches: Mapping[str, str], used: bool) -> None:  # noqa: FBT001 - by name
    """Unknowns that meet are no worse than one alone."""
    check(provider, switches, set(), used=used)


def test_contacts_go_as_plain_addresses_where_a_target_says_so() -> None:
    """The published item type, taken literally; the names follow in an update."""
    options = Options(items="emails")
    with crm({"bulk_items": "emails"}, provider="thena", options=options) as there:
        result = there.apply(MANIFESTS["thena"])
        assert {"created"} == set(statuses(result).values())
        assert {} == actions(there.plan(MANIFESTS["thena"]))
        assert [] == doubled(there, "thena")


def test_any_two_values_meet() -> None:
    """The combinations of this file are what their name says."""
    combined = pairwise("thena")
    table = dict(singles("thena"))
    assert len(combined) < 100
    assert all(any(name in switches for switches in combined) for name in table)
