"""Stage 7, before updates: read the records once more, and let only those through that are still as planned.

In: updates of one kind. Out: those that may be sent; the others have their outcome. A conflict ends the run, unless it
was asked to go on: then it is left alone, like what a stale plan file names.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from crmctl.conflict import recheck
from crmctl.diff import Change, Rules
from crmctl.errors import StalePlan
from crmctl.found import Found
from crmctl.outcome import Outcome
from crmctl.resource import Address

ADVICE = "plan again, or pass --apply-unchanged to leave such records alone and go on with the rest"


class Run(Protocol):
    """What a guard needs of the apply it is part of."""

    rules: Rules
    changes: dict[Address, Change]
    apply_unchanged: bool

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Journal outcomes and count them."""


class Guard:
    """The guard of one kind's updates; `look` reads some records once."""

    def __init__(self, run: Run, look: Callable[[Sequence[Change]], Awaitable[Found]]) -> None:
        self.run = run
        self.look = look
        self.conflicts = 0

    async def admit(self, batch: Sequence[Change]) -> Sequence[Change]:
        """Return what of a batch may be sent; nothing, once a conflict ends the run.

        An update that a create has led to was read in this run, just before.
        """
        run = self.run
        if self.conflicts:
            return []
        planned = [change for change in batch if run.changes[change.address] is change]
        if not planned:
            return batch
        found = await self.look(planned)
        checked = ((change, recheck(change, found, run.rules, fails=not run.apply_unchanged)) for change in planned)
        settled = {change.address: outcome for change, outcome in checked if outcome is not None}
        run.note(list(settled.values()))
        self.conflicts += sum(outcome.conflict for outcome in settled.values())
        return [] if self.conflicts else [change for change in batch if change.address not in settled]

    def close(self) -> None:
        """End the run if there was a conflict; raises StalePlan."""
        if self.conflicts:
            records = "1 record was" if self.conflicts == 1 else f"{self.conflicts} records were"
            raise StalePlan(f"{records} changed since the plan was made: nothing more was sent; {ADVICE}")
