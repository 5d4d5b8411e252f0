"""Stage 7: plan -> outcomes, journalled and verified; the only maker of outcomes.

Kinds in order, creates before updates; `sender.py` sends one kind's batches, `judge.py` says what became of each.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from crmctl import canary, judge
from crmctl.batching import places
from crmctl.capability import Capability
from crmctl.delivery import MAX_FAILURES
from crmctl.diff import Change
from crmctl.errors import Auth, BudgetSpent, CanaryFailed, CrmctlError
from crmctl.journal import Journal
from crmctl.kinds import KINDS, LEVELS
from crmctl.outcome import Outcome, Result
from crmctl.pace import Pace
from crmctl.plan import Plan, select
from crmctl.provider import Provider
from crmctl.resource import Address
from crmctl.sender import Sender
from crmctl.verification import Verify, identified


class Settings(NamedTuple):
    """How to apply.

    `pace` is what the target's connections share; without one there are `parallelism` requests in flight at most. After
    `max_failures` refused records in a row, and none accepted, a kind is given up.
    `settle` is how many seconds to wait for a write to show in reads. `reviewed`: the plan came from a file, so a
    record that turns out to exist and differ is a conflict rather than an update; `max_updates` bounds those updates.
    `apply_unchanged`: an update whose record was changed since the plan is left alone, and doesn't end the run.
    """

    parallelism: int = 4
    max_failures: int = MAX_FAILURES
    pace: Pace | None = None
    settle: float = 30.0
    reviewed: bool = False
    max_updates: int | None = None
    apply_unchanged: bool = False


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
        for address, trace in plan.moved.items():
            journal.move(address, trace.remote_id, trace.content)
        journal.plan((change.action, change.address) for change in plan.changes if change.action != "report")
        if plan.definitions:
            journal.plan_fields([f"{definition.kind}.{definition.slug}" for definition in plan.definitions])
            await provider.define(plan.definitions)
        *first, rest = canary.turns(plan.changes, plan.canary)
        for changes in first:
            await run.take_turn(changes, "all")
            run.judge_canary(changes)
        await run.take_turn(rest, plan.verify)
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
        self.settle = settings.settle
        self.reviewed = settings.reviewed
        self.pace = settings.pace or Pace(time.monotonic, parallelism=settings.parallelism)
        self.max_failures = settings.max_failures
        self.max_body_bytes = plan.max_body_bytes
        self.spent: BudgetSpent | None = None
        self.apply_unchanged = settings.apply_unchanged
        self.verify: Verify = plan.verify
        self.turn: Sequence[Change] = plan.changes
        self.sleep = sleep
        self.progress = progress
        self.fields = _declared(plan.changes)
        self.ids = dict(plan.ids)
        self.identified = identified(plan.changes, provider.capabilities)
        self.outcomes: dict[Address, Outcome] = {}
        self.in_flight: set[Address] = set()
        planned = sum(change.action == "update" for change in plan.changes)
        self.room = None if settings.max_updates is None else max(0, settings.max_updates - planned)
        self.carried: list[Change] = []
        self.counted = Counter(plan.seen) + places(plan.changes)
        self.taken = plan.taken

    async def take_turn(self, changes: Sequence[Change], verify: Verify) -> None:
        """Write some of the changes, kind after kind."""
        self.turn, self.verify = changes, verify
        for kinds in LEVELS:
            for kind in kinds:
                if kind in self.provider.capabilities:
                    await self.write(kind, self.provider.capabilities[kind])
                if self.spent is not None:
                    raise self.spent

    def judge_canary(self, changes: Sequence[Change]) -> None:
        """Raise CanaryFailed if what went first did not come out right."""
        outcomes = [self.outcomes[change.address] for change in changes if change.address in self.outcomes]
        if judge.troubled(outcomes):
            records = f"{len(changes)} record{'s' * (len(changes) != 1)}"
            raise CanaryFailed(f"the canary of {records} did not come out right: nothing more was sent")

    async def write(self, kind: str, capability: Capability) -> None:
        """Write one kind: creates, then updates, with them what a create found to exist and differ."""
        changes = self.turn
        creates = self.without_dependents(select(changes, kind, "create"))
        self.carried += [change for change in creates if change.reason]
        sender = self.sender(kind)
        if capability.makes:
            sender.aside = self.sender(capability.makes).count_reads(self.carried)
        await sender.create([change for change in creates if not change.reason])
        updates = self.without_dependents(select(changes, kind, "update"))
        await sender.update(updates + self.within_limit(sender.later))
        if capability.makes:
            await self.write_carried(capability.makes)

    async def write_carried(self, kind: str) -> None:
        """See whether the records are there that should have come with others; create those that are not."""
        carried, self.carried = self.carried, []
        if not carried:
            return
        sender = self.sender(kind)
        found = await sender.look(carried, sender.missing, patience=0)
        await sender.judge_creates(judge.present(carried, found), found)
        await sender.create(judge.missing(carried, found))
        await sender.update(self.within_limit(sender.later))

    def sender(self, kind: str) -> Sender:
        """Return what sends the writes of a kind."""
        return Sender(self, kind, self.provider.capabilities[kind], self.fields[kind])

    def made(self, owner: Address) -> bool:
        """Tell whether a record was not there before this run has created it: nothing else can belong to it yet."""
        created = owner in self.outcomes and self.outcomes[owner].status == "created"
        return created and self.provider.capabilities[owner.kind].looks_first

    def without_dependents(self, changes: list[Change]) -> list[Change]:
        """Leave out what belongs to a record that could not be created; it is skipped."""
        owners = {owner for change in changes for owner in change.after.refs.values()}
        absent = {owner for owner in owners if self.absent(owner)}  # of each once: most have many records
        if not absent:
            return changes
        kept = []
        for change in changes:
            missed = [owner for owner in change.after.refs.values() if owner in absent]
            if missed:
                self.note([judge.orphaned(change, missed[0])])
            else:
                kept.append(change)
        return kept

    def absent(self, owner: Address) -> bool:
        """Tell whether a record is not there, and won't be in this run."""
        planned = self.changes.get(owner)
        if planned is not None and planned.action == "report":
            return planned.before is None
        return judge.absent(self.outcomes.get(owner))

    def within_limit(self, later: list[Change]) -> list[Change]:
        """Leave out updates of records that creates have met, as far as they are more than were allowed."""
        met = sorted(later, key=lambda change: change.address)
        if self.room is None:
            return met
        allowed, self.room = met[: self.room], max(0, self.room - len(met))
        for change in met[len(allowed) :]:
            differ = f"exists since the plan was made ({judge.names(change)} differ)"
            error = f"{differ}, and max_updates allows no more updates"
            planned = self.changes[change.address]
            self.note([Outcome(planned, "failed", judge.remote_id(change), error, conflict=True)])
        return allowed

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Journal outcomes and count them."""
        if not outcomes:
            return
        self.journal.note((outcome.change.address, outcome.status, outcome.remote_id) for outcome in outcomes)
        for outcome in outcomes:
            address = outcome.change.address
            self.outcomes[address] = outcome
            self.in_flight.discard(address)
            if outcome.remote_id is not None and address.kind in self.identified:
                self.ids[address] = outcome.remote_id
        self.progress(len(self.outcomes), len(self.changes))

    def close(self, stopped: CrmctlError | None, *, interrupted: bool) -> None:
        """Give every change that has no outcome yet the one that is true."""
        rest = "the run was interrupted" if interrupted else f"the run stopped: {stopped}"
        open_ = [change for change in self.changes.values() if change.address not in self.outcomes]
        flying = set(self.in_flight)
        self.note([judge.close(c, rest, in_flight=False) for c in open_ if c.address not in flying])
        self.note([judge.close(c, rest, in_flight=True) for c in open_ if c.address in flying])


def _declared(changes: Sequence[Change]) -> dict[str, list[str]]:
    """Return, per kind, the fields to ask for when reading back."""
    names: dict[str, set[str]] = {kind.name: set() if kind.composed else {kind.key_field} for kind in KINDS.values()}
    for change in changes:
        names[change.address.kind].update(change.after.fields)
    return {kind: sorted(fields) for kind, fields in names.items()}


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
    return max(found, key=lambda error: (isinstance(error, Auth), error.exit_code))
