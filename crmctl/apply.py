"""Stage 7: plan -> outcomes, journalled and verified; the only maker of outcomes.

What a write answers is never believed: after each batch the records are read back by key, and what is there decides.
Errors are handled by class, as docs/architecture.md has it: a rejected batch is halved until the culprits stand alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crmctl.capability import Capability
from crmctl.diff import Change, Held, compare
from crmctl.errors import Ambiguous, Auth, CrmctlError, RateLimited, Rejected, Unavailable, Unsupported
from crmctl.journal import Journal
from crmctl.kinds import KINDS, LEVELS
from crmctl.live import Found, read_back, unreadable_fields
from crmctl.outcome import Outcome, Result, Status
from crmctl.plan import Plan, batches, select
from crmctl.provider import Provider
from crmctl.resource import Address, Resource

Action = Literal["create", "update"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to apply.

    `settle` is how many seconds to wait for a write to show in reads. `reviewed`: the plan came from a file, so a
    record that turns out to exist and differ is a conflict rather than an update; `max_updates` bounds those updates.
    """

    parallelism: int = 4
    settle: float = 30.0
    reviewed: bool = False
    max_updates: int | None = None


async def apply(
    plan: Plan,
    provider: Provider,
    journal: Journal,
    settings: Settings,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    progress: Callable[[int, int], object] = lambda *_: None,
) -> Result:
    """Carry out a plan, level by level; an interruption or a dead server ends it early, with true outcomes.

    `progress` hears how many of all changes are settled.
    """
    run = _Run(plan, provider, journal, settings, sleep, progress)
    stopped: CrmctlError | None = None
    interrupted = False
    try:
        for kinds in LEVELS:
            for kind in kinds:
                if kind in provider.capabilities:
                    await run.write(kind, provider.capabilities[kind])
    except* CrmctlError as group:
        stopped = _worst(group)
    except* asyncio.CancelledError:
        interrupted = True
    run.close(stopped, interrupted=interrupted)
    ordered = tuple(run.outcomes[change.address] for change in plan.changes)
    return Result(ordered, plan.unchanged, stopped, interrupted)


