"""Custom fields to be made are part of a plan: shown, signed, and compared with what a saved plan says of them."""

import json
from collections.abc import Iterator

import pytest
from harness import Crm, crm, redactor

from crmctl.capability import Definition
from crmctl.describe import document, say_definition
from crmctl.document import Bundle, Document
from crmctl.errors import StalePlan
from crmctl.providers import Options
from crmctl.reports import json as json_report
from crmctl.saved import Match, hide, hide_each, match, read_plans

FIRST = "accounts: [{domain: a.example, name: A, custom_fields: {tier: gold}}]"
TIER = {"kind": "account", "slug": "tier", "type": "string"}


@pytest.fixture
def there() -> Iterator[Crm]:
    """A CRM in which custom fields may be made."""
    with crm(options=Options(define=True)) as opened:
        yield opened


def save(there: Crm, manifest: str = FIRST, *, on: bool = False) -> Document:
    """Plan, write the plan file and read it back."""
    saved = read_plans("".join(json_report.plan(document(there.plan(manifest), redactor(on=on)))).encode(), "plan.json")
    assert isinstance(saved, Document)
    return saved


def compare(saved: Document, there: Crm, manifest: str = FIRST, *, on: bool = False) -> Match:
    """Plan afresh and compare."""
    return match(saved, there.plan(manifest), redactor(on=on))


@pytest.mark.parametrize("on", [False, True])
def test_fields_are_made_as_reviewed(there: Crm, on: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """They are listed in the head, and kept in what is applied."""
    saved = save(there, on=on)
    assert [TIER] == saved.head["definitions"]
    matched = compare(saved, there, on=on)
    assert ((), 1) == (matched.stale, len(matched.plan.definitions))


def test_a_field_that_was_made_meanwhile_is_done(there: Crm) -> None:
    """Somebody else has made it, or a run that was killed."""
    saved = save(there)
    there.apply("accounts: [{domain: other.example, custom_fields: {tier: gold}}]")
    matched = compare(saved, there)
    assert ((), ()) == (matched.stale, matched.plan.definitions)


def test_a_field_that_was_not_reviewed_is_stale(there: Crm) -> None:
    """By name or by type; without it nothing is made."""
    known = {"domain": "b.example"}
    there.request("POST", "/v1/accounts/bulk", [known])
    saved = save(there)
    matched = compare(saved, there, FIRST.replace("tier: gold", "tier: 7"))
    assert "custom field account.tier (number): to add now, and not in the plan" == matched.stale[0]
    assert () == matched.plan.definitions


def test_the_signature_covers_them(there: Crm) -> None:
    """A field that a reviewer saw can't be exchanged for another."""
    saved = save(there)
    edited = Document({**saved.head, "definitions": [{**TIER, "type": "number"}]}, saved.entries)
    with pytest.raises(StalePlan, match="changed after it was written"):
        compare(edited, there)


def test_a_plan_file_of_an_earlier_version_has_none(there: Crm) -> None:
    """Hiding it adds an empty list, and nothing fails."""
    saved = save(there)
    earlier = Document({name: value for name, value in saved.head.items() if name != "definitions"}, saved.entries)
    assert [] == hide(earlier, redactor(on=True)).head["definitions"]


def test_the_plans_of_several_targets_are_hidden_each(there: Crm) -> None:
    """With what was said of those that failed, places and messages included."""
    source = {"file": "jane@a.example.yaml", "line": 1, "column": 2}
    found = [
        {"source": source, "kind": "contact", "key": "jane@a.example", "field": "", "message": "no jane@a.example"},
        {"source": None, "kind": None, "key": None, "field": "", "message": "no"},
    ]
    wrong = {"target": "b", "provider": "thena", "exit_code": 1, "error": "jane@a.example", "diagnostics": found}
    bundle = Bundle("plans", {}, [save(there, "contacts: [{email: jane@a.example}]")], [wrong])
    assert bundle == hide_each(bundle, redactor())
    hidden = hide_each(bundle, redactor(on=True))
    shown = json.dumps([*hidden.failed, *hidden.documents[0].entries()])
    assert (False, 5) == ("jane@" in shown, shown.count(redactor(on=True).address("contact", "jane@a.example")))


def test_what_a_field_belongs_to_is_said_where_it_is_more_than_its_kind() -> None:
    """The custom fields of a pipeline are its own."""
    said = [say_definition(Definition("opportunity", "tier", "string", scope), redactor()) for scope in ("", "p1")]
    assert [None, "p1"] == [one.get("scope") for one in said]
