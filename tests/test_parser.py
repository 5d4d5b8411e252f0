"""YAML bytes to values with positions: what is read, what is refused, where, and that nothing brings it down."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmctl import parser, schema
from crmctl.parser import MAX_DEPTH, Document, Shape, parse
from crmctl.resource import Fields, Items

QUICK = settings(max_examples=150, derandomize=True, deadline=None)
ANY = Shape()
MANIFEST = schema.shape()
VALID = """\
# A manifest with a bit of everything.
defaults:
  contact: &usual {job_title: CTO, tags: [a, 'b']}
accounts:
  - domain: acme.example
    name: "Acmé \\u00e9 😀"
    founded: 1984
    contacts:
      - &jane {<<: *usual, email: jane@acme.example, phone: 0301}
      - <<: [*jane, *usual]
        email: joe@acme.example
        full_name: >-
          Joe
          Doe
---
contacts: []
"""


def read(text: str | bytes, shape: Shape = ANY) -> Any:
    """Return the one document of a text, which has to be right."""
    data = text if isinstance(text, bytes) else text.encode()
    documents, diagnostics = parse(data, "m.yaml", shape)
    assert [] == diagnostics
    (document,) = documents
    return document.root


def wrong(text: str | bytes, shape: Shape = ANY) -> list[str]:
    """Return what is wrong with a text, a line each."""
    data = text if isinstance(text, bytes) else text.encode()
    return [
        f"{found.source}: {found.message.replace('{value}', str(found.value))}"
        for found in parse(data, "m.yaml", shape)[1]
    ]


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


TAB = "a tab stands where only spaces may: indent with spaces"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what isn't text
        (b"a: 1\r\nb: \xe9", ["2:4: byte 0xe9 is not UTF-8: save the file as UTF-8"]),
        (b"\xef\xbb\xbfa: \xc3\xa9\rb: \xed\xa0\x80", ["2:4: byte 0xed is not UTF-8: save the file as UTF-8"]),
        ("a: 1".encode("utf-16"), ["1:1: this looks like UTF-16 or no text at all: save the file as UTF-8"]),
        ("a: 1".encode("utf-16-be"), ["1:1: this looks like UTF-16 or no text at all: save the file as UTF-8"]),
        ("a: 1".encode("utf-32"), ["1:1: this looks like UTF-16 or no text at all: save the file as UTF-8"]),
        (b"\x1f\x8b\x08\x00", ["1:2: byte 0x8b is not UTF-8: save the file as UTF-8"]),
        # characters
        ("a: 1\nb: é😀\x01\n", ["2:6: character U+0001 is not allowed: remove it"]),
        ("\ufeffa: 1\u2028b: \0\n", ["2:4: character U+0000 is not allowed: remove it"]),
        ("a: \x7f", ["1:4: character U+007F is not allowed: remove it"]),
        ("a: \ufffe", ["1:4: character U+FFFE is not allowed: remove it"]),
        ('a: "é\\x1b"', ["1:4: control characters are not allowed here: remove them"]),
        ('a: ["\\r", "\\0", "\\t\\n\\N\\U0001F600"]', ["1:5: control", "1:11: control"]),
        ('"\\a": 1', ["1:1: control characters are not allowed here: remove them"]),
        ('a: "😀\\ud800"', ["1:8: this is half a character: write the character itself, or \\U"]),
        ('a: "\\ud83d\\ude00"', ["1:7: this is half a character"]),
        ('a: "C:\\users"', ["1:9: in double quotes \\ begins an escape: write \\\\ for a backslash"]),
        ('a: "\\d"', ["1:5: in double quotes \\ begins an escape"]),
        # tabs
        ("a:\n\t- b", [f"2:1: {TAB}"]),
        ("a:\n  b: 1\n\tc: 1", [f"3:1: {TAB}"]),
        ("a:\n  - b: 1\n    \tc: 1", [f"3:5: {TAB}"]),
        ("a: |\n\tx\n", [f"2:1: {TAB}"]),
        ("\ta: 1", [f"1:1: {TAB}"]),
        # the top level
        *((text, ["1:1: the top level is no mapping"]) for text in ("- a", "null", "a", "''", "!!str", "*a")),
        ("a: 1\n---\n[b]", ["3:1: the top level is no mapping"]),
        # keys
        ("é: {😀é: 1, 😀é: 2}", ["1:12: 😀é stands here twice (first in line 1): keep one"]),
        ("a: 1\n'a': 2\nb: 1\na: [3]\nb: 4", ["2:1: a stands", "4:1: a stands here twice (first in line 1)", "5:1: b"]),
        ("{? [a] : 1}", ["1:4: a key must be a plain text: quote a text that begins with { or ["]),
        ("a: {{b}}", ["1:5: a key must be a plain text"]),
        ("a: &x b\n*x : c", ["2:1: an alias can't be a key: write the key out"]),
        ("&x a: 1", ["1:1: &x names the key here, which has no use: move it to the end of the line above, or behind"]),
        (": 1", ["1:1: a key is missing before the colon: write `key: value`"]),
        # tags
        ("!!map {a: !x 1}", ["1:1: tags such as !!map are not allowed: leave it out", "1:11: tags such as !x"]),
        ("a: !important\n!!str b: !<c> []\nc: ! 1", ["1:4: tags", "2:1: tags", "2:10: tags such as c", "3:4: tags"]),
        ("a: !e!x 1", ["1:4: tags such as !this are not allowed: leave it out, or quote a text that begins with !"]),
        # empty values
        ("a:\nb: #1\n", ["1:3: a value is missing: write null to clear the field, leave it out, or quote", "2:3: a"]),
        ("a: &x\nb: *x", ["1:4: a value is missing"]),
        ("a:\n  -\n", ["2:4: a value is missing"]),
        # aliases
        ("a: *x\nb: {<<: *y}", ["1:4: *x refers to no anchor above: write the anchor first", "2:9: *y refers to no"]),
        ("a: &x [*x]", ["1:8: *x stands inside what it refers to: break the circle"]),
        ("&x {a: *x}", ["1:8: *x stands inside"]),
        ("a: &x {<<: *x}", ["1:12: *x stands inside"]),
        ("a: &x 1\n---\na: *x", ["3:4: *x refers to no anchor"]),
        ("a: **bold**", ["1:4: a text that begins with * needs quotes"]),
        ("a: & co", ["1:4: a text that begins with & needs quotes"]),
        # merge keys
        ("a: {<<: x}", ["1:9: `<<` takes an alias of a mapping, or a list of them: write `<<: *name`"]),
        ("a: {<<: [{}, x]}", ["1:9: `<<` takes"]),
        ("a: {<<: }", ["1:9: a value is missing"]),
        ("a: &x {}\nb: {<<: *x, <<: *x}", ["2:13: << stands here twice (first in line 2): merge a list"]),
        # libyaml's complaints
        ("a: {b: 1, phone:}", ["1:16: a colon needs a space and a value: write `key: value`, null to clear the field"]),
        ("a: @b", ["1:4: a text that begins with @ needs quotes"]),
        ("a: %b", ["1:4: a text that begins with % needs quotes"]),
        ("a: 1\nphone 1\nb: 2", ["2:1: this is no `key: value`: write the colon and a space, or quote the text"]),
        ("a: 1\nb: 'c\nd: e\n", ["2:4: the quote that opens here is never closed: close it"]),
        ('a: "\n---\n"', ["1:4: the quote that opens here is never closed"]),
        ("a: [1, {b: 2}\n\n", ["1:4: the [ that opens here is never closed: close it"]),
        ("a: [", ["1:5: the file ends within brackets: close them"]),
        ("a: {b: 1\nc: 2", ["2:2: the { of line 1 needs a comma before this, or to be closed"]),
        ("a: [1]]", ["1:7: nothing is open that ] could close: remove it, or quote the text"]),
        ("a: 'it's'", ["1:8: this is not part of the mapping of line 1: begin its keys in one column, and quote"]),
        ("a: b: c", ["1:5: a key can't stand here: quote a text that holds `: `"]),
        ("a:\n - b: 1\n  c: 2", ["3:3: this is in no item of the list of line 2: begin dashes in one column"]),
        ("{a: 1}}", ["1:7: something follows the end of the document"]),
        ("a: - b", ["1:4: a list can't begin here: begin it in the next line"]),
        ("a: | b", ["1:4: a text that begins with | or > needs quotes, or goes on in the next line"]),
        ("%FOO\n---\na: 1", ["1:1: a line that begins with % is a directive: leave it out"]),
        ("%YAML 2.0\n---\na: 1", ["1:1: a line that begins with % is a directive"]),
        ("a: [b,,c]", ["1:7: a value is missing here: write one, remove the character, or quote a text that begins"]),
        ("a: ? b", ["1:4: not valid YAML (mapping keys are not allowed in this context): correct it here"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str | bytes, expected: list[str]) -> None:
    """Each error stands at its line and column, counted in characters, and says what to do."""
    found = wrong(text)
    assert len(expected) == len(found), found
    for start, line in zip(expected, found, strict=True):
        assert line.startswith(f"m.yaml:{start}"), found


def test_a_missing_value_that_may_not_be_cleared() -> None:
    """Null is only proposed where the schema allows it."""
    (found,) = wrong("contacts:\n", MANIFEST)
    assert "m.yaml:1:10: a value is missing: write one, leave it out, or quote a text that begins with #" == found


def test_errors_within_a_file_are_told_all_at_once() -> None:
    """What isn't broken syntax doesn't end the file, and every error has its own place."""
    found = wrong("a: !x 1\na: 2\nb:\nc: *d\n---\nd: '\n")
    assert ["1:4", "2:1", "3:3", "4:4", "6:4"] == [line.split(": ")[0].removeprefix("m.yaml:") for line in found]


def test_what_was_read_before_an_error_is_kept() -> None:
    """Whole documents before broken syntax are there."""
    documents, diagnostics = parse(b"a: 1\n---\nb: [", "m.yaml", ANY)
    assert [Document("m.yaml", Fields(a=1))] == documents
    assert 1 == len(diagnostics)


def test_a_repeated_key_keeps_the_first_value_and_the_places() -> None:
    """After a repeated key the places of the others are still right."""
    root = parse(b"{a: 1, a: [2], b: 3}", "m.yaml", ANY)[0][0].root
    assert root == {"a": 1, "b": 3}
    assert root is not None
    assert 19 == root.source_of("b").column


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("[{a: ", "}]")], ids=["lists", "mappings", "both"]
)
def test_nesting_has_a_limit(opening: str, closing: str) -> None:
    """64 levels are read, 65 are refused where the 65th begins."""
    levels = (MAX_DEPTH - 1) // len(closing)
    rest = (MAX_DEPTH - 1) % len(closing)
    text = "a: " + "[" * rest + opening * levels + "1" + closing * levels + "]" * rest
    assert read(text)
    deeper = text.replace("1", "[1]")
    assert [f"m.yaml:1:{deeper.index('[1]') + 1}: nested more than 64 levels deep: flatten it"] == wrong(deeper)


def test_aliases_do_not_nest_deeper_than_brackets_may() -> None:
    """Depth that is built by aliases counts as if it were written out."""
    chain = "a0: &a0 [x]\n" + "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 63))
    assert read(chain)
    assert [f"m.yaml:64:{len('a63: &a63 [') + 1}: nested more than 64 levels deep: flatten it"] == wrong(
        chain + "a63: &a63 [*a62]\n"
    )
    inside = "a: &a [[[1]], 1]\nb: &b [[*a], 1]\nc: " + "[" * 59
    assert read(inside + "*a" + "]" * 59)
    assert ["nested more than 64 levels deep: flatten it"] == [
        line.split(": ", 1)[1] for line in wrong(inside + "*b" + "]" * 59)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{a: *a{i - 1}, b: *a{i - 1}}}\n" for i in range(1, 40)),
        f"a0: &a0 {{{','.join(f'k{i}: 1' for i in range(999))}}}\n"
        + "".join(f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 30)}]}}\n" for i in range(1, 60)),
        "a: &a [" + "x," * 5000 + "]\nb: [" + "*a," * 5000 + "]",
    ],
    ids=["wide", "deep", "merged", "flat"],
)
def test_alias_bombs_are_defused(text: str) -> None:
    """Aliases that would stand for more than a million values are refused, at once."""
    begun = time.process_time()
    (found,) = wrong(text)
    assert "aliases stand for more than a million values: write fewer of them" in found
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "make",
    [
        lambda size: "a: " + "[" * size,
        lambda size: "a:\n " + "- " * size,
        lambda size: "? " * size,
        lambda size: "a: '" + "x\n" * size,
        lambda size: "a: " + "1" * size + "x",
        lambda size: "a: 1" + ".1" * size,
        lambda size: "a: #" + "#" * size,
        lambda size: ":" * size,
        lambda size: "{" + "'x' " * size,
        lambda size: "".join(f"k{index}: &a !x *b\n" for index in range(size // 10)),
        lambda size: "a: &a [1]\nb: [" + "*a," * (size // 10) + "]",
        lambda size: "".join(f"k{index}: 1\n" for index in range(size // 10)) + "k0: 1\n" * 999,
    ],
)
def test_no_text_takes_long(make: Callable[[int], str]) -> None:
    """However strange a text is, the time it takes grows with its length only."""
    begun = time.process_time()
    parse(make(200_000).encode(), "m.yaml", ANY)
    assert time.process_time() - begun < 2


def test_errors_are_not_listed_without_end() -> None:
    """After a thousand errors the file is put aside."""
    found = wrong("a: 1\n" * 5000)
    assert 1001 == len(found)
    assert "m.yaml:1001:1: the file has more errors than are worth listing: correct these" == found[-1]


def test_a_pair_far_apart_is_found_without_search() -> None:
    """In a mapping of many keys a repeated one is reported without the line of the first."""
    text = "".join(f"k{index}: 1\n" for index in range(2000)) + "k7: 1\n"
    assert ["m.yaml:2001:1: k7 stands here twice: keep one"] == wrong(text)


def test_without_libyaml_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml, manifests read the same, and errors stand at the same place."""
    expected = parse(VALID.encode(), "m.yaml", MANIFEST)
    broken = [wrong(text)[0].split(": ")[0] for text in ("é: 😀\x01", "a: b: c", "a: @b")]
    monkeypatch.setattr(parser, "_LOADER", yaml.SafeLoader)
    assert expected == parse(VALID.encode(), "m.yaml", MANIFEST)
    assert broken == [wrong(text)[0].split(": ")[0] for text in ("é: 😀\x01", "a: b: c", "a: @b")]


