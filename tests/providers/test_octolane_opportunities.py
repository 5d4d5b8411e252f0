"""Octolane's opportunities: found by account, pipeline and name, written once, related by ids."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from octolane import account, contact, mocked, opened

from crmctl.errors import Ambiguous, Rejected
from crmctl.provider import NO_IDS, Provider, Record, Scope
from crmctl.providers import Options
from crmctl.resource import Address, Resource, recognise
from crmctl.sandbox.faults import Interference
from crmctl.values import same

SALES = "018f13b3-8239-7ef8-a8f1-93ad10b76110"  # the pipeline that every sandbox has
STAGES = "Lead, Qualified, Proposal, Negotiation, Closed won, Closed lost"
OPTIONS = Options(pipelines={"sales": SALES})
ACME = Address("account", "a1.example")
KEY = recognise("opportunity", [ACME.key], {"pipeline_id": SALES, "name": "Renewal"})
COMPARE = {"close_date": "instant", "next_action_date": "instant", "additional_contact_emails": "set"}
DECLARED = {
    "name": "Renewal",
    "pipeline": "sales",
    "stage": "proposal",
    "deal_size": 40000,
    "close_date": "2027-01-31",
    "next_action_date": "2027-01-15T09:00:00+01:00",
    "next_steps": "Send the offer.",
    "primary_contact_email": "Jane@a1.example",
    "additional_contact_emails": ["sam@a1.example"],
    "custom_fields.forecast": "Likely",
    "custom_fields.custom__competitor": "Globex",
}
CHANGED = {
    "stage": "Negotiation",
    "deal_size": 1.5,
    "close_date": "2027-02-28",
    "next_steps": "Call.",
    "primary_contact_email": "sam@a1.example",
    "additional_contact_emails": ["jane@a1.example", "lee@a1.example"],
    "custom_fields.forecast": "Open",
}


def deal(name: str = "Renewal", **fields: Any) -> Resource:
    address = Address("opportunity", f"a1.example/sales/{name}")
    return Resource(address, {"name": name, "pipeline": "sales", **fields}, {"account": ACME})


async def begin(provider: Provider, resource: Resource) -> tuple[Resource, Mapping[Address, str]]:
    """Make the records that an opportunity belongs to; return it fitted, and their ids."""
    assert (await provider.resolve({"opportunity": {resource.address.key: resource}})).findings == []
    people = [contact(f"{name}@a1.example") for name in ("jane", "sam", "lee")]
    await provider.create([account(1)])
    await provider.create(people)
    ids = {}
    for kind in ("account", "contact"):
        async for page in provider.read(kind, None, ()):
            ids.update({Address(kind, record.key): record.remote_id for record in page.records})
    fitted, missing = provider.fit(resource)
    assert list(missing) == []
    return fitted, ids


async def live(
    provider: Provider, wanted: Resource, ids: Mapping[Address, str] = NO_IDS, fields: Any = None
) -> list[Record]:
    scope = Scope({wanted.address.key: wanted}, ids)
    pages = provider.read("opportunity", None, sorted(fields or wanted.fields), scope)
    return [record async for page in pages for record in page.records]


async def differing(provider: Provider, wanted: Resource, record: Record) -> dict[str, Any]:
    """Return the declared fields that a live record does not have as declared, but for those that reads don't show."""
    found = {}
    for name, value in wanted.fields.items():
        if not same(value, record.fields.get(name), COMPARE.get(name)):
            if name not in record.fields and await provider.carries("opportunity", name) is False:
                continue
            found[name] = (value, record.fields.get(name))
    return found


