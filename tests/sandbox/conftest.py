"""A sandbox in process, with a clock that stands still, ids that count, and every answer held to the contract."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.asgi import Sandbox

NOW = 1_780_000_000.0  # 2026-05-28T20:26:40Z


@dataclass
class Clock:
    """A clock that moves only when a test says so."""

    now: float = NOW

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Crm:
    """A sandbox and the few words a test needs to talk to it."""

    def __init__(self, app: Sandbox, clock: Clock) -> None:
        self.app, self.clock = app, clock

    def send(self, method: str, path: str, *, key: str | None = "key", **options: Any) -> httpx.Response:
        """Send one request."""

        async def run() -> httpx.Response:
            headers = {} if key is None else {b"x-api-key": key.encode()}
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://crm.test", headers=headers) as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())

    def create(self, kind: str, *items: dict[str, Any]) -> Any:
        """Create or resolve records, and return `data`."""
        return self._take(self.send("POST", f"/v1/{kind}/bulk", json=list(items)))

    def patch(self, kind: str, patches: dict[str, dict[str, Any]]) -> Any:
        """Patch records by id, and return `data`."""
        return self._take(self.send("PATCH", f"/v1/{kind}/bulk", json=patches))

    def search(self, kind: str, **body: Any) -> Any:
        """Search, and return `data`."""
        return self._take(self.send("POST", f"/v1/{kind}/search", json=body))

    def records(self, kind: str, **body: Any) -> list[Any]:
        """Search, and return the records, oldest first unless told otherwise."""
        return list(self.search(kind, **{"sort": "created_at", **body})[kind])

    def find(self, kind: str, field: str, operator: str, *value: Any) -> list[str]:
        """Search by one filter, and return the keys found, sorted."""
        item = {"field": field, "operator": operator, **({"value": value[0]} if value else {})}
        key = "domain" if kind == "accounts" else "email"
        return sorted(record[key] for record in self.records(kind, filters=[item]))

    @staticmethod
    def _take(response: httpx.Response) -> Any:
        assert response.status_code in {200, 201}, response.text
        return response.json()["data"]


class ThenaCrm(Crm):
    """Thena's sandbox in the words of its paths."""

    def get(self, path: str, **query: Any) -> Any:
        """Read, and return `data`."""
        return self._take(self.send("GET", f"/v1/{path}", params=query))

    def post(self, path: str, **body: Any) -> Any:
        """Create, and return `data`."""
        return self._take(self.send("POST", f"/v1/{path}", json=body))

    def put(self, path: str, **body: Any) -> Any:
        """Change, and return `data`."""
        return self._take(self.send("PUT", f"/v1/{path}", json=body))

    def delete(self, path: str, **query: Any) -> Any:
        """Delete, and return `data`."""
        return self._take(self.send("DELETE", f"/v1/{path}", params=query))

    def account(self, domain: str = "acme.example", **body: Any) -> Any:
        """Create an account."""
        return self.post("accounts", **{"name": "Acme", "primaryDomain": domain, **body})

    def contact(self, email: str = "ada@acme.example", **body: Any) -> Any:
        """Create a contact."""
        return self.post("accounts/contacts", **{"firstName": "Ada", "email": email, **body})

    def bulk(self, *emails: str, **body: Any) -> Any:
        """Create contacts in bulk."""
        contacts = [{"firstName": "Ada", "email": email} for email in emails]
        return self.post("accounts/contacts/bulk", contacts=contacts, **body)

    def emails(self, **query: Any) -> list[str]:
        """List the addresses of all contacts that are listed."""
        return [contact["email"] for contact in self.get("accounts/contacts", limit=100, **query)]

    def refused(self, method: str, path: str, **body: Any) -> int:
        """Send what is to be refused, and return the status."""
        response = self.send(method, f"/v1/{path}", json=body)
        assert response.status_code >= 400, response.text
        return response.status_code


@pytest.fixture
def open_crm(open_any: Callable[..., Any]) -> Callable[..., Crm]:
    """Open Octolane's gateway; `options` are those of `open_sandbox`, any other keyword is a switch."""
    return partial(open_any, "octolane", Crm)


@pytest.fixture
def open_inbound(open_any: Callable[..., Any]) -> Callable[..., Crm]:
    """Open Octolane's inbound host, likewise."""
    return partial(open_any, "octolane_inbound", Crm)


@pytest.fixture
def inbound(open_inbound: Callable[..., Crm]) -> Crm:
    """Open Octolane's inbound host with every switch at its default."""
    return open_inbound()


@pytest.fixture
def open_thena(open_any: Callable[..., Any]) -> Callable[..., ThenaCrm]:
    """Open Thena's API, likewise."""
    return partial(open_any, "thena", ThenaCrm)


@pytest.fixture
def thena(open_thena: Callable[..., ThenaCrm]) -> ThenaCrm:
    """Open Thena's API with every switch at its default."""
    return open_thena()


@pytest.fixture
def open_any(tmp_path: Path) -> Iterator[Callable[..., Crm]]:
    """Open a provider's sandbox in a class that talks to it."""
    opened: list[Crm] = []
    counter = itertools.count(1)

    def open_one(
        provider: str,
        crm: type[Crm],
        *,
        options: dict[str, Any] | None = None,
        database: str = "crm.db",
        **switches: str,
    ) -> Crm:
        clock = Clock()
        app = open_sandbox(
            provider,
            tmp_path / database,
            switches=switches,
            check_responses=True,
            clock=clock,
            make_id=lambda: uuid.UUID(int=next(counter), version=4),
            **(options or {}),
        )
        opened.append(crm(app, clock))
        return opened[-1]

    yield open_one
    for crm in opened:
        crm.app.close()
    assert [] == [violation for crm in opened for violation in crm.app.violations]


@pytest.fixture
def crm(open_crm: Callable[..., Crm]) -> Crm:
    """Open a sandbox with every switch at its default."""
    return open_crm()
