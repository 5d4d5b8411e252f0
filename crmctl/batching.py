"""Cut changes into requests, by count and by bytes, and say how many requests an apply will send. Pure.

In: changes of one kind and action, and what the kind's capability allows. Out: batches, or counts by route. Both come
from the same cut, so what a plan announces is what an apply sends when nothing fails.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from crmctl.capability import Capability
from crmctl.diff import Change
from crmctl.live import look_ups, reads_by_key
from crmctl.values import meaning
from crmctl.verification import Verify, sample

MAX_BODY_BYTES = 1_000_000
"""How large the body of a request may get, unless a target says otherwise; of one record alone it may be larger."""
ENVELOPE = 256
"""Bytes around a record that its own fields don't show: ids, longer names, what belongs to it."""

WIDEST = 12
"""Bytes that a character takes at most: JSON is sent in ASCII, and what lies beyond the basic plane as two escapes."""
SCALARS = frozenset({bool, int, float, type(None)})
LONGEST_SCALAR = 64

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def batches(
    changes: Sequence[Change], size: int, by: Sequence[str] = (), max_bytes: int = MAX_BODY_BYTES
) -> list[Sequence[Change]]:
    """Cut changes of one kind and action into requests, in their order; those of one request share what `by` names.

    That takes the fewest requests there can be: every group's last one may have room, and no other has. A request holds
    at most `size` records, and bodies of about `max_bytes`.
    """
    groups: dict[Any, list[Change]] = {}
    for change in changes if by else ():
        groups.setdefault(tuple(meaning(change.after.fields.get(name), "set") for name in by), []).append(change)
    return [
        batch
        for group in (groups.values() if by else [changes])
        for batch in (_cut(group, size, max_bytes) if size > 1 else [[change] for change in group])
    ]


def weigh(change: Change) -> int:
    """Return about how many bytes of a body a change takes: an estimate, from what is declared, and on the large side.

    How a vendor names things is not known here; what counts are long texts.
    """
    return len(_encode(_written(change))) + ENVELOPE


def _bound(change: Change) -> int:
    """Return what a change weighs at most; told much faster, and enough for almost every batch."""
    total = ENVELOPE
    for name, value in _written(change).items():
        text = value if value.__class__ is str else "" if value.__class__ in SCALARS else str(value)
        total += LONGEST_SCALAR + WIDEST * (len(name) + len(text))
    return total


def _written(change: Change) -> Mapping[str, Any]:
    return change.after.fields if change.action == "create" else {one.path: one.after for one in change.fields}


def _cut(changes: Sequence[Change], size: int, max_bytes: int) -> Iterator[Sequence[Change]]:
    """Yield as many records as fit, and one in any case."""
    for start in range(0, len(changes), size):
        batch = changes[start : start + size]
        if sum(map(_bound, batch)) > max_bytes:
            yield from _weigh_out(changes[start:], size, max_bytes)
            return
        yield batch


def _weigh_out(changes: Sequence[Change], size: int, max_bytes: int) -> Iterator[Sequence[Change]]:
    """Yield as many records as fit, by what each weighs."""
    start, weight = 0, 0
    for index, change in enumerate(changes):
        own = weigh(change)
        if index > start and (index - start >= size or weight + own > max_bytes):
            yield changes[start:index]
            start, weight = index, 0
        weight += own
    yield changes[start:]


def expect(
    kind: str, changes: Sequence[Change], capability: Capability, seen: int, max_bytes: int, *, verify: Verify = "all"
) -> Iterator[tuple[str, int]]:
    """Yield the requests, by route, that one kind costs when nothing fails: each batch, and the reads around it.

    Updates are read before they are sent, and as much as `verify` says after that, like creates. `changes` are those of
    the kind, `seen` is how many records of it there are, as far as that is known.
    """
    creates = [change for change in changes if change.action == "create"]
    carried = [change for change in creates if change.reason]
    own = [change for change in creates if not change.reason]
    updates = [change for change in changes if change.action == "update"]
    there = seen + len(creates)
    tried = False
    for chosen, size, by, route in (
        (own, capability.create_batch, capability.batch_by, capability.create_route),
        (updates, capability.update_batch, (), capability.update_route),
    ):
        cut = batches(chosen, size, by, max_bytes)
        if not cut:
            continue
        yield route, len(cut)
        if not capability.read:
            continue
        if capability.tries and (not tried or capability.tries_each) and _has_custom(chosen):
            tried = True
            yield capability.read_route, 1
        read = [chosen] if verified_together(capability) else cut
        if chosen is updates:
            yield from expect_reads(kind, read, capability, there)
        if looked_at := [some for batch in read if (some := sample(batch, verify))]:
            yield from expect_reads(kind, looked_at, capability, there)
    if carried and capability.read:
        yield from expect_reads(kind, [carried], capability, there)


def expect_reads(
    kind: str, cut: Sequence[Sequence[Change]], capability: Capability, there: int
) -> Iterator[tuple[str, int]]:
    """Yield the requests, by route, that reading some batches back costs; `there` are all records of the kind."""
    if reads_by_key(capability, max(map(len, cut))):
        route = capability.look_up_route or capability.read_route
        size = capability.look_up_batch
        yield route, sum(1 for b in cut for _ in look_ups(kind, [(c.after, c.before) for c in b], size))
    elif capability.read_within:
        for batch in cut:
            owners = {c.after.refs[capability.read_within] for c in batch if capability.read_within in c.after.refs}
            yield capability.read_route, len(owners) * _pages(1, capability)
    else:
        yield capability.read_route, len(cut) * _pages(there, capability)


def uncertain(kind_changes: Sequence[Change], capability: Capability) -> bool:
    """Tell whether a kind may cost more requests than expected though nothing fails: ways to write are tried."""
    written = [change for change in kind_changes if change.action in {"create", "update"}]
    return capability.tries and _has_custom(written)


def verified_together(capability: Capability) -> bool:
    """Tell whether all writes of a kind are read back at once, as no keyed read takes a whole batch."""
    return capability.look_up_batch <= 1


def _pages(records: int, capability: Capability) -> int:
    """Return how many requests reading that many records costs."""
    size = capability.page_size or 100
    pages = max(1, ceil(records / size)) + capability.ends_empty
    if capability.doubts is None:
        return pages
    least, multiple = capability.doubts
    return pages + (least <= records < size and records % multiple == 0)


def _has_custom(changes: Sequence[Change]) -> bool:
    """Tell whether a custom field is written."""
    names: set[str] = set().union(*map(_written, changes))
    return any(name.startswith("custom_fields.") for name in names)
