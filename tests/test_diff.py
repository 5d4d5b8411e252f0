"""The diff: two states in, changes out."""

from collections.abc import Mapping
from typing import Any

import pytest
from harness import read
from hypothesis import given
from hypothesis import strategies as st

from crmctl import schema
from crmctl.desired import Desired
from crmctl.diff import Change, Difference, FieldChange, Held, Policy, Rules, diff, explain
from crmctl.live import Live
from crmctl.resource import Address, Resource

ACME = Address("account", "acme.example")


def account(**fields: Any) -> Resource:
    """A desired or live account of one domain."""
    return Resource(ACME, {"domain": "acme.example", **fields}, remote_id="1")


def compare(
    desired: Resource, *live: Resource, unreadable: frozenset[str] = frozenset(), **policies: Policy
) -> Difference:
    """Diff one desired account against live ones."""
    ids = {ACME: tuple(str(record.remote_id) for record in live)} if len(live) > 1 else {}
    records = {"account": {record.address.key: record for record in live}}
    rules = Rules(schema.rules().compare, {"account": policies})
    state = Live(records, ids, {"account": 0}, {"account": unreadable})
    return diff(Desired({"account": {desired.address.key: desired}}), state, rules)


def changes(difference: Difference) -> list[tuple[str, Mapping[str, tuple[Any, Any]]]]:
    """The changes as (action, field -> (before, after))."""
    return [(c.action, {f.path: (f.before, f.after) for f in c.field_changes()}) for c in difference.changes]


def test_equal_states_differ_in_nothing() -> None:
    """A record as declared is counted and leaves no change."""
    assert Difference((), (), 1) == compare(account(name="Acme"), account(name="Acme"))


def test_a_record_that_shares_the_declared_fields_is_unchanged() -> None:
    """Reading shares the fields of a live record that is as declared; that settles it."""
    desired = account(name="Acme")
    assert Difference((), (), 1) == compare(desired, Resource(ACME, desired.fields, remote_id="1"))


def test_an_absent_record_is_created_with_its_declared_fields() -> None:
    """Nothing live: a create, whose fields are all those with a value."""
    difference = compare(account(name="Acme", industry=None))
    assert [("create", {"domain": (None, "acme.example"), "name": (None, "Acme")})] == changes(difference)


def test_only_what_differs_is_updated() -> None:
    """An update names the fields that differ, and no other."""
    difference = compare(account(name="Acme", industry="Tools"), account(name="ACME", industry="Tools"))
    assert [("update", {"name": ("ACME", "Acme")})] == changes(difference)


def test_what_is_not_declared_is_not_ours() -> None:
    """A live field that no manifest declares is never compared."""
    assert [] == changes(compare(account(name="Acme"), account(name="Acme", industry="Tools")))


def test_null_clears_a_value() -> None:
    """A declared null differs from a live value."""
    assert [("update", {"industry": ("Tools", None)})] == changes(
        compare(account(industry=None), account(industry="Tools"))
    )


@pytest.mark.parametrize("live", [{}, {"industry": None}, {"industry": ""}])
def test_nothing_absent_and_empty_are_one(live: Mapping[str, Any]) -> None:
    """On the live side null, a missing member and "" are the same."""
    assert [] == changes(compare(account(industry=None), account(**live)))


@pytest.mark.parametrize(
    ("field", "desired", "live"),
    [
        ("tags", ["a", "b"], ["b", "a", "a"]),
        ("tags", "a", ["a"]),
        ("founded", 1984, 1984.0),
        ("next_meeting", "2027-01-31", "2027-01-31T00:00:00.000000Z"),
        ("next_meeting", 1_801_353_600, 1_801_353_600_000),
        ("next_meeting", "2027-01-31T01:00:00+01:00", "2027-01-31T00:00:00Z"),
    ],
)
def test_values_compare_by_meaning(field: str, desired: Any, live: Any) -> None:
    """Sets ignore order, instants and numbers their spelling."""
    assert [] == changes(compare(account(**{field: desired}), account(**{field: live})))


@pytest.mark.parametrize(("desired", "live"), [(1, True), ("1", 1), (["a"], ["a", "b"])])
def test_values_of_another_meaning_differ(desired: Any, live: Any) -> None:
    """A number is no boolean, a text no number, a subset no set."""
    assert [("update", {"tags": (live, desired)})] == changes(compare(account(tags=desired), account(tags=live)))


def test_another_spelling_of_the_key_is_no_difference() -> None:
    """The key is how the record was found."""
    assert [] == changes(compare(account(), Resource(ACME, {"domain": "WWW.Acme.example"}, remote_id="1")))


def test_an_unreadable_field_is_never_updated() -> None:
    """What reads don't return can't be compared."""
    assert [] == changes(compare(account(logo="x"), account(), unreadable=frozenset({"logo"})))


def test_two_live_records_of_one_key_are_reported_and_left_alone() -> None:
    """The report names both ids."""
    [change] = compare(account(name="A"), account(name="B"), Resource(ACME, {}, remote_id="2")).changes
    assert ("report", "the CRM holds 2 records of this key (1, 2): merge them there") == (change.action, change.reason)