@pytest.mark.parametrize(
    "switches",
    [
        "", "opportunity_dates=rfc3339", "opportunity_fields=asked", "opportunity_fields=documented", "read_fields=set",
        "read_fields=documented", "custom_key=property_name", "custom_key=slug", "custom_key=slug unknown_field=reject",
        "custom_key=slug unknown_field=ignore", "patch_custom=top_level", "patch_custom=custom_attributes",
        "patch_custom=custom_attributes custom_key=slug unknown_field=reject", "patch_arrays=append", "key_filter=no",
        "reference_filter=no", "unknown_name=ignore", "in_case=insensitive", "opportunity_dedupe=same_name",
        "related_missing=404", "related_missing=ignore", "named_twice=reject", "no_stage=reject", "bulk_data=empty",
        "created_status=201", "over_limit=clamp", "bad_item=partial", "mistyped_custom=reject",
        "account_from_contact=yes",
    ],
)  # fmt: skip
def test_round_trip(tmp_path: Path, switches: str) -> None:
    """Whatever the documentation leaves open, what was created and updated is read back as declared."""

    async def run() -> None:
        chosen: dict[str, Any] = dict(pair.split("=") for pair in switches.split())
        async with opened(tmp_path, options=OPTIONS, **chosen) as (provider, client):
            wanted, ids = await begin(provider, Resource(deal().address, DECLARED, {"account": ACME}))
            await provider.create([wanted], ids)
            (record,) = await live(provider, wanted, ids)
            assert (record.key, await differing(provider, wanted, record)) == (KEY, {})
            change, _ = provider.fit(wanted._replace(fields={"pipeline": "sales", **CHANGED}))
            fields = {name: value for name, value in change.fields.items() if name != "pipeline_id"}
            await provider.update([change._replace(fields=fields, remote_id=record.remote_id)], ids)
            (record,) = await live(provider, wanted, ids)
            assert await differing(provider, change._replace(fields=fields), record) == {}
            assert client.counts["POST /v1/opportunities/bulk"] <= (3 if "slug" in switches else 1)

    asyncio.run(run())


def test_what_is_sent() -> None:
    """A create says people and account by key, dates in milliseconds; an update says people by id, and clears."""
    stages = {"data": {"stages": [{"stage_id": "7", "label": "Proposal"}]}}
    definitions = {"tier": {"property_name": "custom__tier"}}
    page = {"data": {"opportunities": [], "has_more": False, "custom_field_definitions": definitions}}
    live_deal = {"id": "d1", "name": "Renewal", "account_id": "a1", "custom_fields": {"tier": 1}}
    found = {"data": {"opportunities": [live_deal], "has_more": False}}
    gateway, bodies = mocked(stages, page, {}, found, found, {}, options=OPTIONS)
    fields: dict[str, Any] = {
        "stage": "PROPOSAL", "close_date": "2027-01-31", "next_steps": None, "primary_contact_email": "Jane@A1.example",
        "additional_contact_emails": "sam@a1.example", "octolane.owner_id": "o1", "custom_fields.tier": 1, "thena.x": 1,
        "colour": "red",
    }  # fmt: skip

    async def run() -> None:
        resource = deal(**fields)
        await gateway.resolve({"opportunity": {resource.address.key: resource}})
        wanted, missing = gateway.fit(resource)
        assert [name for name, _ in missing] == ["colour"]
        ids = {ACME: "a1", Address("contact", "jane@a1.example"): "c1"}
        await gateway.create([wanted], ids)
        (record,) = await live(gateway, wanted, ids)
        assert record.key == KEY
        cleared = {"close_date": None, "primary_contact_email": "jane@a1.example", "additional_contact_emails": None}
        await gateway.update([wanted._replace(fields=cleared, remote_id="d1")], ids)

    asyncio.run(run())
    assert bodies[2] == [
        {
            "pipeline_id": SALES,
            "opportunity": {
                "name": "Renewal", "stage_id": "7", "close_date": 1801353600000,
                "custom_attributes": {"custom__tier": 1},
            },
            "related_objects": {
                "account_domain": "a1.example", "primary_contact_email": "jane@a1.example",
                "additional_contact_emails": ["sam@a1.example"], "owner_id": "o1",
            },
        }
    ]  # fmt: skip
    assert bodies[-1] == {"d1": {"close_date": None, "opportunity_contact": "c1", "opportunity_other_stakeholders": []}}


def test_never_sent_twice(tmp_path: Path) -> None:
    """A create whose answer is lost is ambiguous, and is not sent again."""

    def interfere(method: str, path: str, turn: int) -> Interference | None:
        lost = (method, path, turn) == ("POST", "/v1/opportunities/bulk", 1)
        return Interference(when="after", status=502) if lost else None

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS, interfere=interfere) as (provider, client):
            wanted, ids = await begin(provider, deal())
            with pytest.raises(Ambiguous):
                await provider.create([wanted], ids)
            assert client.counts["POST /v1/opportunities/bulk"] == 1
            assert len(await live(provider, wanted, ids)) == 1

    asyncio.run(run())


def test_created_all_the_same() -> None:
    """What goes wrong after a create is no refusal of it: the create would be sent again."""
    for trouble in (400, 404, 429, 500):
        gateway, _ = mocked({}, trouble, options=OPTIONS)
        wanted, _ = gateway.fit(deal("Renewal", **{"custom_fields.tier": 1}))
        if trouble < 429:  # a search that can't be filtered so tells nothing
            asyncio.run(gateway.create([wanted], {ACME: "a1"}))
        else:
            with pytest.raises(Ambiguous):
                asyncio.run(gateway.create([wanted], {ACME: "a1"}))


