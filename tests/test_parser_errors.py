"""What is wrong with YAML is told with its place and the next step, and nothing takes long."""

import re
import sys
import time
from collections.abc import Callable

import pytest
import yaml
from parsing import ANY, MANIFEST, VALID, read, wrong

from crmctl import parser
from crmctl.parser import MAX_DEPTH, Document, parse
from crmctl.resource import Fields

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


def test_no_control_character_is_printable() -> None:
    """So a text in double quotes is searched for one only if something in it is not printable."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    found = re.findall(parser._CONTROL, every)
    assert found
    assert [] == [character for character in found if character.isprintable()]
