"""The parser against the base loader, against what was written, and against any bytes."""

import re
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parsing import MANIFEST, QUICK, VALID, places, read

from crmctl import schema
from crmctl.parser import Shape, parse

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
