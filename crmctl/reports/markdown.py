"""Show a plan, the outcome of a run or diagnostics in a comment on a pull request or merge request.

In: a document. Out: pieces of Markdown that together stay below what GitHub takes as one comment: records that don't
fit are counted instead. The first line is invisible and names verb and target, so that a workflow finds its comment
again and updates it. Several targets share one comment; where they are too many for details, each keeps its totals.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from crmctl.document import Bundle, Document
from crmctl.errors import MOST_EXPLAINED, Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import escape, text
from crmctl.reports.runs import markdown_run, markdown_runs

LIMIT = 60_000  # bytes; GitHub takes 65,536 characters
LIST_LIMIT = 6_000  # bytes of each section that isn't about records
LEAST = 6_000  # bytes that a target's details are worth showing in
FRAME = 500  # bytes kept for each section's beginning and end
FEW = 20  # records that are shown without a click
VALUE_LIMIT = 80  # characters
SENTENCE_LIMIT = 300  # characters
REASON_LIMIT = 1_000  # characters of what we say ourselves: it may end in a command to be copied

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


class Part(NamedTuple):
    """What a comment says of one target: its totals, its records, and what else there is to know."""

    head: Mapping[str, Any]
    headline: str
    sections: Sequence[Section] = ()
    lists: Sequence[Section] = ()


def plan(document: Document | Bundle, **_style: bool) -> Iterator[str]:
    """Render a plan: a section per kind, then what else there is to know."""
    return _comment("plan", document, _plan, "Not planned")


def applied(document: Document | Bundle, **_style: bool) -> Iterator[str]:
    """Render the outcome of a run, what went wrong first, as space is short."""
    return _comment("apply", document, _applied, "Not applied")


def diagnostics(findings: Iterable[Diagnostic], redactor: Redactor, **_style: bool) -> Iterator[str]:
    """Render findings as a table; the first line has no target, since reading the input comes before there is one."""
    found = [text.explain(finding, redactor) for finding in findings]
    number = f"more than {MOST_EXPLAINED}" if len(found) > MOST_EXPLAINED else len(found) or "no"
    start = f"<!-- crmctl:diagnostics -->\n### crmctl: {number} error{'s' * (len(found) != 1)} in the input\n"
    yield start
    if found:
        section = Section("Nothing was planned or applied", len(found), map(_finding, found), FINDINGS, unfolded=True)
        yield from _fold([section], LIMIT - _size(start))


def capabilities(rows: Iterable[Mapping[str, Any]], **_style: bool) -> Iterator[str]:
    """Render what providers can do, as a table."""
    for row in (text.CAPABILITIES, ("---",) * len(text.CAPABILITIES), *map(text.capability_cells, rows)):
        yield f"| {' | '.join(row)} |\n".replace("*", r"\*")
    yield f"\n{text.LEGEND}\n".replace("*:", r"\*:")


def runs(document: Document, **_style: bool) -> Iterator[str]:
    """Render the list of runs, as a table."""
    return markdown_runs(document)


def run(document: Document, **_style: bool) -> Iterator[str]:
    """Render what became of each record in one run, as a table."""
    return markdown_run(document)


def _plan(document: Document) -> Part:
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
    definitions: Sequence[Mapping[str, Any]] = head.get("definitions", ())
    lists = [
        _list("custom fields to add first", definitions, text.describe_definition),
        _list("fields left alone", head["held"], text.describe_held),
        _notices(head["notices"]),
        _list(f"fields {text.UNREADABLE}", head["unreadable"], lambda one: f"{one['kind']}.{one['field']}"),
        _requests(head, f"requests that {text.promise(head).lower()}{text.duration(head)}"),
    ]
    summary = head["summary"]
    todo = "".join(f"{summary[action]} {verb}, " for action, verb in VERBS.items() if summary[action])
    fields = len(definitions)
    todo += f"{fields} custom field{'s' * (fields != 1)} to add, " if fields else ""
    unmanaged = "unmanaged not counted" if summary["unmanaged"] is None else f"{summary['unmanaged']} unmanaged"
    headline = f"**{todo.removesuffix(', ') or 'No changes'}**, {summary['unchanged']} unchanged, {unmanaged}."
    return Part(head, headline, sections, [one for one in lists if one.count])


def _applied(document: Document) -> Part:
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
    requests = _requests(head, "requests sent")
    return Part(head, headline, sections, [requests] if requests.count else [])


def _failure(failure: Mapping[str, Any], wrong: str) -> Part:
    found = failure["diagnostics"]
    sections = [Section("What is wrong", len(found), map(_finding, found), FINDINGS, unfolded=True)] if found else []
    return Part({**failure, "redacted": False}, f"**{wrong}:** {_sentence(failure['error'])}", sections)


def _comment(verb: str, document: Document | Bundle, take: Callable[[Document], Part], wrong: str) -> Iterator[str]:
    """Yield the whole comment, with an equal share of its room for every target that is still to come."""
    documents = document.documents if isinstance(document, Bundle) else [document]
    failed = document.failed if isinstance(document, Bundle) else ()
    parts = [*map(take, documents), *(_failure(failure, wrong) for failure in failed)]
    names = ",".join(sorted(quote(_target(part).encode("utf-8", "backslashreplace"), safe="") for part in parts))
    marker = f"<!-- crmctl:{verb}:{names} -->\n"
    yield marker
    room = LIMIT - _size(marker) - FRAME
    detailed = room // len(parts) >= LEAST
    for number, part in enumerate(parts):
        pieces = list(_part(verb, part, room // (len(parts) - number) if detailed else 0))
        room -= sum(map(_size, pieces))
        if room < 0:
            yield f"\n{len(parts) - number} more targets not shown here.\n"
            break
        yield from ("\n",) if number else ()
        yield from pieces


def _target(part: Part) -> str:
    return str(part.head["target"])


def _part(verb: str, part: Part, room: int) -> Iterator[str]:
    """Yield what there is to say of one target in so many bytes; its totals alone, where that is none."""
    start = f"### crmctl {verb} for {escape.code(_target(part))}\n\n{part.headline}\n"
    yield start
    if room:
        end = "".join("".join(_fold([one], min(LIST_LIMIT, room // 8))) for one in part.lists)
        if part.head["redacted"]:
            end += f"\n{text.PSEUDONYMS}\n"
        yield from _fold(part.sections, room - _size(start) - _size(end))
        yield end


def _fold(sections: Sequence[Section], room: int) -> Iterator[str]:
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
        cells.append(f" | | {_sentence(change['reason'], REASON_LIMIT)}")
    sign, _ = text.SIGNS[change["action"]]
    record = escape.code(escape.address(change["kind"], change["key"]))
    first, *others = cells
    rows = [f"| {escape.code(sign)} | {record} | {first} | {escape.code(escape.place(change['source']))} |\n"]
    return "".join(rows + [f"| | | {cell} | |\n" for cell in others])


def _outcome(outcome: Mapping[str, Any]) -> str:
    """Render an outcome as a row, and one for every field that somebody has changed since the plan."""
    sign, _ = text.STATUS_SIGNS[outcome["status"]]
    record = escape.code(escape.address(outcome["kind"], outcome["key"]))
    where = escape.code(escape.place(outcome["source"]))
    row = f"| {escape.code(sign)} | {record} | {outcome['status']} | {_sentence(outcome['error'])} | {where} |\n"
    return row + "".join(f"| | | | {_clash(clash)} | |\n" for clash in outcome.get("clashes", ()))


def _clash(clash: Mapping[str, Any]) -> str:
    before, now, declared = (_value(clash[side]) for side in ("before", "now", "after"))
    return f"{escape.code(clash['path'])}: {before} when planned, {now} now, manifest has {declared}"


def _finding(found: Mapping[str, Any]) -> str:
    record = escape.code(escape.address(found["kind"], found["key"])) if found["kind"] else ""
    where, field = escape.code(escape.place(found["source"])), escape.code(found["field"])
    return f"| {where} | {record} | {field} | {_sentence(found['message'])} |\n"


def _list(title: str, things: Sequence[Mapping[str, Any]], describe: Callable[[Mapping[str, Any]], str]) -> Section:
    lines = (f"- {_sentence(describe(thing))}\n" for thing in things)
    return Section(f"{title}: {len(things)}", len(things), lines)


def _notices(notices: Sequence[Mapping[str, Any]]) -> Section:
    gathered = text.gather_notices(notices)
    lines = (f"- {_sentence(text.describe_notice(notice, count))}\n" for notice, count in gathered)
    return Section(f"to note: {len(notices)}", len(gathered), lines)


def _requests(head: Mapping[str, Any], title: str) -> Section:
    requests = head["requests"]
    lines = (f"- {escape.code(route)}: {requests[route]}\n" for route in sorted(requests))
    return Section(f"{title}: {sum(requests.values())}", len(requests), lines)


def _value(value: Any) -> str:
    return escape.code(escape.literal(value, VALUE_LIMIT))


def _sentence(sentence: str, limit: int = SENTENCE_LIMIT) -> str:
    return escape.prose(escape.cut(sentence, limit))


def _size(piece: str) -> int:
    return len(piece.encode())
