"""What the tests of Octolane's provider share: records, and a gateway over a sandbox that checks itself."""

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import httpx

from crmctl.client import Client, Embedded
from crmctl.provider import Page, Provider
from crmctl.providers import DEFAULTS, Options, open_provider
from crmctl.providers.octolane.gateway import Gateway
from crmctl.resource import Address, Resource
from crmctl.retry import Limit, Policy
from crmctl.sandbox import open_sandbox

BASE = "https://api.example"
QUICK = Policy(Limit(20, 60), Limit(5, 60), Limit(5, 60), first=0)


def account(number: int, **fields: Any) -> Resource:
    domain = f"a{number}.example"
    return Resource(Address("account", domain), {"domain": domain, **fields})


def contact(email: str, **fields: Any) -> Resource:
    return Resource(Address("contact", email.lower()), {"email": email, **fields})


@contextlib.asynccontextmanager
async def surface(
    name: str, folder: Path, *, options: Options = DEFAULTS, **others: Any
) -> AsyncIterator[tuple[Provider, Client]]:
    """Open one of Octolane's surfaces on a sandbox that checks its own answers; `others` are its options and switches.

    Surfaces of one folder are of one organisation.
    """
    known = {"interfere", "latency", "rate_limit", "clock"}
    chosen = {option: others.pop(option) for option in known & set(others)}
    switches = {switch: str(value) for switch, value in others.items()}
    app = open_sandbox(name, folder / "crm.db", switches=switches, check_responses=True, **chosen)
    client = Client([Embedded(app, app.close)], base_url=BASE, headers={"x-api-key": "abc123"}, policy=QUICK)
    provider = open_provider(name, client, options)
    try:
        yield provider, client
        assert app.violations == []
    finally:
        await provider.aclose()


def opened(folder: Path, **others: Any) -> contextlib.AbstractAsyncContextManager[tuple[Provider, Client]]:
    """Open a gateway on a sandbox."""
    return surface("octolane", folder, **others)


async def read(
    provider: Provider, spellings: Sequence[str] | None = None, fields: Sequence[str] = ("name",), kind: str = "account"
) -> list[Page]:
    return [page async for page in provider.read(kind, spellings, fields)]


def keys(pages: Collection[Page]) -> set[str]:
    return {record.key for page in pages for record in page.records}


def mocked(*answers: Any, options: Options = DEFAULTS) -> tuple[Gateway, list[Any]]:
    """Return a gateway to which these bodies are answered in turn, and where its own bodies are collected."""
    bodies: list[Any] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content or b"null"))
        answer = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(answer, json={}) if isinstance(answer, int) else httpx.Response(200, json=answer)

    client = Client([httpx.MockTransport(handle)], base_url=BASE, policy=Policy(Limit(1, 0), Limit(1, 0), Limit(1, 0)))
    return Gateway(client, options), bodies
