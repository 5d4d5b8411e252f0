"""Cut changes into requests, by count and by bytes, and say how many requests an apply will send. Pure.

In: changes of one kind and action, and what the kind's capability allows. Out: batches, or counts by route. Both come
from the same cut, so what a plan announces is what an apply sends when nothing fails.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from crmctl.capability import Capability
from crmctl.diff import Change
from crmctl.found import place_of
from crmctl.kinds import COMPOSED
from crmctl.live import look_ups, reads_by_key
from crmctl.resource import Address
from crmctl.values import meaning
from crmctl.verification import Verify, sample

MAX_BODY_BYTES = 1_000_000
"""How large the body of a request may get, unless a target says otherwise; of one record alone it may be larger."""
ENVELOPE = 256
"""Bytes around a record that its own fields don't show: ids, longer names, what belongs to it."""
FINDING_OUT = 3
"""Requests that the first list with anything on it may take besides, where pages have numbers: which is the first?"""

WIDEST = 12
"""Bytes that a character takes at most: JSON is sent in ASCII, and what lies beyond the basic plane as two escapes."""

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def batches(
    changes: Sequence[Change], size: int, by: Sequence[str] = (), max_bytes: int = MAX_BODY_BYTES
) -> Iterator[Sequence[Change]]:
    """Cut changes of one kind and action into requests, in their order; those of one request share what `by` names.

    That takes the fewest requests there can be: every group's last one may have room, and no other has. A request holds
    at most `size` records, and bodies of about `max_bytes`. The next one is cut when it is asked for, so that the first
    can leave before.
    """
    groups: dict[Any, list[Change]] = {}
    for change in changes if by else ():
        groups.setdefault(tuple(meaning(change.after.fields.get(name), "set") for name in by), []).append(change)
    for group in groups.values() if by else [changes]:
        yield from _cut(group, size, max_bytes) if size > 1 else ([change] for change in group)


def weigh(change: Change) -> int:
    """Return about how many bytes of a body a change takes: an estimate, from what is declared, and on the large side.

    How a vendor names things is not known here; what counts are long texts.
    """
    return len(_encode(_written(change))) + ENVELOPE


def _bound(change: Change) -> int:
    """Return what a change weighs at most; told much faster, and enough for almost every batch."""
    written = _written(change)
    try:
        return ENVELOPE + WIDEST * (len("".join(written)) + len("".join(written.values())) + len(written) + 1)
    except TypeError:  # not all of them are texts
        return ENVELOPE + WIDEST * len(repr(written))


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
    kind: str,
    changes: Sequence[Change],
    capability: Capability,
    seen: Counter[str],
    max_bytes: int,
    *,
    verify: Verify = "all",
    made: Collection[Address] = (),
) -> Iterator[tuple[str, int]]:
    """Yield the requests, by route, that one kind costs when nothing fails: each batch, and the reads around it.

    Updates are read before they are sent, as are creates that nothing dedupes, unless their owner is `made` in the same
    run; and as much as `verify` says after that. `changes` are those of the kind, `seen` is how many records of it
    there are, and where, as far as that is known (`places`).
    """
    creates = [change for change in changes if change.action == "create"]
    carried = [change for change in creates if change.reason]
    own = [change for change in creates if not change.reason]
    updates = [change for change in changes if change.action == "update"]
    there = seen + places(changes)
    tried = False
    if capability.looks_first and (looked_for := unmade(own, made)):
        yield from expect_reads(kind, [looked_for], capability, seen)
    for chosen, size, by, route in (
        (own, capability.create_batch, capability.batch_by, capability.create_route),
        (updates, capability.update_batch, (), capability.update_route),
    ):
        cut = list(batches(chosen, size, by, max_bytes))
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
    kind: str, cut: Sequence[Sequence[Change]], capability: Capability, there: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    """Yield the requests, by route, that reading some batches back costs; `there` counts all records, like `places`.

    Where a list ends with an empty page, one without any takes two requests until one has shown its first page.
    """
    if reads_by_key(capability, max(map(len, cut))):
        route = capability.look_up_route or capability.read_route
        size = capability.look_up_batch
        yield route, sum(1 for b in cut for _ in look_ups(kind, [(c.after, c.before) for c in b], size))
    elif capability.read_within:
        for batch in cut:
            lists = [there.get(place, 0) for place in {_place(change) for change in batch}]
            known = capability.ends_empty and there.get(kind, 0) > 0
            yield capability.read_route, sum(1 if known and not n else _pages(n, capability) for n in lists)
    else:
        yield capability.read_route, len(cut) * _pages(there.get(kind, 0), capability)


def places(changes: Iterable[Change]) -> Counter[str]:
    """Count what changes create: by kind, and by where it is read, if that is somewhere in particular."""
    creates = [change for change in changes if change.action == "create"]
    found = Counter(change.address.kind for change in creates)
    found.update(_place(change) for change in creates if change.address.kind in COMPOSED)
    return found


def unmade(creates: Sequence[Change], made: Collection[Address]) -> Sequence[Change]:
    """Return what may be there before it is created: nothing belongs to a record that was just `made`."""
    return [change for change in creates if not any(owner in made for owner in change.after.refs.values())]


def uncertain(kind_changes: Sequence[Change], capability: Capability) -> bool:
    """Tell whether a kind may cost more requests than expected though nothing fails: ways to write are tried."""
    written = [change for change in kind_changes if change.action in {"create", "update"}]
    return capability.tries and _has_custom(written)


def verified_together(capability: Capability) -> bool:
    """Tell whether all writes of a kind are read back at once, as no keyed read takes a whole batch."""
    return capability.look_up_batch <= 1


def _place(change: Change) -> str:
    return f"{change.address.kind}/{place_of(change.after)}"


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
