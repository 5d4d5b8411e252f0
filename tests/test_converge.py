"""Under every documented uncertainty the CRM ends as declared, or crmctl says why not; and nothing is doubled."""

from collections import Counter
from collections.abc import Mapping

import pytest
from harness import Crm, actions, crm, statuses

from crmctl.identity import normalise
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.switches import list_declared

MANIFEST = """
accounts:
  - domain: acme.example
    name: Acme
    industry: Tools
    founded: 1984
    tags: [customer, emea]
    next_meeting: 2027-01-31
    contacts:
      - {email: Jane@Acme.example, first_name: Jane, phone: "+49 30 1"}
      - {email: lee@acme.example, first_name: Lee, last_name: null, other_emails: [lee@home.example]}
  - {domain: globex.example, name: Globex, tags: pilot, description: null}
  - {domain: new.example, name: New}
contacts:
  - {email: sam@freemail.example, first_name: Sam, type: partner}
"""
ADDRESSES = {
    "account/acme.example",
    "account/globex.example",
    "account/new.example",
    "contact/jane@acme.example",
    "contact/lee@acme.example",
    "contact/sam@freemail.example",
}
FOUND = [
    ("accounts", {"domain": "acme.example", "name": "ACME Inc", "industry": None, "tags": ["pilot"]}),
    ("accounts", {"domain": "globex.example", "name": "Globex", "description": "made by somebody"}),
    ("accounts", {"domain": "unrelated.example", "name": "Unrelated"}),
    ("contacts", {"email": "JANE@acme.example", "first_name": "Jane", "job_title": "CTO"}),
    ("contacts", {"email": "lee@acme.example", "first_name": "Li", "last_name": "Park"}),
]
NUMBERS = {
    "in_limit": ["1", "2", "3", "100"],
    "cursor_lifetime": ["1"],
    "search_lag": ["0.3", "2", "20"],
    "body_limit": ["1000"],
}
CHOICES = [
    (name, value)
    for name, switch in list_declared(OctolaneSwitches).items()
    for value in (switch.values or NUMBERS[name])
]
UNHELPED = {
    # What no client can do anything about, and what crmctl has to say of it.
    ("patch_null", "ignored"): {"account/globex.example": "description", "contact/lee@acme.example": "last_name"},
    ("patch_arrays", "append"): {"account/acme.example": "tags"},
}


def seed(there: Crm) -> None:
    """Put somebody else's records into the CRM."""
    for plural, record in FOUND:
        there.request("POST", f"/v1/{plural}/bulk", [record])
    there.clock.now += 3600


def doubled(there: Crm) -> dict[str, int]:
    """The keys that more than one live record has."""
    keys = Counter(
        f"{kind}/{normalise(kind, str(record[field]))}"
        for kind, plural, field in (("account", "accounts", "domain"), ("contact", "contacts", "email"))
        for record in there.records(plural)
    )
    return {key: count for key, count in keys.items() if count > 1}


@pytest.mark.parametrize(("switch", "value"), CHOICES)
def test_an_empty_crm_converges(switch: str, value: str) -> None:
    """Everything is created, nothing twice, and the second plan is empty."""
    with crm({switch: value}) as there:
        assert dict.fromkeys(ADDRESSES, "create") == actions(there.plan(MANIFEST))
        result = there.apply(MANIFEST)
        assert dict.fromkeys(ADDRESSES, "created") == statuses(result)
        there.clock.now += 3600
        again = there.plan(MANIFEST)
        assert {} == actions(again)
        assert len(ADDRESSES) == again.unchanged
        assert {} == doubled(there)


@pytest.mark.parametrize(("switch", "value"), CHOICES)
def test_a_used_crm_converges_or_the_report_says_why_not(switch: str, value: str) -> None:
    """Foreign records are adopted; what the vendor makes impossible is named, record and field, and nothing doubles."""
    with crm({switch: value}) as there:
        seed(there)
        result = there.apply(MANIFEST)
        expected = UNHELPED.get((switch, value), {})
        wrong = {
            str(outcome.change.address): outcome.error for outcome in result.outcomes if outcome.status == "failed"
        }
        assert expected.keys() == wrong.keys()
        assert all(name in wrong[address] for address, name in expected.items())
        there.clock.now += 3600
        assert dict.fromkeys(expected, "update") == actions(there.plan(MANIFEST))
        assert {} == doubled(there)


@pytest.mark.parametrize("existing", ["overwrite", "untouched", "fill_blank"])
def test_a_record_that_appears_between_plan_and_apply_is_brought_into_line(existing: str) -> None:
    """What a create found to exist and differ is updated in the same run, and told apart."""
    with crm({"existing": existing}) as there:
        plan = there.plan(MANIFEST)
        seed(there)
        result = there.apply(MANIFEST, plan=plan)
        if existing != "overwrite":
            assert "existed" == statuses(result)["account/acme.example"]
        assert {"created", "existed"} >= set(statuses(result).values())
        assert {} == actions(there.plan(MANIFEST))
        assert {} == doubled(there)


def pairs() -> list[Mapping[str, str]]:
    """Combinations that touch one another."""
    return [
        {"key_normalisation": "none", "in_case": "sensitive", "existing": "untouched"},
        {"key_normalisation": "dedupe_only", "in_case": "sensitive", "read_fields": "set"},
        {"key_normalisation": "case", "in_limit": "1", "search_lag": "5"},
        {"read_fields": "set", "existing": "fill_blank", "search_lag": "1"},
        {"read_fields": "documented", "existing": "untouched", "bad_item": "partial"},
        {"search_lag": "3", "existing": "untouched", "bulk_data": "empty", "created_status": "201"},
        {"key_filter": "no", "existing": "untouched", "contact_makes_account": "no"},
    ]


@pytest.mark.parametrize("switches", pairs(), ids=lambda switches: " ".join(f"{k}={v}" for k, v in switches.items()))
def test_combinations_converge(switches: Mapping[str, str]) -> None:
    """Uncertainties that meet are no worse than one alone."""
    with crm(switches) as there:
        seed(there)
        result = there.apply(MANIFEST)
        assert {"created", "existed", "updated"} >= set(statuses(result).values())
        there.clock.now += 3600
        assert {} == actions(there.plan(MANIFEST))
        assert {} == doubled(there)


SPELLINGS = ["https://acme.example/x", "www.acme.example", "acme.example.", "ACME.example"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("in_case", ["sensitive", "insensitive"])
@pytest.mark.parametrize("key_normalisation", ["none", "case", "dedupe_only", "full"])
def test_a_key_stored_in_another_spelling_is_found(key_normalisation: str, in_case: str, spelling: str) -> None:
    """However the CRM keeps domains: what somebody stored as a URL is adopted, not created again."""
    with crm({"key_normalisation": key_normalisation, "in_case": in_case}) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": spelling, "name": "Other"}])
        manifest = "accounts: [{domain: acme.example, name: Acme}]"
        assert {"account/acme.example": "updated"} == statuses(there.apply(manifest))
        assert {} == actions(there.plan(manifest))
        assert 1 == len(there.records("accounts"))


@pytest.mark.parametrize("in_case", ["sensitive", "insensitive"])
def test_a_former_key_stored_in_another_case_is_found(in_case: str) -> None:
    """A renamed record is not made again either."""
    with crm({"key_normalisation": "none", "in_case": in_case}) as there:
        there.request("POST", "/v1/contacts/bulk", [{"email": "Old@a.example"}])
        manifest = "contacts: [{email: new@a.example, was: old@a.example}]"
        assert {"contact/new@a.example": "report"} == actions(there.plan(manifest))
