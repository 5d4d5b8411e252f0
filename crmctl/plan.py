"""Stage 6: changes -> plan: order, batches, limits, the requests an apply will send. Pure.

A plan is a value; `describe.py` says it as the document that reports render and plan files hold.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crmctl.capability import Capability
from crmctl.desired import Notice
from crmctl.diff import Change, Difference, Held, Rules
from crmctl.kinds import KINDS
from crmctl.live import Live, look_ups


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one apply may change; None is no limit.

    `max_percent` is about updates of matched live records and counts from `LEAST_POPULATION` records up.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    max_percent: float | None = 30


LEAST_POPULATION = 10
"""Below so many matched records a percentage says nothing: one update of two records is half of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order of kinds and keys.

    `matched` is how many live records were found for what is declared, `unmanaged` how many others there are (None:
    not everything was read), `reads` the requests, by route, that reading has cost.
    """

    target: str
    provider: str
    changes: tuple[Change, ...] = field(repr=False)  # asyncio takes the repr of what a run returns, to no end
    unchanged: int
    matched: int
    unmanaged: int | None
    unreadable: tuple[tuple[str, str], ...]
    held: tuple[Held, ...] = field(repr=False)
    notices: tuple[Notice, ...] = field(repr=False)
    reads: Mapping[str, int]
    capabilities: Mapping[str, Capability] = field(repr=False)
    manifest_digest: str
    created_at: datetime
    rules: Rules = field(default_factory=Rules)

    def count(self, action: str) -> int:
        """Return how many changes are of one action."""
        return sum(change.action == action for change in self.changes)

    @property
    def requests(self) -> Mapping[str, int]:
        """Return what an apply will send, by route: what planning reads, the batches, and the look-ups behind them."""
        counts = Counter(self.reads)
        for kind in KINDS:
            for route, number in _writes(kind, self.changes, self.capabilities.get(kind, Capability())):
                counts[route] += number
        return dict(sorted(counts.items()))

    @property
    def pending(self) -> bool:
        """Tell whether an apply would write anything."""
        return any(change.action != "report" for change in self.changes)


def build(
    difference: Difference,
    live: Live,
    capabilities: Mapping[str, Capability],
    *,
    target: str,
    provider: str,
    notices: Sequence[Notice],
    reads: Mapping[str, int],
    manifest_digest: str,
    rules: Rules,
    now: datetime,
) -> Plan:
    """Make the plan; what a capability lacks becomes a report. `reads` are the requests that reading has cost."""
    able = (fit_to(change, capabilities.get(change.address.kind, Capability())) for change in difference.changes)
    changes = tuple(able)
    unmanaged = list(live.unmanaged.values())
    return Plan(
        target=target,
        provider=provider,
        changes=changes,
        unchanged=difference.unchanged,
        matched=sum(len(records) for records in live.records.values()),
        unmanaged=sum(number or 0 for number in unmanaged) if unmanaged and None not in unmanaged else None,
        unreadable=tuple((kind, name) for kind in sorted(live.unreadable) for name in sorted(live.unreadable[kind])),
        held=difference.held,
        notices=tuple(notices),
        reads=dict(reads),
        capabilities=capabilities,
        manifest_digest=manifest_digest,
        created_at=now.astimezone(UTC),
        rules=rules,
    )


def batches(changes: Sequence[Change], size: int) -> list[Sequence[Change]]:
    """Cut changes of one kind and action into requests, in their order."""
    return [changes[start : start + size] for start in range(0, len(changes), size)]


def select(changes: Sequence[Change], kind: str, action: str) -> list[Change]:
    """Return the changes of one kind and action, in their order."""
    return [change for change in changes if change.action == action and change.address.kind == kind]


def fit_to(change: Change, capability: Capability) -> Change:
    """Turn a change that the provider can't make into a report."""
    rekeys = any(changed.path == KINDS[change.address.kind].key_field for changed in change.fields)
    if change.action == "report" or (getattr(capability, change.action) and (capability.rekeys or not rekeys)):
        return change
    reason = f"this target can't {change.action} a record of this kind"
    if rekeys:
        reason = f"the CRM holds it as {change.after.was}, and this target can't change a key: change it there"
    return Change(change.address, "report", change.before, change.after, change.fields, reason)


def _writes(kind: str, changes: Sequence[Change], capability: Capability) -> Iterator[tuple[str, int]]:
    """Yield the requests that one kind costs: each batch, and the look-ups that verify it."""
    steps = (
        ("create", capability.create_batch, capability.create_route),
        ("update", capability.update_batch, capability.update_route),
    )
    for action, size, route in steps:
        cut = batches(select(changes, kind, action), size)
        if cut:
            yield route, len(cut)
            reads = sum(
                1
                for batch in cut
                for _ in look_ups(kind, [(c.after, c.before) for c in batch], capability.look_up_batch)
            )
            yield capability.read_route, reads


def exceeded(plan: Plan, limits: Limits) -> list[str]:
    """Return what in the plan goes beyond a limit, as sentences."""
    found: list[str] = []
    creates, updates = plan.count("create"), plan.count("update")
    if limits.max_creates is not None and creates > limits.max_creates:
        found.append(f"{creates} creates are more than max_creates allows ({limits.max_creates})")
    if limits.max_updates is not None and updates > limits.max_updates:
        found.append(f"{updates} updates are more than max_updates allows ({limits.max_updates})")
    if limits.max_percent is not None and plan.matched >= LEAST_POPULATION:
        percent = 100 * updates / plan.matched
        if percent > limits.max_percent:
            share = f"{updates} of {plan.matched} matched records ({percent:.0f} %)"
            found.append(f"updating {share} is more than max_percent allows ({limits.max_percent:g} %)")
    return found
