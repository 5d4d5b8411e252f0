"""Stage 4: read what the CRM holds, for what is desired: keyed look-ups where they are cheaper, else everything.

In: the desired state, a provider, and what earlier runs remember. Out: `Live`, with every matched record by key, and
what may not be created though it was not found. Nothing is written.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import chain, islice
from typing import NamedTuple

from crmctl import blocked
from crmctl.capability import Capability
from crmctl.desired import Desired
from crmctl.found import Found, look_for
from crmctl.identity import cut, spellings
from crmctl.kinds import COMPOSED, FORMER_KEY, KINDS, NOTHING
from crmctl.memory import Memory, Trace
from crmctl.provider import Provider, Scope
from crmctl.resource import Address, Resource

ASSUMED_PAGES = 20
"""How many pages a CRM is assumed to have while nothing is known: keyed reads of fewer requests are sent at once."""


LONGEST_PAUSE = 5.0
"""Seconds between two looks for something that may still show."""


class Live(NamedTuple):
    """What was found: matched records by kind and key.

    `duplicates` names the ids of live records that share a key, `unmanaged` how many live records no manifest declares
    (None: not everything was read), `unreadable` the declared fields that reads don't return. `ids` are those of
    records that others refer to, `blocked` says why a record that was not found can't be created, `seen` how many
    records of a kind there are, where all of them were read (and by `kind/place`, where they are read one by one),
    `moved` what journals know under a former address, `taken` the ids of records that journals know to be others'.
    """

    records: Mapping[str, Mapping[str, Resource]]
    duplicates: Mapping[Address, tuple[str, ...]]
    unmanaged: Mapping[str, int | None]
    unreadable: Mapping[str, frozenset[str]]
    ids: Mapping[Address, str] = NOTHING
    blocked: Mapping[Address, str] = NOTHING
    seen: Mapping[str, int] = NOTHING
    moved: Mapping[Address, Trace] = NOTHING
    taken: Collection[str] = ()


class Patience(NamedTuple):
    """How long a write may take to show in reads: `settle` seconds after it was sent."""

    settle: float = 0.0
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


NO_MEMORY = Memory()
AT_ONCE = Patience()


async def read(
    provider: Provider,
    desired: Desired,
    ignored: Mapping[str, frozenset[str]],
    explain: Callable[[str], None],
    memory: Memory = NO_MEMORY,
    patience: Patience = AT_ONCE,
) -> Live:
    """Read every kind that is desired; `ignored` names fields that are never compared, `explain` hears what is done."""
    reader = _Reader(provider, explain, memory, patience)
    kinds = [kind for kind, resources in desired.resources.items() if resources and kind in provider.capabilities]
    reader.identified = COMPOSED.union(*(provider.capabilities[kind].refs for kind in kinds))
    mentioned = _mentioned(provider, desired)
    for kind, declared in desired.resources.items():
        capability = provider.capabilities.get(kind, Capability())
        wanted = {**mentioned[kind], **declared} if kind in mentioned else declared
        if not wanted:
            continue
        if capability.refs_exist:
            reader.blocked |= blocked.orphans(declared, desired, reader.ids, reader.duplicates, reader.blocked)
        elif reader.renamed:
            reader.blocked |= blocked.renamed(declared, reader.renamed, provider.capabilities)
        if capability.read:
            await reader.take(kind, declared, wanted, ignored.get(kind, frozenset()))
        elif capability.create:
            reader.remember(kind, declared)
    return reader.live()


def _mentioned(provider: Provider, desired: Desired) -> Mapping[str, Mapping[str, Resource]]:
    """Return stand-ins for records that are referred to, not declared, and whose ids the provider needs."""
    found: dict[str, dict[str, Resource]] = {}
    for kind, resources in desired.resources.items():
        needed = provider.capabilities.get(kind, Capability()).refs
        for resource in resources.values() if needed else ():
            for ref in resource.refs.values():
                if ref.kind in needed and ref.key not in desired.resources.get(ref.kind, {}):
                    stand_in = Resource(ref, {KINDS[ref.kind].key_field: ref.key})
                    found.setdefault(ref.kind, {})[ref.key] = stand_in
    return found


class _Reader:
    """One reading of a CRM, kind after kind."""

    def __init__(self, provider: Provider, explain: Callable[[str], None], memory: Memory, patience: Patience) -> None:
        self.provider = provider
        self.explain = explain
        self.memory = memory
        self.patience = patience
        self.begun = patience.clock()
        self.records: dict[str, Mapping[str, Resource]] = {}
        self.duplicates: dict[Address, tuple[str, ...]] = {}
        self.unmanaged: dict[str, int | None] = {}
        self.unreadable: dict[str, frozenset[str]] = {}
        self.ids: dict[Address, str] = {}
        self.blocked: dict[Address, str] = {}
        self.seen: dict[str, int] = {}
        self.renamed: dict[Address, str] = {}
        self.moved: dict[Address, Trace] = {}
        self.former: dict[Address, Address] = {}
        # What earlier runs know to be other records' may say the same, and is not declared here or left out.
        self.taken = {trace.remote_id for trace in memory.traces.values() if trace.remote_id}
        self.identified = COMPOSED  # kinds whose ids something needs

    def live(self) -> Live:
        """Return everything read."""
        return Live(
            self.records,
            self.duplicates,
            self.unmanaged,
            self.unreadable,
            self.ids,
            self.blocked,
            self.seen,
            self.moved,
            self.taken,
        )

    async def take(
        self, kind: str, declared: Mapping[str, Resource], wanted: Mapping[str, Resource], ignored: frozenset[str]
    ) -> None:
        """Read one kind: what is declared, and in `wanted` what is only mentioned as well."""
        fields = declared_fields(declared.values()) - ignored
        asked = sorted(fields if kind in COMPOSED else fields | {KINDS[kind].key_field})
        traces: dict[Address, Trace] = {}
        if not self.provider.capabilities[kind].dedupes:
            known = ((resource.address, self.trace(resource)) for resource in declared.values())
            traces = {address: trace for address, trace in known if trace is not None}
        found, everything = await self.search(kind, wanted, asked, traces)
        # What a killed run may have sent is waited for, as long as it may take to show.
        while left := self.doubt(traces, found):
            self.explain(f"{kind}: an earlier run may have sent a record that does not show: looking again")
            await self.patience.sleep(left)
            found, everything = await self.search(kind, wanted, asked, traces)
        # A record that has its former key still is the one that is meant, unless there is another with the new key.
        matched = {**found.renamed, **found.records}
        self.records[kind] = (
            matched if wanted is declared else {key: matched[key] for key in matched.keys() & declared.keys()}
        )
        self.take_found(kind, matched, found, everything=everything)
        self.unreadable[kind] = await unreadable_fields(self.provider, kind, fields, found)
        self.blocked |= blocked.lost(traces, matched, self.reworded(declared, traces), self.former)
        if not self.provider.capabilities[kind].dedupes and self.memory.doubts:
            new = (Address(kind, key) for key in declared.keys() - matched.keys())
            self.blocked |= {a: blocked.in_doubt(self.memory) for a in new if a not in traces}

    def take_found(self, kind: str, matched: Mapping[str, Resource], found: Found, *, everything: bool) -> None:
        """Keep what reading a kind has found besides the records themselves."""
        self.renamed |= {Address(kind, key): r.address.key for key, r in matched.items() if r.address.key != key}
        for key, ids in found.ids.items():
            self.duplicates[Address(kind, key)] = tuple(sorted(ids))
        self.blocked |= {Address(kind, key): blocked.unclear(ids) for key, ids in found.unclear().items()}
        if kind in self.identified:
            self.ids.update({Address(kind, key): record.remote_id or "" for key, record in matched.items()})
            for address in self.duplicates:
                self.ids.pop(address, None)
        if everything:
            self.seen[kind] = len(found.strangers) + len(matched) + sum(len(ids) - 1 for ids in found.ids.values())
            self.seen |= {f"{kind}/{place}": number for place, number in found.places.items()}
        # Of what is read by what it belongs to, others may be elsewhere.
        self.unmanaged[kind] = len(found.strangers) if everything and kind not in COMPOSED else None

    def trace(self, resource: Resource) -> Trace | None:
        """Return what earlier runs know of a record, by its key or by the one it had before."""
        found = self.memory.trace(resource.address)
        if found is not None or resource.was is None:
            return found
        former = Address(resource.address.kind, resource.was)
        found = self.memory.trace(former)
        self.former[resource.address] = former
        if found is not None and found.state in {"known", "settled"}:
            self.moved[resource.address] = found
        return found

    async def search(
        self, kind: str, wanted: Mapping[str, Resource], asked: list[str], traces: Mapping[Address, Trace]
    ) -> tuple[Found, bool]:
        """Look for all records of a kind."""
        ids = {address: trace.remote_id for address, trace in traces.items() if trace.remote_id is not None}
        return await _read_kind(
            self.provider, look_for(kind, wanted, ids, self.taken), kind, asked, Scope(wanted, self.ids), self.explain
        )

    def doubt(self, traces: Mapping[Address, Trace], found: Found) -> float:
        """Return for how many seconds something that a killed run may have sent can still appear."""
        # What another clock puts into the future was sent at the latest when this run began.
        open_ = (t for address, t in traces.items() if t.state == "open" and address.key not in found.records)
        sent = [min(trace.at, self.begun) for trace in open_]
        left = max(sent) + self.patience.settle - self.patience.clock() if sent else 0.0
        return max(0.0, min(left, self.patience.settle, LONGEST_PAUSE))

    def reworded(self, declared: Mapping[str, Resource], traces: Mapping[Address, Trace]) -> set[Address]:
        """Return what a killed run may have sent that said something else then, and is known by what it says.

        What has its name in its address had the same one then.
        """
        sent = (a for a, trace in traces.items() if trace.state == "open" and trace.content and a.kind in COMPOSED)
        unsure = [declared[address.key] for address in sent if not blocked.says_its_name(declared[address.key])]
        return {one.address for one in unsure if traces[one.address].content != self.memory.seal(one)}

    def remember(self, kind: str, declared: Mapping[str, Resource]) -> None:
        """Take what the journal says for what is there, of a kind that can't be read."""
        records: dict[str, Resource] = {}
        for key, resource in declared.items():
            trace = self.trace(resource)
            reason = blocked.unreadable(resource, trace, self.memory)
            if reason:
                self.blocked[resource.address] = reason
            elif trace is not None:
                records[key] = Resource(resource.address, resource.fields, remote_id=trace.remote_id)
        self.records[kind] = records
        self.unmanaged[kind] = None


