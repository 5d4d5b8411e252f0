"""What the journal of a run tells: when it was, how far it got, what became of each record. Pure.

In: the lines of a journal, in which records are named by keyed digests. Out: `History`, and its documents for reports.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from crmctl import __version__
from crmctl.describe import FORMAT_VERSION, moment
from crmctl.document import Document
from crmctl.outcome import STATUSES
from crmctl.redact import Redactor
from crmctl.resource import Address

State = Literal["open", "interrupted", "stopped", "complete"]
IN_FLIGHT, LEFT = "in flight", "left"
REPORT = "report"
"""What a run was to do with a record that it was to leave alone."""
KEPT = "00000000T000000.000000Z-kept"
"""The name of a journal that is none of a run's: what `runs prune` has carried over; it comes before all others."""
DONE = frozenset({"created", "existed", "updated", "unchanged", "sent", "settled"})
NO_NAMES: Mapping[str, Address] = {}


@dataclass(slots=True, repr=False)
class Attempt:
    """What a run was to do with a record, and what became of that: a status, in flight, or left."""

    action: str
    status: str = LEFT
    remote_id: str | None = None


@dataclass(slots=True, repr=False)
class History:
    """One run, as its journal tells it. `records` are by the digests that stand for addresses.

    `planned`: it had written down all it was to do, so what it left is known. `began`: its beginning is there; of a run
    on another machine a journal at a URL may have no more than what was created once. `resumes` names the run that it
    continues, `undoes` the one whose changes it puts back, `settles` says that a person has settled something.
    """

    run: str
    target: str = ""
    key_check: str = ""
    started: float | None = None
    ended: float | None = None
    began: bool = False
    planned: bool = False
    state: State = "open"
    unsafe: str | None = None
    resumes: str | None = None
    undoes: str | None = None
    settles: bool = False
    records: dict[str, Attempt] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """Return how many records came to each status, and how many to none; those that are 0 are left out."""
        counts = Counter(attempt.status for attempt in self.records.values())
        order = (*STATUSES, IN_FLIGHT, LEFT, "settled", "not-created")
        return {status: counts[status] for status in order if counts[status]}

    def left(self) -> dict[str, str]:
        """Return what the run was to do and has not done: actions by digests."""
        open_ = {name: one for name, one in self.records.items() if one.status not in DONE and one.action != REPORT}
        return {name: attempt.action for name, attempt in open_.items()}


def read_history(run: str, lines: Iterable[str]) -> History:
    """Read the journal of a run; a torn line says nothing, nor does one of another format."""
    history = History(run)
    for line in lines:
        try:
            entry = json.loads(line)
            reader = _READERS.get(entry["event"])
            if reader is not None:
                reader(history, entry)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return history


def _begin(history: History, entry: Mapping[str, Any]) -> None:
    history.began = True
    history.target, history.key_check = str(entry.get("target", "")), str(entry.get("key_check", ""))
    history.started = _time(entry.get("at"))
    if history.started is None and isinstance(entry.get("started"), str):
        history.started = datetime.fromisoformat(entry["started"]).timestamp()
    history.unsafe, history.resumes = entry.get("unsafe"), entry.get("resumes")
    history.undoes = entry.get("undoes")
    history.settles = "settles" in entry


def _plan(history: History, entry: Mapping[str, Any]) -> None:
    for name in entry.get("records", ()):
        history.records.setdefault(name, Attempt(str(entry.get("action"))))


def _planned(history: History, entry: Mapping[str, Any]) -> None:
    del entry
    history.planned = True


def _intend(history: History, entry: Mapping[str, Any]) -> None:
    for name in entry.get("records", ()):
        attempt = history.records.setdefault(name, Attempt(str(entry.get("action"))))
        attempt.status = IN_FLIGHT


def _note(history: History, entry: Mapping[str, Any]) -> None:
    """Take outcomes, or what a line says that can be understood by itself; such a one adds nothing to the former."""
    once = entry.get("event") == "once"
    if once and not history.began:
        history.target, history.key_check = str(entry.get("target", "")), str(entry.get("key_check", ""))
        history.started = history.started if history.started is not None else _time(entry.get("at"))
    # Of what was to be done all has been written down; whatever else has an outcome could not be done.
    unplanned = "settle" if history.settles else REPORT if history.planned and not once else "create"
    for name, status, remote_id, *_ in entry.get("records", ()):
        attempt = history.records.setdefault(name, Attempt(unplanned))
        attempt.status = IN_FLIGHT if status == "open" else status
        attempt.remote_id = remote_id or attempt.remote_id


def _end(history: History, entry: Mapping[str, Any]) -> None:
    history.ended = _time(entry.get("at"))
    history.state = "interrupted" if entry.get("interrupted") else "stopped" if entry.get("stopped") else "complete"


_READERS: Mapping[str, Callable[[History, Mapping[str, Any]], None]] = {
    "run": _begin, "plan": _plan, "planned": _planned, "intent": _intend, "outcome": _note, "once": _note, "end": _end,
}  # fmt: skip


def _time(value: Any) -> float | None:
    """Return seconds since 1970; None for what is none, or is no time that can be told."""
    try:
        return datetime.fromtimestamp(value, UTC).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def list_runs(histories: Iterable[History]) -> Document:
    """Return the document of a list of runs: an entry each."""
    found = list(histories)

    def entries() -> Iterator[Mapping[str, Any]]:
        for history in found:
            yield {name: value for name, value in _head(history).items() if name != "unsafe"}

    return Document({"format_version": FORMAT_VERSION, "crmctl_version": __version__}, entries)


def tell(history: History, redactor: Redactor | None, names: Mapping[str, Address] = NO_NAMES) -> Document:
    """Return the document of one run: what became of each record, those that nothing is known of by their digests."""

    def entries() -> Iterator[Mapping[str, Any]]:
        for name, attempt in history.records.items():
            address = names.get(name)
            key = redactor.address(address.kind, address.key) if address and redactor else None
            yield {
                "address": str(Address(address.kind, key)) if address and key is not None else None,
                "digest": name,
                "action": attempt.action,
                "status": attempt.status,
                "remote_id": attempt.remote_id,
            }

    head = {
        "format_version": FORMAT_VERSION,
        "crmctl_version": __version__,
        **_head(history),
        "unsafe": redactor.text(history.unsafe) if redactor and history.unsafe else history.unsafe,
        "redacted": redactor is not None and redactor.on,
    }
    return Document(head, entries)


def _head(history: History) -> dict[str, Any]:
    """Return a run as JSON values, without its records."""
    return {
        "run": history.run,
        "target": history.target,
        "state": history.state,
        "started_at": _moment(history.started),
        "finished_at": _moment(history.ended),
        "totals": history.totals(),
        "resumes": history.resumes,
        "undoes": history.undoes,
        "settles": history.settles,
        "unsafe": history.unsafe,
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else moment(datetime.fromtimestamp(at, UTC))
