"""Show a plan, the outcome of a run or diagnostics in a comment on a pull request or merge request.

In: a document. Out: pieces of Markdown that together stay below what GitHub takes as one comment: records that don't
fit are counted instead. The first line is invisible and names verb and target, so that a workflow finds its comment
again and updates it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from crmctl.document import Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import escape, text

LIMIT = 60_000  # bytes; GitHub takes 65,536 characters
LIST_LIMIT = 6_000  # bytes of each section that isn't about records
FRAME = 500  # bytes kept for each section's beginning and end
FEW = 20  # records that are shown without a click
VALUE_LIMIT = 80  # characters
SENTENCE_LIMIT = 300  # characters

CHANGES = "| | record | field | before | after | where |\n|---|---|---|---|---|---|\n"
OUTCOMES = "| | record | outcome | error | where |\n|---|---|---|---|---|\n"
FINDINGS = "| where | record | field | message |\n|---|---|---|---|\n"
VERBS = {"create": "to create", "update": "to update", "report": "to look at"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part that can be folded: `title` is ours, `lines` hold one piece per thing, `count` is how many there are."""

    title: str
    count: int
    lines: Iterable[str]
    table: str = ""
    unfolded: bool = False


def plan(document: Document, **_style: bool) -> Iterator[str]:
    """Render a plan: a section per kind, then what else there is to know."""
    head = document.head
    counts = Counter((change["kind"], change["action"]) for change in document.entries())
    sections = []
    for kind in dict.fromkeys(kind for kind, _ in counts):
        numbers = {action: counts[kind, action] for action in VERBS}
        total = sum(numbers.values())
        # Raw HTML surrounds the title: nothing but letters may come from a plan file.
        name = "".join(filter(str.isalpha, kind))[:40]
        title = f"{name}: " + ", ".join(f"{number} {VERBS[action]}" for action, number in numbers.items() if number)
        sections.append(Section(title, total, _changes(document, kind), CHANGES, unfolded=counts.total() <= FEW))
    lists = [
        _list("kept by a field policy", head["held"], text.describe_held),
        _list("to note", head["notices"], text.describe_notice),
        _list(f"fields {text.UNREADABLE}", head["unreadable"], lambda one: f"{one['kind']}.{one['field']}"),
        _requests(head, "requests that apply will send"),
    ]
    summary = head["summary"]
    todo = "".join(f"{summary[action]} {verb}, " for action, verb in VERBS.items() if summary[action])
    unmanaged = "unmanaged not counted" if summary["unmanaged"] is None else f"{summary['unmanaged']} unmanaged"
    headline = f"**{todo.removesuffix(', ') or 'No changes'}**, {summary['unchanged']} unchanged, {unmanaged}."
    yield from _comment("plan", head, headline, sections, lists)


def applied(document: Document, **_style: bool) -> Iterator[str]:
    """Render the outcome of a run, what went wrong first, as space is short."""
    head = document.head
    counts = Counter(outcome["status"] in text.TROUBLE for outcome in document.entries())
    sections = [
        Section(
            f"{'records that need a look' if trouble else 'records done'}: {counts[trouble]}",
            counts[trouble],
            _outcomes(document, trouble=trouble),
            OUTCOMES,
            unfolded=trouble,
        )
        for trouble in (True, False)
        if counts[trouble]
    ]
    totals = [f"{count} {name}" for name, count in head["totals"].items() if count or name in text.ALWAYS_COUNTED]
    headline = f"**{', '.join(totals)}**, run {escape.code(head['run'])}."
    yield from _comment("apply", head, headline, sections, [_requests(head, "requests sent")])


def diagnostics(findings: Iterable[Diagnostic], redactor: Redactor, **_style: bool) -> Iterator[str]:
    """Render findings as a table; the first line has no target, since reading the input comes before there is one."""
    found = [text.explain(finding, redactor) for finding in findings]
    start = (
        f"<!-- crmctl:diagnostics -->\n### crmctl: {len(found) or 'no'} error{'s' * (len(found) != 1)} in the input\n"
    )
    yield start
    if found:
        section = Section("Nothing was planned or applied", len(found), map(_finding, found), FINDINGS, unfolded=True)
        yield from _fold([section], LIMIT - _size(start))