def test_nobody_else_is_touched() -> None:
    """Custom fields that took no effect are mended only where there is no doubt which record was just created."""
    old = {"id": "old", "name": "Renewal", "account_id": "a1"}
    cases: list[tuple[list[dict[str, Any]], list[str]]] = [
        ([{**old, "id": "new"}], ["new"]),
        ([old, {**old, "id": "new"}], ["new"]),  # one of them was read before
        ([old], []),
        ([{**old, "id": "new", "account_id": "a2"}], []),
        ([{**old, "id": "new"}, {**old, "id": "newer"}], []),
        ([{**old, "id": "new", "account_id": {"odd": 1}}], []),
    ]
    for found, mended in cases:
        before = {"data": {"opportunities": [dict(old)], "has_more": False}}
        after = {"data": {"opportunities": found, "has_more": False}}
        gateway, bodies = mocked(before, {}, after, {}, after, {}, after, options=OPTIONS)
        wanted, _ = gateway.fit(deal("Renewal", **{"custom_fields.tier": 1}))
        asyncio.run(live(gateway, wanted, {ACME: "a1"}))
        asyncio.run(gateway.create([wanted], {ACME: "a1"}))
        patches = [body for body in bodies if isinstance(body, dict) and not body.keys() & {"limit", "filters"}]
        assert sorted({remote_id for patch in patches for remote_id in patch}) == mended


def test_spelling_of_what_is_there(tmp_path: Path) -> None:
    """Whom an opportunity is about is said as the CRM has it, which may compare keys as they are spelled."""

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS, key_normalisation="none") as (provider, _):
            await provider.create([contact("Jane@a1.example")])
            one = deal(primary_contact_email="JANE@a1.example", additional_contact_emails=["jane@a1.example"])
            await provider.resolve({"opportunity": {"a": one}})
            for _ in range(2):
                people = [record async for page in provider.read("contact", None, ()) for record in page.records]
                assert [record.key for record in people] == ["jane@a1.example"]
                await provider.create([provider.fit(one)[0]])

    asyncio.run(run())


def test_strangers(tmp_path: Path) -> None:
    """An opportunity of an account that is not known is looked up if its name is declared, and else has no key."""

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS) as (provider, _):
            wanted, ids = await begin(provider, deal(primary_contact_email="jane@a1.example"))
            other = wanted._replace(refs={"account": Address("account", "a9.example")})
            fields = {"pipeline_id": SALES, "name": "Other", "primary_contact_email": "sam@a1.example"}
            third = other._replace(fields=fields, refs={"account": Address("account", "a8.example")})
            await provider.create([other, third, wanted], ids)
            found = {record.key: record.fields for record in await live(provider, wanted)}
            assert found.keys() == {KEY, "", KEY.replace("a1", "a9")}
            assert found[KEY]["primary_contact_email"] == "jane@a1.example"
            assert "@" not in found[""]["primary_contact_email"], "its id, as nobody needs to know more"

    asyncio.run(run())


def test_missing_person(tmp_path: Path) -> None:
    """An update that names a contact who isn't there is refused before anything is sent; others are looked up."""

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS) as (provider, client):
            wanted, ids = await begin(provider, deal())
            await provider.create([wanted], ids)
            (record,) = await live(provider, wanted, ids)
            for email, known in (("nobody@a1.example", False), ("lee@a1.example", True)):
                fields = {"primary_contact_email": email}
                change = wanted._replace(fields=fields, remote_id=record.remote_id)
                if known:
                    await provider.update([change])
                else:
                    with pytest.raises(Rejected, match="no contact nobody@"):
                        await provider.update([change])
            assert client.counts["PATCH /v1/opportunities/bulk"] == 1
            (record,) = await live(provider, wanted, {}, ["primary_contact_email"])
            assert record.fields["primary_contact_email"] == "lee@a1.example"

    asyncio.run(run())


def test_no_moves() -> None:
    """No documentation shows how to move an opportunity to another pipeline."""
    gateway, bodies = mocked({})
    with pytest.raises(Rejected, match="move an opportunity"):
        asyncio.run(gateway.update([deal()._replace(fields={"pipeline_id": SALES}, remote_id="1")]))
    assert bodies == []


