r"""Make strangers' text harmless in what a report is written to: a terminal, a CI log, a Markdown comment, JSON.

In: any text or JSON value. Out: text that shows the same to a reader, with whatever would act (move the cursor, reorder
letters, hide, start a command, link, mention) spelled out as in Python or JSON: `\x1b`, `\u202e`.
"""

import json
import re
from collections.abc import Mapping
from itertools import groupby
from json.encoder import encode_basestring
from typing import Any

from crmctl.kinds import KINDS
from crmctl.resource import Address

VALUE_LIMIT = 200  # characters of a value that are shown
SPELLED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
ENCODER = json.JSONEncoder(ensure_ascii=False)

# Unicode calls these control, format, surrogate, separator, or shows nothing for them. Listed rather than asked of
# `unicodedata`, so that every Python writes the same bytes. Some invisible ones stay where they belong to what is
# seen: joiners in emoji and in Arabic and Indic words, selectors that pick the glyph of an emoji or a Han character.
SYMBOL = r"\u203c\u2049\u2122\u2139\u2190-\u27ff\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
JOINING = r"\u0620-\u06d3\u0750-\u077f\u0900-\u0dff"
HAN = r"\u3400-\u9fff\U00020000-\U0003ffff"
ALWAYS = (
    r"\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200b\u200e\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"
    r"\U00013430-\U00013440\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
ACTING = (  # not compiled yet, like others below: it takes 4 ms, and most runs never need it
    rf"[{ALWAYS}]"
    rf"|(?<![{JOINING}])\u200c"
    rf"|(?<![{JOINING}{SYMBOL}\ufe0f])\u200d|(?<![{JOINING}])\u200d(?![{SYMBOL}])"
    rf"|(?<![{SYMBOL}#*0-9©®])\ufe0f"
    rf"|(?<![{HAN}])[\U000e0100-\U000e01ef]"
)
# One class is searched for 20 times faster than the above, and most text has nothing of it.
SUSPECT = rf"[{ALWAYS}\u200c\u200d\ufe0f\U000e0100-\U000e01ef]"
PLAIN_BELOW = "\u034f"  # nothing acts before the first of the above that Python calls printable
# Runners of CI jobs look for these anywhere in a line, and for `::error::` where one begins, whatever Unicode calls
# white space before it.
HASH_COMMAND = re.compile(r"#(?=#(?:vso)?\[)", re.IGNORECASE)
COLON_COMMAND = re.compile(r"\A(\s*+):(?=:)")
# What can stand in Markdown as it is: a word of letters that isn't the digest of a commit, punctuation around it; a
# number that isn't one either, nor begins an item of a list.
WORD = r"(?i)\(?(?![0-9a-f]{7,40}\b)[^\W\d_]+(?:['-][^\W\d_]+)*[.,;:!?)]{0,2}|[0-9]{1,6}[,;:]?"
PLAIN_KEY = re.compile(r"[A-Za-z0-9@._-]+")  # nothing in it is percent-encoded, and nothing acts
BACKTICKS = re.compile("`+")


def terminal(text: str) -> str:
    r"""Return text for one line of a terminal or a CI log, `\x1b` for what would act in it."""
    if not (text.isascii() and text.isprintable()) and _is_suspect(text):
        text = re.sub(ACTING, _spell, text)
    if "##" in text:
        text = HASH_COMMAND.sub(r"\\x23", text)
    return COLON_COMMAND.sub(r"\1\\x3a", text) if "::" in text else text


def encoded(text: str) -> str:
    r"""Return encoded JSON, still the same JSON, with `\u202e` for what would act in a terminal or a CI log."""
    if not (text.isascii() and text.isprintable()) and _is_suspect(text):
        text = re.sub(ACTING, _spell_for_json, text)
    return HASH_COMMAND.sub(r"\\u0023", text) if "##" in text else text


def literal(value: Any, limit: int = VALUE_LIMIT) -> str:
    """Return a value as JSON for one line of a terminal or a CI log; a long one is cut, and its length noted."""
    if isinstance(value, str):
        if len(value) <= limit:
            return encoded(encode_basestring(value))
        return f"{encoded(ENCODER.encode(value[:limit]))}… ({len(value)} characters)"
    return cut(encoded(ENCODER.encode(value)), limit)


def cut(text: str, limit: int) -> str:
    """Return the beginning of a text that is too long, with a note of its length."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def code(text: str) -> str:
    """Return text as a Markdown code span: safe in a cell of a table, a list and running text alike.

    In a code span nothing is linked, mentioned or emphasised; the bar alone needs more, since tables are split first.
    """
    shown = terminal(text).replace("|", r"\|")
    if not shown:
        return ""
    fence = "`" * (1 + max((len(run) for run in BACKTICKS.findall(shown)), default=0))
    # Markdown takes one space from either end, but not from a span that is nothing but spaces.
    pad = " " if shown.strip(" ") and (shown[0] in "` " or shown[-1] in "` ") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """Return a sentence for Markdown: its plain words as they are, all else in code spans."""
    parts = groupby(terminal(text).split(" "), key=lambda part: re.fullmatch(WORD, part) is not None)
    return " ".join(" ".join(run) if plain else code(" ".join(run)) for plain, run in parts)


def address(kind: str, key: str) -> str:
    """Return `kind/key` for a terminal, percent-encoded like `Address`; the kind alone where a key is missing.

    What is not even Unicode is spelled out.
    """
    if not key:
        return terminal(kind)
    if kind in KINDS and PLAIN_KEY.fullmatch(key):
        return f"{kind}/{key}"
    return terminal(str(Address(kind, key.encode("utf-8", "backslashreplace").decode())))


def place(source: Mapping[str, Any] | None) -> str:
    """Return `file:line:column` for a terminal, or nothing."""
    return "" if source is None else terminal(f"{source['file']}:{source['line']}:{source['column']}")


def _is_suspect(text: str) -> bool:
    """Tell whether something in a text may act; most text that is not ASCII is cleared without the pattern."""
    plain = text.isprintable() and max(text, default="") < PLAIN_BELOW
    return not plain and re.search(SUSPECT, text) is not None


def _spell(match: re.Match[str]) -> str:
    character = match[0]
    return SPELLED.get(character) or character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _spell_for_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
