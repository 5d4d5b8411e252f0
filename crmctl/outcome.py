"""What became of a plan: the outcome of every change, and their document form for reports. Only `apply` makes them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from crmctl import __version__
from crmctl.describe import FORMAT_VERSION, moment, place
from crmctl.diff import Change
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.plan import Plan
from crmctl.redact import Redactor
from crmctl.resource import Address

Status = Literal["created", "existed", "updated", "unchanged", "sent", "failed", "unknown", "skipped"]
STATUSES: tuple[Status, ...] = ("created", "existed", "updated", "unchanged", "sent", "failed", "unknown", "skipped")


class Clash(NamedTuple):
    """A field that somebody has changed since the plan was made: what it was then, what it is now, what is declared."""

    path: str
    before: Any
    now: Any
    after: Any


class Outcome(NamedTuple):
    """What became of one change.

    created    absent at plan time, present and equal now
    existed    somebody else made it meanwhile: found equal, or brought into line
    updated    reads as declared now
    sent       not verified: on request, or since the CRM can't be asked
    failed     refused, or accepted without effect; `error` says which
    unknown    sent, and not found or not answered within the time allowed
    skipped    not sent

    `conflict`: the CRM no longer is what was planned for, and the run fails for it; `clashes` are the fields, if it was
    seen before anything was sent.
    """

    change: Change
    status: Status
    remote_id: str | None = None
    error: str = ""
    conflict: bool = False
    clashes: tuple[Clash, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # asyncio takes the repr of what a run returns, to no end
class Result:
    """Every change's outcome, in plan order; `stopped` is what ended the run early, if something did."""

    outcomes: tuple[Outcome, ...]
    unchanged: int
    stopped: CrmctlError | None = None
    interrupted: bool = False

    def totals(self) -> dict[Status, int]:
        """Return how many records came to each status."""
        counts = Counter(outcome.status for outcome in self.outcomes)
        counts["unchanged"] += self.unchanged
        return {status: counts[status] for status in STATUSES}

    def count(self, status: Status) -> int:
        """Return how many records came to a status."""
        return self.totals()[status]

    def exit_codes(self) -> list[int]:
        """Return the exit codes that apply; which one wins is not decided here."""
        codes = [0]
        if self.interrupted:
            codes.append(130)
        if self.stopped is not None:
            codes.append(self.stopped.exit_code)
        if any(outcome.conflict for outcome in self.outcomes):
            codes.append(4)
        totals = self.totals()
        if totals["failed"] or totals["unknown"]:
            codes.append(3)
        return codes


def document(
    result: Result,
    plan: Plan,
    redactor: Redactor,
    *,
    run: str,
    started: datetime,
    finished: datetime,
    requests: Mapping[str, int],
) -> Document:
    """Return the outcome of a run as JSON values, personal data already replaced if the redactor is on."""

    def entries() -> Iterator[Mapping[str, Any]]:
        for outcome in result.outcomes:
            yield entry(outcome, redactor)

    head = {
        "format_version": FORMAT_VERSION,
        "crmctl_version": __version__,
        "started_at": moment(started, "milliseconds"),
        "finished_at": moment(finished, "milliseconds"),
        "target": plan.target,
        "provider": plan.provider,
        "redacted": redactor.on,
        "run": run,
        "totals": result.totals(),
        "requests": dict(sorted(requests.items())),
    }
    return Document(head, entries)


def entry(outcome: Outcome, redactor: Redactor) -> dict[str, Any]:
    """Return one outcome as JSON values; `clashes` only where there are any."""
    address = outcome.change.address
    error = ""
    if outcome.error:
        names = redactor.personal.get(address.kind, frozenset())
        personal = [value for name, value in outcome.change.after.fields.items() if name in names]
        error = redactor.text(outcome.error, *personal)
    key = redactor.address(address.kind, address.key)
    said = {
        "address": str(Address(address.kind, key)),
        "kind": address.kind,
        "key": key,
        "status": outcome.status,
        "remote_id": outcome.remote_id,
        "source": place(outcome.change.after.source, redactor),
        "error": error,
    }
    clashes = [
        {"path": clash.path}
        | {side: redactor.value(address.kind, clash.path, getattr(clash, side)) for side in ("before", "now", "after")}
        for clash in outcome.clashes
    ]
    return {**said, "clashes": clashes} if clashes else said
