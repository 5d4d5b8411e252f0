"""What every provider has to keep, whichever it is: one suite for all of them, over real HTTP.

A provider that claims what its API does not do fails here, and so does one that does what it does not claim.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from harness import actions, read, statuses

from crmctl.apply import Settings, apply
from crmctl.batching import batches
from crmctl.client import WriteRefused
from crmctl.config import Environment, Target
from crmctl.diff import Rules, compare
from crmctl.fit import fit
from crmctl.found import look_for
from crmctl.kinds import COMPOSED, KINDS
from crmctl.live import look_ups
from crmctl.outcome import Result
from crmctl.plan import Plan
from crmctl.provider import Provider, Scope
from crmctl.providers import PROVIDERS
from crmctl.reconcile import Loaded, Session, make_plan, open_session
from crmctl.resource import Address, Resource
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.server import running
from crmctl.sandbox.store import read_stats
from crmctl.schema import rules

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
MANIFEST = """
accounts:
  - domain: acme.example
    name: Acme
    contacts:
      - {email: Jane@acme.example, first_name: Jane, last_name: Doe}
    opportunities:
      - {name: Renewal, pipeline: sales, stage: Proposal, deal_size: 40000, close_date: 2027-01-31}
    notes:
      - {key: kickoff, text: "It went well: \\"100 %\\" - ünïcode 🙂"}
"""
MORE: Mapping[str, str] = {
    "octolane": "{industry: Tools, founded: 1984, tags: [a, b], next_meeting: 2027-01-31, custom_fields: {tier: gold}}",
    "octolane_inbound": "{}",
    "thena": "{description: Tools, thena: {status: active, annual_revenue: 5, website: acme.example}}",
}


@dataclass
class Service:
    """A served sandbox, and crmctl pointed at it."""

    name: str
    folder: Path
    url: str
    counts: Callable[[], Mapping[str, int]]
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        """Open a session."""
        target = Target(
            "t", self.name, base_url=self.url, api_key_env="KEY", pipelines={"sales": PIPELINE}, assumed_routes=True,
            custom_fields="create", journal=self.folder / "journal",
        )  # fmt: skip
        self.session = open_session(
            target, Environment({"KEY": "abc"}), redact=False, parallelism=2, on_wait=lambda *_: None, tree=self.folder,
            settle=2,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def connect(self, *, read_only: bool = False) -> AsyncIterator[Provider]:
        """Open the provider."""
        async with self.session.connect(read_only=read_only) as provider:
            yield provider

    def plan(self, text: str) -> Plan:
        return asyncio.run(make_plan(self.session, Loaded(read(text), {}), lambda _: None, partial=False))

    def apply(self, text: str) -> Result:
        plan = self.plan(text)

        async def carry_out() -> Result:
            with contextlib.closing(self.session.journal(plan.created_at, self.folder)) as journal:
                async with self.connect() as provider:
                    return await apply(plan, provider, journal, Settings(settle=2))

        return asyncio.run(carry_out())

    def sent(self) -> int:
        """Return how many requests the server has had."""
        return sum(self.counts().values())


def count(database: Path) -> Mapping[str, int]:
    """Return the requests that the server has had, by route."""
    counts: Counter[str] = Counter()
    for route, _, number in read_stats(database).requests:
        counts[route] += number
    return counts


@pytest.fixture(params=sorted(PROVIDERS))
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Serve each provider's API in turn; the other side checks its own answers."""
    app = open_sandbox(request.param, tmp_path / "crm.db", check_responses=True)
    with running(app) as url:
        yield Service(request.param, tmp_path, url, lambda: count(tmp_path / "crm.db"))
    assert [] == app.violations
    app.close()


async def fitted(provider: Provider, text: str) -> Mapping[str, Mapping[str, Resource]]:
    """Return what is declared as the provider takes it."""
    return (await fit(provider, read(text), strict=False)).desired.resources


async def look(provider: Provider, kind: str, wanted: Mapping[str, Resource], ids: Mapping[Address, str]) -> Any:
    """Read everything of a kind, for what is wanted."""
    found = look_for(kind, wanted)
    names = sorted({name for resource in wanted.values() for name in resource.fields})
    asked = names if kind in COMPOSED else sorted({*names, KINDS[kind].key_field})
    async for page in provider.read(kind, None, asked, Scope(wanted, ids)):
        found.add(page)
    return found