def test_names_that_are_none(tmp_path: Path) -> None:
    """Unknown pipelines and stages are findings that list the known ones."""

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS) as (provider, client):
            wrong = {
                "a": deal("a", pipeline="sale"),
                "b": deal("b", pipeline="018f13b3-8239-7ef8-a8f1-93ad10b76111"),
                "c": deal("c", stage="Won"),
                "d": deal("d", stage="018F13B3-8239-7ef8-a8f1-93ad10b76201"),
                "e": deal("e", **{"custom_fields.competitors": 1}),
            }
            found = (await provider.resolve({"opportunity": wrong})).findings
            said = {finding.resource.fields["name"]: (finding.field, finding.message) for finding in found}
            assert said == {
                "a": ("pipeline", "crmctl.yaml gives no id to the pipeline {value}; there is sales"),
                "b": ("pipeline", "Octolane has no such pipeline: 018f13b3-8239-7ef8-a8f1-93ad10b76111"),
                "c": ("stage", f"the pipeline has no stage {{value}}; there is {STAGES}"),
                "e": (
                    "custom_fields.competitors",
                    "opportunities have no custom field 'competitors'; did you mean competitor?",
                ),
            }
            fitted, _ = provider.fit(wrong["d"])
            assert (fitted.fields["stage"], fitted.fields["pipeline_id"]) == ("Lead", SALES)
            assert provider.fit(fitted)[0] is fitted
            before = client.counts.total()
            await provider.resolve({"opportunity": {"a": wrong["c"]}})
            assert client.counts.total() == before, "stages are read once"

    asyncio.run(run())


def test_no_definitions(tmp_path: Path) -> None:
    """Custom fields of opportunities can't be made, and the finding says where to."""

    async def run() -> None:
        async with opened(tmp_path, options=OPTIONS._replace(define=True)) as (provider, _):
            resolution = await provider.resolve({"opportunity": {"a": deal("a", **{"custom_fields.zzz": 1})}})
            (finding,) = resolution.findings
            assert finding.message.endswith("; Octolane documents no way to make one here, so make it there")
            assert list(resolution.definitions) == []

    asyncio.run(run())


def test_no_pipelines_named() -> None:
    """Where the target names no pipelines, the finding says that."""
    gateway, _ = mocked({})
    (finding,) = asyncio.run(gateway.resolve({"opportunity": {"a": deal()}})).findings
    assert finding.message == "crmctl.yaml gives no id to the pipeline {value}; the target has no `pipelines:` at all"


def test_bare_searches() -> None:
    """Where sorting or choosing fields of opportunities is refused, they are read without either."""
    found = {"data": {"opportunities": [{"id": "1", "name": "x"}], "has_more": False}}
    gateway, bodies = mocked(400, found, options=OPTIONS)
    wanted, _ = gateway.fit(deal())
    assert len(asyncio.run(live(gateway, wanted))) == 1
    assert len(asyncio.run(live(gateway, wanted))) == 1
    assert bodies[1:] == [{"pipeline_id": SALES, "limit": 500}] * 2
    with pytest.raises(Rejected):
        asyncio.run(live(mocked(404, options=OPTIONS)[0], wanted))


def test_odd_stages() -> None:
    """An answer that lists no stages is ambiguous."""
    gateway, _ = mocked({"data": {}}, options=OPTIONS)
    with pytest.raises(Ambiguous, match="not a list of stages"):
        asyncio.run(gateway.resolve({"opportunity": {"a": deal()}}))


def test_notes(tmp_path: Path) -> None:
    """Notes are sent only where assumed routes are allowed, one a request, and never twice."""
    note = Resource(
        Address("note", "a1.example/kickoff"),
        {"text": "Hello", "thena.type": "MEETING"},
        {"account": ACME, "contact": Address("contact", "jane@a1.example")},
    )
    assert "note" not in mocked({})[0].capabilities
    gateway, bodies = mocked({}, options=Options(assumed_routes=True))
    can = gateway.capabilities["note"]
    assert (can.read, can.update, can.dedupes, can.create_batch, can.evidence) == (False, False, False, 1, "assumed")
    fitted, missing = gateway.fit(note)
    assert (fitted.fields, list(missing)) == ({"text": "Hello"}, [])
    asyncio.run(gateway.create([fitted]))
    assert bodies == [[{"text": "Hello", "account_domain": "a1.example", "contact_email": "jane@a1.example"}]]

    async def run() -> None:
        async with opened(tmp_path, options=Options(assumed_routes=True)) as (provider, _):
            await provider.create([account(1)])
            await provider.create([contact("jane@a1.example")])
            await provider.create([fitted])

    asyncio.run(run())
