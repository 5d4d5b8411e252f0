"""What journals tell, for a person: the list of runs as a table, one run record by record; words for text and Markdown.

In: the documents of `history.py`. Out: pieces of text. Both formats say the same, so the words are in one place.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crmctl.document import Document
from crmctl.reports import escape

SIGNS = {
    "created": "+", "existed": "=", "updated": "~", "unchanged": "=", "sent": ">", "settled": "=", "failed": "!",
    "unknown": "?", "in flight": "?",
}  # fmt: skip
NONE = "No runs are journalled."
HEADER = ("run", "target", "state", "began", "records")
MEANING = {
    "open": "it has not ended: it is at work, or was cut short",
    "interrupted": "it was interrupted",
    "stopped": "it stopped early",
    "complete": "it came to its end",
}
UNNAMED = "A record shown as [digest] is not declared any more, or its digest was made with another key."


def text_runs(document: Document) -> Iterator[str]:
    """Render the list of runs as aligned columns."""
    rows = [tuple(escape.terminal(cell) for cell in _cells(run)) for run in document.entries()]
    if not rows:
        yield f"{NONE}\n"
        return
    table = [HEADER, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield f"{'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()}\n"


def text_run(document: Document) -> Iterator[str]:
    """Render one run: a line per record, what it left last."""
    head = document.head
    yield f"{escape.terminal(summarise(head))}\n"
    for fact in _facts(head):
        yield f"{escape.terminal(fact)}\n"
    unnamed = False
    for record in _ordered(document):
        unnamed = unnamed or record["address"] is None
        sign = SIGNS.get(record["status"], "-")
        known = f"   {record['remote_id']}" if record["remote_id"] else ""
        yield escape.terminal(f"{sign} {_outcome(record)} {_name(record)}{known}") + "\n"
    yield f"\n{escape.terminal(_totals(head)) or 'No records'}.\n"
    if unnamed:
        yield f"{UNNAMED}\n"


def markdown_runs(document: Document) -> Iterator[str]:
    """Render the list of runs as a table."""
    rows = [_cells(run) for run in document.entries()]
    if not rows:
        yield f"{NONE}\n"
        return
    for row in (HEADER, ("---",) * len(HEADER)):
        yield f"| {' | '.join(row)} |\n"
    for row in rows:
        yield f"| {' | '.join(escape.code(cell) for cell in row)} |\n"


def markdown_run(document: Document) -> Iterator[str]:
    """Render one run as a table of its records."""
    head = document.head
    yield f"### crmctl: run {escape.code(head['run'])}\n\n{escape.code(summarise(head))}\n"
    for fact in _facts(head):
        yield f"\n{escape.code(fact)}\n"
    records = list(_ordered(document))
    yield "\n| | record | outcome | id |\n|---|---|---|---|\n" if records else ""
    for record in records:
        sign = SIGNS.get(record["status"], "-")
        cells = (_name(record), _outcome(record), record["remote_id"] or "")
        yield f"| {escape.code(sign)} | {' | '.join(escape.code(cell) if cell else '' for cell in cells)} |\n"
    yield f"\n{_totals(head) or 'No records'}.\n"
    if any(record["address"] is None for record in records):
        yield f"\n{UNNAMED}\n".replace("[", r"\[")


def summarise(head: Mapping[str, Any]) -> str:
    """Return a run in one sentence."""
    began, ended = head["started_at"] or "at an unknown time", head["finished_at"]
    until = f" to {ended}" if ended else ""
    return f"Run {head['run']} against target {head['target']}, {began}{until}: {MEANING[head['state']]}."


def _facts(head: Mapping[str, Any]) -> Iterator[str]:
    if head["resumes"]:
        yield f"It resumes run {head['resumes']}."
    if head["undoes"]:
        yield f"It puts back what run {head['undoes']} has overwritten."
    if head["settles"]:
        yield "A person has settled a doubt with it."
    if head["unsafe"]:
        yield f"It went beyond a limit: {head['unsafe']}"


def _cells(run: Mapping[str, Any]) -> tuple[str, ...]:
    return (run["run"], run["target"], run["state"], run["started_at"] or "-", _totals(run) or "-")


def _totals(head: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {status}" for status, count in head["totals"].items())


def _ordered(document: Document) -> Iterator[Mapping[str, Any]]:
    """Yield the records, what is not done last, where it is seen."""
    for trouble in (False, True):
        for record in document.entries():
            if (SIGNS.get(record["status"], "-") in "!?-") == trouble:
                yield record


def _outcome(record: Mapping[str, Any]) -> str:
    """Return what became of a record; what it was to be, where nothing did."""
    status: str = record["status"]
    return f"{status}: {record['action']}" if status in {"left", "in flight"} else status


def _name(record: Mapping[str, Any]) -> str:
    return record["address"] or f"[{record['digest']}]"