async def read_back(
    provider: Provider,
    kind: str,
    wanted: Sequence[tuple[Resource, Resource | None]],
    fields: Sequence[str],
    ids: Mapping[Address, str] = NOTHING,
    known: Mapping[Address, str] = NOTHING,
    taken: Collection[str] = (),
) -> Found:
    """Read some records again: desired ones, each with the live record it is, if that is known.

    By key, unless everything takes fewer requests. `ids` are those of the records that they refer to, `known` their own
    as far as something has told them, `taken` those of others that may say the same.
    """
    found = look_for(kind, {desired.address.key: desired for desired, _ in wanted}, known, taken)
    capability, scope = provider.capabilities[kind], Scope(found.desired, ids)
    if not reads_by_key(capability, len(wanted)):
        async for page in provider.read(kind, None, fields, scope):
            found.add(page)
        return found
    for request in look_ups(kind, wanted, capability.look_up_batch):
        async for page in provider.read(kind, request, fields, scope):
            found.add(page)
    return found


def reads_by_key(capability: Capability, number: int) -> bool:
    """Tell whether some records are better looked up than found among everything."""
    return capability.look_up_batch > 1 or 0 < number * capability.look_up_batch <= ASSUMED_PAGES


async def unreadable_fields(provider: Provider, kind: str, fields: Iterable[str], found: Found) -> frozenset[str]:
    """Return the fields that reads don't return, as far as the records found (or any others) can tell.

    A vendor may leave out members without a value, so absence from a few records proves nothing by itself.
    """
    absent = sorted(set(fields) - found.members) if found.members else []
    return frozenset([field for field in absent if await provider.carries(kind, field) is False])