def test_keys_are_kept_once() -> None:
    """A hundred thousand records don't hold a hundred thousand copies of the names of their fields."""
    records = read("contacts:\n  - {email: a, other: 1}\n  - {email: b, other: 1}\n", MANIFEST)["contacts"]
    for left, right in zip(*(list(record) for record in records), strict=True):
        assert left is right


def places(value: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield everything in a value with its line and column, keys and values alike."""
    if isinstance(value, Fields):
        for key, member in value.items():
            place, name = value.source_of(key), value.source_of(key, value=False)
            yield key, name.line, name.column
            yield member, place.line, place.column
            yield from places(member)
    elif isinstance(value, Items):
        for index, item in enumerate(value):
            place = value.source_of(index)
            yield item, place.line, place.column
            yield from places(item)


letters = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=6)
words = st.sampled_from(["a", "é", "😀", "no", "x y", "日本", "ab"]) | letters
trees = st.recursive(
    words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
TEXTS = Shape(frozenset(("string",)))
TEXTS.items = TEXTS.rest = TEXTS
roots = st.dictionaries(words, trees, min_size=1, max_size=4)


@given(roots, st.booleans(), st.sampled_from([None, "'", '"']), st.integers(1, 6), st.sampled_from(["\n", "\r\n"]))
@QUICK
def test_texts_equal_what_the_base_loader_reads(
    root: Any,
    flow: bool,  # noqa: FBT001 - hypothesis fills it in
    style: str | None,
    indent: int,
    line_break: str,
) -> None:
    """A document of texts alone has the values that PyYAML's untyped loader gives it, and each stands where it says."""
    layout: Any = {
        "default_flow_style": flow,
        "default_style": style,
        "indent": indent,
        "width": 10_000,
        "line_break": line_break,
    }
    text = yaml.dump(root, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, **layout)
    if style is None and re.search("<<|[?&*!]", text):
        return  # merge keys, complex keys, aliases and tags are not texts alone
    found = read(text, TEXTS)
    assert yaml.load(text, Loader=yaml.CBaseLoader) == found  # noqa: S506 - it makes texts only
    lines = re.split("(\r\n|[\n\r\x85\u2028\u2029])", text)
    for value, line, column in places(found):
        rest = "".join(lines[2 * line - 2 :])[column - 1 :]
        if isinstance(value, list):
            assert rest[0] in "[-"
        elif isinstance(value, dict):
            assert rest.startswith(("{", *value, "'", '"', "null"))
        elif rest[0] in "'\"|>":
            tokens = yaml.scan(rest, Loader=yaml.CBaseLoader)
            assert value == next(token.value for token in tokens if isinstance(token, yaml.ScalarToken))
        else:
            assert rest.startswith(value)


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[str, list[tuple[str, int, int]]]:
    """Return a manifest written line by line, with its marked texts and their places, counted while writing."""
    line_break, text, marked = draw(st.sampled_from(["\n", "\r\n", "\r"])), "", []
    line = 1
    for number in range(draw(st.integers(1, 6))):
        name = f"{draw(st.sampled_from(['k', 'é', '😀x', '日本']))}{number}"
        before = draw(st.sampled_from(["", '"é😀": 1, ', "a: [b, 'ü'], "]))
        value = f"v{number}"
        opening = f"{name}: {{{before}"
        marked += [
            (name, line, 1),
            (f"m{number}", line, len(opening) + 1),
            (value, line, len(opening) + 5 + len(str(number)) - 1),
        ]
        text += f"{opening}m{number}: {value}}}{line_break}"
        line += 1
        for _ in range(draw(st.integers(0, 2))):
            text += f"{draw(st.sampled_from(['', '# é 😀', '   ']))}{line_break}"
            line += 1
    return text, marked


@given(laid_out())
@QUICK
def test_places_are_those_counted_while_writing(written: tuple[str, list[tuple[str, int, int]]]) -> None:
    """Line and column of keys and values are right after any letters, comments, empty lines and line breaks."""
    text, marked = written
    assert set(marked) <= {place for place in places(read(text)) if isinstance(place[0], str)}


def check_robust(data: bytes) -> None:
    """Read bytes: whatever they are, what comes back is values or errors, which have places inside the file."""
    documents, diagnostics = parse(data, "m.yaml", MANIFEST)
    lines = len(re.split(b"\r\n|[\n\r]|\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9", data))
    for diagnostic in diagnostics:
        assert diagnostic.source is not None
        assert 1 <= diagnostic.source.line <= lines + 1  # libyaml puts the end of a file below its last line
        assert 1 <= diagnostic.source.column <= len(data) + 1
        assert diagnostic.message
    for document in documents:
        list(places(document.root))
        if document.root is not None:
            schema.check("manifest", document.root)


@given(st.binary(max_size=200) | st.text(st.characters(codec="utf-8"), max_size=200).map(str.encode))
@example(b"\xff\xfe")
@QUICK
def test_no_bytes_bring_it_down(data: bytes) -> None:
    """Arbitrary bytes are read or refused, without a traceback."""
    check_robust(data)


PIECES = [
    *"\t\n\r\"'{}[],:#&*!|>%@`?-~<=\\\0\x01\x7f\ufeff é😀",
    "- ",
    ": ",
    "<<: ",
    "*usual",
    "&x ",
    "!!x ",
    "---\n",
    "...\n",
    "\ud7ff",
]


@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 8), st.lists(st.sampled_from(PIECES), max_size=3)),
        min_size=1,
        max_size=4,
    ),
    st.binary(max_size=2),
    st.integers(0, len(VALID)),
)
@settings(max_examples=500, derandomize=True, deadline=None)
def test_no_damaged_manifest_brings_it_down(changes: list[tuple[int, int, list[str]]], raw: bytes, place: int) -> None:
    """A manifest with pieces cut out and others put in is read or refused, without a traceback."""
    text = VALID
    for start, length, pieces in changes:
        text = text[:start] + "".join(pieces) + text[start + length :]
    data = text.encode()
    check_robust(data[:place] + raw + data[place:])
