"""YAML bytes to values with positions: what is read, and as what."""

from typing import Any

import pytest
from parsing import ANY, MANIFEST, VALID, places, read, wrong

from crmctl.parser import parse


def contact(field: str) -> Any:
    """Return the last field of a contact that has an address and this line."""
    record = read(f"contacts:\n  - email: a@b.example\n    {field}\n", MANIFEST)["contacts"][0]
    return list(record.values())[-1]


def account(field: str) -> Any:
    """Return the last field of an account that has a domain and this line."""
    record = read(f"accounts:\n  - domain: b.example\n    {field}\n", MANIFEST)["accounts"][0]
    return list(record.values())[-1]


@pytest.mark.parametrize(
    "text",
    [
        *("+4930123456", "0301234", "1984", "on", "no", "yes", "true", "False", "1.10", "0x10", "0o7", "1e3", "1_000"),
        *(".inf", "1" * 40, "2027-01-31", "12:30:45", "=", "a b", "a#b", "nUlL", "<<", "1e999"),
    ],
)
def test_a_plain_scalar_is_text_where_text_is_wanted(text: str) -> None:
    """Where the schema wants text, what is written is what counts: no zero, plus or digit is lost."""
    assert text == contact(f"phone: {text}")
    assert text == account(f"name: {text}")
    assert [text] == account(f"tags: [{text}]")


@pytest.mark.parametrize("text", ["null", "~", "Null", "NULL"])
def test_null_clears_a_text(text: str) -> None:
    """A plain null clears a field that may be cleared, and is text in quotes or where nothing may be cleared."""
    assert contact(f"phone: {text}") is None
    assert text == contact(f"phone: '{text}'")
    assert [text] == account(f"tags: [{text}]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("1.5e6", 1.5e6), ("1.5E+6", 1.5e6), ("-0", 0), ("+12", 12), ("0001984", 1984), ("0o17", 15), ("0x1F", 31)),
        *((".5", 0.5), ("1.", 1.0), ("+.5e-3", 0.0005), ("9" * 18, 10**18 - 1), ("null", None), ("~", None)),
        *(("true", True), ("False", False), ("on", "on"), ("1_000", "1_000"), (".", "."), ("-0x1", "-0x1")),
        *((".inf", ".inf"), ("-.INF", "-.INF"), (".nan", ".nan"), ("\u0661", "\u0661"), ("1e", "1e"), ("0o8", "0o8")),
        *(("0b1", "0b1"), ("190:20:30", "190:20:30"), ("'1'", "1"), ('"true"', "true")),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, expected: Any) -> None:
    """Where the schema doesn't ask for text, a plain scalar is what YAML 1.2 core says, in value and type."""
    value = read(f"a: {text}")["a"]
    assert (type(expected), expected) == (type(value), value)
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        assert expected == account(f"estimated_revenue: {text}")


