"""Which desired record each live one is, page after page: by key, or by what is known of a record without one. Pure.

In: the desired resources of one kind, and pages of live records. Out: `Found`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from crmctl.kinds import COMPOSED, NOTHING
from crmctl.provider import Page
from crmctl.resource import Address, Resource, compose, recognise
from crmctl.values import same


class Found:
    """The matched records of one kind; `places` tells how many there are where, of records without keys."""

    def __init__(self, desired: Mapping[str, Resource]) -> None:
        self.desired = desired
        self.former = {resource.was: resource for resource in desired.values() if resource.was is not None}
        self.records: dict[str, Resource] = {}
        self.renamed: dict[str, Resource] = {}
        self.ids: dict[str, list[str]] = {}
        self.strangers: set[str] = set()
        self.members: set[str] = set()
        self.places: Counter[str] = Counter()

    def add(self, page: Page) -> None:
        """Take one page. A record may come again: pages can overlap while others write."""
        self.members.update(page.members)
        for key, fields, remote_id, _ in page.records:
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
                self.double(key, known.remote_id, remote_id)
                continue
            self.keep(wanted, fields, remote_id)

    def keep(self, wanted: Resource, fields: Mapping[str, Any], remote_id: str) -> None:
        """Take a live record for a desired one."""
        # A live record that says what is declared shares the declared fields: most do, and memory is scarce.
        declared = wanted.fields
        if declared == fields or declared.items() <= fields.items():  # the former is cheaper, and nearly always so
            fields = declared
        self.records[wanted.address.key] = Resource(wanted.address, fields, NOTHING, None, remote_id)

    def double(self, key: str, known: str | None, remote_id: str) -> None:
        """Note that a key has one more record."""
        ids = self.ids.setdefault(key, [known or ""])
        if remote_id not in ids:
            ids.append(remote_id)

    def absorb(self, later: "Found") -> None:
        """Take what a later read found: it knows better."""
        self.records.update(later.records)
        self.renamed.update(later.renamed)
        self.ids.update(later.ids)
        self.members.update(later.members)

    def unclear(self) -> Mapping[str, list[str]]:
        """Return, by key, the ids of records of which one may be the desired one, without any telling which."""
        return {}


class FoundUnkeyed(Found):
    """The same for a kind whose key is ours alone: by id, by the mark we have left, by what a record says.

    A record that is known by its id is nobody else's, however much it says what another one would say.
    """

    def __init__(self, desired: Mapping[str, Resource], ids: Mapping[Address, str], taken: Collection[str]) -> None:
        super().__init__({})
        self.desired = desired
        self.by_id: dict[str, Resource] = {}
        self.by_mark: dict[str, Resource] = {}
        self.by_content: dict[str, list[Resource]] = {}
        for resource in desired.values():
            address = resource.address
            if address in ids:
                self.by_id[ids[address]] = resource
            self.by_mark[str(address)] = resource
            if resource.was is not None:
                self.by_mark[str(Address(address.kind, resource.was))] = resource
            self.by_content.setdefault(known_as(resource), []).append(resource)
        # Records that are known to be others'.
        others = ids.keys() - {resource.address for resource in desired.values()}
        self.taken = {*taken, *(ids[address] for address in others)} - self.by_id.keys()
        self.ranks: dict[str, int] = {}
        self.candidates: dict[str, dict[str, Mapping[str, Any]]] = {}

    def add(self, page: Page) -> None:
        """Take one page: the surest way to know a record wins, whatever the order they come in."""
        self.members.update(page.members)
        for content, fields, remote_id, mark in page.records:
            self.places[fields.get("pipeline_id") or content.partition("/")[0]] += 1
            alike = [] if remote_id in self.taken else self.by_content.get(content, [])
            if remote_id in self.by_id:
                self.claim(self.by_id[remote_id], 0, fields, remote_id)
            elif mark in self.by_mark:
                self.claim(self.by_mark[mark], 1, fields, remote_id)
            elif len(alike) == 1:
                self.claim(alike[0], 2, fields, remote_id)
            elif alike:
                self.candidates.setdefault(content, {})[remote_id] = fields
            else:
                self.strangers.add(remote_id)
        self.settle()

    def claim(self, wanted: Resource, rank: int, fields: Mapping[str, Any], remote_id: str) -> None:
        """Take a live record for a desired one, unless a surer one is known."""
        key = wanted.address.key
        known = self.records.get(key)
        if known is None or rank < self.ranks[key] or known.remote_id == remote_id:
            if known is not None and known.remote_id != remote_id:
                self.strangers.update({known.remote_id or "", *self.ids.pop(key, ())})
            self.ranks[key] = min(rank, self.ranks.get(key, rank))
            self.keep(wanted, fields, remote_id)
        elif rank == self.ranks[key]:
            self.double(key, known.remote_id, remote_id)
        else:
            self.strangers.add(remote_id)

    def settle(self) -> None:
        """Give records that several desired ones would be known by to the one that is equal in everything."""
        for content, found in self.candidates.items():
            for wanted in self.by_content[content]:
                if wanted.address.key in self.records:
                    continue
                for remote_id, fields in found.items():
                    if all(same(value, fields.get(name)) for name, value in wanted.fields.items() if name in fields):
                        self.claim(wanted, 3, fields, remote_id)
                        found.pop(remote_id)
                        break

    def unclear(self) -> Mapping[str, list[str]]:
        """Return, by key, the ids of records that are alike, and could each be what is desired."""
        return {
            wanted.address.key: sorted(found)
            for content, found in self.candidates.items()
            for wanted in self.by_content[content]
            if found and wanted.address.key not in self.records
        }


def look_for(
    kind: str, desired: Mapping[str, Resource], ids: Mapping[Address, str] = NOTHING, taken: Collection[str] = ()
) -> Found:
    """Return what gathers the live records of a kind.

    `ids` are those that records are known to have, `taken` those that are known to be none of the desired ones.
    """
    return FoundUnkeyed(desired, ids, taken) if kind in COMPOSED else Found(desired)


def known_as(resource: Resource) -> str:
    """Return what a desired record is known by where neither id nor mark is."""
    return recognise(resource.address.kind, owners(resource), resource.fields)


def place_of(resource: Resource) -> str:
    """Return where a desired record is read: in its pipeline, else among what belongs to the same one."""
    return resource.fields.get("pipeline_id") or compose(*islice(owners(resource), 1))


def owners(resource: Resource) -> Iterable[str]:
    """Return the keys of the account and the contact that a record belongs to."""
    return [resource.refs[name].key for name in ("account", "contact") if name in resource.refs]
