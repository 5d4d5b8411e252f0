"""Stage 7, one kind: send its batches, read back what is there, and let that decide.

What a write answers is never believed. Errors are handled by class, as docs/architecture.md has it: a rejected batch is
halved until the culprits stand alone; what may not be sent twice is looked for first.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from crmctl.batching import FINDING_OUT, batches, expect_reads, verified_together
from crmctl.capability import Capability
from crmctl.delivery import Action, Delivery, Job, Sent
from crmctl.diff import Change, Rules
from crmctl.errors import Ambiguous, Auth, BudgetSpent, RateLimited, Rejected, Unavailable, Unsupported
from crmctl.found import Found, known_as, look_for
from crmctl.guard import Guard
from crmctl.journal import Journal
from crmctl.judge import differing, judge_create, judge_update, missing, names, present, remote_id, unsent
from crmctl.kinds import COMPOSED
from crmctl.live import read_back, unreadable_fields
from crmctl.outcome import Outcome, Status
from crmctl.pace import Pace
from crmctl.provider import Provider
from crmctl.resource import Address, Resource
from crmctl.verification import Verify, demanded, sample


class Run(Protocol):
    """What a sender needs of the apply it is part of."""

    provider: Provider
    journal: Journal
    rules: Rules
    changes: dict[Address, Change]
    ids: dict[Address, str]
    in_flight: set[Address]
    sleep: Callable[[float], Awaitable[None]]
    settle: float
    reviewed: bool
    pace: Pace
    max_failures: int
    max_body_bytes: int
    spent: BudgetSpent | None
    apply_unchanged: bool
    verify: Verify
    identified: frozenset[str]
    counted: Counter[str]
    taken: Collection[str]

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Journal outcomes and count them."""

    def made(self, owner: Address) -> bool:
        """Tell whether a record was not there before this run has created it."""


