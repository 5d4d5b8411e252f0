"""What a person is told about a document that breaks its schema."""

import os
from pathlib import Path
from typing import Any

import pytest

from crmctl import schema, wording
from crmctl.errors import Diagnostic
from crmctl.parser import parse
from crmctl.resource import Source

GOLDEN = Path(__file__).parent / "golden"


def find(text: str, name: str = "manifest") -> list[str]:
    """Return what is wrong with a YAML document, a line each: place, address, field and message."""
    documents, broken = parse(text.encode(), "m.yaml", schema.shape(name))
    assert not broken
    return [say(found) for document in documents for found in schema.check(name, document.root)]


def say(found: Diagnostic) -> str:
    place = f"{found.source.line}:{found.source.column}" if found.source else "-"
    subject = " ".join(str(part) for part in (found.address, found.field) if part)
    return f"{place} {subject}: {found.message.replace('{value}', repr(found.value))}"


@pytest.mark.parametrize("name", ["config", "manifest"])
def test_each_mistake_is_told_once_where_it_is(name: str) -> None:
    """Every mistake is told at its key or value, with the record it is in and what to write; nothing else is.

    The golden files are meant to be read side by side; `CRMCTL_UPDATE_GOLDEN=1` writes the answers anew.
    """
    answers = GOLDEN / f"wrong.{name}.txt"
    found = "".join(f"{line}\n" for line in find((GOLDEN / f"wrong.{name}.yaml").read_text(), name))
    if os.environ.get("CRMCTL_UPDATE_GOLDEN"):
        answers.write_text(found)
    assert answers.read_text() == found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"email": "a@b.test", "phone": 5}, "contact/a@b.test phone: 5 is a number, not a text: put it in quotes"),
        ({"email": "a@b.test", "phone": True}, "contact/a@b.test phone: True is not a text: put it in quotes"),
        ({"email": 5}, "contact/ email: 5 is a number, not an e-mail address: write one, such as jane@acme.example"),
        ({"email": None}, "contact/ email: null stands here, not an e-mail address: write jane@acme.example"),
        (
            {"email": "a@b.test", "phone": "x" * 10_001},
            "contact/a@b.test phone: has more than 10,000 characters: shorten it",
        ),
        (
            {"email": "a@b.test", "twitter_followers": float("inf")},
            "contact/a@b.test twitter_followers: inf is not a finite number: write 310",
        ),
        ([], "contact/: a list stands here, not a mapping: write one, such as `email: jane@acme.example`"),
    ],
)
def test_plain_values_are_checked_too(value: Any, expected: str) -> None:
    """JSON values without positions get the same words, at the place they are given."""
    assert [f"- {expected}"] == [say(found) for found in schema.check("contact", value)]
    assert {Source("f", 3, 1)} == {found.source for found in schema.check("contact", value, Source("f", 3, 1))}


