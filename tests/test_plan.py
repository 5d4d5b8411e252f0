"""The plan: order, limits, digests, the requests an apply will send, and its document."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from harness import crm, read, redactor
from hypothesis import given, settings
from hypothesis import strategies as st

from crmctl import schema
from crmctl.batching import batches
from crmctl.capability import Capability
from crmctl.describe import document
from crmctl.desired import Desired
from crmctl.diff import Change, Difference, FieldChange, Held, Rules
from crmctl.limits import Limits, exceeded
from crmctl.live import Live
from crmctl.plan import Plan, build
from crmctl.reports import json as json_report
from crmctl.resource import Address, Resource

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FULL = Capability(
    read=True, create=True, update=True, dedupes=True, create_batch=100, update_batch=50, look_up_batch=200,
    read_route="POST /search", create_route="POST /bulk", update_route="PATCH /bulk",
)  # fmt: skip


def planned(
    changes: list[Change],
    *,
    capability: Capability = FULL,
    live: Live | None = None,
    reads: dict[str, int] | None = None,
) -> Plan:
    """A plan of some changes."""
    return build(
        Difference(tuple(changes), (), 0),
        live or Live({}, {}, {"account": 0}, {}),
        {"account": capability},
        target="test",
        provider="octolane",
        desired=Desired({}),
        reads=reads or {},
        manifest_digest="d",
        rules=Rules(),
        now=NOW,
    )


def create(number: int = 1) -> Change:
    """A create of one account."""
    address = Address("account", f"c{number:04}.example")
    return Change(address, "create", None, Resource(address, {"domain": address.key, "name": f"C{number}"}))


def update(number: int = 1, after: Any = "C") -> Change:
    """An update of one account's name."""
    address = Address("account", f"u{number:04}.example")
    before = Resource(address, {"domain": address.key, "name": "B"}, remote_id="1")
    desired = Resource(address, {"domain": address.key, "name": after})
    return Change(address, "update", before, desired, (FieldChange("name", "B", after),))


def matching(count: int) -> Live:
    """A CRM in which so many declared records were found."""
    return Live({"account": {str(number): create(number).after for number in range(count)}}, {}, {"account": 0}, {})


def test_the_requests_are_reads_batches_and_read_backs() -> None:
    """101 creates are two requests, 51 updates two more, each read back by one look-up; updates are read before too."""
    changes = [create(n) for n in range(101)] + [update(n) for n in range(51)]
    expected = {"POST /search": 3 + 2 + 4, "POST /bulk": 2, "PATCH /bulk": 2}
    assert expected == planned(changes, reads={"POST /search": 3}).requests


def test_the_requests_of_another_plan_are_counted_anew() -> None:
    """They are counted once a plan; one with fewer changes is another plan."""
    plan = planned([create(n) for n in range(101)])
    assert plan.requests is plan.requests
    assert {"POST /search": 1, "POST /bulk": 1} == replace(plan, changes=plan.changes[:1]).requests


def test_what_a_target_can_not_do_is_a_report() -> None:
    """A missing capability is said at plan time, and costs no request."""
    plan = planned([create()], capability=Capability(read=True))
    assert [("report", "this target can't create a record of this kind")] == [
        (c.action, c.reason) for c in plan.changes
    ]
    assert {} == plan.requests
    assert not plan.pending


def test_a_plan_without_changes_is_not_pending() -> None:
    """Reports alone leave nothing to apply."""
    assert not planned([]).pending
    assert planned([create()]).pending


def test_unmanaged_records_are_counted_only_when_everything_was_read() -> None:
    """One kind that was read by key makes the number unknown."""
    assert 3 == planned([], live=Live({}, {}, {"account": 1, "contact": 2}, {})).unmanaged
    assert planned([], live=Live({}, {}, {"account": 1, "contact": None}, {})).unmanaged is None
    assert planned([], live=Live({}, {}, {}, {})).unmanaged is None


def test_batches_keep_the_order() -> None:
    """A batch is a run of neighbours."""
    changes = [create(n) for n in range(5)]
    assert [changes[:2], changes[2:4], changes[4:]] == list(batches(changes, 2))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), []),
        (Limits(max_creates=1), ["2 creates are more than max_creates allows (1)"]),
        (Limits(max_creates=2), []),
        (Limits(max_updates=2), ["3 updates are more than max_updates allows (2)"]),
        (Limits(max_percent=29), ["updating 3 of 10 matched records (30 %) is more than max_percent allows (29 %)"]),
        (Limits(max_percent=None), []),
    ],
)
def test_limits_are_sentences_when_exceeded(limits: Limits, expected: list[str]) -> None:
    """Two creates and three updates of ten matched records."""
    plan = planned([create(1), create(2), update(1), update(2), update(3)], live=matching(10))
    assert expected == exceeded(plan, limits)


def test_a_percentage_of_few_records_says_nothing() -> None:
    """Below ten matched records max_percent is not looked at."""
    assert [] == exceeded(planned([update()], live=matching(9)), Limits(max_percent=0))


def signatures(*changes: Change, on: bool = False) -> list[tuple[str, str]]:
    """The digests of some changes, as their document has them."""
    entries = document(planned(list(changes)), redactor(on=on)).entries()
    return [(entry["digest"], entry["desired_digest"]) for entry in entries]


def test_digests_tell_changes_apart_and_nothing_else() -> None:
    """The same change has the same digests; other values, and another record, have others."""
    assert signatures(update(1)) == signatures(update(1))
    assert signatures(update(1, "C")) != signatures(update(1, "D"))
    assert signatures(create(1))[0][1] != signatures(create(2))[0][1]