class _Run:
    """One apply in progress."""

    def __init__(
        self,
        plan: Plan,
        provider: Provider,
        journal: Journal,
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]],
        progress: Callable[[int, int], object],
    ) -> None:
        self.changes = {change.address: change for change in plan.changes}
        self.rules = plan.rules
        self.provider = provider
        self.journal = journal
        self.settings = settings
        self.sleep = sleep
        self.progress = progress
        self.fields = _declared(plan.changes)
        self.outcomes: dict[Address, Outcome] = {}
        self.in_flight: set[Address] = set()
        planned = sum(change.action == "update" for change in plan.changes)
        self.room = None if settings.max_updates is None else max(0, settings.max_updates - planned)
        self.rejected: set[Address] = set()
        self.halted: dict[tuple[str, str], str] = {}

    async def write(self, kind: str, capability: Capability) -> None:
        """Write one kind: creates, then updates, with them what a create found to exist and differ."""
        later: list[Change] = []
        creates = self.without_dependents(select(list(self.changes.values()), kind, "create"))
        await self.spread("create", lambda batch: self.create(batch, later), batches(creates, capability.create_batch))
        updates = self.without_dependents(select(list(self.changes.values()), kind, "update"))
        met = self.within_limit(sorted(later, key=lambda change: change.address))
        await self.spread("update", self.update, batches(updates + met, capability.update_batch))

    async def spread(
        self, action: Action, job: Callable[[Sequence[Change]], Awaitable[None]], work: Sequence[Sequence[Change]]
    ) -> None:
        """Do a job for every batch, as many at once as asked; at 1 in the given order."""
        waiting = iter(work)

        async def take() -> None:
            for batch in waiting:
                await job(batch)
                if len(batch) > 1 and all(change.address in self.rejected for change in batch):
                    reason = "every record of a batch was rejected, so no more of this kind are sent"
                    self.halted[batch[0].address.kind, action] = reason

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.settings.parallelism, len(work))):
                group.create_task(take())

    def without_dependents(self, changes: list[Change]) -> list[Change]:
        """Leave out what belongs to a record that could not be created; it is skipped."""
        kept = []
        for change in changes:
            owners = [owner for owner in change.after.refs.values() if self.absent(owner)]
            if owners:
                error = f"{owners[0]} could not be created, and this record belongs to it"
                self.note([Outcome(change, "skipped", error=error)])
            else:
                kept.append(change)
        return kept

    def within_limit(self, met: list[Change]) -> list[Change]:
        """Leave out updates of records that creates have met, as far as they are more than were allowed."""
        if self.room is None:
            return met
        allowed, self.room = met[: self.room], max(0, self.room - len(met))
        for change in met[len(allowed) :]:
            error = f"exists since the plan was made ({_names(change)} differ), and max_updates allows no more updates"
            self.note([Outcome(self.changes[change.address], "failed", _remote_id(change), error, conflict=True)])
        return allowed

    async def create(self, batch: Sequence[Change], later: list[Change]) -> None:
        """Create a batch and look what is there; what exists and differs is left for `later`."""
        sent = await self.send("create", batch)
        if sent == "halve":
            await self.create(batch[: len(batch) // 2], later)
            await self.create(batch[len(batch) // 2 :], later)
        if sent != "sent":
            return
        found = await self.look(batch, self.missing, patience=0 if len(batch) > 1 else self.settings.settle)
        if len(batch) > 1 and not found.records:
            found.absorb(await self.look(batch, self.missing, patience=self.settings.settle))
        missing = await self.missing(batch, found)
        if missing and len(batch) > 1 and found.records:
            # Part of it arrived. What did not is sent once more, each alone, to learn what is wrong with it; that makes
            # no second record, as kinds without dedupe have batches of one.
            gone = {change.address for change in missing}
            await self.judge_creates([change for change in batch if change.address not in gone], found, later)
            batch = [change for change in missing if await self.send("create", [change]) == "sent"]
            found.absorb(await self.look(batch, self.missing, patience=self.settings.settle))
        await self.judge_creates(batch, found, later)

    async def judge_creates(self, batch: Sequence[Change], found: Found, later: list[Change]) -> None:
        """Decide from what is there what became of each create."""
        unreadable = await self.unreadable(batch, found)
        outcomes = []
        for change in batch:
            record = found.records.get(change.address.key)
            ids = found.ids.get(change.address.key)
            if record is None:
                error = "sent, but not found by its key within the time allowed: the next plan will tell"
                outcomes.append(Outcome(change, "unknown", error=error))
                continue
            held: list[Held] = []
            difference = compare(change.after, record, self.rules, unreadable, held)
            if ids:
                outcomes.append(Outcome(change, "failed", record.remote_id, _doubled(ids)))
            elif difference is None and not held:
                outcomes.append(Outcome(change, "created", record.remote_id))
            elif self.settings.reviewed:
                changed = [one.path for one in difference.fields] if difference is not None else []
                names = ", ".join(changed + [one.path for one in held])
                error = f"exists since the plan was made, with other values ({names}): plan again"
                outcomes.append(Outcome(change, "failed", record.remote_id, error, conflict=True))
            elif difference is None:
                # What a policy leaves alone was not put there by this create.
                outcomes.append(Outcome(change, "existed", record.remote_id))
            else:
                later.append(difference)
        self.note(outcomes)

    async def update(self, batch: Sequence[Change]) -> None:
        """Update a batch and look whether it took effect."""
        sent = await self.send("update", batch)
        if sent == "halve":
            await self.update(batch[: len(batch) // 2])
            await self.update(batch[len(batch) // 2 :])
        if sent != "sent":
            return

        found = await self.look(batch, self.differing, patience=self.settings.settle)
        unreadable = await self.unreadable(batch, found)
        outcomes = []
        for change in batch:
            # A create that met somebody else's record ends as "existed", not as "updated".
            planned = self.changes[change.address]
            record = found.records.get(change.address.key)
            if record is None:
                outcomes.append(Outcome(planned, "unknown", error="sent, but the record is no longer found by its key"))
                continue
            difference = self.difference(change, record, unreadable)
            if ids := found.ids.get(change.address.key):
                outcomes.append(Outcome(planned, "failed", _remote_id(change), _doubled(ids)))
            elif difference is None:
                status: Status = "existed" if planned.action == "create" else "updated"
                blind = sorted(unreadable & {changed.path for changed in change.fields})
                unverified = f"not verified, as reads don't return it: {', '.join(blind)}" if blind else ""
                outcomes.append(Outcome(planned, status, record.remote_id, unverified))
            else:
                error = f"the CRM accepted the update and still reads otherwise: {_names(difference)}"
                outcomes.append(Outcome(planned, "failed", record.remote_id, error))
        self.note(outcomes)

    async def differing(self, changes: Sequence[Change], found: Found) -> list[Change]:
        """Return the changes that don't show yet."""
        unreadable = await self.unreadable(changes, found)
        return [
            change
            for change in changes
            if (record := found.records.get(change.address.key)) is None
            or self.difference(change, record, unreadable) is not None
        ]

    async def missing(self, changes: Sequence[Change], found: Found) -> list[Change]:
        """Return the changes whose record was not found."""
        return [change for change in changes if change.address.key not in found.records]

    async def send(self, action: Action, batch: Sequence[Change]) -> Literal["sent", "halve", "settled"]:
        """Journal and send one request; "settled" when there is nothing to look for."""
        kind = batch[0].address.kind
        if (kind, action) in self.halted:
            self.settle(batch, "skipped", self.halted[kind, action])
            return "settled"
        await self.journal.intend(action, (change.address for change in batch))
        self.in_flight.update(change.address for change in batch)
        try:
            if action == "create":
                await self.provider.create([change.after for change in batch])
            else:
                await self.provider.update([_patch(change) for change in batch])
        except Rejected as error:
            if len(batch) > 1:
                # Halved until the culprits stand alone, so that their neighbours go through.
                return "halve"
            self.rejected.add(batch[0].address)
            self.settle(batch, "failed", str(error))
            return "settled"
        except (Auth, Unavailable, RateLimited) as error:
            self.settle(batch, "failed", str(error))
            raise
        except Unsupported as error:
            self.halted[kind, action] = str(error)
            self.settle(batch, "failed", str(error))
            return "settled"
        except Ambiguous:
            # It may have arrived: reading back tells, and what is not there is unknown.
            return "sent"
        return "sent"

    async def look(
        self,
        batch: Sequence[Change],
        unsettled: Callable[[Sequence[Change], Found], Awaitable[list[Change]]],
        *,
        patience: float,
    ) -> Found:
        """Read a batch back; what is unsettled again and again, until it is settled or the patience is at its end."""
        kind = batch[0].address.kind
        found = Found({})
        waited, wait = 0.0, 0.25
        pending = list(batch)
        while True:
            wanted = [(change.after, change.before) for change in pending]
            found.absorb(await read_back(self.provider, kind, wanted, self.fields[kind]))
            pending = await unsettled(pending, found)
            if not pending or waited >= patience:
                return found
            await self.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, 5.0)

    def difference(self, change: Change, record: Resource, unreadable: frozenset[str]) -> Change | None:
        """Return what still differs between a change's desired state and the record read back."""
        return compare(change.after, record, self.rules, unreadable, [])

    async def unreadable(self, batch: Sequence[Change], found: Found) -> frozenset[str]:
        """Return the fields of a batch that reads don't return: they can't be verified."""
        names = {name for change in batch for name in change.after.fields}
        return await unreadable_fields(self.provider, batch[0].address.kind, names, found) if batch else frozenset()

    def absent(self, address: Address) -> bool:
        """Tell whether a record was to be created in this run and is not there."""
        outcome = self.outcomes.get(address)
        if outcome is None or outcome.change.action != "create":
            return False
        return outcome.status in {"failed", "skipped"} and outcome.remote_id is None

    def settle(self, batch: Sequence[Change], status: Status, error: str) -> None:
        """Give a whole batch one outcome."""
        self.note([Outcome(self.changes[change.address], status, error=error) for change in batch])

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Journal outcomes and count them."""
        if not outcomes:
            return
        self.journal.note((outcome.change.address, outcome.status, outcome.remote_id) for outcome in outcomes)
        for outcome in outcomes:
            self.outcomes[outcome.change.address] = outcome
            self.in_flight.discard(outcome.change.address)
        self.progress(len(self.outcomes), len(self.changes))

    def close(self, stopped: CrmctlError | None, *, interrupted: bool) -> None:
        """Give every change that has no outcome yet the one that is true."""
        rest = "the run was interrupted" if interrupted else f"the run stopped: {stopped}"
        outcomes = []
        for change in self.changes.values():
            if change.address in self.outcomes:
                continue
            if change.action == "report":
                outcomes.append(Outcome(change, "skipped", error=change.reason))
            elif change.address in self.in_flight:
                outcomes.append(Outcome(change, "unknown", error=f"sent, and {rest} before it could be read back"))
            else:
                outcomes.append(Outcome(change, "skipped", error=rest))
        self.note(outcomes)


def _patch(change: Change) -> Resource:
    """Return what an update sends: the fields that differ, for the record they belong to."""
    fields: dict[str, Any] = {changed.path: changed.after for changed in change.fields}
    return Resource(change.address, fields, change.after.refs, change.after.origin, _remote_id(change))


def _remote_id(change: Change) -> str | None:
    """Return the id of the record that an update is about."""
    return change.before.remote_id if change.before else None


def _names(change: Change) -> str:
    """Return the names of the fields that a change is about."""
    return ", ".join(changed.path for changed in change.fields)


def _declared(changes: Sequence[Change]) -> dict[str, list[str]]:
    """Return, per kind, the fields to ask for when reading back."""
    names: dict[str, set[str]] = {kind: {KINDS[kind].key_field} for kind in KINDS}
    for change in changes:
        names[change.address.kind].update(change.after.fields)
    return {kind: sorted(fields) for kind, fields in names.items()}


def _doubled(ids: Sequence[str]) -> str:
    """Say that a key has more than one record."""
    return f"the CRM now holds {len(ids)} records of this key ({', '.join(sorted(ids))}): merge them there"


def _worst(group: BaseExceptionGroup[CrmctlError]) -> CrmctlError:
    """Return the error that ended the run; several requests may have met one at once, and a refused key counts most."""
    found: list[CrmctlError] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        elif isinstance(error, CrmctlError):
            found.append(error)
    return max(found, key=lambda error: error.exit_code)
