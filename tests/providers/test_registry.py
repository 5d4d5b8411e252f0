"""The registry of providers, the embedded CRM behind it, and Octolane's tables against its API document."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from octolane import keys, read

import crmctl
from crmctl.client import Client, SandboxOptions, WriteRefused, connect
from crmctl.errors import UsageError
from crmctl.kinds import KINDS
from crmctl.providers import PROVIDERS, Options, find_endpoint, open_provider
from crmctl.providers.octolane import FIELDS, OPPORTUNITY_FIELDS, TIMESTAMPS
from crmctl.providers.octolane.deals import PATCHED, RELATED
from crmctl.providers.octolane.gateway import Gateway
from crmctl.providers.octolane.inbound import Inbound
from crmctl.resource import Address, Resource

SANDBOX = Path(crmctl.__file__).parent / "sandbox"
PLAIN = Address("account", "acme.example")


def embed(tmp_path: Path, *, read_only: bool = False, provider: str = "octolane", **switches: str) -> Client:
    endpoint = find_endpoint("octolane")
    return connect(
        base_url=endpoint.base_url, headers=endpoint.headers("abc123"), reads=endpoint.reads, read_only=read_only,
        sandbox=SandboxOptions(provider, tmp_path / "crm.db", switches=switches), timeout=5, parallelism=4,
    )  # fmt: skip


def test_embedded_read_only(tmp_path: Path) -> None:
    """A read-only connection to the embedded CRM reads, and refuses to write."""

    async def run() -> None:
        provider = open_provider("octolane", embed(tmp_path, read_only=True))
        assert keys(await read(provider)) == set()
        await provider.carries("account", "name")
        await provider.folds_case("contact")
        for write in (provider.create, provider.update):
            with pytest.raises(WriteRefused):
                await write([Resource(PLAIN, {"domain": "acme.example"}, remote_id="1")])
        await provider.aclose()

    asyncio.run(run())


def test_embedded_mistakes(tmp_path: Path) -> None:
    """A wrong switch, a file that is no database, and an unknown vendor are usage errors."""
    with pytest.raises(UsageError, match="no_such_switch"):
        embed(tmp_path, no_such_switch="1")
    with pytest.raises(UsageError, match="only octolane, octolane_inbound, thena can"):
        embed(tmp_path, provider="nobody")
    (tmp_path / "crm.db").write_text("no database" * 1000)
    with pytest.raises(UsageError, match="sandbox: "):
        embed(tmp_path)


def test_registry() -> None:
    """Every registered provider can be opened; an unknown one is named, with those there are."""
    for name in PROVIDERS:
        provider = open_provider(name, Client([], base_url=find_endpoint(name).base_url))
        assert provider.capabilities
    with pytest.raises(UsageError, match="'nobody' is unknown; there is octolane"):
        find_endpoint("nobody")


@pytest.mark.parametrize("name", ["octolane", "octolane_inbound"])
def test_routes(name: str) -> None:
    """Every route exists in the API's document; only the reads may be used read-only."""
    document = json.loads((SANDBOX / f"{name}.openapi.json").read_bytes())
    routes = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    surface: Any = Gateway if name == "octolane" else Inbound
    capabilities = surface(Client([], base_url="http://127.0.0.1"), Options(assumed_routes=True)).capabilities
    for can in capabilities.values():
        writes = {can.create_route, can.update_route, can.define_route} - {""}
        assert {can.read_route, *writes} - {""} <= routes
        assert (can.read_route in surface.endpoint.reads) is can.read
        assert not writes & surface.endpoint.reads
    assert surface.endpoint.reads <= routes


def test_field_table() -> None:
    """The field table is the API document's."""
    schemas = json.loads((SANDBOX / "octolane.openapi.json").read_bytes())["components"]["schemas"]
    for kind, name in (("account", "AccountInput"), ("contact", "ContactInput")):
        properties = schemas[name]["properties"]
        assert FIELDS[kind] == set(properties)
        assert KINDS[kind].key_field in FIELDS[kind]
        assert {member for member, schema in properties.items() if "PayloadTimestamp" in str(schema)} == TIMESTAMPS


def test_opportunity_table() -> None:
    """What is sent of an opportunity is what the API document has."""
    schemas = json.loads((SANDBOX / "octolane.openapi.json").read_bytes())["components"]["schemas"]
    members = schemas["OpportunityInput"]["properties"]
    documented = {*members["opportunity"]["properties"], *members["related_objects"]["properties"]}
    own = {RELATED.get(name, name) for name in OPPORTUNITY_FIELDS - {"pipeline_id", "stage"}}
    assert documented == own | {"account_domain", "stage_id", "stage_name", "custom_attributes"}
    patched = {PATCHED.get(name, name) for name in OPPORTUNITY_FIELDS - {"pipeline_id", "stage"}}
    assert {*patched, "stage_id"} <= set(schemas["OpportunityPatch"]["properties"])