def test_the_document_is_valid_and_deterministic() -> None:
    """What is written is what schemas/plan.schema.json describes, byte for byte the same each time."""
    plan = planned([create(), update(), Change(create(9).address, "report", None, create(9).after, reason="why")])
    texts = ["".join(json_report.plan(document(plan, redactor()))) for _ in range(2)]
    assert texts[0] == texts[1]
    jsonschema.Draft202012Validator(schema.read_schema("plan")).validate(json.loads(texts[0]))


def test_a_document_without_digests_says_so() -> None:
    """What is only shown needs no digests: they are null."""
    [entry] = document(planned([create()]), redactor(), with_digests=False).entries()
    assert (None, None) == (entry["digest"], entry["desired_digest"])


def test_the_document_has_what_people_need() -> None:
    """Positions, held fields, notices, unreadable fields and details of nested values are all there."""
    manifest = """
accounts:
  - domain: https://www.Acme.example/about
    name: Acme
    tags: [a, b]
"""
    with crm({"read_fields": "set"}, policies={"account": {"name": "create_only"}}) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "acme.example", "name": "ACME", "tags": ["b", "c"]}])
        made = document(there.plan(manifest), redactor())
    [change] = made.entries()
    [tags] = change["fields"]
    where = {"file": "manifests/test.yaml", "line": 5, "column": 11}
    details = [
        {"op": "add", "path": "", "before": None, "after": "a"},
        {"op": "remove", "path": "", "before": "c", "after": None},
    ]
    assert {"path": "tags", "before": ["b", "c"], "after": ["a", "b"], "source": where, "details": details} == tags
    held = {"kind": "account", "key": "acme.example", "path": "name", "policy": "create_only"}
    assert [{**held, "before": "ACME", "after": "Acme"}] == made.head["held"]
    [notice] = made.head["notices"]
    assert "domain https://www.Acme.example/about is read as acme.example" == notice["text"]
    assert {"create": 0, "update": 1, "report": 0, "unchanged": 0, "unmanaged": None} == made.head["summary"]


def test_a_redacted_document_holds_no_personal_data() -> None:
    """Pseudonyms stand for keys and personal fields, in every part of the document."""
    manifest = """
contacts:
  - {email: jane@acme.example, first_name: Janette, phone: "+49 30 123", account: other.example}
  - {email: lee@acme.example, first_name: Leander}
"""
    with crm(policies={"contact": {"first_name": "fill_empty"}}) as there:
        there.request("POST", "/v1/contacts/bulk", [{"email": "lee@acme.example", "first_name": "Leonard"}])
        made = document(there.plan(manifest), redactor(on=True))
        text = json.dumps([made.head, *made.entries()])
    personal = ["jane@", "lee@", "Janette", "Leander", "Leonard", "+49 30 123"]
    assert [] == [piece for piece in personal if piece in text]
    assert "anon-" in text


def test_unreadable_fields_are_listed() -> None:
    """A field that reads never return is named once, and planned only with a create."""
    manifest = "accounts: [{domain: a.example, industry: Tools}, {domain: b.example, industry: Tools}]"
    with crm({"read_fields": "documented"}) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "a.example", "industry": "Old"}])
        plan = there.plan(manifest)
    assert (("account", "industry"),) == plan.unreadable
    assert [("account/b.example", "create")] == [(str(change.address), change.action) for change in plan.changes]


NAMES = st.sampled_from(["a", "b", "c", "d"])
RECORDS = st.dictionaries(NAMES, st.sampled_from(["One", "Two", None]), max_size=4)


def manifests(records: dict[str, Any], *, reverse: bool) -> Desired:
    """The same records, as one manifest in one order or the other."""
    lines = [f"- {{domain: {key}.example, name: {json.dumps(name)}}}" for key, name in records.items()]
    return read("accounts:\n" + "\n".join(sorted(lines, reverse=reverse)) if lines else "")


@settings(max_examples=15, deadline=None, derandomize=True)
@given(RECORDS, RECORDS)
def test_the_second_plan_after_an_apply_is_empty_and_order_changes_nothing(
    live: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """Whatever was there and whatever is declared: planned alike in any order, and done after one apply."""
    with crm() as there:
        there.apply(manifests(live, reverse=False))
        first, second = (there.plan(manifests(wanted, reverse=reverse)) for reverse in (False, True))
        steps = [[entry["digest"] for entry in document(plan, redactor()).entries()] for plan in (first, second)]
        assert steps[0] == steps[1]
        there.apply(manifests(wanted, reverse=False))
        assert () == there.plan(manifests(wanted, reverse=True)).changes


@settings(max_examples=10, deadline=None, derandomize=True)
@given(RECORDS)
def test_a_plan_sends_no_write(wanted: dict[str, Any]) -> None:
    """Planning leaves the CRM as it was."""
    with crm() as there:
        there.apply(manifests({"a": "One", "b": None}, reverse=False))
        before = there.records("accounts")
        there.plan(manifests(wanted, reverse=False))
        assert before == there.records("accounts")


def test_held_fields_are_part_of_the_difference_alone() -> None:
    """A held field is no change: it costs no request."""
    held = Held(create().address, "name", "create_only", "B", "A")
    plan = build(
        Difference((), (held,), 1), matching(1), {"account": FULL}, target="t", provider="p",
        desired=Desired({}), reads={}, manifest_digest="", rules=Rules(), now=NOW,
    )  # fmt: skip
    assert ((held,), {}, 1) == (plan.held, plan.requests, plan.unchanged)
