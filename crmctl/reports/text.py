"""Show a plan, the outcome of a run or diagnostics to a person at a terminal or in a CI log.

In: a document. Out: pieces of text that end in newlines; one record is one header line and a line per field. Nothing is
wrapped or left out, so that the text can be piped and searched; a value is shown as JSON, and a long one cut.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any

from crmctl.document import Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import escape

GREEN, YELLOW, RED, MAGENTA, CYAN, DIM = 32, 33, 31, 35, 36, 2
SIGNS = {"create": ("+", GREEN), "update": ("~", YELLOW), "report": ("!", MAGENTA)}
STATUS_SIGNS = {
    "created": ("+", GREEN),
    "existed": ("=", CYAN),
    "updated": ("~", YELLOW),
    "sent": (">", CYAN),
    "failed": ("!", RED),
    "unknown": ("?", MAGENTA),
    "skipped": ("-", MAGENTA),
}
TROUBLE = frozenset({"failed", "unknown", "skipped"})
ALWAYS_COUNTED = frozenset({"created", "updated", "unchanged"})
DIAGNOSTIC_VALUE_LIMIT = 80
ERROR_LIMIT = 1000
MOST_ALIKE = 10
# What our own messages tell people to write: nobody has an address there.
EXAMPLE = re.compile(r"(?<![^\s,'\"(])(name@domain|[a-z.]+@acme\.example)(?![\w-]|\.\w)")
UNREADABLE = "not returned by the API: sent on create, never compared"
PSEUDONYMS = "Personal data is shown as pseudonyms (anon-…)."


def plan(document: Document, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render a plan; `verbose` adds where each field is declared, and the expected requests by route."""
    head = document.head
    yield f"Target {escape.literal(head['target'])} ({escape.terminal(head['provider'])})\n"
    for change in document.entries():
        sign, shade = SIGNS[change["action"]]
        lines = [_header(sign, shade, change, colour=colour)]
        lines += _fields(change, colour=colour, verbose=verbose)
        if change["reason"]:
            lines.append(f"    {escape.terminal(change['reason'])}\n")
        yield "".join(lines)
    for held in head["held"]:
        yield f"{_paint('=', CYAN, colour=colour)} {describe_held(held)}\n"
    notices = head["notices"] if verbose else head["notices"][:MOST_ALIKE]
    for notice in notices:
        yield f"i {describe_notice(notice)}\n"
    if more := len(head["notices"]) - len(notices):
        yield f"i and {more} more like these (-v shows all)\n"
    for field in head["unreadable"]:
        yield f"? {escape.terminal(field['kind'])}.{escape.terminal(field['field'])} is {UNREADABLE}\n"
    yield f"\n{summarise_plan(head)}\n"
    todo = head["summary"]["create"] or head["summary"]["update"]
    yield from _requests(head["requests"], "Apply will send" if todo else "Reading took", verbose=verbose)
    if head["redacted"]:
        yield f"{PSEUDONYMS}\n"


