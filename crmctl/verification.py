"""How much of what was sent is read back: everything, a sample of each batch, or nothing. Pure.

What is not read back is called sent, never created or updated.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeVar

from crmctl.capability import Capability
from crmctl.diff import Change
from crmctl.kinds import COMPOSED

Verify = Literal["all", "sample", "off"]
VERIFY: tuple[Verify, ...] = ("all", "sample", "off")
SAMPLE = 10
"""Of so many records in a batch one is looked at, the first being one of them."""

Item = TypeVar("Item")


def demanded(verify: Verify, kind: str, capability: Capability, identified: Collection[str]) -> Verify:
    """Return how much of a kind is verified where `verify` was asked for.

    Everything of what is created once: the journal has to remember what became of it. Everything as well where a create
    takes no more than a key, since an update has to follow, and of kinds whose ids other records need (`identified`).
    """
    wanted = not capability.dedupes or capability.bare or kind in identified
    return "all" if wanted else verify


def identified(changes: Sequence[Change], capabilities: Mapping[str, Capability]) -> frozenset[str]:
    """Return the kinds of which an apply needs to know the ids: records that are changed refer to them by id."""
    kinds = {change.address.kind for change in changes}
    return COMPOSED.union(*(capability.refs for kind, capability in capabilities.items() if kind in kinds))


def sample(batch: Sequence[Item], verify: Verify) -> Sequence[Item]:
    """Return those of a batch that are read back: every tenth, evenly over the batch, the same ones each time."""
    return batch if verify == "all" else batch[::SAMPLE] if verify == "sample" else batch[:0]
