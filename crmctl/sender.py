"""Stage 7, one kind: send its batches, read back what is there, and let that decide.

What a write answers is never believed. Errors are handled by class, as docs/architecture.md has it: a rejected batch is
halved until the culprits stand alone; what may not be sent twice is looked for first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

from crmctl.capability import Capability
from crmctl.diff import Change, Rules
from crmctl.errors import Ambiguous, Auth, RateLimited, Rejected, Unavailable, Unsupported
from crmctl.found import Found, look_for
from crmctl.journal import Journal
from crmctl.judge import differing, judge_create, judge_update, missing, names, present, remote_id
from crmctl.kinds import COMPOSED
from crmctl.live import read_back, unreadable_fields
from crmctl.outcome import Outcome, Status
from crmctl.plan import batches, verified_together
from crmctl.provider import Provider
from crmctl.resource import Address, Resource

Action = Literal["create", "update"]
MOST_REFUSALS = 20
"""So many records refused one after the other, each in a request of its own, and no more of the kind are sent."""


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
    parallelism: int

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Journal outcomes and count them."""


class Sender:
    """The writes of one kind. `later` are the updates that creates turned out to need, as they met other records."""

    def __init__(self, run: Run, kind: str, capability: Capability, fields: Sequence[str]) -> None:
        self.run = run
        self.kind = kind
        self.capability = capability
        self.fields = fields
        self.together = verified_together(capability)
        self.later: list[Change] = []
        self.sent: list[Change] = []
        self.rejected: set[Address] = set()
        self.refused = 0
        self.halted: dict[str, str] = {}

    async def create(self, changes: Sequence[Change]) -> None:
        """Create records; what exists and differs is left in `later`."""
        await self.spread(
            "create", self.create_batch, batches(changes, self.capability.create_batch, self.capability.batch_by)
        )
        sent, self.sent = self.sent, []
        if sent:
            await self.verify_creates(sent)

    async def update(self, changes: Sequence[Change]) -> None:
        """Update records."""
        await self.spread("update", self.update_batch, batches(changes, self.capability.update_batch))
        sent, self.sent = self.sent, []
        if sent:
            await self.verify_updates(sent)

    async def spread(
        self, action: Action, job: Callable[[Sequence[Change]], Awaitable[None]], work: Sequence[Sequence[Change]]
    ) -> None:
        """Do a job for every batch, as many at once as asked; at 1 in the given order."""
        waiting = iter(work)

        async def take() -> None:
            for batch in waiting:
                await job(batch)
                alone = len(batch) == 1 and self.refused >= MOST_REFUSALS
                if alone or (len(batch) > 1 and all(change.address in self.rejected for change in batch)):
                    reason = "every record of a batch was rejected, so no more of this kind are sent"
                    self.halted[action] = reason

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.run.parallelism, len(work))):
                group.create_task(take())

    async def create_batch(self, batch: Sequence[Change]) -> None:
        """Send one request of creates, and see to what becomes of it."""
        came = await self.send("create", batch)
        if isinstance(came, Rejected):
            await self.take_refusal(batch, str(came))
        elif came == "settled":
            return
        elif not self.capability.read:
            status: Status = "unknown" if came == "doubtful" else "sent"
            error = "it may have arrived, and this target can't be asked" if came == "doubtful" else ""
            self.run.note([Outcome(change, status, self.run.ids.get(change.address), error) for change in batch])
        elif self.together:
            self.sent += batch
        else:
            await self.verify_creates(batch)

    async def take_refusal(self, batch: Sequence[Change], error: str) -> None:
        """Go on without what is there already, else in halves, until the culprits stand alone."""
        rest = list(batch)
        if self.capability.read and (self.capability.refuses_known or not self.capability.dedupes):
            found = await self.look(batch, self.missing, patience=0)
            rest = missing(batch, found)
            await self.judge_creates(present(batch, found), found)
        if not rest:
            return
        if len(rest) < len(batch):
            await self.create_batch(rest)
        elif len(rest) == 1:
            self.rejected.add(rest[0].address)
            self.refused += 1
            self.settle(rest, "failed", error)
        else:
            await self.create_batch(rest[: len(rest) // 2])
            await self.create_batch(rest[len(rest) // 2 :])

    async def verify_creates(self, batch: Sequence[Change]) -> None:
        """Look what is there, and decide."""
        settle = self.run.settle
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
        for batch in batches(changes, size, self.capability.batch_by):
            came = await self.send("create", batch)
            if isinstance(came, Rejected):
                self.settle(batch, "failed", str(came))
            elif came != "settled":
                accepted += batch
        return accepted

    async def judge_creates(self, batch: Sequence[Change], found: Found) -> None:
        """Decide from what is there what became of each create."""
        unreadable = await self.unreadable(batch, found)
        outcomes: list[Outcome] = []
        for change in batch:
            came = judge_create(
                change, found, self.run.rules, unreadable, reviewed=self.run.reviewed, capability=self.capability
            )
            if isinstance(came, Outcome):
                outcomes.append(came)
            elif self.capability.update:
                self.later.append(came)
            else:
                error = f"exists with other values ({names(came)}), and this target can't update it"
                outcomes.append(Outcome(change, "failed", remote_id(came), error))
        self.run.note(outcomes)

    async def update_batch(self, batch: Sequence[Change]) -> None:
        """Send one request of updates."""
        came = await self.send("update", batch)
        if isinstance(came, Rejected) and len(batch) > 1:
            await self.update_batch(batch[: len(batch) // 2])
            await self.update_batch(batch[len(batch) // 2 :])
        elif isinstance(came, Rejected):
            self.rejected.add(batch[0].address)
            self.refused += 1
            self.settle(batch, "failed", str(came))
        elif came == "settled":
            return
        elif self.together:
            self.sent += batch
        else:
            await self.verify_updates(batch)

    async def verify_updates(self, batch: Sequence[Change]) -> None:
        """Look whether updates took effect."""

        async def unsettled(changes: Sequence[Change], found: Found) -> list[Change]:
            return differing(changes, found, self.run.rules, await self.unreadable(changes, found))

        found = await self.look(batch, unsettled, patience=self.run.settle)
        unreadable = await self.unreadable(batch, found)
        rules, bare = self.run.rules, self.capability.bare
        self.run.note(
            [
                judge_update(change, self.run.changes[change.address], found, rules, unreadable, bare=bare)
                for change in batch
            ]
        )

    async def send(self, action: Action, batch: Sequence[Change]) -> Literal["sent", "doubtful", "settled"] | Rejected:
        """Journal and send one request; "settled" when there is nothing to look for, "doubtful" when it may be lost."""
        run = self.run
        if action in self.halted:
            self.settle(batch, "skipped", self.halted[action])
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
        except (Auth, Unavailable, RateLimited) as error:
            self.settle(batch, "failed", str(error))
            raise
        except Unsupported as error:
            self.halted[action] = str(error)
            self.settle(batch, "failed", str(error))
            return "settled"
        except Ambiguous:
            # It may have arrived: reading back tells, and what is not there is unknown.
            return "doubtful"
        run.ids.update(receipt.ids)
        self.refused = 0
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
            later = await read_back(run.provider, self.kind, wanted, self.fields, run.ids, known)
            if self.kind in COMPOSED:
                found = later
            else:
                found.absorb(later)
            pending = await unsettled(pending, found)
            if not pending or waited >= patience:
                return found
            await run.sleep(wait)
            waited, wait = waited + wait, min(2 * wait, 5.0)

    async def unreadable(self, batch: Sequence[Change], found: Found) -> frozenset[str]:
        """Return the fields of a batch that reads don't return: they can't be verified."""
        fields = {name for change in batch for name in change.after.fields}
        return await unreadable_fields(self.run.provider, self.kind, fields, found) if batch else frozenset()

    async def missing(self, changes: Sequence[Change], found: Found) -> list[Change]:
        """Return the changes whose record was not found."""
        return missing(changes, found)

    def settle(self, batch: Sequence[Change], status: Status, error: str) -> None:
        """Give a whole batch one outcome."""
        self.run.note([Outcome(self.run.changes[change.address], status, error=error) for change in batch])


def _patch(change: Change) -> Resource:
    """Return what an update sends: the fields that differ, for the record they belong to."""
    fields: dict[str, Any] = {changed.path: changed.after for changed in change.fields}
    return Resource(change.address, fields, change.after.refs, change.after.origin, remote_id(change))
