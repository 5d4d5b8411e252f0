"""Stage 6: changes -> plan: order, batches, the requests an apply will send. Pure.

A plan is a value; `describe.py` says it as the document that reports render and plan files hold.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from math import ceil

from crmctl.batching import MAX_BODY_BYTES, expect, places, uncertain
from crmctl.canary import turns
from crmctl.capability import Capability, Definition
from crmctl.desired import Desired, Notice
from crmctl.diff import Change, Difference, Held, Rules
from crmctl.identity import normalise
from crmctl.kinds import KINDS
from crmctl.live import Live
from crmctl.memory import Trace
from crmctl.resource import Address
from crmctl.values import empty
from crmctl.verification import Verify, demanded, identified

NOTHING_DESIRED = Desired({})
UNABLE = Capability()
"""What a target can do with a kind that it has no place for."""


@dataclass(eq=False, repr=False)  # asyncio takes the repr of what a run returns, to no end; not frozen: see `Session`
class Plan:
    """All changes, in the order of kinds and keys.

    `matched` is how many live records were found for what is declared, `unmanaged` how many others there are (None: not
    everything was read), `reads` the requests, by route, that reading has cost. `ids` are those of records that others
    refer to, `seen` how many records of a kind there are where all were read, `taken` the ids that journals know to be
    other records', `definitions` the custom fields to be made, `desired` what is declared, as the target can hold it.
    `rate` is how many requests a second may be sent at most, `max_body_bytes` how large one may get, `verify` how much
    of what was sent is read back, `canary` how many records go first.
    """

    target: str
    provider: str
    changes: tuple[Change, ...]
    unchanged: int
    matched: int
    unmanaged: int | None
    unreadable: tuple[tuple[str, str], ...]
    held: tuple[Held, ...]
    notices: tuple[Notice, ...]
    reads: Mapping[str, int]
    capabilities: Mapping[str, Capability]
    manifest_digest: str
    created_at: datetime
    rules: Rules = field(default_factory=Rules)
    ids: Mapping[Address, str] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    taken: Collection[str] = ()
    definitions: tuple[Definition, ...] = ()
    desired: Desired = NOTHING_DESIRED
    moved: Mapping[Address, Trace] = field(default_factory=dict)
    rate: float | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    verify: Verify = "all"
    canary: int = 0

    def count(self, action: str) -> int:
        """Return how many changes are of one action."""
        return sum(change.action == action for change in self.changes)

    @cached_property  # cutting all batches, as an apply will, takes a while, and several ask
    def requests(self) -> Mapping[str, int]:
        """Return what an apply will send, by route: what planning reads, the batches, and the look-ups behind them."""
        counts = Counter(self.reads)
        there = Counter(self.seen)
        kinds = {kind for kind, capability in self.capabilities.items() if capability.looks_first}
        made = {one.address for one in self.changes if one.address.kind in kinds and one.action == "create"}
        needed = identified(self.changes, self.capabilities)
        *first, rest = turns(self.changes, self.canary)
        for turn, verify in (*((turn, "all") for turn in first), (rest, self.verify)):
            for kind in KINDS:
                capability = self.capabilities.get(kind, UNABLE)
                changes = [change for change in turn if change.address.kind == kind]
                wanted = demanded(verify, kind, capability, needed)
                for route, number in expect(
                    kind, changes, capability, there, self.max_body_bytes, verify=wanted, made=made
                ):
                    counts[route] += number
                there.update(places(changes))
        for kind, number in Counter(definition.kind for definition in self.definitions).items():
            capability = self.capabilities[kind]
            counts[capability.define_route] += ceil(number / capability.define_batch)
            counts[capability.read_route] += capability.tries
        return dict(sorted(counts.items()))

    @property
    def at_least(self) -> bool:
        """Tell whether `requests` may be too few though nothing fails: how custom fields are written is found out."""
        return bool(self.definitions) or any(
            uncertain([change for change in self.changes if change.address.kind == kind], capability)
            for kind, capability in self.capabilities.items()
        )

    @property
    def seconds(self) -> float | None:
        """Return how long `requests` take at least, the first of which needs no wait; None where no rate is known."""
        return None if self.rate is None else max(0, sum(self.requests.values()) - 1) / self.rate

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
    rate: float | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> Plan:
    """Make the plan; what a capability lacks becomes a report. `reads` are the requests that reading has cost."""
    able = [fit_to(change, capabilities.get(change.address.kind, UNABLE)) for change in difference.changes]
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
        taken=live.taken,
        definitions=tuple(definitions),
        desired=desired,
        moved=live.moved,
        rate=rate,
        max_body_bytes=max_body_bytes,
    )


CARRIED = "made by the CRM together with {}"


def _carry(changes: Sequence[Change], capabilities: Mapping[str, Capability]) -> Iterator[Change]:
    """Mark what comes with a record of another kind: the account of a contact's e-mail domain need not be created.

    Only where there is nothing but the key to be written: a create sends the rest.
    """
    carriers: dict[Address, Address] = {}
    for change in changes:
        made = capabilities.get(change.address.kind, UNABLE).makes
        if change.action == "create" and made:
            key = normalise(made, change.address.key.rpartition("@")[2])
            carriers.setdefault(Address(made, key or ""), change.address)
    for change in changes:
        carrier = carriers.get(change.address) if carriers else None
        if change.action == "create" and carrier is not None and len(change.after.fields) == 1:
            yield change._replace(reason=CARRIED.format(carrier))
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
