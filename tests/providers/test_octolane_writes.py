"""Octolane's gateway, writing: what is sent, what is believed, and what faults come to."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from octolane import QUICK, account, contact, keys, mocked, opened, read

from crmctl.client import Client, connect
from crmctl.errors import Ambiguous, Auth
from crmctl.provider import Provider
from crmctl.providers import find_endpoint, open_provider
from crmctl.providers.octolane.catalogue import Catalogue
from crmctl.providers.octolane.custom_fields import Way
from crmctl.providers.octolane.records import to_native
from crmctl.resource import Address, Resource
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.faults import Interference
from crmctl.sandbox.server import running

PLAIN = Address("account", "acme.example")


# Writing


def test_update(tmp_path: Path) -> None:
    """An update goes to the record of its id; null clears."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, client):
            await gateway.create([account(1, name="Acme", industry="Tools"), account(2, name="Other")])
            (page,) = await read(gateway, ["a1.example"])
            record = page.records[0]
            address = Address("account", record.key)
            change = Resource(address, {"name": "ACME", "industry": None}, remote_id=record.remote_id)
            assert (await gateway.update([change])).sent == (address,)
            (page,) = await read(gateway, None, ["name", "industry"])
            found = {live.key: live.fields for live in page.records}
            assert found == {
                "a1.example": {"name": "ACME", "industry": None},
                "a2.example": {"name": "Other", "industry": None},
            }
            assert client.counts["PATCH /v1/accounts/bulk"] == 1

    asyncio.run(run())


def test_update_without_id() -> None:
    """An update without an id is a bug, not a request."""
    gateway, bodies = mocked({})
    with pytest.raises(ValueError, match=r"account/a1\.example has no remote id"):
        asyncio.run(gateway.update([account(1)]))
    assert bodies == []


def test_native() -> None:
    """Plain dates become midnight UTC in timestamp fields only; a create has no nulls; unknown fields stay behind."""
    fields = {
        "domain": "WWW.Acme.example", "description": "2027-01-31", "next_meeting": "2027-01-31", "name": None,
        "last_interaction": 1801353600, "first_email_interaction": "2027-01-31T09:00:00+01:00", "colour": "red",
    }  # fmt: skip
    kept = {
        "domain": "WWW.Acme.example", "description": "2027-01-31", "next_meeting": "2027-01-31T00:00:00Z",
        "last_interaction": 1801353600, "first_email_interaction": "2027-01-31T09:00:00+01:00",
    }  # fmt: skip
    resource = Resource(PLAIN, fields)
    assert to_native(resource, Catalogue(), Way(), creating=True) == kept
    assert to_native(resource, Catalogue(), Way()) == kept | {"name": None}
    assert fields["next_meeting"] == "2027-01-31"


@pytest.mark.parametrize("data", ["records", "split", "ids", "empty"])
def test_answers_are_not_believed(tmp_path: Path, data: str) -> None:
    """Whatever `data` a write answers, the receipt says what was sent."""

    async def run() -> None:
        async with opened(tmp_path, bulk_data=data, created_status=201) as (gateway, _):
            receipt = await gateway.create([contact("Jane@Acme.example")])
            assert (receipt.sent, receipt.ids) == ((Address("contact", "jane@acme.example"),), {})

    asyncio.run(run())


def test_success_false() -> None:
    """A write answered with 200 and `success: false` is ambiguous."""
    with pytest.raises(Ambiguous, match="POST /v1/accounts/bulk: answered"):
        asyncio.run(mocked({"success": False})[0].create([account(1)]))


def test_fit() -> None:
    """An account that the e-mail address does not lead to, and an unknown field, have no place in Octolane."""
    gateway, _ = mocked({})
    jane = contact("jane@acme.example", first_name="Jane")
    right = Resource(jane.address, jane.fields, refs={"account": Address("account", "acme.example")})
    foreign = {"email": "jane@acme.example", "colour": "red", "thena.sinks": [1]}
    wrong = Resource(jane.address, foreign, refs={"account": Address("account", "other.example")})
    assert [gateway.fit(jane), gateway.fit(right)] == [(jane, []), (right, [])]
    assert gateway.fit(jane)[0] is jane
    fitted, missing = gateway.fit(wrong)
    assert [field for field, _ in missing] == ["colour", "account"]
    assert fitted.fields == {"email": "jane@acme.example"}


