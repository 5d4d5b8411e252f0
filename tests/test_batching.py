"""How changes are cut into requests: by count, by bytes, and by what has to be shared."""

import json
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from crmctl.batching import batches, expect, expect_reads, places, uncertain, weigh
from crmctl.capability import Capability
from crmctl.diff import Change, FieldChange
from crmctl.resource import Address, Resource

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False), st.text(max_size=300),
    st.lists(st.text(max_size=40), max_size=5),
)  # fmt: skip


def create(number: int, **fields: object) -> Change:
    address = Address("account", f"c{number:03}.example")
    return Change(address, "create", None, Resource(address, {"domain": address.key, **fields}))


def update(number: int, after: object) -> Change:
    address = Address("account", f"c{number:03}.example")
    live, fields = Resource(address, {}, remote_id="1"), (FieldChange("name", None, after),)
    return Change(address, "update", live, Resource(address, {"name": after, "note": "x" * 9999}), fields)


def sizes(changes: list[Change], size: int = 100, max_bytes: int = 1_000_000) -> list[int]:
    return [len(batch) for batch in batches(changes, size, (), max_bytes)]


def test_short_records_are_cut_by_count() -> None:
    """As many as the route takes."""
    assert [100, 100, 50] == sizes([create(n) for n in range(250)])
    assert [] == sizes([])


def test_long_records_are_cut_by_bytes() -> None:
    """No body gets larger than was allowed."""
    changes = [create(n, description="x" * 20_000) for n in range(100)]
    assert [49, 49, 2] == sizes(changes)


def test_a_record_that_is_too_large_goes_alone() -> None:
    """The server may take it; if not, no other is refused with it."""
    changes = [create(0), create(1, description="x" * 5000), create(2)]
    assert [1, 1, 1] == sizes(changes, max_bytes=2000)


def test_an_update_weighs_what_it_sends() -> None:
    """What stays as it is, is not in the body."""
    assert weigh(update(0, "a")) < 400
    assert [2] == sizes([update(0, "a"), update(1, "b")], max_bytes=2000)


def test_kinds_that_are_sent_alone_need_no_scales() -> None:
    """One a request."""
    assert [1, 1] == sizes([create(0), create(1)], size=1)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["name", "industry", "tags"]), VALUES), max_size=30),
    st.integers(1, 12),
    st.integers(500, 9000),
)
def test_all_records_go_in_their_order_and_no_body_is_too_large(
    records: list[dict[str, object]], size: int, most: int
) -> None:
    """Whatever they hold: none is lost, and only one alone may be larger."""
    changes = [create(number, **fields) for number, fields in enumerate(records)]
    cut = list(batches(changes, size, (), most))
    assert changes == [change for batch in cut for change in batch]
    for batch in cut:
        body = len(json.dumps([change.after.fields for change in batch]))
        assert len(batch) <= size
        assert len(batch) == 1 or body <= most
    for batch, following in pairwise(cut):  # none could have been larger
        assert len(batch) == size or sum(map(weigh, [*batch, following[0]])) > most


def test_tries_are_expected_once_or_twice() -> None:
    """Custom fields are looked at when they are first written; where a create tells nothing of an update, twice."""
    can = Capability(
        read=True, create=True, update=True, look_up_batch=200, create_batch=100, update_batch=50,
        create_route="C", update_route="U", read_route="R", tries=True,
    )  # fmt: skip
    custom = {"custom_fields.tier": "gold"}
    changes = [create(0, **custom), update(1, "a")]
    changes[1] = Change(
        changes[1].address,
        "update",
        changes[1].before,
        changes[1].after,
        (FieldChange("custom_fields.tier", None, "a"),),
    )
    totals = {"once": 0, "each": 0}
    for name, each in (("once", False), ("each", True)):
        able = Capability(**{**{f: getattr(can, f) for f in Capability._fields}, "tries_each": each})
        totals[name] = sum(number for _, number in expect("account", changes, able, Counter(), 1_000_000))
    assert 1 == totals["each"] - totals["once"]
    assert uncertain(changes, can)
    assert not uncertain([create(0)], can)
    assert not uncertain(changes, Capability())


def test_what_is_not_verified_costs_no_reads() -> None:
    """But what is looked at before an update."""
    can = Capability(
        read=True, create=True, update=True, dedupes=True, look_up_batch=200, create_batch=100, update_batch=50,
        create_route="C", update_route="U", read_route="R",
    )  # fmt: skip
    expected = list(expect("account", [create(0), update(1, "a")], can, Counter(), 1_000_000, verify="off"))
    assert [("C", 1), ("U", 1), ("R", 1)] == expected


def test_what_is_read_place_by_place_is_counted_so() -> None:
    """Opportunities pipeline by pipeline, notes account by account; where a list may be empty, that is a page less."""

    def deal(pipeline: str) -> Change:
        address = Address("opportunity", f"a.example/{pipeline}/Renewal")
        return Change(address, "create", None, Resource(address, {"pipeline_id": pipeline, "name": "Renewal"}))

    def note(owner: str) -> Change:
        address = Address("note", f"{owner}/kickoff")
        return Change(address, "create", None, Resource(address, {}, {"account": Address("account", owner)}))

    can = Capability(read=True, read_within="pipeline", page_size=2, read_route="R")
    there = Counter({"opportunity": 5, "opportunity/p1": 5})
    deals = [deal("p1"), deal("p2"), deal("p1")]
    assert [("R", 3 + 1)] == list(expect_reads("opportunity", [deals], can, there))
    can = can._replace(read_within="account", ends_empty=True)
    notes = [note("a.example"), note("b.example")]
    assert [("R", 2 + 2)] == list(expect_reads("note", [notes], can, Counter()))
    assert [("R", 3 + 1)] == list(expect_reads("note", [notes], can, Counter({"note": 3, "note/a.example": 3})))
    assert {"note": 2, "note/a.example": 1, "note/b.example": 1} == places(notes)


def test_creates_that_nothing_dedupes_are_looked_for_first() -> None:
    """But for those whose owner was not there either."""
    can = Capability(read=True, create=True, page_size=100, create_route="C", read_route="R")
    counts = expect("account", [create(0), create(1)], can, Counter({"account": 100}), 1_000_000)
    assert [("R", 1), ("C", 2), ("R", 2)] == list(counts)
    made = Address("account", "a.example")
    address = Address("note", "a.example/kickoff")
    note = Change(address, "create", None, Resource(address, {}, {"account": made}))
    able = can._replace(read_within="account")
    assert [("C", 1), ("R", 1)] == list(expect("note", [note], able, Counter(), 1_000_000, made={made}))
    assert [("R", 1), ("C", 1), ("R", 1)] == list(expect("note", [note], able, Counter(), 1_000_000))
