"""Octolane's Inbound API: one record a request, read as on the gateway, and nothing updated."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from octolane import BASE, QUICK, account, contact, keys, opened, read, surface

from crmctl.capability import Definition
from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.providers import Options
from crmctl.providers.octolane.inbound import CAPABILITIES, Inbound
from crmctl.resource import Address, Resource
from crmctl.sandbox.faults import Interference

SALES = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
ALL = Options(pipelines={"sales": SALES}, assumed_routes=True)
ACME = Address("account", "a1.example")
DEAL = Resource(
    Address("opportunity", "a1.example/sales/Renewal"),
    {"name": "Renewal", "pipeline": "sales", "stage": "Proposal", "deal_size": 5, "custom_fields.tier": 1},
    {"account": ACME},
)
NOTE = Resource(Address("note", "a1.example/kickoff"), {"text": "Hello", "thena.type": "MEETING"}, {"account": ACME})


def mocked(*answers: Any, options: Options = ALL) -> tuple[Inbound, list[tuple[str, Any]]]:
    """Return the provider to which these bodies are answered in turn, and where its requests are collected."""
    requests: list[tuple[str, Any]] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append((f"{request.method} {request.url.path}", json.loads(request.content)))
        return httpx.Response(200, json=left.pop(0) if len(left) > 1 else left[0])

    return Inbound(Client([httpx.MockTransport(handle)], base_url=BASE, policy=QUICK), options), requests


def test_round_trip(tmp_path: Path) -> None:
    """Accounts and contacts are created and read; a contact brings its account along."""

    async def run() -> None:
        async with surface("octolane_inbound", tmp_path) as (inbound, client):
            first = await inbound.create([account(1)])
            assert (await inbound.create([account(1)])).ids == first.ids
            assert client.counts["POST /v1/inbound/accounts"] == 2
            jane, _ = inbound.fit(contact("Jane@a2.example", first_name="Jane", last_name="Doe", job_title="CTO"))
            receipt = await inbound.create([jane])
            (page,) = await read(inbound, ["jane@a2.example", "Jane@a2.example"], ["email", "first_name"], "contact")
            (record,) = page.records
            assert (record.key, record.fields["first_name"]) == ("jane@a2.example", "Jane")
            assert receipt.ids == {jane.address: record.remote_id}
            assert keys(await read(inbound)) == {"a1.example", "a2.example"}
            assert first.ids[ACME] in {record.remote_id for page in await read(inbound) for record in page.records}
            assert await inbound.folds_case("contact") is False
            assert await inbound.finds_by_text("contact") is True

    asyncio.run(run())


def test_one_organisation(tmp_path: Path) -> None:
    """What the Inbound API creates, the gateway reads under the same id."""

    async def run() -> None:
        async with surface("octolane_inbound", tmp_path) as (inbound, _):
            receipt = await inbound.create([account(1)])
        async with opened(tmp_path) as (gateway, _):
            (page,) = await read(gateway, ["a1.example"])
            assert page.records[0].remote_id == receipt.ids[ACME]

    asyncio.run(run())


def test_fit() -> None:
    """What a create does not take is left out, with the reason; what another vendor's section holds, without."""
    inbound, _ = mocked({})
    assert inbound.fit(account(1)) == (account(1), [])
    one = account(1)
    assert inbound.fit(one)[0] is one
    fitted, missing = inbound.fit(account(1, name="Acme", **{"custom_fields.tier": 1, "thena.status": "ACTIVE"}))
    assert fitted.fields == {"domain": "a1.example"}
    assert missing == [(name, "the Inbound API takes no such field") for name in ("name", "custom_fields.tier")]
    jane = contact("jane@a1.example", job_title="CTO", colour="red")
    jane = Resource(jane.address, jane.fields, {"account": Address("account", "other.example")})
    fitted, missing = inbound.fit(jane)
    assert fitted.fields == {"email": "jane@a1.example"}
    assert [name for name, _ in missing] == ["colour", "account", "job_title"]
    fitted, missing = inbound.fit(DEAL)
    assert fitted.fields == {"name": "Renewal", "pipeline_id": SALES, "stage": "Proposal", "deal_size": 5}
    assert missing == [("custom_fields.tier", "the Inbound API takes no such field")]
    assert inbound.fit(NOTE)[0].fields == {"text": "Hello"}


