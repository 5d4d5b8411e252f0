"""Stage 4: read what the CRM holds, for what is desired: keyed look-ups where they are cheaper, else everything.

In: the desired state and a provider. Out: `Live`, with every matched record by key. Nothing is written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import chain, islice

from crmctl.capability import Capability
from crmctl.desired import Desired
from crmctl.identity import cut, spellings
from crmctl.kinds import FORMER_KEY, KINDS
from crmctl.provider import Page, Provider
from crmctl.resource import Address, Resource

ASSUMED_PAGES = 20
"""How many pages a CRM is assumed to have while nothing is known: keyed reads of fewer requests are sent at once."""


@dataclass(frozen=True, slots=True)
class Live:
    """What was found: matched records by kind and key.

    `duplicates` names the ids of live records that share a key, `unmanaged` how many live records no manifest declares
    (None: not everything was read), `unreadable` the declared fields that reads don't return.
    """

    records: Mapping[str, Mapping[str, Resource]]
    duplicates: Mapping[Address, tuple[str, ...]]
    unmanaged: Mapping[str, int | None]
    unreadable: Mapping[str, frozenset[str]]


class Found:
    """The matched records of one kind, page after page."""

    def __init__(self, desired: Mapping[str, Resource]) -> None:
        self.desired = desired
        self.former = {resource.was: resource for resource in desired.values() if resource.was is not None}
        self.records: dict[str, Resource] = {}
        self.renamed: dict[str, Resource] = {}
        self.ids: dict[str, list[str]] = {}
        self.strangers: set[str] = set()
        self.members: set[str] = set()

    def add(self, page: Page) -> None:
        """Take one page. A record may come again: pages can overlap while others write."""
        self.members.update(page.members)
        for key, fields, remote_id in page.records:
            wanted = self.desired.get(key)
            if wanted is None and key in self.former:
                renamed = self.former[key].address
                self.renamed[renamed.key] = Resource(Address(renamed.kind, key), fields, remote_id=remote_id)
                continue
            if wanted is None:
                self.strangers.add(remote_id)
                continue
            known = self.records.get(key)
            if known is not None and known.remote_id != remote_id:
                ids = self.ids.setdefault(key, [known.remote_id or ""])
                if remote_id not in ids:
                    ids.append(remote_id)
                continue
            # A live record that says what is declared shares the declared fields: most do, and memory is scarce.
            same = wanted.fields.items() <= fields.items()
            self.records[key] = Resource(wanted.address, wanted.fields if same else fields, remote_id=remote_id)

    def absorb(self, later: "Found") -> None:
        """Take what a later read found: it knows better."""
        self.records.update(later.records)
        self.ids.update(later.ids)
        self.members.update(later.members)


async def read(
    provider: Provider, desired: Desired, ignored: Mapping[str, frozenset[str]], explain: Callable[[str], None]
) -> Live:
    """Read every kind that is desired; `ignored` names fields that are never compared, `explain` hears what is done."""
    records: dict[str, Mapping[str, Resource]] = {}
    duplicates: dict[Address, tuple[str, ...]] = {}
    unmanaged: dict[str, int | None] = {}
    unreadable: dict[str, frozenset[str]] = {}
    for kind, wanted in desired.resources.items():
        capability = provider.capabilities.get(kind, Capability())
        if not wanted or not capability.read:
            continue
        fields = declared_fields(wanted.values()) - ignored.get(kind, frozenset())
        asked = sorted(fields | {KINDS[kind].key_field})
        found, everything = await _read_kind(provider, kind, wanted, asked, explain)
        # A record that has its former key still is the one that is meant, unless there is another with the new key.
        records[kind] = {**found.renamed, **found.records}
        duplicates.update({Address(kind, key): tuple(sorted(ids)) for key, ids in found.ids.items()})
        unmanaged[kind] = len(found.strangers) if everything else None
        unreadable[kind] = await unreadable_fields(provider, kind, fields, found)
    return Live(records, duplicates, unmanaged, unreadable)


async def read_back(
    provider: Provider, kind: str, wanted: Sequence[tuple[Resource, Resource | None]], fields: Sequence[str]
) -> Found:
    """Read some records again, by key: desired ones, each with the live record it is, if that is known."""
    found = Found({desired.address.key: desired for desired, _ in wanted})
    for request in look_ups(kind, wanted, provider.capabilities[kind].look_up_batch):
        async for page in provider.read(kind, request, fields):
            found.add(page)
    return found


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
    provider: Provider, kind: str, wanted: Mapping[str, Resource], fields: list[str], explain: Callable[[str], None]
) -> tuple[Found, bool]:
    """Choose between keyed reads and reading everything; tell whether everything was seen.

    The number of pages is not known beforehand, so reading everything is given up once it costs more than keyed reads
    would have: never more than twice the cheaper way.
    """
    capability = provider.capabilities[kind]
    requests: list[list[str]] = []
    rest: Iterator[list[str]] = iter(())
    if capability.look_up_batch:
        rest = look_ups(kind, ((resource, None) for resource in wanted.values()), capability.look_up_batch)
        requests = list(islice(rest, ASSUMED_PAGES + 1))
    found = Found(wanted)
    if requests and len(requests) <= ASSUMED_PAGES:
        explain(f"{kind}: reading by key, requests: {len(requests)} (everything is assumed to take {ASSUMED_PAGES})")
    else:
        # So many look-ups at least; counting them exactly would cost more than it tells.
        enough = -(-len(wanted) // capability.look_up_batch) if requests else 0
        cost = f"look-ups by key would take {enough} requests or more" if enough else "there are no look-ups by key"
        explain(f"{kind}: reading everything, as {cost}")
        async with aclosing(provider.read(kind, None, fields)) as pages:
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
        async for page in provider.read(kind, request, fields):
            found.add(page)
    return found, await _find_missing(provider, kind, found, fields, explain)


async def _find_missing(
    provider: Provider, kind: str, found: Found, fields: list[str], explain: Callable[[str], None]
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
    async for page in provider.read(kind, None, fields):
        found.add(page)
    return True