def test_overwrite_is_the_default_policy() -> None:
    """Without a policy the manifest wins."""
    assert [("update", {"name": ("B", "A")})] == changes(compare(account(name="A"), account(name="B")))


@pytest.mark.parametrize(("live", "expected"), [("B", []), ("", [("update", {"name": ("", "A")})])])
def test_fill_empty_fills_only_what_is_empty(live: str, expected: list[Any]) -> None:
    """A value that somebody set stays."""
    assert expected == changes(compare(account(name="A"), account(name=live), name="fill_empty"))


@pytest.mark.parametrize("policy", ["fill_empty", "create_only"])
def test_what_a_policy_holds_back_is_told(policy: Policy) -> None:
    """The difference is kept for the report, and the record counts as unchanged."""
    difference = compare(account(name="A"), account(name="B"), name=policy)
    assert Difference((), (Held(ACME, "name", policy, "B", "A"),), 1) == difference


def test_create_only_is_sent_with_a_create() -> None:
    """A field of a new record is nobody else's yet."""
    difference = compare(account(name="A"), name="create_only")
    assert [("create", {"domain": (None, "acme.example"), "name": (None, "A")})] == changes(difference)


def test_ignore_is_neither_compared_nor_sent() -> None:
    """An ignored field does not exist for crmctl."""
    assert Difference((), (), 1) == compare(account(name="A"), account(name="B"), name="ignore")
    assert [("create", {"domain": (None, "acme.example")})] == changes(compare(account(name="A"), name="ignore"))


def test_changes_come_in_the_order_of_kinds_and_keys() -> None:
    """Accounts come first, keys are sorted."""
    desired = read("contacts: [{email: b@x.example}, {email: a@x.example}]\naccounts: [{domain: z.example}]")
    difference = diff(desired, Live({}, {}, {}, {}), Rules())
    expected = ["account/z.example", "contact/a@x.example", "contact/b@x.example"]
    assert expected == [str(change.address) for change in difference.changes]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["name", "tags", "next_meeting", "industry"]), json_values))
def test_a_state_never_differs_from_itself(fields: dict[str, Any]) -> None:
    """diff(x, x) is empty, whatever the values."""
    assert Difference((), (), 1) == compare(account(**fields), account(**fields))


@given(json_values, json_values)
def test_an_explanation_never_fails(before: Any, after: Any) -> None:
    """Any two values can be explained, and equal ones need no explanation."""
    assert [] == explain(after, after)
    for detail in explain(before, after):
        assert detail.op in {"add", "remove", "change"}


def test_a_list_is_explained_by_what_came_and_went() -> None:
    """Tags: one added, one removed, order ignored."""
    details = explain(["a", "b", "c"], ["c", "a", "d"], "set")
    assert [("add", "", None, "d"), ("remove", "", "b", None)] == [(d.op, d.path, d.before, d.after) for d in details]


def test_in_a_set_nothing_becomes_something_else() -> None:
    """One tag has gone and two have come; which replaced which nobody knows."""
    details = explain(["x", "y"], ["x", "z", "w"], "set")
    assert [("add", "w"), ("add", "z"), ("remove", "y")] == [(d.op, d.after or d.before) for d in details]


def test_an_object_is_explained_member_by_member() -> None:
    """Changed and added members are named by their path."""
    details = explain({"a": {"b": 1}, "gone": 1}, {"a": {"b": 2}, "new": 3})
    expected = [("change", "a.b", 1, 2), ("remove", "gone", 1, None), ("add", "new", None, 3)]
    assert expected == [(d.op, d.path, d.before, d.after) for d in details]


def test_a_lone_text_is_explained_as_a_set_of_one() -> None:
    """`tags: a` against a list of two."""
    assert [("add", "b")] == [(d.op, d.after) for d in explain("a", ["a", "b"], "set")]


def test_plain_values_need_no_explanation() -> None:
    """Texts and numbers explain themselves."""
    assert [] == explain("a", "b")


@pytest.mark.parametrize(("before", "after"), [([1], {"a": 1}), (list(range(101)), [1])])
def test_what_can_not_be_explained_cheaply_is_shown_whole(before: Any, after: Any) -> None:
    """Values of different sorts, and long lists."""
    assert [] == explain(before, after)


def test_a_value_that_can_not_be_measured_is_shown_whole() -> None:
    """A CRM may send what no encoding and no float has: there is a difference, and no explanation."""
    assert [] == explain(["\ud800"], ["a"], "set")
    assert [] == explain([1], [10**400], "set")


def test_nothing_becoming_a_list_is_all_added() -> None:
    """Null against a list is the empty list against it."""
    assert [("add", "a")] == [(d.op, d.after) for d in explain(None, ["a"], "set")]


def test_an_update_yields_its_field_changes() -> None:
    """The changes of an update are those it was made with."""
    step = FieldChange("name", "B", "A")
    assert [step] == list(Change(ACME, "update", account(), account(), (step,)).field_changes())
