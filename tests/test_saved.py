"""A saved plan against what would be done now."""

import json

import pytest
from harness import Crm, crm, redactor, statuses

from crmctl.apply import Settings
from crmctl.describe import document
from crmctl.document import Document
from crmctl.errors import CrmctlError, InvalidInput, StalePlan
from crmctl.outcome import Result
from crmctl.redact import Redactor
from crmctl.reports import json as json_report
from crmctl.saved import Match, hide, match, read_plans

FIRST = """
accounts:
  - {domain: a.example, name: A}
  - {domain: b.example, name: B}
contacts:
  - {email: jane@a.example, first_name: Jane}
"""


def save(there: Crm, manifest: str = FIRST, *, on: bool = False) -> Document:
    """Plan, write the plan file and read it back."""
    text = "".join(json_report.plan(document(there.plan(manifest), redactor(on=on))))
    return opened(text.encode())


def opened(data: bytes) -> Document:
    """Read a plan file that has one plan."""
    saved = read_plans(data, "plan.json")
    assert isinstance(saved, Document)
    return saved


def compare(saved: Document, there: Crm, manifest: str = FIRST, *, on: bool = False) -> Match:
    """Plan afresh and compare."""
    return match(saved, there.plan(manifest), redactor(on=on))


def carry_out(saved: Document, there: Crm, manifest: str = FIRST) -> Result:
    """Apply a plan file."""
    matched = compare(saved, there, manifest)
    assert () == matched.stale
    return there.apply(manifest, plan=matched.plan, settings=Settings(reviewed=True))


@pytest.mark.parametrize("on", [False, True])
def test_a_plan_that_still_holds_is_kept_whole(on: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """Nothing happened since: every change is as reviewed, redacted or not."""
    with crm() as there:
        matched = compare(save(there, on=on), there, on=on)
    assert ((), 3) == (matched.stale, len(matched.plan.changes))


def test_numbers_come_back_as_they_were() -> None:
    """A plan file with a fraction in it holds as well."""
    manifest = "accounts: [{domain: a.example, estimated_revenue: 1.5e6, total_fund_raised: 0.1}]"
    with crm() as there:
        assert () == compare(save(there, manifest), there, manifest).stale


def test_what_is_done_already_counts_as_done() -> None:
    """A killed apply is finished by running the same file again."""
    with crm() as there:
        saved = save(there)
        there.apply("accounts: [{domain: a.example, name: A}]")
        result = carry_out(saved, there)
        assert {"account/b.example": "created", "contact/jane@a.example": "created"} == statuses(result)
        assert {} == statuses(carry_out(saved, there))


def test_a_change_that_differs_now_is_stale() -> None:
    """Somebody changed the record, or the manifest, since the plan was made."""
    with crm() as there:
        there.apply("accounts: [{domain: a.example, name: Old}]")
        saved = save(there)
        there.apply("accounts: [{domain: a.example, name: Newer}]")
        matched = compare(saved, there)
        assert ("account/a.example: planned to update, differs now",) == matched.stale
        assert ["report", "create", "create"] == [change.action for change in matched.plan.changes]
        assert "left alone: planned to update, differs now" == matched.plan.changes[0].reason


def test_a_new_change_is_stale() -> None:
    """What was not reviewed is not applied."""
    with crm() as there:
        saved = save(there, "accounts: [{domain: a.example, name: A}]")
        matched = compare(saved, there, "accounts: [{domain: a.example, name: A}, {domain: c.example}]")
    assert ("account/c.example: to create now, and not in the plan",) == matched.stale


@pytest.mark.parametrize("manifest", ["accounts: [{domain: b.example, name: B}]", FIRST.replace("name: A", "name: Z")])
def test_a_record_declared_otherwise_is_stale_even_if_it_needs_nothing(manifest: str) -> None:
    """Removed from the manifests, or changed there to what the CRM has by now."""
    with crm() as there:
        saved = save(there)
        there.apply("accounts: [{domain: a.example, name: Z}]")
        there.apply("accounts: [{domain: b.example, name: B}]\ncontacts: [{email: jane@a.example, first_name: Jane}]")
        stale = compare(saved, there, manifest).stale
    assert "account/a.example: planned to create, and declared otherwise now" in stale


def test_a_record_that_turns_up_and_differs_is_a_conflict() -> None:
    """With a reviewed plan it is not updated but reported."""
    with crm({"existing": "untouched"}) as there:
        plan = there.plan(FIRST)
        there.request("POST", "/v1/accounts/bulk", [{"domain": "a.example", "name": "Other"}])
        result = there.apply(FIRST, plan=plan, settings=Settings(reviewed=True))
        outcome = result.outcomes[0]
        assert ("failed", True) == (outcome.status, outcome.conflict)
        assert "exists since the plan was made, with other values (name): plan again" == outcome.error
        assert 4 in result.exit_codes()


def test_a_listed_update_that_can_not_be_done_any_more_is_stale() -> None:
    """A second record of the key has turned up: nothing is dropped in silence."""
    with crm({"key_normalisation": "none", "in_case": "insensitive"}) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "a.example", "name": "Old"}])
        saved = save(there)
        there.request("POST", "/v1/accounts/bulk", [{"domain": "A.example", "name": "Other"}])
        [found] = compare(saved, there).stale
    assert found.startswith("account/a.example: planned to update, and can't be done now (the CRM holds 2 records")


