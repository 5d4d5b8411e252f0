"""Which changes go first, to see whether they come out right before the rest follows. Pure.

In: the changes of a plan, and how many are to go first. Out: the turns in which an apply takes them.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from crmctl.diff import Change
from crmctl.kinds import KINDS


def turns(changes: Sequence[Change], size: int) -> list[Sequence[Change]]:
    """Return the changes in one turn, or in two where a canary of `size` records goes first and leaves others behind.

    The canary is dealt out in turn to creates and updates of every kind, each in the order of the plan, so that a few
    records try each sort of write. What belongs to a record that is still to be created waits for the rest.
    """
    sendable = [change for change in changes if change.action != "report" and not change.reason]
    if not 0 < size < len(sendable):
        return [changes]
    chosen = {change.address for change in islice(_deal(sendable), size)}
    return [
        [change for change in changes if change.address in chosen],
        [change for change in changes if change.address not in chosen],
    ]


def _deal(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes one of each kind and action at a time; never one before its owner."""
    waiting = {change.address for change in changes if change.action == "create"}
    piles = [
        iter([change for change in changes if (change.address.kind, change.action) == (kind, action)])
        for kind in KINDS
        for action in ("create", "update")
    ]
    while piles:
        for pile in list(piles):
            change = next((one for one in pile if waiting.isdisjoint(one.after.refs.values())), None)
            if change is None:
                piles.remove(pile)
            else:
                waiting.discard(change.address)
                yield change