@pytest.mark.parametrize(
    ("keyword", "whole", "value", "expected"),
    [
        (
            "anyOf",
            {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "number"}]},
            "x",
            "'x' is neither a list of numbers nor a number: write digits alone, such as a list of numbers",
        ),
        (
            "oneOf",
            {"oneOf": [{"type": "number"}, {"type": "number"}]},
            5,
            "does not meet 'oneOf' of the schema: write another value",
        ),
        (
            "anyOf",
            {"anyOf": [{"const": 1}, {"type": "number"}]},
            "x",
            "does not meet 'anyOf' of the schema: write another value",
        ),
        ("const", {"const": 1}, 2, "must be 1: write that"),
        ("enum", {"enum": [1, 2]}, 3, "3 is none of 1, 2: write one of them"),
        ("enum", {"enum": [1, 2]}, [], "what stands here is none of 1, 2: write one of them"),
        ("format", {"format": "date", "type": "string"}, "x", "'x' is not a date: write a text"),
        ("format", {"format": "uuid", "type": "string"}, "x", "'x' is not uuid: write a text"),
        ("pattern", {"pattern": "a", "examples": ["aa"]}, "x", "'x' is not in the form wanted here: write aa"),
        ("minItems", {"minItems": 2, "examples": [[1, 2]]}, [1], "has fewer than 2 items: write [1, 2]"),
        (
            "uniqueItems",
            {"uniqueItems": True, "type": "array"},
            [1, 1],
            "does not meet 'uniqueItems' of the schema: write a list",
        ),
        (
            "type",
            {"type": "array", "items": {"$ref": "#"}},
            1,
            "1 is a number, not a list of mappings: write one, such as a list of mappings",
        ),
        (
            "type",
            {"type": "array", "items": {}, "examples": [[{}]]},
            1,
            "1 is a number, not a list of values: write one, such as [{}]",
        ),
        (
            "type",
            {"type": "array", "items": {"format": "email"}},
            1,
            "1 is a number, not a list of e-mail addresses: write one, such as a list of e-mail addresses",
        ),
        (
            "type",
            {"type": "array", "items": {"type": ["string", "number"]}},
            1,
            "1 is a number, not a list of values: write one, such as a list of values",
        ),
        (
            "type",
            {"type": "array", "items": {"type": "boolean"}},
            None,
            "null stands here, not a list of values: write a list of values",
        ),
        (
            "anyOf",
            {
                "title": "Deal",
                "properties": {"a": {"examples": [1]}, "b": {}},
                "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            },
            {"cde": 1},
            "'a' or 'b' is missing, of which every deal needs one: add it, such as `a: 1`",
        ),
        (
            "additionalProperties",
            {"additionalProperties": False, "properties": {"abc": {}}, "patternProperties": {"^x": {}}},
            {"xyz": 1, "abc": 1, "abd": 1},
            "unknown field 'abd': leave it out, or use another (fields: abc)",
        ),
        ("enum", {"enum": ["a"]}, "b", "'b' is not a: write that"),
        ("type", {"type": "null"}, 1, "1 is a number, not null: write one, such as null"),
        (
            "type",
            {"type": "object", "examples": [{"a": []}]},
            1,
            "a number stands here, not a mapping: write one, such as `a: ...`",
        ),
    ],
)
def test_every_keyword_has_words(keyword: str, whole: dict[str, Any], value: Any, expected: str) -> None:
    """Whatever a schema demands, there is a sentence for what breaks it."""
    [complaint] = wording.complain(keyword, whole[keyword], whole, value)
    assert expected == complaint.message.replace("{value}", repr(complaint.value))


def test_a_misspelled_alternative_is_told_once() -> None:
    """Whoever writes `pipline` is told so, and not that a pipeline is missing as well."""
    found = find("opportunities: [{name: A, pipline: sales}, {name: A, pipelineId: x}]")
    assert ["1:27 opportunity/A: unknown field 'pipline': did you mean 'pipeline'?"] == found[:1]
    assert ["1:54 opportunity/A: unknown field 'pipelineId': did you mean 'pipeline_id'?"] == found[1:]


def test_errors_come_in_the_order_of_the_file() -> None:
    """Records that are right are passed over; the others keep their places, whatever stands before them."""
    right = "".join(f"  - {{email: p{number}@b.test}}\n" for number in range(50))
    contacts = f"contacts:\n{right}  - {{email: x, phone: []}}\n{right}  - {{email: y}}\n"
    found = find(f"{contacts}accounts: [{{domain: a.example, name: []}}]\n")
    assert [line.split()[0] for line in found] == ["52:13", "52:23", "103:13", "104:38"]


def test_a_mapping_used_twice_is_told_once_per_record() -> None:
    """An alias repeats a mapping: the same mistake at the same place and address is one mistake."""
    text = "contacts:\n  - &a {email: x}\n  - *a\n  - {<<: *a, email: y@z.test, phone: []}"
    assert [line.split()[:2] for line in find(text)] == [["2:16", "contact/x"], ["4:38", "contact/y@z.test"]]