async def write(provider: Provider, text: str) -> tuple[dict[str, Any], dict[Address, str]]:
    """Create everything that is declared, kind after kind; returns what is found of each kind then, and ids."""
    resources = await fitted(provider, text)
    ids: dict[Address, str] = {}
    found: dict[str, Any] = {}
    for kind, wanted in resources.items():
        capability = provider.capabilities.get(kind)
        if capability is None or not capability.create or not wanted:
            continue
        for resource in wanted.values():
            await provider.create([resource], ids)
        if capability.read:
            found[kind] = await look(provider, kind, wanted, ids)
            ids |= {record.address: record.remote_id for record in found[kind].records.values()}
    return found, ids


def test_what_is_written_reads_the_same(service: Service) -> None:
    """Every field of every kind survives the way there and back, by meaning."""

    async def check() -> None:
        text = MANIFEST.replace("name: Acme\n", f"name: Acme\n    <<: {MORE[service.name]}\n")
        async with service.connect() as provider:
            resolution = await provider.resolve(read(text).resources)
            if resolution.definitions:
                await provider.define(resolution.definitions)
            found, _ = await write(provider, text)
            for kind, wanted in (await fitted(provider, text)).items():
                for key, resource in wanted.items() if kind in found else ():
                    live = found[kind].records[key]
                    difference = compare(resource, live, Rules(rules().compare), frozenset(), [])
                    assert difference is None, str(difference)

    asyncio.run(check())


def test_what_is_updated_reads_the_same(service: Service) -> None:
    """For every kind that claims updates."""

    async def check() -> None:
        async with service.connect() as provider:
            found, ids = await write(provider, MANIFEST)
            changed = MANIFEST.replace("Acme\n", "Acme Corp\n").replace("Jane, ", "Janet, ").replace("40000", "50000")
            changed = changed.replace("It went", "All went")
            for kind, wanted in (await fitted(provider, changed)).items():
                if kind not in found or not provider.capabilities[kind].update:
                    continue
                for key, resource in wanted.items():
                    before = found[kind].records.get(key) or next(iter(found[kind].records.values()))
                    change = compare(resource, before, Rules(rules().compare), frozenset(), [])
                    if change is None:
                        continue
                    patch = {one.path: one.after for one in change.fields}
                    await provider.update(
                        [Resource(resource.address, patch, resource.refs, None, before.remote_id)], ids
                    )
                    again = await look(provider, kind, wanted, ids)
                    assert compare(resource, again.records[key], Rules(rules().compare), frozenset(), []) is None

    asyncio.run(check())


def test_dedupe_is_as_claimed(service: Service) -> None:
    """Creating twice makes one record where that is claimed; where two come of it, nothing else was claimed."""

    async def check() -> None:
        async with service.connect() as provider:
            resources = await fitted(provider, MANIFEST)
            _, ids = await write(provider, MANIFEST)
            for kind, wanted in resources.items():
                capability = provider.capabilities.get(kind)
                if capability is None or not capability.read or not capability.create:
                    continue
                for resource in wanted.values():
                    with contextlib.suppress(Exception) if capability.refuses_known else contextlib.nullcontext():
                        await provider.create([resource], ids)
                found = await look(provider, kind, wanted, ids)
                assert (not capability.dedupes) == bool(found.ids), kind

    asyncio.run(check())


def test_a_whole_batch_is_one_request(service: Service) -> None:
    """As many as are claimed go in one; those that may not share a request are kept apart before."""

    async def check() -> None:
        accounts = "\n".join(f"  - {{domain: a{n}.example, name: A{n}}}" for n in range(100))
        contacts = "\n".join(f"  - {{email: jo{n}@free.example, first_name: Jo}}" for n in range(100))
        async with service.connect() as provider:
            resources = await fitted(provider, f"accounts:\n{accounts}\ncontacts:\n{contacts}\n")
            for kind in ("account", "contact"):
                size = provider.capabilities[kind].create_batch
                before = service.sent()
                await provider.create(list(resources[kind].values())[:size])
                assert 1 == service.sent() - before
                found = await look(provider, kind, resources[kind], {})
                assert size == len(found.records)

    asyncio.run(check())