def applied(document: Document, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render the outcome of a run, what went wrong last, where it is seen."""
    head = document.head
    yield f"Target {escape.literal(head['target'])} ({escape.terminal(head['provider'])})\n"
    alike: Counter[str] = Counter()
    troubled = any(head["totals"].get(status) for status in TROUBLE)
    for trouble in (False, True) if troubled else (False,):
        for outcome in document.entries():
            if (outcome["status"] in TROUBLE) == trouble:
                error = (
                    f"    {escape.cut(escape.terminal(outcome['error']), ERROR_LIMIT)}\n" if outcome["error"] else ""
                )
                if outcome["status"] == "skipped" and not verbose:
                    # A run that stopped early skips the rest, all for one reason.
                    alike[error] += 1
                    if alike[error] > MOST_ALIKE:
                        continue
                sign, shade = STATUS_SIGNS[outcome["status"]]
                yield _header(sign, shade, outcome, colour=colour, word=outcome["status"]) + error
    for error, count in alike.items():
        if count > MOST_ALIKE:
            yield f"- skipped {count - MOST_ALIKE} more, likewise (-v shows all)\n{error}"
    yield f"\n{summarise_run(head)}\n"
    yield from _requests(head["requests"], "Sent", verbose=verbose)
    if head["redacted"]:
        yield f"{PSEUDONYMS}\n"


def diagnostics(
    findings: Iterable[Diagnostic], redactor: Redactor, *, colour: bool = False, verbose: bool = False
) -> Iterator[str]:
    """Render findings as `file:line:column: address: field: message`; `verbose` makes no difference."""
    del verbose
    for finding in findings:
        found = explain(finding, redactor)
        where = _paint(escape.place(found["source"]), RED, colour=colour)
        named = escape.address(found["kind"], found["key"]) if found["kind"] else ""
        parts = [where, named, escape.terminal(found["field"]), escape.terminal(found["message"])]
        yield ": ".join(part for part in parts if part) + "\n"


def summarise_plan(head: Mapping[str, Any]) -> str:
    """Return the totals of a plan as a sentence."""
    counts = head["summary"]
    unmanaged = "unmanaged not counted" if counts["unmanaged"] is None else f"{counts['unmanaged']} unmanaged"
    reports = f" ({counts['report']} report{'s' * (counts['report'] != 1)})" if counts["report"] else ""
    if counts["create"] or counts["update"]:
        todo = f"{counts['create']} to create, {counts['update']} to update"
        return f"Plan: {todo}, {counts['unchanged']} unchanged, {unmanaged}{reports}."
    match = "record matches" if counts["unchanged"] == 1 else "records match"
    return f"No changes. {counts['unchanged']} {match} target {escape.literal(head['target'])}, {unmanaged}{reports}."


def summarise_run(head: Mapping[str, Any]) -> str:
    """Return the totals of a run as a sentence; those that are usually 0 are named only when they are not."""
    totals = [f"{count} {name}" for name, count in head["totals"].items() if count or name in ALWAYS_COUNTED]
    return f"Applied: {', '.join(totals)} (run {escape.terminal(head['run'])})."


def describe_held(held: Mapping[str, Any]) -> str:
    """Return what a field policy decided: the value that stays, and the one the manifest has."""
    address, path = escape.address(held["kind"], held["key"]), escape.terminal(held["path"])
    stays, declared = escape.literal(held["before"]), escape.literal(held["after"])
    return f"{address} {path}: {stays} stays, manifest has {declared} ({escape.terminal(held['policy'])})"


def describe_notice(notice: Mapping[str, Any]) -> str:
    """Return a notice with its place and address."""
    parts = (escape.place(notice["source"]), escape.address(notice["kind"], notice["key"]), notice["text"])
    return ": ".join(escape.terminal(part) for part in parts if part)


def explain(finding: Diagnostic, redactor: Redactor) -> dict[str, Any]:
    """Return a diagnostic as JSON values: redacted, its value filled in as JSON and cut, the rest not yet escaped."""
    kind, key = (finding.address.kind, finding.address.key) if finding.address else ("", "")
    value = redactor.value(kind, finding.field, finding.value)
    # A message holds no values, they are in `value`. Should one slip in, it is no reason to show it.
    message = "".join(
        part if ours else redactor.text(part)
        for ours, part in zip(cycle((False, True)), EXAMPLE.split(finding.message), strict=False)
    )
    source = finding.source
    return {
        "source": source and {"file": redactor.text(source.file), "line": source.line, "column": source.column},
        "kind": kind or None,
        "key": redactor.address(kind, key) if kind else None,
        "field": finding.field,
        "message": message.replace("{value}", escape.literal(value, DIAGNOSTIC_VALUE_LIMIT)),
    }


def _header(sign: str, shade: int, entry: Mapping[str, Any], *, colour: bool, word: str = "") -> str:
    name = " ".join(part for part in (sign, word, escape.address(entry["kind"], entry["key"])) if part)
    where = escape.place(entry["source"])
    return f"{_paint(name, shade, colour=colour)}{'   ' if where else ''}{_paint(where, DIM, colour=colour)}\n"


def _fields(change: Mapping[str, Any], *, colour: bool, verbose: bool) -> Iterator[str]:
    creates = change["action"] == "create"
    for field in change["fields"]:
        path, details = field["path"], field.get("details")
        if details:
            shown = "  ".join(_detail(detail, colour=colour) for detail in details)
        elif creates:
            shown = escape.literal(field["after"])
        else:
            shown = f"{escape.literal(field['before'])} → {escape.literal(field['after'])}"
        where = escape.place(field["source"]) if verbose else ""
        yield f"    {escape.terminal(path)}: {shown}{'   ' if where else ''}{_paint(where, DIM, colour=colour)}\n"


def _detail(detail: Mapping[str, Any], *, colour: bool) -> str:
    """Render one step inside a list or a mapping; where in a list something came or went doesn't matter."""
    path, op = detail["path"], detail["op"]
    label = f"{escape.terminal(path)}: " if path and not (path.isdecimal() and op != "change") else ""
    if op == "add":
        return f"{_paint('+', GREEN, colour=colour)} {label}{escape.literal(detail['after'])}"
    if op == "remove":
        return f"{_paint('-', RED, colour=colour)} {label}{escape.literal(detail['before'])}"
    return f"{label}{escape.literal(detail['before'])} → {escape.literal(detail['after'])}"


def _requests(requests: Mapping[str, int], verb: str, *, verbose: bool) -> Iterator[str]:
    total = sum(requests.values())
    if total:
        yield f"{verb} {total} request{'s' * (total != 1)}{':' if verbose else '.'}\n"
    if verbose:
        yield from (f"    {escape.terminal(route)}  {requests[route]}\n" for route in sorted(requests))


def _paint(text: str, shade: int, *, colour: bool) -> str:
    return f"\x1b[{shade}m{text}\x1b[0m" if colour and text else text
