"""Thena's provider against the embedded CRM, whatever that makes of what the documentation leaves open.

Three passes over records of all kinds: everything is created, changed, and partly cleared; each time the next pass has
nothing to do. Where an unknown makes that impossible, the test says so.
"""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from thena import BASE, JANE, account, contact, note, opened, settle

from crmctl.client import Client, Embedded
from crmctl.errors import Ambiguous, ProviderError, Rejected
from crmctl.providers import Options
from crmctl.providers.thena import Thena
from crmctl.resource import Address, Resource
from crmctl.sandbox import open_sandbox, switches_of
from crmctl.sandbox.switches import list_declared

CHOICES = {name: switch.values for name, switch in list_declared(switches_of("thena")).items() if switch.values}
SINGLE = [{name: value} for name, values in CHOICES.items() for value in values[1:]]
CAPS: list[dict[str, Any]] = [{"limit_cap": 1}, {"limit_cap": 2, "over_limit": "reject"}]
DEALER = random.Random(7)  # noqa: S311  # no secret
MIXED = [
    {name: DEALER.choice(values) for name, values in CHOICES.items()} | {"limit_cap": DEALER.choice([1, 3, 20, 100])}
    for _ in range(20)
]


def records(description: str | None, tier: str | None, last_name: str | None, owner: str) -> list[Resource]:
    """Return records of all kinds."""
    return [
        account(
            "acme.example",
            description=description,
            industry="technology",
            **{"thena.status": "Active", "thena.annual_revenue": 1000, "custom_fields.tier": tier},
        ),
        account("b.example", **{"custom_fields.seats": 5, "thena.website": "https://b.example"}),
        contact("Jane@Acme.example", owner=owner, last_name=last_name, type="billing", **{"thena.source": "web"}),
        contact("sam@b.example", owner="b.example", **{"custom_fields.vip": True}),
        contact("free@lance.example", accounts=["acme.example"]),
        note("kickoff", "Well.", **{"thena.visibility": "PRIVATE"}),
    ]


@pytest.mark.parametrize("switches", [{}, *SINGLE, *CAPS, *MIXED], ids=str)
def test_converges(tmp_path: Path, switches: dict[str, Any]) -> None:
    """Two passes settle everything, and nothing is there twice."""
    options = Options(items=switches.get("bulk_items", "objects"), define=True, assumed_routes=True)

    async def run() -> None:
        async with opened(tmp_path, options, **switches) as (provider, _):
            assert await passes(provider, records("d", "gold", "Doe", "acme.example")) <= 3
            assert await passes(provider, records("e", "silver", "Roe", "b.example")) <= 3
            assert await passes(provider, records(None, None, None, "b.example")) <= 3
            for kind, number in {"account": 2, "contact": 3}.items():
                pages = [page async for page in provider.read(kind, None, [])]
                assert number == sum(len(page.records) for page in pages)

    asyncio.run(run())


async def passes(provider: Thena, resources: list[Resource]) -> int:
    """Settle; return how many passes that took, the last of which did nothing."""
    done = await settle(provider, resources, rounds=4)
    assert done[-1] == {}
    return len(done)


@pytest.mark.parametrize("put_null", ["ignored", "rejected"])
def test_not_cleared(tmp_path: Path, put_null: str) -> None:
    """Where null does nothing, or is refused, a value that is no text stays; the API says so, or shows it."""

    async def run() -> None:
        async with opened(tmp_path, put_null=put_null) as (provider, _):
            await settle(provider, [account("acme.example", industry="technology")])
            try:
                done = await settle(provider, [account("acme.example", industry=None)], rounds=2)
            except Rejected:
                assert put_null == "rejected"
            else:
                assert {Address("account", "acme.example"): {"industry": None}} == done[-1]

    asyncio.run(run())


def test_dropped_metadata(tmp_path: Path) -> None:
    """Where metadata isn't kept, it differs for ever: the answers don't hide that."""

    async def run() -> None:
        async with opened(tmp_path, metadata="dropped") as (provider, _):
            done = await settle(provider, [account("acme.example", **{"thena.metadata": {"a": 1}})], rounds=2)
            assert {Address("account", "acme.example"): {"thena.metadata": {"a": 1}}} == done[-1]

    asyncio.run(run())


@pytest.mark.parametrize("all_duplicates", ["200", "400"])
def test_known_contacts(tmp_path: Path, all_duplicates: str) -> None:
    """Contacts that exist are skipped, or the batch is refused: none is there twice."""

    async def run() -> None:
        async with opened(tmp_path, all_duplicates=all_duplicates) as (provider, _):
            await provider.create([contact()])
            if all_duplicates == "400":
                with pytest.raises(Rejected):
                    await provider.create([contact()])
            else:
                assert (JANE,) == (await provider.create([contact()])).sent
            found = [page async for page in provider.read("contact", [JANE.key], [])]
            assert [1] == [len(page.records) for page in found]

    asyncio.run(run())


@pytest.mark.parametrize("taken_domain", ["second", "existing", "409"])
def test_taken_domain(tmp_path: Path, taken_domain: str) -> None:
    """A taken domain may make a second account: that is why none is ever sent blindly."""

    async def run() -> int:
        async with opened(tmp_path, taken_domain=taken_domain) as (provider, _):
            first = await provider.create([account("acme.example")])
            try:
                again = await provider.create([account("acme.example")])
            except (Rejected, Ambiguous):
                assert taken_domain == "409"
            else:
                assert (first.ids == again.ids) is (taken_domain == "existing")
            return sum([len(page.records) async for page in provider.read("account", None, [])])

    assert (2 if taken_domain == "second" else 1) == asyncio.run(run())


class Clock:
    """Time that passes only when somebody sleeps."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.mark.parametrize("rate", [1.0, 3.0])
def test_rate_limit(tmp_path: Path, rate: float) -> None:
    """What the answers tell of the rate limit is heeded: no 429 ever comes, however many requests want to go."""
    clock, waits = Clock(), []

    def tell(route: str, _seconds: float, _error: ProviderError) -> None:
        waits.append(route)

    async def run() -> None:
        app = open_sandbox("thena", tmp_path / "crm.db", rate_limit=rate, clock=clock)
        client = Client(
            [Embedded(app, app.close)], base_url=BASE, headers={"x-api-key": "abc123"}, on_wait=tell,
            sleep=clock.sleep, clock=clock, wall_clock=clock,
        )  # fmt: skip
        provider = Thena(client)
        await provider.create([account("a0.example")])
        async with asyncio.TaskGroup() as group:
            for number in range(1, 10):
                group.create_task(provider.create([account(f"a{number}.example")]))
        await provider.aclose()

    asyncio.run(run())
    assert waits == []
    assert clock.now > 1_800_000_001
