"""What the tests of Thena's provider share: records, answers in a row, and a whole pass over a CRM."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from crmctl.client import Client, Embedded, ReadOnly
from crmctl.provider import NO_SCOPE, Page, Record, Scope
from crmctl.providers import DEFAULTS, Options
from crmctl.providers.thena import Thena
from crmctl.resource import Address, Links, Resource, recognise
from crmctl.retry import Limit, Policy
from crmctl.sandbox import open_sandbox
from crmctl.values import same

BASE = "https://thena.example"
QUICK = Policy(Limit(20, 60), Limit(5, 60), Limit(5, 60), first=0)
ONCE = Policy(Limit(1, 0), Limit(1, 0), Limit(1, 0))
ACME = Address("account", "acme.example")
JANE = Address("contact", "jane@acme.example")


def account(domain: str = "acme.example", /, **fields: Any) -> Resource:
    return Resource(Address("account", domain), {"domain": domain, "name": domain.partition(".")[0], **fields})


def contact(email: str = "jane@acme.example", /, *, owner: Any = "", **fields: Any) -> Resource:
    refs = {"account": Address("account", owner)} if owner else {}
    return Resource(Address("contact", email.lower()), {"email": email, "first_name": "Jane", **fields}, refs)


def note(name: str, text: str, domain: str = "acme.example", /, **fields: Any) -> Resource:
    refs = {"account": Address("account", domain)}
    return Resource(Address("note", f"{domain}/{name}"), {"text": text, **fields}, refs)


class Server:
    """Answer in turn (the last one for ever), and keep what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.left = list(answers)
        self.asked: list[str] = []
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        self.bodies.append(json.loads(request.content) if request.content else None)
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if callable(answer):
            answer = answer(request)
        return httpx.Response(answer, json={}) if isinstance(answer, int) else httpx.Response(200, json=answer)


def mocked(*answers: Any, options: Options = DEFAULTS, learned: dict[str, Any] | None = None) -> tuple[Thena, Server]:
    """Return a provider to which these bodies, or statuses, are answered in turn."""
    server = Server(*answers)
    client = Client([httpx.MockTransport(server)], base_url=BASE, policy=ONCE)
    return Thena(client, options, learned), server


@contextlib.asynccontextmanager
async def opened(folder: Path, options: Options = DEFAULTS, **switches: Any) -> AsyncIterator[tuple[Thena, Client]]:
    """Open the provider on a sandbox that checks its own answers."""
    chosen = {name: str(value) for name, value in switches.items()}
    app = open_sandbox("thena", folder / "crm.db", switches=chosen, check_responses=True)
    client = Client([Embedded(app, app.close)], base_url=BASE, headers={"x-api-key": "abc123"}, policy=QUICK)
    provider = Thena(client, options)
    try:
        yield provider, client
        assert app.violations == []
    finally:
        await provider.aclose()


def read_only(*answers: Any) -> Thena:
    """Return a provider that may only read."""
    transport = ReadOnly(httpx.MockTransport(Server(*answers)), Thena.endpoint.reads)
    return Thena(Client([transport], base_url=BASE, policy=ONCE))


async def read(
    provider: Thena,
    kind: str,
    fields: Sequence[str],
    spellings: Sequence[str] | None = None,
    scope: Scope = NO_SCOPE,
) -> list[Page]:
    return [page async for page in provider.read(kind, spellings, fields, scope)]


class Pass:
    """One pass over a CRM: create what is missing, update what differs, as far as reads can tell."""

    def __init__(self, provider: Thena) -> None:
        self.provider = provider
        self.ids: dict[Address, str] = {}
        self.steps: dict[Address, Any] = {}

    async def find(self, kind: str, wanted: Mapping[str, Resource]) -> dict[str, Record]:
        """Read what is wanted, without the fields that can't be read."""
        fields = sorted({name for resource in wanted.values() for name in resource.fields})
        known = {name_note(one): key for key, one in wanted.items() if kind == "note"}
        members: set[str] = set()
        records: dict[str, Record] = {}
        for page in await read(self.provider, kind, fields, scope=Scope(wanted, self.ids)):
            members.update(page.members)
            for record in page.records:
                key = record.mark.removeprefix("note/") or known.get(record.key, record.key)
                records[key] = record
        blind = {name for name in fields if name not in members and await self.provider.carries(kind, name) is False}
        return {
            key: record._replace(fields={**record.fields, **{name: wanted[key].fields.get(name) for name in blind}})
            for key, record in records.items()
            if key in wanted
        }

    async def settle(self, kind: str, wanted: Mapping[str, Resource]) -> None:
        """Bring one kind into line."""
        found = await self.find(kind, wanted)
        missing = [resource for key, resource in wanted.items() if key not in found]
        for resource in missing:
            await self.provider.create([resource], self.ids)
            self.steps[resource.address] = "create"
        found = await self.find(kind, wanted) if missing else found
        self.ids |= {Address(kind, key): record.remote_id for key, record in found.items()}
        for key, record in found.items():
            if fields := differing(wanted[key], record):
                await self.provider.update(
                    [Resource(wanted[key].address, fields, remote_id=record.remote_id)], self.ids
                )
                self.steps[wanted[key].address] = fields


def name_note(resource: Resource) -> str:
    return recognise("note", [resource.refs["account"].key], resource.fields)


def differing(resource: Resource, record: Record) -> dict[str, Any]:
    """Return the fields that differ, links as they are to become."""
    found: dict[str, Any] = {}
    for name, value in resource.fields.items():
        held = record.fields.get(name)
        wanted = sorted({*(held or ()), *value}) if isinstance(value, Links) else value
        is_key = name in {"domain", "email"} and record.key == resource.address.key
        if not is_key and not same(held, wanted, "set" if name == "accounts" else None):
            found[name] = wanted
    return found


async def settle(provider: Thena, resources: Sequence[Resource], *, rounds: int = 3) -> list[dict[Address, Any]]:
    """Pass over the CRM until nothing differs; return what each pass did."""
    desired: dict[str, dict[str, Resource]] = {}
    for resource in resources:
        desired.setdefault(resource.address.kind, {})[resource.address.key] = resource
    resolution = await provider.resolve(desired)
    assert list(resolution.findings) == []
    await provider.define(resolution.definitions)
    done: list[dict[Address, Any]] = []
    for _ in range(rounds):
        one = Pass(provider)
        for kind, some in desired.items():
            await one.settle(kind, {key: provider.fit(resource)[0] for key, resource in some.items()})
        done.append(one.steps)
        if not one.steps:
            break
    return done
