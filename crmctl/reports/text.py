"""Show a plan, the outcome of a run or diagnostics to a person at a terminal or in a CI log.

In: a document. Out: pieces of text that end in newlines; one record is one header line and a line per field. Nothing is
wrapped or left out, so that the text can be piped and searched; a value is shown as JSON, and a long one cut.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import cycle
from math import ceil
from typing import Any

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import escape
from crmctl.reports.runs import text_run, text_runs

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
LINKS_UNKNOWN = "links unknown"  # what a held field has in the place of a policy
# What our own messages tell people to write: nobody has an address there.
EXAMPLE = r"(?<![^\s,'\"(])(name@domain|[a-z.]+@acme\.example)(?![\w-]|\.\w)"
UNREADABLE = "not returned by the API: sent on create, never compared"
CANNOT, ON_REQUEST = "-", "*"
CAPABILITIES = (
    "provider", "kind", "read", "by key", "create", "update", "fields", "dedupes", "evidence", "batches share"
)  # fmt: skip
LEGEND = """read: records a page; by key: keys a look-up; create, update: records a request; fields: custom fields can
be made; dedupes: creating a record again makes no second one; batches share: what the records of one request have in
common; -: it can't; *: only where the target sets `assumed_routes: true`."""
PSEUDONYMS = "Personal data is shown as pseudonyms (anon-…)."


