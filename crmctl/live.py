"""Stage 4: read what the CRM holds, for what is desired: keyed look-ups where they are cheaper, else everything.

In: the desired state, a provider, and what earlier runs remember. Out: `Live`, with every matched record by key, and
what may not be created though it was not found. Nothing is written.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain, islice

from crmctl.capability import Capability
from crmctl.desired import Desired
from crmctl.found import NOTHING, Found, look_for
from crmctl.identity import cut, spellings
from crmctl.kinds import COMPOSED, FORMER_KEY, KINDS
from crmctl.memory import Memory, Trace
from crmctl.provider import Provider, Scope
from crmctl.resource import Address, Resource

ASSUMED_PAGES = 20
"""How many pages a CRM is assumed to have while nothing is known: keyed reads of fewer requests are sent at once."""


LONGEST_PAUSE = 5.0
"""Seconds between two looks for something that may still show."""


@dataclass(frozen=True, slots=True)
class Live:
    """What was found: matched records by kind and key.

    `duplicates` names the ids of live records that share a key, `unmanaged` how many live records no manifest declares
    (None: not everything was read), `unreadable` the declared fields that reads don't return. `ids` are those of
    records that others refer to, `blocked` says why a record that was not found can't be created, `seen` how many
    records of a kind there are, where all of them were read.
    """

    records: Mapping[str, Mapping[str, Resource]]
    duplicates: Mapping[Address, tuple[str, ...]]
    unmanaged: Mapping[str, int | None]
    unreadable: Mapping[str, frozenset[str]]
    ids: Mapping[Address, str] = field(default_factory=dict)
    blocked: Mapping[Address, str] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patience:
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
            reader.block_orphans(declared, desired)
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
        self.identified = COMPOSED  # kinds whose ids something needs

    def live(self) -> Live:
        """Return everything read."""
        return Live(self.records, self.duplicates, self.unmanaged, self.unreadable, self.ids, self.blocked, self.seen)

    async def take(
        self, kind: str, declared: Mapping[str, Resource], wanted: Mapping[str, Resource], ignored: frozenset[str]
    ) -> None:
        """Read one kind: what is declared, and in `wanted` what is only mentioned as well."""
        fields = declared_fields(declared.values()) - ignored
        asked = sorted(fields if kind in COMPOSED else fields | {KINDS[kind].key_field})
        traces: dict[Address, Trace] = {}
        if not self.provider.capabilities[kind].dedupes:
            known = ((resource.address, self.memory.trace(resource.address)) for resource in declared.values())
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
        for key, ids in {**found.ids, **found.unclear()}.items():
            self.duplicates[Address(kind, key)] = tuple(sorted(ids))
        if kind in self.identified:
            self.ids.update({record.address: record.remote_id or "" for record in matched.values()})
            for address in self.duplicates:
                self.ids.pop(address, None)
        if everything:
            self.seen[kind] = len(found.strangers) + len(matched) + sum(len(ids) - 1 for ids in found.ids.values())
        self.unmanaged[kind] = len(found.strangers) if everything else None
        self.unreadable[kind] = await unreadable_fields(self.provider, kind, fields, found)
        self.block_lost(kind, traces, matched)

    async def search(
        self, kind: str, wanted: Mapping[str, Resource], asked: list[str], traces: Mapping[Address, Trace]
    ) -> tuple[Found, bool]:
        """Look for all records of a kind."""
        ids = {address: trace.remote_id for address, trace in traces.items() if trace.remote_id is not None}
        return await _read_kind(
            self.provider, look_for(kind, wanted, ids), kind, asked, Scope(wanted, self.ids), self.explain
        )

    def doubt(self, traces: Mapping[Address, Trace], found: Found) -> float:
        """Return for how many seconds something that a killed run may have sent can still appear."""
        # What another clock puts into the future was sent at the latest when this run began.
        open_ = (t for address, t in traces.items() if t.state == "open" and address.key not in found.records)
        sent = [min(trace.at, self.begun) for trace in open_]
        left = max(sent) + self.patience.settle - self.patience.clock() if sent else 0.0
        return max(0.0, min(left, self.patience.settle, LONGEST_PAUSE))

    def block_lost(self, kind: str, traces: Mapping[Address, Trace], matched: Mapping[str, Resource]) -> None:
        """Block what was created once, or may have been, and is not found."""
        for address, trace in traces.items():
            if address.key in matched or trace.state == "open":
                continue
            if trace.state == "unknown":
                reason = f"run {trace.run} sent it and did not find it afterwards: it may be there"
                self.blocked[address] = f"{reason}; say what became of it: {_settle(address, created=True)}"
            elif kind in COMPOSED:
                reason = f"run {trace.run} created it as {trace.remote_id or 'a record'}, and it is no longer there"
                self.blocked[address] = f"{reason}; to have it created again: {_settle(address, created=False)}"

    def remember(self, kind: str, declared: Mapping[str, Resource]) -> None:
        """Take what the journal says for what is there, of a kind that can't be read."""
        records: dict[str, Resource] = {}
        for key, resource in declared.items():
            address, trace = resource.address, self.memory.trace(resource.address)
            if trace is not None and trace.state in {"open", "unknown"}:
                reason = f"run {trace.run} may have created it, and this target can't be asked"
                self.blocked[address] = f"{reason}; say what became of it: {_settle(address, created=True)}"
            elif trace is not None and trace.content and trace.content != self.memory.seal(resource):
                reason = f"run {trace.run} created it with another content, and this target can't change it"
                self.blocked[address] = f"{reason}: change it there, then say so: {_settle(address, created=True)}"
            elif trace is not None:
                records[key] = Resource(address, resource.fields, remote_id=trace.remote_id)
            elif not self.memory.durable:
                self.blocked[address] = (
                    "this target can't be asked whether it is there, so it needs a durable journal: set `journal:` of "
                    "the target to a place that outlives this machine"
                )
            elif self.memory.foreign:
                self.blocked[address] = (
                    f"run {self.memory.foreign[-1]} may have created it, but its journal was written with another key: "
                    "set CRMCTL_PSEUDONYM_KEY to what it was"
                )
        self.records[kind] = records
        self.unmanaged[kind] = None

    def block_orphans(self, declared: Mapping[str, Resource], desired: Desired) -> None:
        """Block records that refer to one that neither is there nor is declared."""
        for resource in declared.values():
            for ref in resource.refs.values():
                if ref in self.duplicates:
                    self.blocked[resource.address] = f"{ref} is there more than once: merge it there"
                elif ref not in self.ids and ref.key not in desired.resources.get(ref.kind, {}):
                    self.blocked[resource.address] = f"{ref} is neither declared nor there: declare it"
                elif ref in self.blocked:
                    self.blocked[resource.address] = f"{ref} can't be created, and this record belongs to it"


def _settle(address: Address, *, created: bool) -> str:
    """Return the command that settles a doubt."""
    return f"crmctl runs settle '{address}' {'--created (or --not-created)' if created else '--not-created'}"


async def read_back(
    provider: Provider,
    kind: str,
    wanted: Sequence[tuple[Resource, Resource | None]],
    fields: Sequence[str],
    ids: Mapping[Address, str] = NOTHING,
    known: Mapping[Address, str] = NOTHING,
) -> Found:
    """Read some records again: desired ones, each with the live record it is, if that is known.

    By key, unless everything takes fewer requests. `ids` are those of the records that they refer to, `known` their own
    as far as something has told them.
    """
    found = look_for(kind, {desired.address.key: desired for desired, _ in wanted}, known)
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
    missing = [
        resource for key, resource in found.desired.items() if key not in found.records and key not in found.renamed
    ]
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
