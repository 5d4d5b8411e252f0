"""What a provider says when the budget ends between the requests of one write: never that nothing was sent."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from crmctl.client import Client
from crmctl.errors import Ambiguous, BudgetSpent
from crmctl.pace import Pace
from crmctl.provider import Provider
from crmctl.providers import open_provider
from crmctl.resource import Address, Resource

ROW = {"id": "a1", "name": "Acme", "primaryDomain": "acme.example", "description": "old", "logo": "old"}


def opened(name: str, most: int, answer: Mapping[str, Any]) -> Provider:
    """A provider that is answered the same again and again, and may send so many requests."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    pace = Pace(lambda: 0.0, max_requests=most)
    return open_provider(name, Client([transport], base_url="https://api.example", pace=pace))


def update(provider: Provider, fields: Mapping[str, Any]) -> None:
    address = Address("account", "acme.example")
    asyncio.run(provider.update([Resource(address, fields, remote_id="a1")]))


@pytest.mark.parametrize(
    ("name", "fields", "answer"),
    [
        ("octolane", {"custom_fields.tier": "gold"}, {"success": True, "data": {}}),
        ("thena", {"description": None}, {"status": True, "data": ROW}),
    ],
)
def test_a_write_whose_second_request_may_not_be_sent_may_be_done(
    name: str, fields: Mapping[str, Any], answer: Mapping[str, Any]
) -> None:
    """Then it is looked for; where not even the first was sent, it is known."""
    with pytest.raises(Ambiguous, match="done, but maybe not"):
        update(opened(name, 1, answer), fields)
    with pytest.raises(BudgetSpent):
        update(opened(name, 0, answer), fields)


def test_an_octolane_create_that_can_not_be_looked_at_may_be_done() -> None:
    """Its custom fields may be missing."""
    provider = opened("octolane", 1, {"success": True, "data": {}})
    resource = Resource(Address("account", "acme.example"), {"domain": "acme.example", "custom_fields.tier": "gold"})
    with pytest.raises(Ambiguous, match="done, but not its custom fields"):
        asyncio.run(provider.create([resource]))