def plan(document: Document | Bundle, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render a plan; `verbose` adds where each field is declared, and the expected requests by route."""
    if isinstance(document, Bundle):
        yield from _each(plan, document, "not planned", colour=colour, verbose=verbose)
        return
    head = document.head
    yield _target(head)
    for definition in head.get("definitions", ()):
        yield f"{_paint('+', GREEN, colour=colour)} {describe_definition(definition)}\n"
    for change in document.entries():
        sign, shade = SIGNS[change["action"]]
        lines = [_header(sign, shade, change, colour=colour), *_fields(change, colour=colour, verbose=verbose)]
        if change["reason"]:
            lines.append(f"    {escape.terminal(change['reason'])}\n")
        yield "".join(lines)
    for held in head["held"]:
        yield f"{_paint('=', CYAN, colour=colour)} {describe_held(held)}\n"
    notices = [(notice, 1) for notice in head["notices"]] if verbose else gather_notices(head["notices"])
    shown = notices if verbose else notices[:MOST_ALIKE]
    for notice, count in shown:
        yield f"i {describe_notice(notice, count)}\n"
    if more := sum(count for _, count in notices[len(shown) :]):
        yield f"i and {more} more like these (-v shows all)\n"
    for field in head["unreadable"]:
        yield f"? {escape.terminal(field['kind'])}.{escape.terminal(field['field'])} is {UNREADABLE}\n"
    yield f"\n{summarise_plan(head)}\n"
    todo = head["summary"]["create"] or head["summary"]["update"] or head.get("definitions")
    yield from _requests(
        head["requests"],
        promise(head) if todo else "Reading took",
        verbose=verbose,
        tail=duration(head) if todo else "",
    )
    if head["redacted"]:
        yield f"{PSEUDONYMS}\n"


def applied(document: Document | Bundle, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render the outcome of a run, what went wrong last, where it is seen."""
    if isinstance(document, Bundle):
        yield from _each(applied, document, "not applied", colour=colour, verbose=verbose)
        return
    head = document.head
    yield _target(head)
    alike: Counter[str] = Counter()
    troubled = any(head["totals"].get(status) for status in TROUBLE)
    for trouble in (False, True) if troubled else (False,):
        for outcome in document.entries():
            if (outcome["status"] in TROUBLE) == trouble:
                error = (
                    f"    {escape.cut(escape.terminal(outcome['error']), ERROR_LIMIT)}\n" if outcome["error"] else ""
                )
                clashes = "".join(f"    {describe_clash(clash)}\n" for clash in outcome.get("clashes", ()))
                if outcome["status"] == "skipped" and not verbose and not clashes:
                    # A run that stopped early skips the rest, all for one reason.
                    alike[error] += 1
                    if alike[error] > MOST_ALIKE:
                        continue
                sign, shade = STATUS_SIGNS[outcome["status"]]
                yield _header(sign, shade, outcome, colour=colour, word=outcome["status"]) + error + clashes
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
    yield from (_finding(explain(finding, redactor), colour=colour) for finding in findings)


def capabilities(rows: Iterable[Mapping[str, Any]], *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render what providers can do, as a table; colour and `verbose` make no difference."""
    del colour, verbose
    table = [CAPABILITIES, *map(capability_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{'  '.join(cells).rstrip()}\n"
    yield f"\n{LEGEND}\n"


def runs(document: Document, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render the list of runs; colour and `verbose` make no difference."""
    del colour, verbose
    return text_runs(document)


def run(document: Document, *, colour: bool = False, verbose: bool = False) -> Iterator[str]:
    """Render what became of each record in one run; colour and `verbose` make no difference."""
    del colour, verbose
    return text_run(document)


def capability_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of one provider and kind: numbers where something takes many at once, a star if on request."""

    def cell(power: str, shown: str) -> str:
        return f"{shown}{ON_REQUEST}" if power in row["assumed"] else shown if row[power] else CANNOT

    return (
        row["provider"],
        row["kind"],
        cell("read", str(row["page_size"]) if row["page_size"] else "yes"),
        str(row["look_up_batch"]) if row["look_up_batch"] else CANNOT,
        cell("create", str(row["create_batch"])),
        cell("update", str(row["update_batch"])),
        cell("define", "yes"),
        "yes" if row["dedupes"] else CANNOT,
        row["evidence"] or CANNOT,
        ", ".join(row["batch_by"]) or CANNOT,
    )


def summarise_plan(head: Mapping[str, Any]) -> str:
    """Return the totals of a plan as a sentence."""
    counts = head["summary"]
    unmanaged = "unmanaged not counted" if counts["unmanaged"] is None else f"{counts['unmanaged']} unmanaged"
    reports = f" ({counts['report']} report{'s' * (counts['report'] != 1)})" if counts["report"] else ""
    fields = len(head.get("definitions", ()))
    if counts["create"] or counts["update"] or fields:
        todo = f"{counts['create']} to create, {counts['update']} to update"
        todo += f", {fields} custom field{'s' * (fields != 1)} to add" if fields else ""
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
    if held["policy"] == LINKS_UNKNOWN:
        return f"{address} {path}: manifest has {declared}, not sent: the CRM does not tell what it is linked to now"
    return f"{address} {path}: {stays} stays, manifest has {declared} ({escape.terminal(held['policy'])})"


def describe_clash(clash: Mapping[str, Any]) -> str:
    """Return what somebody has made of a field since the plan: the value then, the one now, and the manifest's."""
    before, now, declared = (escape.literal(clash[side]) for side in ("before", "now", "after"))
    return f"{escape.terminal(clash['path'])}: {before} when planned, {now} now, manifest has {declared}"


def describe_definition(definition: Mapping[str, Any]) -> str:
    """Return a custom field that will be made, and what it belongs to besides its kind, if it does."""
    scope = f", {escape.terminal(definition['scope'])}" if definition.get("scope") else ""
    name = escape.terminal(f"custom field {definition['kind']}.{definition['slug']}")
    return f"{name} ({escape.terminal(definition['type'])}{scope})"


def describe_notice(notice: Mapping[str, Any], count: int = 1) -> str:
    """Return a notice with its place and address, and for how many records it is given."""
    parts = (escape.place(notice["source"]), escape.address(notice["kind"], notice["key"]), notice["text"])
    more = f" (and {count - 1} more likewise)" if count > 1 else ""
    return ": ".join(escape.terminal(part) for part in parts if part) + more


def gather_notices(notices: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
    """Return the first of all notices that say one thing of a kind of record, each with their number."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for notice in notices:
        alike.setdefault((notice["kind"], notice["text"]), []).append(notice)
    return [(group[0], len(group)) for group in alike.values()]


def explain(finding: Diagnostic, redactor: Redactor) -> dict[str, Any]:
    """Return a diagnostic as JSON values: redacted, its value filled in as JSON and cut, the rest not yet escaped."""
    kind, key = (finding.address.kind, finding.address.key) if finding.address else ("", "")
    value = redactor.value(kind, finding.field, finding.value)
    # A message holds no values, they are in `value`. Should one slip in, it is no reason to show it.
    message = "".join(
        part if ours else redactor.text(part)
        for ours, part in zip(cycle((False, True)), re.split(EXAMPLE, finding.message), strict=False)
    )
    source = finding.source
    return {
        "source": source and {"file": redactor.text(source.file), "line": source.line, "column": source.column},
        "kind": kind or None,
        "key": redactor.address(kind, key) if kind else None,
        "field": finding.field,
        "message": message.replace("{value}", escape.literal(value, DIAGNOSTIC_VALUE_LIMIT)),
    }


def _target(head: Mapping[str, Any]) -> str:
    return f"Target {escape.literal(head['target'])} ({escape.terminal(head['provider'])})\n"


def _each(
    render: Callable[..., Iterator[str]], bundle: Bundle, wrong: str, *, colour: bool, verbose: bool
) -> Iterator[str]:
    """Render one target after the other, those that came to nothing last."""
    for number, document in enumerate(bundle.documents):
        yield from ("\n",) if number else ()
        yield from render(document, colour=colour, verbose=verbose)
    for number, failure in enumerate(bundle.failed):
        yield from ("\n",) if number or bundle.documents else ()
        yield _target(failure)
        yield from (_finding(finding, colour=colour) for finding in failure["diagnostics"])
        yield f"{_paint(wrong, RED, colour=colour)}: {escape.cut(escape.terminal(failure['error']), ERROR_LIMIT)}\n"


def _finding(found: Mapping[str, Any], *, colour: bool) -> str:
    where = _paint(escape.place(found["source"]), RED, colour=colour)
    named = escape.address(found["kind"], found["key"]) if found["kind"] else ""
    parts = [where, named, escape.terminal(found["field"]), escape.terminal(found["message"])]
    return ": ".join(part for part in parts if part) + "\n"


def _header(sign: str, shade: int, entry: Mapping[str, Any], *, colour: bool, word: str = "") -> str:
    named = escape.address(entry["kind"], entry["key"])
    name = f"{sign} {word} {named}" if word else f"{sign} {named}"
    where = escape.place(entry["source"])
    return f"{_paint(name, shade, colour=colour)}{'   ' if where else ''}{_paint(where, DIM, colour=colour)}\n"


def _fields(change: Mapping[str, Any], *, colour: bool, verbose: bool) -> Iterable[str]:
    literal = escape.literal
    creates = change["action"] == "create"
    if creates and not verbose:
        # By far the most lines of a large plan: a list at once takes half the time of a generator.
        return [f"    {_name(field['path'])}: {literal(field['after'])}\n" for field in change["fields"]]
    lines: list[str] = []
    for field in change["fields"]:
        details = () if creates else field.get("details")
        if creates:
            shown = literal(field["after"])
        elif details:
            shown = "  ".join(_detail(detail, colour=colour) for detail in details)
        else:
            shown = f"{literal(field['before'])} → {literal(field['after'])}"
        where = escape.place(field["source"]) if verbose else ""
        line = f"    {_name(field['path'])}: {shown}{'   ' if where else ''}{_paint(where, DIM, colour=colour)}\n"
        lines.append(line)
    return lines


# A plan names the same few fields again and again.
_name = lru_cache(maxsize=1024)(escape.terminal)


def _detail(detail: Mapping[str, Any], *, colour: bool) -> str:
    """Render one step inside a list or a mapping; where in a list something came or went doesn't matter."""
    path, op = detail["path"], detail["op"]
    label = f"{escape.terminal(path)}: " if path and not (path.isdecimal() and op != "change") else ""
    if op == "add":
        return f"{_paint('+', GREEN, colour=colour)} {label}{escape.literal(detail['after'])}"
    if op == "remove":
        return f"{_paint('-', RED, colour=colour)} {label}{escape.literal(detail['before'])}"
    return f"{label}{escape.literal(detail['before'])} → {escape.literal(detail['after'])}"


def promise(head: Mapping[str, Any]) -> str:
    """Say of how many requests a plan speaks: exactly so many, unless something fails, or at least so many."""
    return f"Apply will send{' at least' if head.get('requests_at_least') else ''}"


def duration(head: Mapping[str, Any]) -> str:
    """Say how long the requests will take, where that is known."""
    seconds = head.get("seconds")
    if not seconds:
        return ""
    minutes, rest = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f", in {shown} or more at the rate asked for"


def _requests(requests: Mapping[str, int], verb: str, *, verbose: bool, tail: str = "") -> Iterator[str]:
    total = sum(requests.values())
    if total:
        yield f"{verb} {total} request{'s' * (total != 1)}{tail}{':' if verbose else '.'}\n"
    if verbose:
        yield from (f"    {escape.terminal(route)}  {requests[route]}\n" for route in sorted(requests))


def _paint(text: str, shade: int, *, colour: bool) -> str:
    return f"\x1b[{shade}m{text}\x1b[0m" if colour and text else text
