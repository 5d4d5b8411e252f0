"""Stage 7, one kind's requests: as many in flight as the server takes well, refused ones halved, within the budget.

In: batches, and how one is sent. Out: what of each batch the server has taken; the rest has its outcome already. A kind
of which nothing is ever accepted stops after `max_failures` records, a run without budget before the next batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, Protocol

from crmctl.batching import weigh
from crmctl.diff import Change
from crmctl.errors import BudgetSpent, Rejected
from crmctl.halving import Halving
from crmctl.journal import Journal
from crmctl.outcome import Status
from crmctl.pace import Pace
from crmctl.resource import Address

Action = Literal["create", "update"]
Job = Callable[[Sequence[Change]], Awaitable[None]]
Sent = Literal["sent", "doubtful", "settled"] | Rejected
TOO_LARGE = 413
MAX_FAILURES = 20
"""So many records refused one after the other, each in a request of its own, and no more of the kind are sent."""


class Run(Protocol):
    """What a delivery needs of the apply it is part of; `spent` is why no more requests may be sent, once it is so."""

    journal: Journal
    pace: Pace
    max_failures: int
    spent: BudgetSpent | None


class Delivery:
    """The requests of one kind.

    `send` sends one, `settle` gives records an outcome, `unknown` leaves out of a refused batch what is there already.
    `halted` says, by action, why nothing more is sent. `ahead`: creates may be journalled before it is their turn.
    """

    def __init__(
        self,
        run: Run,
        send: Callable[[Action, Sequence[Change]], Awaitable[Sent]],
        settle: Callable[[Sequence[Change], Status, str], None],
        unknown: Callable[[Action, Sequence[Change]], Awaitable[Sequence[Change]]],
        *,
        ahead: bool,
    ) -> None:
        self.run = run
        self.send = send
        self.settle = settle
        self.unknown = unknown
        self.ahead = ahead
        self.halted: dict[str, str] = {}
        self.rejected: set[Address] = set()
        self.refused = 0
        self.accepted = False

    async def spread(
        self,
        action: Action,
        job: Job,
        work: Iterable[Sequence[Change]],
        reads: Callable[[Sequence[Change]], int],
    ) -> None:
        """Do a job for every batch, as many at once as the window allows; at 1 in the given order.

        `reads` tells how many requests reading a batch back takes: it is not sent without them. An intent goes to
        the disk while the batches before are on their way, as that may take as long as a request.
        """
        flying: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            for batch in work:
                intent: asyncio.Task[None] | None = None
                if self.ahead and action == "create" and flying and self.run.pace.window.width > 1:
                    intent = group.create_task(self._intend(action, batch))
                while len(flying) >= self.run.pace.window.width:
                    done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                    flying -= done
                flying.add(group.create_task(self._do(action, job, batch, reads(batch), intent)))

    async def deliver(self, action: Action, batch: Sequence[Change]) -> list[Change]:
        """Send a batch; returns what the server has taken, or may have.

        What is refused is halved until the culprits stand alone, and so is, unsent, what is no smaller than a part that
        was too large. For what may not be sent twice it is looked first what is there already.
        """
        halving = Halving(batch)
        taken: list[Change] = []
        while (part := halving.take(hopeless=self.refused > 0 and not self.accepted)) is not None:
            if len(part) > 1 and self._is_too_large(action, part):
                halving.split(part)
                continue
            came = await self.send(action, part)
            if isinstance(came, Rejected):
                if came.status == TOO_LARGE:
                    self.run.pace.shrink((part[0].address.kind, action), sum(map(weigh, part)))
                rest = await self.unknown(action, part)
                if len(rest) < len(part):
                    halving.put(rest)
                elif len(part) > 1:
                    halving.split(part)
                else:
                    self._refuse(action, part, str(came))
            elif came != "settled":
                taken += part
        return taken

    def closed(self, action: Action, batch: Sequence[Change], reads: int = 0) -> bool:
        """Tell whether nothing more is sent, and give a batch the outcome; else its requests are held back for it.

        That is one, and `reads` that follow.
        """
        if action in self.halted:
            self.settle(batch, "skipped", self.halted[action])
            return True
        if not self.run.pace.budget.hold(1 + reads):
            self.spend(action, batch, self.run.pace.budget.refusal())
            return True
        return False

    def accept(self) -> None:
        """Note that the server has taken something."""
        self.refused = 0
        self.accepted = True

    def spend(self, action: Action, batch: Sequence[Change], error: BudgetSpent) -> None:
        """Note that the budget is spent: a batch, and whatever comes after it, is not sent."""
        self.run.spent = error
        self.halted[action] = str(error)
        self.settle(batch, "skipped", str(error))

    async def _intend(self, action: Action, batch: Sequence[Change]) -> None:
        if action not in self.halted:
            await self.run.journal.intend(action, [change.address for change in batch], ahead=True)

    async def _do(
        self,
        action: Action,
        job: Job,
        batch: Sequence[Change],
        reads: int,
        intent: asyncio.Task[None] | None,
    ) -> None:
        budget = self.run.pace.budget
        if intent is not None:
            await intent
        if self.closed(action, batch, reads):
            return
        budget.release(1)
        try:
            await job(batch)
        finally:
            budget.release(reads)
        if len(batch) == 1 and self.refused >= self.run.max_failures:
            self._halt(action, self.refused)
        elif len(batch) > 1 and all(change.address in self.rejected for change in batch):
            self._halt(action, len(batch))

    def _is_too_large(self, action: Action, part: Sequence[Change]) -> bool:
        """Tell whether a part weighs no less than one of its kind and action that was refused for its size."""
        least = self.run.pace.too_large.get((part[0].address.kind, action))
        return least is not None and sum(map(weigh, part)) >= least

    def _refuse(self, action: Action, part: Sequence[Change], error: str) -> None:
        """Give a record that was refused alone its outcome; stop the kind if nothing of it ever is accepted."""
        self.rejected.add(part[0].address)
        self.refused += 1
        self.settle(part, "failed", error)
        if self.refused >= self.run.max_failures and not self.accepted:
            self._halt(action, self.refused)

    def _halt(self, action: Action, number: int) -> None:
        refused = f"{number} records in a row were refused, each alone" if number > 1 else "a record was refused"
        self.halted[action] = f"{refused}: no more of this kind are sent (--max-failures)"