def _comment(
    verb: str, head: Mapping[str, Any], headline: str, sections: list[Section], lists: list[Section]
) -> Iterator[str]:
    start = (
        f"<!-- crmctl:{verb}:{quote(head['target'].encode('utf-8', 'backslashreplace'), safe='')} -->\n"
        f"### crmctl {verb} for {escape.code(head['target'])}\n\n{headline}\n"
    )
    end = "".join("".join(_fold([part], LIST_LIMIT)) for part in lists if part.count)
    if head["redacted"]:
        end += f"\n{text.PSEUDONYMS}\n"
    yield start
    yield from _fold(sections, LIMIT - _size(start) - _size(end))
    yield end


def _fold(sections: list[Section], room: int) -> Iterator[str]:
    """Yield sections in so many bytes: as many whole pieces as fit, and the number of the others."""
    room -= FRAME * len(sections)
    for section in sections:
        opening = "<details open>" if section.unfolded else "<details>"
        yield f"\n{opening}\n<summary>{section.title}</summary>\n\n{section.table}"
        shown = 0
        for piece in section.lines:
            size = _size(piece)
            if size <= room:
                room -= size
                shown += 1
                yield piece
            elif room < FRAME:
                break
        if shown < section.count:
            yield f"\n{section.count - shown} more not shown here: the text and JSON reports have them all.\n"
        yield "\n</details>\n"


def _changes(document: Document, kind: str) -> Iterator[str]:
    return (_change(change) for change in document.entries() if change["kind"] == kind)


def _outcomes(document: Document, *, trouble: bool) -> Iterator[str]:
    return (_outcome(outcome) for outcome in document.entries() if (outcome["status"] in text.TROUBLE) == trouble)


def _change(change: Mapping[str, Any]) -> str:
    """Render a change as rows, one per field or per step inside it; record and place stand in the first."""
    cells = []
    for field in change["fields"]:
        for step in field.get("details") or [{**field, "path": ""}]:
            inner = "" if step["path"].isdecimal() and step["op"] != "change" else step["path"]
            path = ".".join(part for part in (field["path"], inner) if part)
            creates = change["action"] == "create" or step.get("op") == "add"
            before = "" if creates else _value(step["before"])
            after = "" if step.get("op") == "remove" else _value(step["after"])
            cells.append(f"{escape.code(path)} | {before} | {after}")
    if change["reason"] or not cells:
        cells.append(f" | | {_sentence(change['reason'])}")
    sign, _ = text.SIGNS[change["action"]]
    record = escape.code(escape.address(change["kind"], change["key"]))
    first, *others = cells
    rows = [f"| {escape.code(sign)} | {record} | {first} | {escape.code(escape.place(change['source']))} |\n"]
    return "".join(rows + [f"| | | {cell} | |\n" for cell in others])


def _outcome(outcome: Mapping[str, Any]) -> str:
    sign, _ = text.STATUS_SIGNS[outcome["status"]]
    record = escape.code(escape.address(outcome["kind"], outcome["key"]))
    where = escape.code(escape.place(outcome["source"]))
    return f"| {escape.code(sign)} | {record} | {outcome['status']} | {_sentence(outcome['error'])} | {where} |\n"


def _finding(found: Mapping[str, Any]) -> str:
    record = escape.code(escape.address(found["kind"], found["key"])) if found["kind"] else ""
    where, field = escape.code(escape.place(found["source"])), escape.code(found["field"])
    return f"| {where} | {record} | {field} | {_sentence(found['message'])} |\n"


def _list(title: str, things: list[Mapping[str, Any]], describe: Callable[[Mapping[str, Any]], str]) -> Section:
    lines = (f"- {_sentence(describe(thing))}\n" for thing in things)
    return Section(f"{title}: {len(things)}", len(things), lines)


def _requests(head: Mapping[str, Any], title: str) -> Section:
    requests = head["requests"]
    lines = (f"- {escape.code(route)}: {requests[route]}\n" for route in sorted(requests))
    return Section(f"{title}: {sum(requests.values())}", len(requests), lines)


def _value(value: Any) -> str:
    return escape.code(escape.literal(value, VALUE_LIMIT))


def _sentence(sentence: str) -> str:
    return escape.prose(escape.cut(sentence, SENTENCE_LIMIT))


def _size(piece: str) -> int:
    return len(piece.encode())
