r"""Write a plan, the outcome of a run or diagnostics as JSON, for programs and for `apply PLANFILE`.

In: a document. Out: pieces of one JSON document, in the order of the input, one entry a line: a plan of 100,000 records
is never held as a whole, and two plans can be compared with `diff`. Still plain JSON; what would act in a terminal is
escaped (`\u202e`), as are lone surrogates, which UTF-8 could not carry.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import escape, text

# JSON has no NaN and no infinity: better no file than one that no reader takes.
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def plan(document: Document | Bundle, **_style: bool) -> Iterator[str]:
    """Write a plan by `schemas/plan.schema.json`."""
    return _write_any(document, "changes")


def applied(document: Document | Bundle, **_style: bool) -> Iterator[str]:
    """Write the outcome of a run: its head, then `outcomes`."""
    return _write_any(document, "outcomes")


def diagnostics(findings: Iterable[Diagnostic], redactor: Redactor, **_style: bool) -> Iterator[str]:
    """Write findings as `diagnostics`: place, kind, key, field and the message with its value filled in."""
    yield from _write({"format_version": "1.0"}, "diagnostics", (text.explain(found, redactor) for found in findings))
    yield "\n"


def capabilities(rows: Iterable[Mapping[str, Any]], **_style: bool) -> Iterator[str]:
    """Write what providers can do: an entry per provider and kind."""
    yield from _write({"format_version": "1.0"}, "capabilities", iter(rows))
    yield "\n"


def runs(document: Document, **_style: bool) -> Iterator[str]:
    """Write the list of runs."""
    return _write_any(document, "runs")


def run(document: Document, **_style: bool) -> Iterator[str]:
    """Write what became of each record in one run: its head, then `records`."""
    return _write_any(document, "records")


def _write_any(document: Document | Bundle, name: str) -> Iterator[str]:
    """Write a document, or what there is of several targets: the head, `failed`, then a document for each of others."""
    if isinstance(document, Document):
        yield from _write(document.head, name, document.entries())
    else:
        yield from _open({**document.head, "failed": list(document.failed)}, document.name)
        for number, inner in enumerate(document.documents):
            yield ",\n    " if number else "\n    "
            yield from (piece.replace("\n", "\n    ") for piece in _write(inner.head, name, inner.entries()))
        yield "\n  ]\n}" if document.documents else "]\n}"
    yield "\n"


def _write(head: Mapping[str, Any], name: str, entries: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    yield from _open(head, name)
    separator = "\n"
    for entry in entries:
        yield f"{separator}    {_encode(entry)}"
        separator = ",\n"
    yield "\n  ]\n}" if separator != "\n" else "]\n}"


def _open(head: Mapping[str, Any], name: str) -> Iterator[str]:
    yield "{\n"
    for member, value in head.items():
        yield f"  {_encode(member)}: {_encode(value)},\n"
    yield f"  {_encode(name)}: ["


def _encode(value: Any) -> str:
    return escape.encoded(ENCODER.encode(value))
