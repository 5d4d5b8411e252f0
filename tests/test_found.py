"""Which live record is the desired one, where keys are ours alone."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from crmctl.found import look_for
from crmctl.provider import Page, Record
from crmctl.resource import Address, Resource, recognise

OWNER = Address("account", "acme.example")


def note(key: str, text: str, **fields: Any) -> Resource:
    return Resource(Address("note", f"acme.example/{key}"), {"text": text, **fields}, {"account": OWNER})


def live(text: str, remote_id: str, mark: str = "", **fields: Any) -> Record:
    values: Mapping[str, Any] = {"text": text, **fields}
    return Record(recognise("note", ["acme.example"], values), values, remote_id, mark)


def match(wanted: list[Resource], *records: Record, ids: Mapping[Address, str] | None = None) -> dict[str, str | None]:
    """Return the id that each desired record is found as; the order of records and pages changes nothing."""
    results = []
    for ordered in itertools.permutations(records):
        found = look_for("note", {one.address.key: one for one in wanted}, ids or {})
        for record in ordered:
            found.add(Page([record], {"text"}))
        results.append(
            {key.rpartition("/")[2]: record.remote_id for key, record in sorted(found.records.items())}
            | {key.rpartition("/")[2]: f"? {', '.join(ids)}" for key, ids in {**found.ids, **found.unclear()}.items()}
        )
    assert all(result == results[0] for result in results)
    return results[0]


HELLO = note("a", "Hello")


@pytest.mark.parametrize(
    ("records", "ids", "matched"),
    [
        ([live("Hello", "1")], {}, {"a": "1"}),
        ([live("Hullo", "1")], {}, {}),
        ([live("Hullo", "1")], {HELLO.address: "1"}, {"a": "1"}),
        ([live("Hello", "1"), live("Hullo", "2")], {HELLO.address: "2"}, {"a": "2"}),
        ([live("Hullo", "1", "note/acme.example/a")], {}, {"a": "1"}),
        ([live("Hello", "1"), live("Hullo", "2", "note/acme.example/a")], {}, {"a": "2"}),
        ([live("Hello", "1", "note/acme.example/a"), live("Hello", "2")], {HELLO.address: "2"}, {"a": "2"}),
        ([live("Hello", "1"), live("Hello", "1")], {}, {"a": "1"}),
        ([live("Hello", "1")], {Address("note", "acme.example/other"): "1"}, {}),
    ],
)
def test_an_id_beats_a_mark_and_a_mark_beats_what_a_record_says(
    records: list[Record], ids: Mapping[Address, str], matched: Mapping[str, str]
) -> None:
    """Whatever order they come in; and what is known to be another's is nobody else's."""
    assert matched == match([HELLO], *records, ids=ids)


def test_two_records_that_say_the_same_are_named() -> None:
    """Neither is taken for the desired one alone."""
    found = look_for("note", {HELLO.address.key: HELLO})
    found.add(Page([live("Hello", "1"), live("Hello", "2")], {"text"}))
    assert {HELLO.address.key: ["1", "2"]} == found.ids


def test_what_says_the_same_is_told_apart_by_everything_else() -> None:
    """Two notes of one text: the one that is equal in all that is declared is the one."""
    wanted = [note("a", "Hello", kind="x"), note("b", "Hello", kind="y")]
    assert {"a": "2", "b": "1"} == match(wanted, live("Hello", "1", kind="y"), live("Hello", "2", kind="x"))


def test_what_nothing_tells_apart_is_unclear() -> None:
    """Two notes of one text, and a live one that is neither: it may be either."""
    wanted = [note("a", "Hello", kind="x"), note("b", "Hello", kind="y")]
    assert {"a": "? 1", "b": "? 1"} == match(wanted, live("Hello", "1", kind="z"))


def test_a_stranger_is_counted() -> None:
    """So that a plan can say how many records nobody declares."""
    found = look_for("note", {HELLO.address.key: HELLO})
    found.add(Page([live("Hello", "1"), live("Other", "2")], {"text"}))
    assert {"2"} == found.strangers
    assert {} == found.unclear()
    assert {} == look_for("account", {}).unclear()
