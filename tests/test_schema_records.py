"""What a record may hold besides plain fields: sections, pipelines, notes; and the addresses of what has no key."""

from typing import Any

import pytest
from parsing import MANIFEST

from crmctl import schema
from crmctl.errors import Diagnostic
from crmctl.kinds import KINDS, SECTIONS
from crmctl.parser import parse
from crmctl.resource import Source

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
REQUIRED = {
    "account": {"domain": "acme.example"},
    "contact": {"email": "a@b.test"},
    "opportunity": {"name": "A", "pipeline": "sales"},
    "note": {"key": "a", "text": "A"},
}


def findings(text: str) -> list[Diagnostic]:
    [document], broken = parse(text.encode(), "m.yaml", MANIFEST)
    assert not broken
    return schema.check("manifest", document.root)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_section_holds_can_be_cleared(kind: str) -> None:
    """Null is a valid value of every field in a section, custom fields included."""
    members = schema.read_schema(kind)["properties"]
    for section in set(SECTIONS) & set(members):
        names = members[section].get("properties", {"tier": {}})
        assert schema.check(kind, {**REQUIRED[kind], section: dict.fromkeys(names)}) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("opportunity", name) for name in ("key", "name", "pipeline", "stage")),
        *(("note", name) for name in ("key", "text")),
    ],
)
@pytest.mark.parametrize("value", ["null", "~", "'  '", '""', "[]"])
def test_what_no_record_is_without_is_not_cleared(kind: str, name: str, value: str) -> None:
    """Neither null, which would count as the text "null", nor space is a name, a key, a stage or a note."""
    plural = KINDS[kind].plural
    fields = {**REQUIRED[kind], "account": "acme.example"}
    text = "".join(f"    {member}: {value if member == name else fields[member]}\n" for member in {**fields, name: ""})
    [found] = findings(f"{plural}:\n  -\n{text}")
    assert found.field == name


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("gold", True),
        (5, True),
        (True, True),
        (["a", 1, False], True),
        ([], True),
        (None, True),
        ({}, False),
        ([None], False),
        ([[]], False),
        ("x" * 10_001, False),
    ],
)
def test_values_of_custom_fields(value: Any, valid: bool) -> None:  # noqa: FBT001 - a table's column
    """A custom field holds a scalar, a list of scalars, or null; its slug is nearly any text."""
    for kind in ("account", "contact", "opportunity"):
        assert valid is (schema.check(kind, {**REQUIRED[kind], "custom_fields": {"Größe (m²)": value}}) == [])


@pytest.mark.parametrize("kind", ["account", "contact", "note"])
def test_the_mark_of_crmctl_is_no_metadata_of_others(kind: str) -> None:
    """It is what notes are known by, so a manifest that has it is refused where it stands; other names go."""
    record = {**REQUIRED[kind], "thena": {"metadata": {"crmctl": "a", "crmctl_": "b", "CRMCTL": "c"}}}
    [found] = schema.check(kind, record)
    assert ("thena.metadata", "crmctl") == (found.field, found.value)
    assert "{value} is where crmctl leaves a mark of its own: choose another name" == found.message
    if kind == "account":
        [found] = findings("accounts:\n  - domain: a.example\n    thena:\n      metadata: {a: 1, crmctl: b}\n")
        assert Source("m.yaml", 4, 24) == found.source


def test_one_pipeline_and_no_other() -> None:
    """An opportunity has a pipeline by name or by id: one of the two."""
    record = {"name": "A", "pipeline": "sales", "pipeline_id": PIPELINE}
    assert [found.field for found in schema.check("opportunity", record)] == ["pipeline_id"]
    for name in ("pipeline", "pipeline_id"):
        assert schema.check("opportunity", {"name": "A", name: record[name]}) == []
    assert len(schema.check("opportunity", {"name": "A"})) == 1


@pytest.mark.parametrize(
    ("record", "address"),
    [
        ({}, ""),
        ({"name": "A/B", "pipeline": " sales ", "account": "www.Acme.example"}, "acme.example/sales/A%2FB"),
        ({"key": "k", "name": "A", "pipeline_id": PIPELINE, "account": "nowhere"}, f"{PIPELINE}/k"),
        ({"key": 7, "name": [], "pipeline": {}, "account": None}, ""),
        ({"name": "half \ud800", "account": "a.example"}, "a.example/half%20%3F"),
        ([], ""),
    ],
)
def test_addresses_of_what_has_a_composed_key(record: Any, address: str) -> None:
    """A diagnostic names a record by as much of its key as is known, whatever stands there."""
    wrong = {**record, "wrong": 1} if isinstance(record, dict) else record
    assert {str(found.address) for found in schema.check("opportunity", wrong)} == {f"opportunity/{address}"}


def test_addresses_of_what_is_nested() -> None:
    """What is nested belongs to the record around it; a list that is no list of records holds none."""
    note = {"key": "k", "text": []}
    contact = {"email": "J@b.test", "notes": [note], "accounts": [1], "custom_fields": {"notes": [{}]}}
    found = schema.check("manifest", {"accounts": [{"domain": "A.example", "contacts": [contact], "notes": [note]}]})
    assert sorted((str(each.address), each.field) for each in found) == [
        ("contact/j@b.test", "accounts[0]"),
        ("contact/j@b.test", "custom_fields.notes[0]"),
        ("note/a.example/k", "text"),
        ("note/j@b.test/k", "text"),
    ]
