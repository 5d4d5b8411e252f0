"""What earlier runs have written down about records that must be created once, though the CRM can't tell them apart.

Pure. In: the lines of journals. Out: a `Memory`, which says of an address what became of the last attempt to create it.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from crmctl.errors import CrmctlError
from crmctl.kinds import NOTHING
from crmctl.resource import Address, Resource

ONCE = '"once":true'
"""What stands in each line of a journal that is about a record to be created once; all others are passed over."""

State = Literal["open", "unknown", "known", "settled"]
NOT_SENT = frozenset({"failed", "skipped", "not-created"})


class Trace(NamedTuple):
    """What the last attempt to create a record came to.

    open       about to be sent at `at` (seconds since 1970), and nothing was noted after that
    unknown    sent, and looked for in vain
    known      created as `remote_id`, or sent to a CRM that can't be asked
    settled    somebody said that it was created
    """

    state: State
    run: str
    at: float
    remote_id: str | None = None
    content: str = ""


class Memory(NamedTuple):
    """The traces of one target, by the keyed digests that stand for addresses.

    `name` and `seal` make the digests of an address, and of what a record says. `durable` tells whether the journal
    outlives the machine. `foreign` are runs whose digests were made with another key: which records are meant can't be
    read; `doubts` those of them that have left a record of which nobody knows whether it was created.
    """

    name: Callable[[Address], str] = str
    seal: Callable[[Resource], str] = str
    durable: bool = False
    traces: Mapping[str, Trace] = NOTHING
    foreign: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def trace(self, address: Address) -> Trace | None:
        """Return what is known of the last attempt to create a record; None if there was none that may have worked."""
        return self.traces.get(self.name(address)) if self.traces else None

    def knowing(self, ids: Mapping[Address, str]) -> "Memory":
        """Return this memory with records that are known from elsewhere, by their ids."""
        known = {self.name(address): Trace("known", "", 0.0, remote_id) for address, remote_id in ids.items()}
        return self._replace(traces={**self.traces, **known})


ADVICE = "restore the file, or move it away if you know what it was about"


class Recalled(NamedTuple):
    """What journals say: traces by name; and the runs that were written with another key, those with doubts apart."""

    traces: Mapping[str, Trace]
    foreign: tuple[str, ...]
    doubts: tuple[str, ...]


def recall(lines: Iterable[str], target: str, key_check: str, formerly: Collection[str] = ()) -> Recalled:
    """Read journals, line by line in the order they were written; a torn line says nothing.

    What they say of a target under a name that it had before is said of it. Raises CrmctlError for a whole line about
    such a record that can't be understood: it must not be passed over.
    """
    traces: dict[str, Trace] = {}
    others: dict[str, Trace] = {}
    foreign: dict[str, None] = {}
    names = (target, *formerly)
    for line in lines:
        if ONCE not in line:
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        except RecursionError as error:
            raise CrmctlError(f"a journal has a line that nests too deeply: nothing was sent; {ADVICE}") from error
        if not isinstance(entry, dict) or entry.get("target") not in names:
            continue
        ours = entry.get("key_check") == key_check
        if not ours:
            foreign[str(entry.get("run"))] = None
        try:
            _take(entry, traces if ours else others)
        except (TypeError, ValueError, OverflowError) as error:
            message = f"the journal of run {entry.get('run')} has a line that can't be understood: nothing was sent"
            raise CrmctlError(f"{message}; {ADVICE}") from error
    doubts = {trace.run for trace in others.values() if trace.state in {"open", "unknown"}}
    return Recalled(traces, tuple(foreign), tuple(sorted(doubts)))


def _take(entry: Mapping[str, Any], traces: dict[str, Trace]) -> None:
    """Take one line about records to be created once."""
    run, at = str(entry.get("run")), float(entry.get("at", 0))
    for name, status, remote_id, content in entry.get("records", ()):
        before = traces.get(name)
        if status in NOT_SENT and remote_id is None:
            traces.pop(name, None)
        elif status == "open":
            traces[name] = Trace("open", run, at, content=content)
        elif status == "unknown":
            traces[name] = Trace("unknown", run, at, content=content)
        else:
            state: State = "settled" if status == "settled" else "known"
            kept = content or (before.content if before else "")
            traces[name] = Trace(state, run, at, remote_id or (before.remote_id if before else None), kept)
