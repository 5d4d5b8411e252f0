"""Stage 6: changes -> plan: order, batches, limits, the requests an apply will send. Pure.

A plan is a value; `describe.py` says it as the document that reports render and plan files hold.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from crmctl.capability import Capability, Definition
from crmctl.desired import Desired, Notice
from crmctl.diff import Change, Difference, Held, Rules
from crmctl.identity import normalise
from crmctl.kinds import KINDS
from crmctl.live import Live, look_ups, reads_by_key
from crmctl.resource import Address
from crmctl.values import empty, meaning


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


NOTHING_DESIRED = Desired({})


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order of kinds and keys.

    `matched` is how many live records were found for what is declared, `unmanaged` how many others there are (None:
    not everything was read), `reads` the requests, by route, that reading has cost. `ids` are those of records that
    others refer to, `seen` how many records of a kind there are where all were read, `definitions` the custom fields
    to be made, `desired` what is declared, as the target can hold it.
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
    ids: Mapping[Address, str] = field(default_factory=dict, repr=False)
    seen: Mapping[str, int] = field(default_factory=dict)
    definitions: tuple[Definition, ...] = ()
    desired: Desired = field(default=NOTHING_DESIRED, repr=False)

    def count(self, action: str) -> int:
        """Return how many changes are of one action."""
        return sum(change.action == action for change in self.changes)

    @property
    def requests(self) -> Mapping[str, int]:
        """Return what an apply will send, by route: what planning reads, the batches, and the look-ups behind them."""
        counts = Counter(self.reads)
        for kind in KINDS:
            capability = self.capabilities.get(kind, Capability())
            for route, number in _writes(kind, self.changes, capability, self.seen.get(kind, 0)):
                counts[route] += number
        for kind in {definition.kind for definition in self.definitions}:
            counts[self.capabilities[kind].define_route] += 1
        return dict(sorted(counts.items()))

    @property
    def pending(self) -> bool:
        """Tell whether an apply would write anything."""
        return bool(self.definitions) or any(change.action != "report" for change in self.changes)


def build(
    difference: Difference,
    live: Live,
    capabilities: Mapping[str, Capability],
    *,
    target: str,
    provider: str,
    desired: Desired,
    reads: Mapping[str, int],
    manifest_digest: str,
    rules: Rules,
    now: datetime,
    definitions: Sequence[Definition] = (),
) -> Plan:
    """Make the plan; what a capability lacks becomes a report. `reads` are the requests that reading has cost."""
    able = [fit_to(change, capabilities.get(change.address.kind, Capability())) for change in difference.changes]
    changes = tuple(_carry(able, capabilities))
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
        notices=tuple(desired.notices),
        reads=dict(reads),
        capabilities=capabilities,
        manifest_digest=manifest_digest,
        created_at=now.astimezone(UTC),
        rules=rules,
        ids=live.ids,
        seen=live.seen,
        definitions=tuple(definitions),
        desired=desired,
    )


def batches(changes: Sequence[Change], size: int, by: Sequence[str] = ()) -> list[Sequence[Change]]:
    """Cut changes of one kind and action into requests, in their order; those of one request share what `by` names.

    That takes the fewest requests there can be: every group's last one may have room, and no other has.
    """
    groups: dict[Any, list[Change]] = {}
    for change in changes if by else ():
        groups.setdefault(tuple(meaning(change.after.fields.get(name), "set") for name in by), []).append(change)
    return [
        group[start : start + size]
        for group in (groups.values() if by else [changes])
        for start in range(0, len(group), size)
    ]


CARRIED = "made by the CRM together with {}"


def _carry(changes: Sequence[Change], capabilities: Mapping[str, Capability]) -> Iterator[Change]:
    """Mark what comes with a record of another kind: the account of a contact's e-mail domain need not be created.

    Only where there is nothing but the key to be written: a create sends the rest.
    """
    carriers: dict[Address, Address] = {}
    for change in changes:
        made = capabilities.get(change.address.kind, Capability()).makes
        if change.action == "create" and made:
            key = normalise(made, change.address.key.rpartition("@")[2])
            carriers.setdefault(Address(made, key or ""), change.address)
    for change in changes:
        carrier = carriers.get(change.address)
        if change.action == "create" and carrier is not None and len(change.after.fields) == 1:
            yield replace(change, reason=CARRIED.format(carrier))
        else:
            yield change


def select(changes: Sequence[Change], kind: str, action: str) -> list[Change]:
    """Return the changes of one kind and action, in their order."""
    return [change for change in changes if change.action == action and change.address.kind == kind]


def fit_to(change: Change, capability: Capability) -> Change:
    """Turn a change that the provider can't make into a report."""
    kind = KINDS[change.address.kind]
    rekeys = not kind.composed and any(changed.path == kind.key_field for changed in change.fields)
    lacking = [name for name in capability.needs if empty(change.after.fields.get(name))]
    can = getattr(capability, change.action, False) and (capability.rekeys or not rekeys)
    if change.action == "report" or (can and (change.action != "create" or not lacking)):
        return change
    reason = f"this target can't {change.action} a record of this kind"
    if can:
        reason = f"this target creates none without {' and '.join(lacking)}: declare that"
    elif rekeys:
        reason = f"the CRM holds it as {change.after.was}, and this target can't change a key: change it there"
    return Change(change.address, "report", change.before, change.after, change.fields, reason)


def _writes(kind: str, changes: Sequence[Change], capability: Capability, seen: int) -> Iterator[tuple[str, int]]:
    """Yield the requests that one kind costs: each batch, and the reads that verify it."""
    creates = [change for change in select(changes, kind, "create") if not change.reason]
    steps = (
        (creates, capability.create_batch, capability.batch_by, capability.create_route),
        (select(changes, kind, "update"), capability.update_batch, (), capability.update_route),
    )
    for chosen, size, by, route in steps:
        cut = batches(chosen, size, by)
        if not cut:
            continue
        yield route, len(cut)
        if not capability.read:
            continue
        together = [chosen] if verified_together(capability) else cut
        if not reads_by_key(capability, len(chosen)):
            pages = -(-(seen + len(creates)) // (capability.page_size or 100))
            yield capability.read_route, max(1, pages) + capability.ends_empty
            continue
        yield (
            capability.read_route,
            sum(
                1
                for batch in together
                for _ in look_ups(kind, [(c.after, c.before) for c in batch], capability.look_up_batch)
            ),
        )


def verified_together(capability: Capability) -> bool:
    """Tell whether all writes of a kind are read back at once, as no keyed read takes a whole batch."""
    return capability.look_up_batch <= 1


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