def test_what_a_request_shares_is_shared(service: Service) -> None:
    """Contacts of different accounts are cut apart where the API has one account for all of a request."""
    text = """
accounts:
  - {domain: a.example, name: A, contacts: [{email: a1@a.example, first_name: A}, {email: a2@a.example, first_name: A}]}
  - {domain: b.example, name: B, contacts: [{email: b1@b.example, first_name: B}]}
contacts: [{email: c@free.example, first_name: C}]
"""
    plan = service.plan(text)
    capability = plan.capabilities["contact"]
    creates = [change for change in plan.changes if change.address.kind == "contact"]
    cut = list(batches(creates, capability.create_batch, capability.batch_by))
    for batch in cut:
        for name in capability.batch_by:
            assert 1 == len({str(change.after.fields.get(name)) for change in batch})
    expected = {"thena": 3, "octolane": 1, "octolane_inbound": 4}[service.name]
    assert expected == len(cut) == plan.requests[capability.create_route]
    result = service.apply(text)
    assert {"created"} == set(statuses(result).values())
    assert expected == service.counts()[capability.create_route]


def test_look_ups_are_as_claimed(service: Service) -> None:
    """Keys that are there are found, by as many at once as claimed; others are not; no keyed read without a claim."""

    async def check() -> None:
        async with service.connect() as provider:
            found, ids = await write(provider, MANIFEST)
            for kind in found:
                size = provider.capabilities[kind].look_up_batch
                if not size:
                    continue
                wanted = (await fitted(provider, MANIFEST))[kind]
                again = look_for(kind, wanted)
                for request in look_ups(kind, [(resource, None) for resource in wanted.values()], size):
                    async for page in provider.read(kind, request, [KINDS[kind].key_field], Scope(wanted, ids)):
                        again.add(page)
                assert wanted.keys() == again.records.keys()
                nobody = [f"nobody{n}.example" if kind == "account" else f"a@nobody{n}.example" for n in range(size)]
                assert [] == [
                    record
                    async for page in provider.read(kind, nobody, [KINDS[kind].key_field], Scope(wanted, ids))
                    for record in page.records
                ]

    asyncio.run(check())


def test_what_is_not_claimed_is_not_done(service: Service) -> None:
    """A kind without a capability is in no plan but as a report; and an update that is not claimed is none."""
    service.apply(MANIFEST)
    changed = MANIFEST.replace("name: Acme", "name: Acme Corp").replace("first_name: Jane", "first_name: Janet")
    plan = service.plan(changed)
    for change in plan.changes:
        capability = plan.capabilities.get(change.address.kind)
        if capability is None or not capability.update:
            assert "report" == change.action, change
        else:
            assert "update" == change.action, change


def test_a_read_only_connection_writes_nothing(service: Service) -> None:
    """Whatever the code above it does."""

    async def check() -> None:
        async with service.connect(read_only=True) as provider:
            resources = await fitted(provider, MANIFEST)
            for kind, wanted in resources.items():
                capability = provider.capabilities.get(kind)
                if capability is None or not capability.create:
                    continue
                for resource in wanted.values():
                    with pytest.raises(WriteRefused):
                        await provider.create([resource], dict.fromkeys(resource.refs.values(), "1"))

    asyncio.run(check())


def test_a_second_run_is_empty(service: Service) -> None:
    """Everything declared is there, or a report says why it can't be; and what was sent is what was announced."""
    plan = service.plan(MANIFEST)
    before = service.sent()
    result = service.apply(MANIFEST)
    assert {"created", "sent", "skipped"} >= set(statuses(result).values())
    writes = {can.create_route for can in plan.capabilities.values()}
    counted = service.counts()
    assert {route: plan.requests[route] for route in writes & plan.requests.keys()} == {
        route: counted[route] for route in writes & counted.keys()
    }
    assert service.sent() > before
    assert {"report"} >= set(actions(service.plan(MANIFEST)).values())
    assert not service.plan(MANIFEST).pending