def look_ups(kind: str, wanted: Iterable[tuple[Resource, Resource | None]], size: int) -> Iterator[list[str]]:
    """Yield the key spellings that find the records, a request's worth in each list.

    Asked for are the key, the spelling as declared and, where the live record is known, the spelling it has there.
    """
    return cut((_spell(kind, desired, live) for desired, live in wanted), size or 1)


def _spell(kind: str, desired: Resource, live: Resource | None) -> Sequence[str]:
    """Return the spellings of one record's key."""
    key_field = KINDS[kind].key_field
    key = desired.address.key
    declared = desired.fields if desired.origin is None else desired.origin
    group = spellings(kind, key, declared.get(key_field, key))
    if desired.was is not None:
        group = (*group, *spellings(kind, desired.was, declared.get(FORMER_KEY, desired.was)))
    stored = live.fields.get(key_field) if live is not None else None
    return (*group, stored) if isinstance(stored, str) and stored not in group else group


def declared_fields(resources: Iterable[Resource]) -> set[str]:
    """Return the names of all fields that some resource declares."""
    names: set[str] = set()
    for resource in resources:
        names.update(resource.fields)
    return names


async def _read_kind(
    provider: Provider, found: Found, kind: str, fields: list[str], scope: Scope, explain: Callable[[str], None]
) -> tuple[Found, bool]:
    """Choose between keyed reads and reading everything; tell whether everything was seen.

    The number of pages is not known beforehand, so reading everything is given up once it costs more than keyed reads
    would have: never more than twice the cheaper way.
    """
    capability, wanted = provider.capabilities[kind], found.desired
    requests: list[list[str]] = []
    rest: Iterator[list[str]] = iter(())
    if capability.look_up_batch:
        rest = look_ups(kind, ((resource, None) for resource in wanted.values()), capability.look_up_batch)
        requests = list(islice(rest, ASSUMED_PAGES + 1))
    if requests and len(requests) <= ASSUMED_PAGES:
        explain(f"{kind}: reading by key, requests: {len(requests)} (everything is assumed to take {ASSUMED_PAGES})")
    else:
        # So many look-ups at least; counting them exactly would cost more than it tells.
        enough = -(-len(wanted) // capability.look_up_batch) if requests else 0
        cost = f"look-ups by key would take {enough} requests or more" if enough else "there are no look-ups by key"
        explain(f"{kind}: reading everything, as {cost}")
        async with aclosing(provider.read(kind, None, fields, scope)) as pages:
            number = 0
            async for page in pages:
                found.add(page)
                number += 1
                if enough and number > enough:
                    explain(f"{kind}: more than {number} pages: reading by key after all")
                    break
            else:
                return found, True
    for request in chain(requests, rest):
        async for page in provider.read(kind, request, fields, scope):
            found.add(page)
    return found, await _find_missing(provider, found, kind, fields, scope, explain)


async def _find_missing(
    provider: Provider, found: Found, kind: str, fields: list[str], scope: Scope, explain: Callable[[str], None]
) -> bool:
    """Look for what look-ups by key have not found, if it may be stored in another spelling; tell whether all was read.

    Whoever is stored as Jane@Acme.example, or www.acme.example, is not found by the key, and must not be created again.
    """
    # One that has its former key counts: another may have the new one in another spelling, and that one is meant.
    missing = [resource for key, resource in found.desired.items() if key not in found.records]
    if not missing or (not KINDS[kind].spelled_freely and await provider.folds_case(kind)):
        return False
    by_text = await provider.finds_by_text(kind)
    if by_text is None:
        return False
    if by_text and len(missing) <= ASSUMED_PAGES:
        explain(f"{kind}: searching for keys that may be stored in another spelling, {len(missing)}")
        for resource in missing:
            for key in filter(None, (resource.address.key, resource.was)):
                for spelling in spellings(kind, key, ""):
                    async for page in provider.search(kind, spelling, fields):
                        found.add(page)
        return False
    explain(f"{kind}: {len(missing)} keys were not found, and may be stored in another spelling: reading everything")
    async for page in provider.read(kind, None, fields, scope):
        found.add(page)
    return True