def test_capabilities() -> None:
    """Opportunities and notes are there only where assumed routes are allowed; nothing is ever updated."""
    plain, _ = mocked({}, options=Options())
    assert plain.capabilities.keys() == {"account", "contact"}
    inbound, requests = mocked({})
    assert inbound.capabilities == dict(CAPABILITIES)
    assert not any(can.update for can in CAPABILITIES.values())
    assert {kind: can.dedupes for kind, can in CAPABILITIES.items()} == {
        "account": True, "contact": True, "opportunity": False, "note": False,
    }  # fmt: skip
    with pytest.raises(Unsupported, match="updates nothing"):
        asyncio.run(inbound.update([account(1)]))
    with pytest.raises(Unsupported, match="no custom fields, such as tier"):
        asyncio.run(inbound.define([Definition("account", "tier", "string")]))
    assert requests == []


def test_assumed_bodies() -> None:
    """An opportunity has the gateway's body, a stage by name or id, and a note its text and what it is about."""
    inbound, requests = mocked({"success": True, "data": {"company_id": 5}})

    async def run() -> None:
        assert (await inbound.resolve({"opportunity": {"a": DEAL}})).findings == []
        for resource in (inbound.fit(DEAL)[0], NOTE):
            assert (await inbound.create([resource])).ids == {}
        await inbound.create([Resource(DEAL.address, {"name": "x", "pipeline_id": SALES, "stage": SALES})])

    asyncio.run(run())
    related = {"account_domain": "a1.example"}
    own = {"name": "Renewal", "stage_name": "Proposal", "deal_size": 5}
    assert requests == [
        ("POST /v1/inbound/opportunities", {"pipeline_id": SALES, "opportunity": own, "related_objects": related}),
        ("POST /v1/inbound/notes", {"text": "Hello", "account_domain": "a1.example"}),
        ("POST /v1/inbound/opportunities", {"pipeline_id": SALES, "opportunity": {"name": "x", "stage_id": SALES}}),
    ]


def test_unknown_pipeline() -> None:
    """A pipeline that the target gives no id to is a finding."""
    pipelines = {"b": SALES, "a": SALES}
    without, _ = mocked({}, options=Options(pipelines=pipelines))
    assert () == tuple(asyncio.run(without.resolve({"opportunity": {"a": DEAL}})).findings)  # it has no place here
    inbound, _ = mocked({}, options=Options(pipelines=pipelines, assumed_routes=True))
    (finding,) = asyncio.run(inbound.resolve({"opportunity": {"a": DEAL}})).findings
    assert finding.message == "crmctl.yaml gives no id to the pipeline {value}; there is a, b"


def test_assumed_routes(tmp_path: Path) -> None:
    """The assumed bodies are those that the embedded CRM assumes as well; the gateway then reads the opportunity."""

    async def run() -> None:
        async with surface("octolane_inbound", tmp_path, options=ALL) as (inbound, _):
            await inbound.create([account(1)])
            await inbound.create([inbound.fit(DEAL)[0]])
            await inbound.create([inbound.fit(NOTE)[0]])
            elsewhere = Resource(DEAL.address, {"name": "x", "pipeline_id": SALES.replace("0", "1")})
            with pytest.raises(Rejected, match="404"):
                await inbound.create([elsewhere])

    asyncio.run(run())


@pytest.mark.parametrize(("kind", "sent"), [("account", 2), ("opportunity", 1)])
def test_lost_answers(tmp_path: Path, kind: str, sent: int) -> None:
    """A create whose answer is lost is sent again only if the vendor dedupes."""
    path = f"/v1/inbound/{'accounts' if kind == 'account' else 'opportunities'}"

    def interfere(_method: str, asked: str, turn: int) -> Interference | None:
        return Interference(when="after", status=502) if (asked, turn) == (path, 1) else None

    async def run() -> None:
        async with surface("octolane_inbound", tmp_path, options=ALL, interfere=interfere) as (inbound, client):
            resource = account(1) if kind == "account" else inbound.fit(DEAL)[0]
            try:
                await inbound.create([resource])
            except Ambiguous:
                assert kind == "opportunity"
            assert client.counts[f"POST {path}"] == sent

    asyncio.run(run())