class Sender:
    """The writes of one kind.

    `later` are the updates that creates turned out to need, as they met other records, `aside` the requests that it
    takes to see what has come along with them.
    """

    def __init__(self, run: Run, kind: str, capability: Capability, fields: Sequence[str]) -> None:
        self.run = run
        self.kind = kind
        self.capability = capability
        self.fields = fields
        self.together = verified_together(capability)
        self.later: list[Change] = []
        self.aside = 0
        self.sent: list[Change] = []
        self.delivery = Delivery(run, self.send, self.settle, self.unknown, ahead=capability.dedupes)
        self.doubtful: set[Address] = set()
        self.alike: Counter[str] = Counter()
        self.verify = demanded(run.verify, kind, capability, run.identified)
        self.guard = Guard(run, lambda batch: self.look(batch, self.missing, patience=0))

    async def create(self, changes: Sequence[Change]) -> None:
        """Create records that are not there; what exists and differs is left in `later`."""
        wanted = self.looked_for(changes)
        if not self.affords("create", changes, wanted):
            return
        changes = await self.leave_known(changes, wanted, sent=False)
        work = self.cut(changes, self.capability.create_batch, self.capability.batch_by)
        await self.spread("create", self.create_batch, changes, work)
        sent, self.sent = self.sent, []
        if sent:
            await self.verify_creates(sent)

    async def update(self, changes: Sequence[Change]) -> None:
        """Update records that are still as planned; raises StalePlan after one that is not, unless it may go on."""
        planned = [change for change in changes if self.run.changes[change.address] is change]
        if self.together and not self.affords("update", changes, planned):
            return
        changes = await self.guard.admit(changes) if self.together else changes
        job = self.update_batch if self.together else self.admit_batch
        await self.spread("update", job, changes, self.cut(changes, self.capability.update_batch))
        sent, self.sent = self.sent, []
        if sent:
            await self.verify_updates(sent)
        self.guard.close()

    def affords(self, action: Action, changes: Sequence[Change], looked_for: Sequence[Change]) -> bool:
        """Tell whether there is budget to look, to write and to read back; a run that only looks gets nowhere."""
        needed = self.count_reads(looked_for) + self.reads(action, changes, at_the_end=True) + self.aside + 1
        if not looked_for or self.run.pace.budget.has(needed):
            return True
        self.delivery.spend(action, changes, self.run.pace.budget.refusal(needed))
        return False

    async def spread(
        self, action: Action, job: Job, changes: Sequence[Change], work: Iterable[Sequence[Change]]
    ) -> None:
        """Do a job for every batch; what is read back at the end is held back from the budget at the beginning."""
        budget, reads = self.run.pace.budget, self.reads(action, changes, at_the_end=True)
        reads += self.aside if changes and action == "create" else 0
        if not budget.hold(reads):
            self.delivery.spend(action, changes, budget.refusal())
            return
        try:
            await self.delivery.spread(action, job, work, partial(self.reads, action))
        finally:
            budget.release(reads)

    def reads(self, action: Action, batch: Sequence[Change], *, at_the_end: bool = False) -> int:
        """Return how many requests it takes to read a batch back, and before that to see whether it is as planned.

        Where everything is read back together, at the end, a batch alone takes none.
        """
        if self.together is not at_the_end:
            return 0
        checked = action == "update" and not self.together  # where all are read at once, they have been by now
        return self.count_reads(batch) * (checked + (self.verify != "off"))

    def count_reads(self, batch: Sequence[Change]) -> int:
        """Return how many requests it takes at most to read some records, where requests are limited."""
        if not batch or not self.run.pace.budget.limited or not self.capability.read:
            return 0
        expected = sum(number for _, number in expect_reads(self.kind, [batch], self.capability, self.run.counted))
        return expected + FINDING_OUT * self.capability.ends_empty

    def cut(self, changes: Sequence[Change], size: int, by: Sequence[str] = ()) -> Iterator[Sequence[Change]]:
        """Cut changes into requests."""
        return batches(changes, size, by, self.run.max_body_bytes)

    async def create_batch(self, batch: Sequence[Change]) -> None:
        """Send creates, and see to what becomes of them."""
        sent = await self.delivery.deliver("create", batch)
        if not sent:
            return
        if not self.capability.read:
            lost = "it may have arrived, and this target can't be asked"
            self.run.note(
                [
                    Outcome(change, "unknown", self.run.ids.get(change.address), lost)
                    if change.address in self.doubtful
                    else Outcome(change, "sent", self.run.ids.get(change.address))
                    for change in sent
                ]
            )
        elif self.together:
            self.sent += sent
        else:
            await self.verify_creates(sent)

    async def unknown(self, action: Action, batch: Sequence[Change]) -> Sequence[Change]:
        """Return what of a refused batch is not there yet, where it may be refused for that or can't be sent twice."""
        can = self.capability
        if action == "update" or not can.read or (can.dedupes and not can.refuses_known):
            return batch
        return await self.leave_known(batch, batch, sent=True)

    def looked_for(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return what is looked for before it is created: what would be there twice if somebody had made it by now.

        The plan may be old, or made from a list that left something out; what was `made` in this run has nothing yet.
        """
        candidates = changes if self.capability.looks_first else ()
        return [change for change in candidates if not any(map(self.run.made, change.after.refs.values()))]

    async def leave_known(self, batch: Sequence[Change], wanted: Sequence[Change], *, sent: bool) -> Sequence[Change]:
        """Look for what is `wanted` of a batch; what is there has its outcome, the rest is returned."""
        if not wanted:
            return batch
        found = await self.look(wanted, self.missing, patience=0)
        found.records.update({key: one for key, one in found.renamed.items() if key not in found.records})
        # What says the same as another record of this run is not known by it: that may be the other one.
        there = [change for change in present(wanted, found) if not self.is_alike(change)]
        await self.judge_creates(there, found, sent=sent)
        known = {change.address for change in there}
        return [change for change in batch if change.address not in known]

    def is_alike(self, change: Change) -> bool:
        """Tell whether another record that this run creates says the same, of a kind that is known by nothing else."""
        if self.kind not in COMPOSED:
            return False
        if not self.alike:
            creates = (one.after for one in self.run.changes.values() if one.action == "create")
            self.alike.update(known_as(after) for after in creates if after.address.kind == self.kind)
        return self.alike[known_as(change.after)] > 1

    async def verify_creates(self, batch: Sequence[Change]) -> None:
        """Look what is there, and decide."""
        settle = await self.spot_check(batch, self.missing, self.judge_creates)
        if settle is None:
            return
        found = await self.look(batch, self.missing, patience=0 if len(batch) > 1 else settle)
        if len(batch) > 1 and not found.records:
            found.absorb(await self.look(batch, self.missing, patience=settle))
        rest = missing(batch, found)
        if rest and len(batch) > 1 and found.records:
            await self.judge_creates(present(batch, found), found)
            # Part of it arrived. What did not is sent once more, each alone, to learn what is wrong with it; but never
            # what would then be there twice.
            batch = await self.send_again(rest) if self.capability.dedupes else rest
            found.absorb(await self.look(batch, self.missing, patience=settle))
        await self.judge_creates(batch, found)

    async def send_again(self, changes: Sequence[Change]) -> list[Change]:
        """Send what has not arrived once more; returns what was accepted."""
        size = 1 if len(changes) <= self.capability.create_batch else self.capability.create_batch
        accepted: list[Change] = []
        for batch in self.cut(changes, size, self.capability.batch_by):
            came = await self.send("create", batch)
            if isinstance(came, Rejected):
                self.settle(batch, "failed", str(came))
            elif came != "settled":
                accepted += batch
        return accepted

    async def judge_creates(self, batch: Sequence[Change], found: Found, *, sent: bool = True) -> None:
        """Decide from what is there what became of each create."""
        unreadable = await self.unreadable(batch, found)
        outcomes: list[Outcome] = []
        for change in batch:
            came = judge_create(
                change, found, self.run.rules, unreadable,
                reviewed=self.run.reviewed, capability=self.capability, sent=sent,
            )  # fmt: skip
            if isinstance(came, Outcome):
                outcomes.append(came)
            elif self.capability.update:
                self.later.append(came)
            else:
                error = f"exists with other values ({names(came)}), and this target can't update it"
                outcomes.append(Outcome(change, "failed", remote_id(came), error))
        self.run.note(outcomes)

    async def spot_check(
        self,
        batch: Sequence[Change],
        unsettled: Callable[[Sequence[Change], Found], Awaitable[list[Change]]],
        judge: Callable[[Sequence[Change], Found], Awaitable[None]],
    ) -> float | None:
        """Look at no more than a sample of a batch, if so asked; returns None where that is as declared, all noted.

        Else all of the batch has to be looked at, for as many seconds.
        """
        run = self.run
        if self.verify == "all" or any(change.address in self.doubtful for change in batch):
            return run.settle
        chosen = sample(batch, self.verify)
        if chosen:
            found = await self.look(chosen, unsettled, patience=run.settle)
            if await unsettled(chosen, found):
                return 0.0  # what was sent together has had its time
            if found.ids or differing(chosen, found, run.rules, await self.unreadable(chosen, found)):
                return run.settle
            await judge(chosen, found)
        looked_at = {change.address for change in chosen}
        rest = [change for change in batch if change.address not in looked_at]
        run.note([Outcome(run.changes[change.address], "sent", remote_id(change)) for change in rest])
        return None

    async def admit_batch(self, batch: Sequence[Change]) -> None:
        """Send what of a batch is still as planned."""
        admitted = await self.guard.admit(batch)
        if admitted:
            await self.update_batch(admitted)

    async def update_batch(self, batch: Sequence[Change]) -> None:
        """Send updates, and see to what becomes of them."""
        sent = await self.delivery.deliver("update", batch)
        if self.together:
            self.sent += sent
        elif sent:
            await self.verify_updates(sent)

    async def verify_updates(self, batch: Sequence[Change]) -> None:
        """Look whether updates took effect."""
        settle = await self.spot_check(batch, self.differing, self.judge_updates)
        if settle is not None:
            await self.judge_updates(batch, await self.look(batch, self.differing, patience=settle))

    async def judge_updates(self, batch: Sequence[Change], found: Found) -> None:
        """Decide from what is there what became of each update."""
        unreadable = await self.unreadable(batch, found)
        rules, bare = self.run.rules, self.capability.bare
        self.run.note(
            [
                judge_update(change, self.run.changes[change.address], found, rules, unreadable, bare=bare)
                for change in batch
            ]
        )

    async def send(self, action: Action, batch: Sequence[Change]) -> Sent:
        """Journal and send one request; "settled" when there is nothing to look for, "doubtful" when it may be lost."""
        run = self.run
        if self.delivery.closed(action, batch):
            return "settled"
        once = action == "create" and not self.capability.dedupes
        journalled = {change.address: change.after for change in batch} if once else None
        await run.journal.intend(action, (change.address for change in batch), journalled)
        run.in_flight.update(change.address for change in batch)
        try:
            if action == "create":
                receipt = await run.provider.create([change.after for change in batch], run.ids)
            else:
                receipt = await run.provider.update([_patch(change) for change in batch], run.ids)
        except Rejected as error:
            return error
        except BudgetSpent as error:
            self.delivery.spend(action, batch, error)
            return "settled"
        except (Auth, Unavailable, RateLimited) as error:
            self.settle(batch, "failed", str(error))
            raise
        except Unsupported as error:
            self.delivery.halted[action] = str(error)
            self.settle(batch, "failed", str(error))
            return "settled"
        except Ambiguous:
            # It may have arrived: reading back tells, and what is not there is unknown.
            self.doubtful.update(change.address for change in batch)
            return "doubtful"
        finally:
            run.pace.budget.release(1)
        run.ids.update(receipt.ids)
        self.delivery.accept()
        return "sent"

    async def look(
        self,
        batch: Sequence[Change],
        unsettled: Callable[[Sequence[Change], Found], Awaitable[list[Change]]],
        *,
        patience: float,
    ) -> Found:
        """Read a batch back; what is unsettled again and again, until it is settled or the patience is at its end."""
        run = self.run
        known: dict[Address, str] = {}
        if self.kind in COMPOSED:
            known = {address: id_ for address, id_ in run.ids.items() if address.kind == self.kind}
            known |= {change.address: id_ for change in batch if (id_ := remote_id(change)) is not None}
        found = look_for(self.kind, {})
        waited, wait = 0.0, 0.25
        pending = list(batch)
        while True:
            # Among records without keys each is told apart from all others, so all are looked for together.
            asked = batch if self.kind in COMPOSED else pending
            wanted = [(change.after, change.before) for change in asked]
            later = await read_back(run.provider, self.kind, wanted, self.fields, run.ids, known, run.taken)
            if self.kind in COMPOSED:
                found = later
            else:
                found.absorb(later)
            pending = await unsettled(pending, found)
            if not pending or waited >= patience:
                return found
            pause = min(wait, patience - waited)
            await run.sleep(pause)
            waited, wait = waited + pause, min(2 * wait, 5.0)

    async def unreadable(self, batch: Sequence[Change], found: Found) -> frozenset[str]:
        """Return the fields of a batch that reads don't return: they can't be verified."""
        fields = set[str]().union(*(change.after.fields for change in batch))
        return await unreadable_fields(self.run.provider, self.kind, fields, found) if batch else frozenset()

    async def missing(self, changes: Sequence[Change], found: Found) -> list[Change]:
        """Return the changes whose record was not found."""
        return missing(changes, found)

    async def differing(self, changes: Sequence[Change], found: Found) -> list[Change]:
        """Return the changes that don't show yet."""
        return differing(changes, found, self.run.rules, await self.unreadable(changes, found))

    def settle(self, batch: Sequence[Change], status: Status, error: str) -> None:
        """Give a whole batch one outcome."""
        self.run.note([unsent(change, self.run.changes[change.address], status, error) for change in batch])


def _patch(change: Change) -> Resource:
    """Return what an update sends: the fields that differ, for the record they belong to."""
    fields: dict[str, Any] = {changed.path: changed.after for changed in change.fields}
    return Resource(change.address, fields, change.after.refs, change.after.origin, remote_id(change))
