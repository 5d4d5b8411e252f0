"""Reading: by key or everything, whichever costs less, and what is concluded from it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness import read as declare

from crmctl.capability import Capability, Definition
from crmctl.identity import normalise
from crmctl.live import ASSUMED_PAGES, Live, read
from crmctl.provider import NO_IDS, NO_SCOPE, Page, Receipt, Record, Resolution, Scope
from crmctl.resource import Address, Resource

BATCH = 10
PAGE = 10
FULL = Capability(read=True, look_up_batch=BATCH)


@dataclass
class Memory:
    """A provider that remembers: its records, and what it was asked."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    folds: bool = True
    searches: bool = False
    shows: Mapping[str, bool | None] = field(default_factory=dict)
    can: Capability = FULL
    asked: list[str] = field(default_factory=list)
    vendor: str = "octolane"
    fields: set[str] = field(default_factory=set)

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        return {"account": self.can}

    async def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str], scope: Scope = NO_SCOPE
    ) -> AsyncGenerator[Page, None]:
        del scope
        self.fields |= set(fields)
        self.asked.append("all" if spellings is None else f"{len(spellings)} keys")
        if spellings is None:
            found = self.records
        else:
            wanted = {text.lower() for text in spellings} if self.folds else set(spellings)
            found = [r for r in self.records if (r["domain"].lower() if self.folds else r["domain"]) in wanted]
        for start in range(0, max(len(found), 1), PAGE):
            page = found[start : start + PAGE]
            yield Page([self.record(kind, record) for record in page], {name for record in page for name in record})

    def record(self, kind: str, record: Mapping[str, Any]) -> Record:
        return Record(normalise(kind, record["domain"]) or "", record, record["id"])

    async def folds_case(self, kind: str) -> bool:
        del kind
        self.asked.append("folds case?")
        return self.folds

    async def finds_by_text(self, kind: str) -> bool | None:
        del kind
        return self.searches if self.records else None

    async def search(self, kind: str, text: str, fields: Sequence[str]) -> AsyncGenerator[Page, None]:
        del fields
        self.asked.append(f"search {text}")
        found = [record for record in self.records if text.lower() in record["domain"].lower()]
        yield Page([self.record(kind, record) for record in found], set())

    async def carries(self, kind: str, field: str) -> bool | None:
        del kind
        return self.shows.get(field)

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        raise AssertionError(desired)

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        raise AssertionError(resource)

    async def define(self, definitions: Sequence[Definition]) -> None:
        raise AssertionError(definitions)

    async def create(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        raise AssertionError(batch, ids)

    async def update(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        raise AssertionError(batch, ids)

    async def aclose(self) -> None:
        pass


def stored(count: int, **fields: Any) -> list[Mapping[str, Any]]:
    """So many live accounts."""
    return [{"id": str(n), "domain": f"c{n:04}.example", **fields} for n in range(count)]


def wanted(count: int, **fields: str) -> str:
    """A manifest of so many accounts."""
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    return "accounts:\n" + "\n".join(f"  - {{domain: c{n:04}.example{more}}}" for n in range(count))


def look(
    memory: Memory, manifest: str, said: list[str] | None = None, *, ignored: frozenset[str] = frozenset()
) -> Live:
    """Read what a manifest needs."""
    explain = (said if said is not None else []).append
    return asyncio.run(read(memory, declare(manifest), {"account": ignored}, explain))


def test_few_records_are_read_by_key() -> None:
    """Look-ups are sent in chunks; unmanaged records are not counted then."""
    memory, said = Memory(stored(100)), list[str]()
    live = look(memory, wanted(25), said)
    assert ["10 keys", "10 keys", "5 keys"] == memory.asked
    assert (25, None) == (len(live.records["account"]), live.unmanaged["account"])
    assert ["account: reading by key, requests: 3 (everything is assumed to take 20)"] == said


def test_many_records_are_read_with_everything() -> None:
    """When look-ups would cost more than the pages a CRM is assumed to have, everything is read and counted."""
    count = BATCH * ASSUMED_PAGES + 1
    memory, said = Memory(stored(count + 7)), list[str]()
    live = look(memory, wanted(count), said)
    assert ["all"] == memory.asked
    assert (count, 7) == (len(live.records["account"]), live.unmanaged["account"])
    assert ["account: reading everything, as look-ups by key would take 21 requests or more"] == said


def test_reading_everything_is_given_up_when_it_costs_more() -> None:
    """A CRM far larger than the manifests costs twice the look-ups at most."""
    count = BATCH * ASSUMED_PAGES + 1
    memory = Memory(stored(10_000))
    live = look(memory, wanted(count))
    assert ["all", *["10 keys"] * 20, "1 keys"] == memory.asked
    assert (count, None) == (len(live.records["account"]), live.unmanaged["account"])


def test_a_provider_without_look_ups_reads_everything() -> None:
    """However much that is."""
    memory = Memory(stored(500), can=Capability(read=True))
    assert (1, 499) == (len(look(memory, wanted(1)).records["account"]), look(memory, wanted(1)).unmanaged["account"])


def test_a_missing_key_is_looked_for_in_everything_when_look_ups_heed_case() -> None:
    """A record stored as C0000.Example is found, whatever the look-up says."""
    memory = Memory([{"id": "1", "domain": "C0000.Example"}], folds=False)
    live = look(memory, wanted(1))
    assert ["1 keys", "all"] == memory.asked
    assert "1" == live.records["account"]["c0000.example"].remote_id


def test_a_few_missing_keys_are_searched_for_by_text_where_that_ignores_case() -> None:
    """One new record must not cost a read of everything."""
    memory = Memory([{"id": "1", "domain": "C0001.Example"}, *stored(1)], folds=False, searches=True)
    live = look(memory, wanted(3))
    assert ["3 keys", "search c0001.example", "search c0002.example"] == memory.asked
    assert {"c0000.example", "c0001.example"} == live.records["account"].keys()


def test_keys_that_are_all_found_need_no_second_look() -> None:
    """Nothing missing, nothing to worry about."""
    memory = Memory(stored(1), folds=False)
    look(memory, wanted(1))
    assert ["1 keys"] == memory.asked


def test_only_declared_fields_are_asked_for() -> None:
    """The key, what the manifests declare, and nothing that is ignored anyway."""
    memory = Memory(stored(1))
    look(memory, wanted(1, name="A", industry="B"), ignored=frozenset({"industry"}))
    assert {"domain", "name"} == memory.fields


def test_a_kind_that_nobody_declares_is_not_read() -> None:
    """No account, no request; nor for a kind that the provider can't read."""
    memory = Memory(stored(1))
    look(memory, "contacts: [{email: jane@a.example}]")
    assert [] == memory.asked


def test_two_live_records_of_one_key_are_duplicates() -> None:
    """Both ids are kept, sorted; the same record seen twice is no duplicate."""
    twice = [{"id": "9", "domain": "c0000.example"}, {"id": "1", "domain": "C0000.example"}]
    live = look(Memory([*twice, twice[0], twice[1]]), wanted(1))
    assert {Address("account", "c0000.example"): ("1", "9")} == live.duplicates


def test_a_record_that_says_what_is_declared_shares_its_fields() -> None:
    """Most records are as declared: their fields are held once."""
    desired = declare(wanted(1, name="A"))
    live = asyncio.run(read(Memory(stored(1, name="A", more="x")), desired, {}, lambda _: None))
    assert live.records["account"]["c0000.example"].fields is desired.resources["account"]["c0000.example"].fields


def test_a_field_that_no_answer_carries_is_unreadable() -> None:
    """Unless nothing tells it from a field without a value."""
    for shows, expected in ((False, {"name"}), (None, set()), (True, set())):
        live = look(Memory(stored(1), shows={"name": shows}), wanted(1, name="A"))
        assert expected == live.unreadable["account"]


def test_nothing_found_tells_nothing_about_fields() -> None:
    """An empty CRM has no unreadable fields."""
    assert frozenset() == look(Memory(shows={"name": False}), wanted(1, name="A")).unreadable["account"]
