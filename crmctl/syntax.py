"""Words and places for broken YAML: what libyaml complains about, as a sentence with a next step.

In: the text, and libyaml's terse problem with its marks. Out: where to look and what to do there. Whoever meets these
messages mostly has not heard of tokens and nodes, so they name what was typed.
"""

import re
from typing import Any

from crmctl.resource import Source

LINE_BREAK = "\r\n|[\n\r\x85\u2028\u2029]"
"""What ends a line in YAML 1.1, which libyaml speaks; all positions are counted in its way."""

_OPENERS = {"while parsing a flow sequence": "[", "while parsing a flow mapping": "{"}
_STRAY = {":": "no key", "]": "stray bracket", "}": "stray bracket"}

# Words to look for in libyaml's problem and context; whether to point at what began there, instead of where it gave
# up; and what to say. The first that fits is taken.
_MESSAGES = (
    ("tab for space", False, "a tab stands where only spaces may: indent with spaces"),
    ("cannot start any token", False, "a text that begins with {value} needs quotes"),
    ("could not find expected ':'", True, "this is no `key: value`: write the colon and a space, or quote the text"),
    ("while scanning a quoted scalar found unexpected", True, "the quote that opens here is never closed: close it"),
    ("escape c", False, r"in double quotes \ begins an escape: write \\ for a backslash, or use single quotes"),
    ("hexdecimal", False, r"in double quotes \ begins an escape: write \\ for a backslash, or use single quotes"),
    ("file ends", False, "the file ends within brackets: close them"),
    ("never closed", True, "the {opener} that opens here is never closed: close it"),
    (
        "did not find expected ',' or",
        False,
        "the {opener} of line {line} needs a comma before this, or to be closed: write it, or quote the text",
    ),
    ("no key", False, "a key is missing before the colon: write `key: value`"),
    ("stray bracket", False, "nothing is open that {value} could close: remove it, or quote the text"),
    (
        "did not find expected key",
        False,
        "this is not part of the mapping of line {line}: begin its keys in one column, and quote special characters",
    ),
    (
        "mapping values are not allowed",
        False,
        "a key can't stand here: quote a text that holds `: `, begin keys in one column, end each with `: `",
    ),
    (
        "did not find expected '-' indicator",
        False,
        "this is in no item of the list of line {line}: begin dashes in one column, and items right of them",
    ),
    (
        "did not find expected <document start>",
        False,
        "something follows the end of the document: remove it, or check brackets and indentation",
    ),
    (
        "block sequence entries are not allowed",
        False,
        "a list can't begin here: begin it in the next line, or quote a text that begins with a dash",
    ),
    ("found unexpected ':'", False, "a colon needs a space and a value: write `key: value`, null to clear the field"),
    ("a block scalar", True, "a text that begins with | or > needs quotes, or goes on in the next line, indented"),
    ("scanning an alias", True, "a text that begins with * needs quotes"),
    ("scanning an anchor", True, "a text that begins with & needs quotes"),
    ("directive", True, "a line that begins with % is a directive: leave it out, or quote the text"),
    ("incompatible YAML", True, "a line that begins with % is a directive: leave it out, or quote the text"),
    (" tag", True, "tags such as !this are not allowed: leave it out, or quote a text that begins with !"),
    (
        "did not find expected node content",
        False,
        "a value is missing here: write one, remove the character, or quote a text that begins with it",
    ),
)
_HALF = r"this is half a character: write the character itself, or \U and its eight hexadecimal digits"


def explain(file: str, text: str, error: Any) -> tuple[Source, str, str | None]:
    """Return the place to look at, the message, and the text that `{value}` in it stands for.

    `error` is a MarkedYAMLError; its `problem_mark` is where libyaml gave up, its `context_mark` where what it was
    reading began.
    """
    problem, context, mark = str(error.problem), error.context or "", error.problem_mark
    start = error.context_mark or mark
    character, opener = text[mark.index : mark.index + 1], _OPENERS.get(context, "")
    if "invalid Unicode character escape" in problem:
        return _place(file, text, mark), _HALF, None
    if character == "\t" and "character" in problem:
        problem = "tab for space"
    elif not text[mark.index :].strip() and (opener or context == "while parsing a flow node"):
        problem = "never closed" if opener else "file ends"
    elif "did not find expected key" in problem:
        problem = _STRAY.get(character, problem)
    said = f"{context} {problem}"
    for words, at_start, message in _MESSAGES:
        if words in said:
            filled = message.replace("{opener}", opener).replace("{line}", str(start.line + 1))
            return _place(file, text, start if at_start else mark), filled, character
    return _place(file, text, mark), "not valid YAML ({value}): correct it here", problem


def unreadable(data: bytes, error: Any) -> tuple[str, int]:
    """Return the text before the character that a ReaderError is about, and its code point."""
    if error.encoding == "unicode":  # without libyaml, characters are counted rather than bytes
        return data.decode()[: error.position], error.character
    return data[: error.position].decode(), error.character


def _place(file: str, text: str, mark: Any) -> Source:
    """Return the place of a mark; libyaml would put the end of a text into a line of its own."""
    return place_after(file, text) if mark.index >= len(text) else Source(file, mark.line + 1, mark.column + 1)


def place_after(file: str, before: str) -> Source:
    """Return the place that a text leads up to."""
    lines = re.split(LINE_BREAK, before)
    return Source(file, len(lines), len(lines[-1]) + 1)