def test_a_long_number_is_not_cut_off() -> None:
    """Where number and text are both allowed, digits beyond what a number may have leave it a text."""
    assert "0000000000000000001793793600" == contact("last_interaction: 0000000000000000001793793600")
    assert 1793793600 == contact("last_interaction: 1793793600")
    assert "2026-11-05" == contact("last_interaction: 2026-11-05")
    assert "true" == contact("last_interaction: true")
    assert "1e999" == contact("last_interaction: 1e999")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1" * 19, "has more than 18 digits"),
        ("-" + "0" * 5_000_000, "has more than 18 digits"),
        ("0x" + "f" * 17, "has more than 18 digits"),
        ("1e999", "is beyond the largest number"),
        ("-1e999", "is beyond the largest number"),
    ],
)
def test_numbers_have_limits(text: str, expected: str) -> None:
    """A number nobody can count on is refused rather than rounded."""
    (found,) = wrong(f"accounts: [{{founded: {text}}}]", MANIFEST)
    assert found.startswith("m.yaml:1:22: ")
    assert expected in found


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_breaks_and_byte_order_marks_change_nothing(line_break: str, mark: bytes) -> None:
    """The same manifest with other line breaks, or a byte-order mark, has the same values at the same places."""
    plain, other = (
        parse(data, "m.yaml", MANIFEST)[0] for data in (VALID.encode(), mark + VALID.replace("\n", line_break).encode())
    )
    assert [document.root for document in plain] == [document.root for document in other]
    assert [list(places(document.root)) for document in plain] == [list(places(document.root)) for document in other]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n# here\n", []),
        ("---\n", [None]),
        ("---\n---\n", [None, None]),
        ("a: 1\n---\n# nothing\n---\nb: 2\n...\n", [{"a": 1}, None, {"b": 2}]),
        ("%YAML 1.2\n---\na: 1\n", [{"a": 1}]),
        ("\ufeffa: 1\n", [{"a": 1}]),
        ("{}", [{}]),
    ],
)
def test_documents(text: str, expected: list[Any]) -> None:
    """A file may hold no document, empty ones, and several."""
    documents, diagnostics = parse(text.encode(), "m.yaml", ANY)
    assert [] == diagnostics
    assert expected == [document.root for document in documents]
    assert all("m.yaml" == document.file for document in documents)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: &x 1, b: *x}", {"a": 1, "b": 1}),
        ("{a: &x [1, {c: 2}], b: *x}", {"a": [1, {"c": 2}], "b": [1, {"c": 2}]}),
        ("{a: &x 1, b: &x 2, c: *x}", {"a": 1, "b": 2, "c": 2}),
        ("{a: &x {b: &x 1, c: *x}, d: *x}", {"a": {"b": 1, "c": 1}, "d": 1}),
        ("{a: &x 'null', b: *x, c: &y null, d: *y}", {"a": "null", "b": "null", "c": None, "d": None}),
        ("{a: &x {k: 1}, b: {<<: *x}}", {"a": {"k": 1}, "b": {"k": 1}}),
        ("{a: &x {k: 1, l: 1}, b: {<<: *x, k: 2}}", {"a": {"k": 1, "l": 1}, "b": {"k": 2, "l": 1}}),
        ("{a: &x {k: 1, l: 1}, b: {k: 2, <<: *x}}", {"a": {"k": 1, "l": 1}, "b": {"k": 2, "l": 1}}),
        ("{a: &x {k: 1}, b: &y {k: 2, l: 2}, c: {<<: [*x, *y]}}", {"c": {"k": 1, "l": 2}}),
        ("{a: &x {k: 1}, b: &y {k: 2, l: 2}, c: {<<: [*y, *x]}}", {"c": {"k": 2, "l": 2}}),
        ("{a: &x {k: 1}, b: &y {<<: *x, l: 2}, c: {<<: *y}}", {"c": {"k": 1, "l": 2}}),
        ("{a: &x [{k: 1}, {l: 2}], c: {<<: *x}}", {"c": {"k": 1, "l": 2}}),
        ("{c: {<<: {k: 1}}}", {"c": {"k": 1}}),
        ("{c: {<<: [], k: 1}}", {"c": {"k": 1}}),
        ("{c: {'<<': 1}}", {"c": {"<<": 1}}),
        ("{c: [<<, {<<: [{k: [1]}, {k: 2}]}]}", {"c": ["<<", {"k": [1]}]}),
    ],
)
def test_anchors_and_merge_keys(text: str, expected: Any) -> None:
    """Aliases repeat what an anchor names; `<<` fills in what is not there, the first of a list winning."""
    assert expected.items() <= read(text).items()


def test_an_aliased_scalar_is_read_for_its_place() -> None:
    """What an alias repeats is the text as written, read as the schema wants it where the alias stands."""
    text = (
        "accounts: [{domain: b.example, founded: &year 1984, name: *year, tags: [*year], type: &none ~, logo: *none}]"
    )
    record = read(text, MANIFEST)["accounts"][0]
    assert {"founded": 1984, "name": "1984", "tags": ["1984"], "logo": None}.items() <= record.items()


def test_a_merged_mapping_is_read_for_its_place() -> None:
    """The members of a mapping that stands behind `<<`, alone or in a list, have the types of where they go."""
    for merged in ("{phone: 0301}", "[{phone: 0301}]"):
        assert {"phone": "0301"} == read(f"contacts: [{{<<: {merged}}}]", MANIFEST)["contacts"][0]


def test_merged_members_stand_where_they_were_written() -> None:
    """The position of a merged key or value is that in the mapping it came from."""
    merged = read("a: &x {k: 1, l: 2}\nb: {k: 3, <<: *x, m: 4}\n")["b"]
    assert {"k": 3, "m": 4, "l": 2} == merged
    assert ["2:5", "2:8", "2:19", "2:22", "1:14", "1:17"] == [
        f"{place.line}:{place.column}"
        for key in merged
        for place in (merged.source_of(key, value=False), merged.source_of(key))
    ]