@pytest.mark.parametrize(
    ("linked", "expected"),
    [(["acme.example"], []), (["acme.example", "other.example"], ["accounts"]), ([], ["accounts"])],
)
def test_links(linked: list[str], expected: list[str]) -> None:
    """A contact is linked to the account of its e-mail address and no other; saying so is fine."""
    gateway, _ = mocked({})
    refs = {f"accounts[{place}]": Address("account", key) for place, key in enumerate(linked)}
    jane = Resource(Address("contact", "jane@acme.example"), {"email": "jane@acme.example", "accounts": linked}, refs)
    fitted, missing = gateway.fit(jane)
    assert fitted.fields == {"email": "jane@acme.example"}
    assert [field for field, _ in missing] == expected


# Over HTTP, with faults


def over_http(
    tmp_path: Path, use: Callable[[Provider, Client], Awaitable[None]], *, timeout: float = 10, **options: Any
) -> None:
    app = open_sandbox("octolane", tmp_path / "crm.db", **options)

    async def run(base_url: str) -> None:
        endpoint = find_endpoint("octolane")
        client = connect(
            base_url=base_url, headers=endpoint.headers("abc123"), reads=endpoint.reads, read_only=False, sandbox=None,
            timeout=timeout, parallelism=4, policy=QUICK,
        )  # fmt: skip
        provider = open_provider("octolane", client)
        try:
            await use(provider, client)
        finally:
            await provider.aclose()

    with running(app) as base_url:
        asyncio.run(run(base_url))
    app.close()


@pytest.mark.parametrize(
    "fault",
    [
        Interference(when="after", drop=True),
        Interference(when="before", drop=True),
        Interference(when="after", cut=10),
        Interference(when="after", delay=0.7),
        Interference(when="after", status=500),
        Interference(when="after", status=504),
        Interference(when="before", status=503),
        Interference(when="after", body=b"<html>"),
        Interference(status=429),
        Interference(status=429, headers={"Retry-After": "0"}),
    ],
)
def test_faults(tmp_path: Path, fault: Interference) -> None:
    """Whatever goes wrong with a create, it is sent again, and no record is doubled."""

    def interfere(method: str, path: str, turn: int) -> Interference | None:
        return fault if (method, path, turn) == ("POST", "/v1/accounts/bulk", 1) else None

    async def use(provider: Provider, client: Client) -> None:
        await provider.create([account(1), account(2)])
        assert client.counts["POST /v1/accounts/bulk"] == 2
        (page,) = await read(provider)
        assert sorted(record.key for record in page.records) == ["a1.example", "a2.example"]

    over_http(tmp_path, use, timeout=0.5 if fault.delay else 10, interfere=interfere)


def test_parallel_over_http(tmp_path: Path) -> None:
    """Requests in parallel do not mix up their answers."""

    async def use(provider: Provider, _client: Client) -> None:
        batches = [[account(number) for number in range(start, start + 10)] for start in range(0, 100, 10)]
        await asyncio.gather(*(provider.create(batch) for batch in batches))
        found = await asyncio.gather(*(read(provider, [f"a{number}.example"]) for number in range(100)))
        assert [keys(pages) for pages in found] == [{f"a{number}.example"} for number in range(100)]

    over_http(tmp_path, use)


def test_wrong_key(tmp_path: Path) -> None:
    """A wrong key is told as such, and not shown."""

    async def use(provider: Provider, _client: Client) -> None:
        with pytest.raises(Auth, match="check the API key") as caught:
            await read(provider)
        assert "abc123" not in str(caught.value)

    over_http(tmp_path, use, api_key="another")