def test_a_listed_update_that_a_policy_holds_back_now_is_stale() -> None:
    """The CRM differs still, so it does not count as done."""
    with crm() as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "a.example", "name": "Old"}])
        saved = save(there)
        there.policies = {"account": {"name": "create_only"}}
        [found] = compare(saved, there).stale
    assert "account/a.example: planned to update, and held back by a field policy now" == found


def test_a_killed_run_with_ignored_fields_is_finished_from_its_file() -> None:
    """What is never sent is no part of what was reviewed."""
    with crm(policies={"account": {"name": "ignore"}}) as there:
        saved = save(there)
        there.apply("accounts: [{domain: a.example, name: A}]")
        assert () == compare(saved, there).stale


def test_pseudonyms_do_not_hide_another_value() -> None:
    """Jane and JANE have one pseudonym, and are two values."""
    with crm() as there:
        saved = save(there, on=True)
        manifest = FIRST.replace("first_name: Jane", "first_name: ' JANE'")
        [found] = compare(saved, there, manifest, on=True).stale
    assert found.endswith("planned to create, differs now")


def test_a_plan_file_is_hidden_on_request() -> None:
    """Every personal value in it, notices and held fields included."""
    manifest = (
        FIRST + "  - {email: lee@a.example, first_name: Lee, other_emails: [lee@home.example], account: b.example}"
    )
    with crm({"existing": "untouched"}, policies={"contact": {"first_name": "create_only"}}) as there:
        record = {"email": "lee@a.example", "first_name": "Leonard", "other_emails": ["l@old.example"]}
        there.request("POST", "/v1/contacts/bulk", [record])
        hidden = hide(save(there, manifest), redactor(on=True))
        shown = json.dumps([hidden.head, *hidden.entries()])
        assert hide(hidden, redactor(on=True)) is hidden
        assert hide(saved := save(there, manifest), redactor()) is saved
    assert [] == [word for word in ("jane@", "Jane", "lee@", "Leonard", "l@old") if word in shown]
    assert "anon-" in shown


def test_another_key_is_told_from_a_stale_plan() -> None:
    """Digests of two keys can't be compared, and the message says what to do."""
    with crm() as there:
        saved, fresh = save(there), there.plan(FIRST)
    with pytest.raises(StalePlan, match="CRMCTL_PSEUDONYM_KEY"):
        match(saved, fresh, Redactor(b"other", {}, False))


def test_reports_are_not_matched() -> None:
    """What nobody can do is in both plans and no reason to refuse."""
    with crm({"key_normalisation": "none"}) as there:
        for domain in ("a.example", "A.example"):
            there.request("POST", "/v1/accounts/bulk", [{"domain": domain, "name": "A"}])
        manifest = "accounts: [{domain: A.example, name: A}]"
        saved = save(there, manifest)
        matched = compare(saved, there, manifest)
    assert ((), ["report"]) == (matched.stale, [change.action for change in matched.plan.changes])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"after": "A"', '"after": "Evil"'),
        ('"action": "create"', '"action": "update"'),
        ('"provider": "octolane"', '"provider": "other"'),
        ('"create": 3', '"create": 1'),
        ('"line": 3', '"line": 4'),
    ],
)
def test_an_edited_plan_file_is_refused(before: str, after: str) -> None:
    """What a reviewer saw is what is applied, or nothing."""
    with crm() as there:
        text = "".join(json_report.plan(document(there.plan(FIRST), redactor())))
        assert before in text
        saved = opened(text.replace(before, after, 1).encode())
        with pytest.raises(StalePlan, match="changed after it was written"):
            compare(saved, there)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format_version": "2.0"}', b'{"a": 1e999}', b'{"a": NaN}']
)
def test_what_is_no_plan_file_of_ours_is_refused(data: bytes) -> None:
    """Broken JSON and other versions of the format are refused with the next step."""
    with pytest.raises(CrmctlError, match="plan"):
        read_plans(data, "plan.json")


@pytest.mark.parametrize("values", [[], {}, {"format_version": "1.0"}, {"format_version": 1}])
def test_what_breaks_the_schema_is_refused(values: object) -> None:
    """Valid JSON that is no plan gives diagnostics."""
    with pytest.raises(InvalidInput):
        read_plans(json.dumps(values).encode(), "plan.json")


def test_unknown_members_are_fine() -> None:
    """A later minor version may say more."""
    with crm() as there:
        text = "".join(json_report.plan(document(there.plan(FIRST), redactor())))
    values = {**json.loads(text), "format_version": "1.7", "more": {"than": "we know"}}
    assert "1.7" == read_plans(json.dumps(values).encode(), "plan.json").head["format_version"]
