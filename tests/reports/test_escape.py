import json
import re
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmctl.reports import escape
from crmctl.resource import Address

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Mostly what acts somewhere, so that combinations are met.
ACTING = st.text(st.one_of(st.sampled_from("`|\\<>@#:[]()*_! \n\r\t\x1b\u202e\u200d\ufe0f☺a1"), st.characters()))
WHITE = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def outside_of_code(text: str) -> str:
    """Return what a Markdown reader takes for Markdown: everything but code spans (CommonMark 6.1)."""
    return CODE_SPAN.sub("", text)


@given(ACTING)
@example("\x1b[31m\x9b2J\x7f\u2028\ud800")
def test_terminal_text_holds_nothing_that_acts(text: str) -> None:
    """No control, line, bidirectional or surrogate character is left, and no command of a CI runner."""
    shown = escape.terminal(text)
    assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in shown)
    assert not BIDI & set(shown)
    assert not shown.lstrip().startswith("::")
    assert "##[" not in shown
    assert "##vso[" not in shown.lower()
    shown.encode()


@given(st.text(st.sampled_from(WHITE)), st.sampled_from(["::", "##[", "##vso["]), ACTING)
def test_no_white_space_hides_a_command(before: str, command: str, after: str) -> None:
    """Runners trim a line, of whatever Unicode calls white space, before they look at how it begins."""
    for shown in (escape.terminal(before + command + after), escape.prose(before + command + after)):
        assert not shown.strip("".join(WHITE)).startswith(command)


@given(ACTING)
def test_escaping_twice_is_escaping_once(text: str) -> None:
    """What has been escaped is harmless, and stays as it is."""
    once = escape.terminal(text)
    assert once == escape.terminal(once)


@pytest.mark.parametrize(
    "text",
    [
        "Müller & Söhne",
        "株式会社　東京",
        "naïve café",
        "👩‍💻 ❤️ 1️⃣ 🏴‍☠️",
        "葛\U000e0100城",
        "می‌خواهم",
        "क्‍ष",
        "a::b",
        "# x",
        "C:\\x",
    ],
)
def test_readable_text_stays(text: str) -> None:
    """Accents, scripts and emoji are no danger, with the joiners that belong to them."""
    assert text == escape.terminal(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("a\u202eb", r"a\u202eb"),
        ("ja\u200dne\u200b", r"ja\u200dne\u200b"),
        ("a\u00a0b", r"a\xa0b"),
        ("a\ufe0f\U000e0100\U000e0041", r"a\ufe0f\U000e0100\U000e0041"),
        ("\ud800", r"\ud800"),
        ("::error::x", r"\x3a:error::x"),
        ("  ::x", r"  \x3a:x"),
        ("\u3000 ::x", "\u3000 \\x3a:x"),
        ("a ##[group] ##VSO[x]", r"a \x23#[group] \x23#VSO[x]"),
    ],
)
def test_what_acts_is_spelled_out(text: str, shown: str) -> None:
    """A reader sees that something is there, and what."""
    assert shown == escape.terminal(text)


@given(ACTING)
@example("a\\|b")
@example("`|``")
def test_a_code_span_cannot_be_left(text: str) -> None:
    """In a cell, a list or running text: one span, one line, no bar that would split a table."""
    span = escape.code(text)
    assert "\n" not in span
    assert not re.search(r"(?<!\\)\|", span)
    if text:
        match = CODE_SPAN.fullmatch(span)
        assert match is not None
        inner = match[2]
        stripped = inner[1:-1] if inner[0] == inner[-1] == " " and inner.strip(" ") else inner
        assert escape.terminal(text).replace("|", r"\|") == stripped
    else:
        assert span == ""


@given(ACTING)
@example("@team #12 deadbeef1 www.acme.example <b> ![i](u) GH-1 *x* _y_ http://a")
def test_prose_is_words_and_code(text: str) -> None:
    """Outside of its code spans a sentence has letters and punctuation alone: nothing links, mentions or formats."""
    shown = escape.prose(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)\|", shown)
    plain = outside_of_code(shown)
    assert all(character.isalnum() or character in " .,;:!?()'-" for character in plain)
    assert not re.search(r"www\.\S|://|^\s*(?:[-+*]|\d+[.)])\s|[a-z]-?\d|\d{7}", plain)
    assert not any(re.fullmatch("[0-9a-f]{7,40}", word) for word in re.findall(r"\w+", plain.lower()))


def test_prose_leaves_a_plain_sentence_alone() -> None:
    """Words stay words, all else becomes code."""
    text = "domain https://www.acme.example/a, 2 of 3, is read as acme.example (don't ask @team)."
    shown = "domain `https://www.acme.example/a,` 2 of 3, is read as `acme.example` (don't ask `@team).`"
    assert shown == escape.prose(text)


@given(ACTING)
def test_encoded_json_is_the_same_json(text: str) -> None:
    """Escapes change what is written, never what is read."""
    written = escape.encoded(escape.ENCODER.encode(text))
    assert text == json.loads(written)
    assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in written)


def test_what_is_cleared_without_the_pattern_is_cleared_by_it_too() -> None:
    """Of what Python calls printable, nothing acts before the first character that the short cut leaves out."""
    letters = map(chr, range(ord(escape.PLAIN_BELOW)))
    printable = "".join(filter(str.isprintable, letters))
    assert re.search(escape.SUSPECT, printable) is None
    assert re.search(escape.SUSPECT, escape.PLAIN_BELOW)


def test_a_long_value_is_cut_and_its_length_noted() -> None:
    """200 characters are shown, of texts and of lists."""
    assert escape.literal("x" * 200) == f'"{"x" * 200}"'
    assert escape.literal("x" * 201) == f'"{"x" * 200}"… (201 characters)'
    assert escape.literal(["ab", "cd"], 5) == '["ab"… (12 characters)'


def test_values_are_shown_as_json() -> None:
    """Nothing, numbers, truth, lists and mappings can be told apart from text that looks like them."""
    values = [None, True, 1, 1.5, "1", ["ä"], {"a": "\n"}]
    shown = ["null", "true", "1", "1.5", '"1"', '["ä"]', r'{"a": "\n"}']
    assert shown == [escape.literal(value) for value in values]


def test_an_address_is_percent_encoded() -> None:
    """As `Address` does it, and even what is not Unicode doesn't stop a report."""
    assert escape.address("contact", "jane doe@acme.example") == "contact/jane%20doe@acme.example"
    assert escape.address("contact", "\ud800") == "contact/%5Cud800"


@given(st.sampled_from(["account", "note", "##[group]"]), st.one_of(ACTING, st.text("aZ9@._-/%:", min_size=1)))
def test_a_plain_address_needs_no_encoding(kind: str, key: str) -> None:
    """The short way that most keys go leads to the same, and only where the kind is one of ours."""
    plain = key.encode("utf-8", "backslashreplace").decode()
    assert escape.address(kind, key) == escape.terminal(str(Address(kind, plain)) if key else kind)


def test_a_place_is_file_line_column() -> None:
    """Editors can jump to it; a file's name can't start a command."""
    assert escape.place({"file": ":", "line": 1, "column": 2}) == r"\x3a:1:2"
    assert escape.place(None) == ""
