"""Octolane's custom fields: three names for one field, labels for options, and whichever way a server wants them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from octolane import account, contact, mocked, opened, read

from crmctl.capability import Definition
from crmctl.client import Client
from crmctl.errors import Rejected, Unsupported
from crmctl.provider import Provider
from crmctl.providers import Options
from crmctl.providers.octolane.catalogue import Catalogue
from crmctl.providers.octolane.custom_fields import CustomField, Place, Way, suggest_type
from crmctl.resource import Address, Resource
from crmctl.values import same

PLACE = Place("account")
OPTIONS = [{"label": "Gold", "value": "e-1", "order": 1}, {"label": "Silver", "value": "e-2", "order": 2}]
FIELDS = [
    {"name": "Level", "attribute_type": "select", "property_name": "text_1", "metadata": {"select_options": OPTIONS}},
    {"name": "Regions", "attribute_type": "multi_select", "property_name": "text_2",
     "metadata": {"select_options": OPTIONS}},
    {"name": "Since", "attribute_type": "date", "property_name": "text_3"},
    {"name": "Seats", "attribute_type": "number", "property_name": "text_4"},
]  # fmt: skip
DECLARED = {
    "custom_fields.level": "Gold",
    "custom_fields.regions": ["Silver", "Gold"],
    "custom_fields.text_3": "2027-01-31",  # by its property name
    "custom_fields.seats": 12,
}
CHANGED = {"custom_fields.level": "Silver", "custom_fields.seats": None, "custom_fields.regions": ["Silver"]}


async def define(client: Client, plural: str = "accounts") -> None:
    route = f"/v1/{plural}/fields/bulk"
    await client.request("POST", route, route=f"POST {route}", json=FIELDS, repeatable=False)


async def live(provider: Provider, kind: str = "account", fields: Any = tuple(DECLARED)) -> dict[str, Any]:
    """Return the fields of the live records, by id."""
    pages = await read(provider, None, fields, kind)
    return {record.remote_id: record.fields for page in pages for record in page.records}


def fitted(provider: Provider, resource: Resource) -> Resource:
    resource, missing = provider.fit(resource)
    assert list(missing) == []
    return resource


def holds(fields: Any, declared: Resource) -> bool:
    return all(same(value, fields.get(name)) for name, value in declared.fields.items() if name.startswith("custom"))


@pytest.mark.parametrize("unknown_field", ["store", "ignore", "reject"])
@pytest.mark.parametrize("custom_key", ["either", "property_name", "slug"])
@pytest.mark.parametrize("kind", ["account", "contact"])
def test_any_name(tmp_path: Path, kind: str, custom_key: str, unknown_field: str) -> None:
    """Whichever name of a field a write has to use, and whatever other names come to, the values arrive."""

    async def run() -> None:
        switches = {"custom_key": custom_key, "unknown_field": unknown_field, "bad_item": "partial"}
        async with opened(tmp_path, **switches) as (provider, client):
            await define(client, f"{kind}s")
            one = account(1, **DECLARED) if kind == "account" else contact("Jane@a1.example", **DECLARED)
            assert (await provider.resolve({kind: {one.address.key: one}})).findings == []
            wanted = fitted(provider, one)
            await provider.create([wanted])
            ((remote_id, fields),) = (await live(provider, kind)).items()
            assert holds(fields, wanted), fields
            later = fitted(provider, Resource(wanted.address, CHANGED, remote_id=remote_id))
            await provider.update([later])
            ((_, fields),) = (await live(provider, kind)).items()
            assert holds(fields, later), fields
            before = client.counts.total()
            await provider.update([fitted(provider, Resource(wanted.address, DECLARED, remote_id=remote_id))])
            assert client.counts.total() == before + 1, "what was found out is kept"

    asyncio.run(run())


@pytest.mark.parametrize("custom_key", ["property_name", "slug"])
def test_update_finds_the_name(tmp_path: Path, custom_key: str) -> None:
    """An update that takes no effect by property name is made by slug; another one needs no second try."""

    async def run() -> None:
        async with opened(tmp_path, custom_key=custom_key, unknown_field="ignore") as (provider, client):
            await define(client)
            await provider.create([account(1), account(2)])
            ids = {record.key: record.remote_id for page in await read(provider) for record in page.records}
            one = account(1, **DECLARED)
            await provider.resolve({"account": {"a1.example": one}})
            for number in (1, 2):
                wanted = fitted(provider, account(number, **DECLARED))
                remote_id = ids[wanted.address.key]
                await provider.update([Resource(wanted.address, wanted.fields, remote_id=remote_id)])
                assert holds((await live(provider))[remote_id], wanted)

    asyncio.run(run())


def test_search_lag(tmp_path: Path) -> None:
    """While searches lag behind, nothing is concluded, and what was sent is right in the end."""
    now = [1_800_000_000.0]

    async def run() -> None:
        async with opened(tmp_path, search_lag=5, clock=lambda: now[0]) as (provider, client):
            await define(client)
            one = account(1, **DECLARED)
            await provider.resolve({"account": {"a1.example": one}})
            wanted = fitted(provider, one)
            await provider.create([wanted])
            now[0] += 10
            ((remote_id, fields),) = (await live(provider)).items()
            assert holds(fields, wanted)
            later = fitted(provider, Resource(wanted.address, CHANGED, remote_id=remote_id))
            await provider.update([later])
            now[0] += 10
            ((_, fields),) = (await live(provider)).items()
            assert holds(fields, later)

    asyncio.run(run())


def test_unknown_names(tmp_path: Path) -> None:
    """A field or an option that is not there is a finding at its record, with what may have been meant."""

    async def run() -> None:
        async with opened(tmp_path) as (provider, client):
            await define(client)
            one = account(1, **{"custom_fields.levle": 1, "custom_fields.xyz": 2, "custom_fields.regions": ["Bronze"]})
            findings = (await provider.resolve({"account": {"a1.example": one}})).findings
            said = {found.field: found.message for found in findings}
            assert all(found.resource is one for found in findings)
            assert said == {
                "custom_fields.levle": "accounts have no custom field 'levle'; did you mean level?",
                "custom_fields.xyz": "accounts have no custom field 'xyz'; there is level, regions, seats, since",
                "custom_fields.regions": "{value} is no option of regions: there is Gold, Silver",
            }

    asyncio.run(run())


def test_no_fields_at_all(tmp_path: Path) -> None:
    """Where there is no custom field, the finding says so; system fields are none."""

    async def run() -> None:
        async with opened(tmp_path) as (provider, _):
            one = account(1, **{"custom_fields.industry": 1})
            (finding,) = (await provider.resolve({"account": {"a1.example": one}})).findings
            assert finding.message == "accounts have no custom field 'industry'; there is none at all"

    asyncio.run(run())


def test_define(tmp_path: Path) -> None:
    """Missing fields are made on request, of the type that their values suggest, and can be written then."""

    async def run() -> None:
        async with opened(tmp_path, options=Options(define=True)) as (provider, client):
            some = {
                "custom_fields.plan": "pro",
                "custom_fields.langs": ["fr", "de"],
                "custom_fields.start": "2027-01-31",
                "custom_fields.at": "2027-01-31T09:00:00+01:00",
                "custom_fields.Odd Name": True,
                "custom_fields.size": 4,
            }
            one, two = account(1, **some), account(2, **{"custom_fields.langs": ["es"], "custom_fields.plan": None})
            resolution = await provider.resolve({"account": {"a1.example": one, "a2.example": two}})
            assert resolution.findings == []
            assert {found.slug: found.type for found in resolution.definitions} == {
                "plan": "string", "langs": "multi_select", "start": "date", "at": "datetime", "Odd Name": "checkbox",
                "size": "number",
            }  # fmt: skip
            wanted = fitted(provider, one)
            assert client.counts["POST /v1/accounts/fields/bulk"] == 0
            await provider.define(resolution.definitions)
            await provider.create([wanted])
            ((_, fields),) = (await live(provider, fields=tuple(some))).items()
            assert holds(fields, wanted), fields
            assert (await provider.resolve({"account": {"a1.example": one}})).definitions == []

    asyncio.run(run())


def test_define_opportunities() -> None:
    """No documentation shows how to make fields of opportunities."""
    gateway, bodies = mocked({})
    with pytest.raises(Unsupported, match="opportunity: Octolane documents no way"):
        asyncio.run(gateway.define([Definition("opportunity", "tier", "string")]))
    assert bodies == []


def test_no_requests_without() -> None:
    """Records without custom fields cost no request more."""
    gateway, bodies = mocked({})
    asyncio.run(gateway.resolve({"account": {"a1.example": account(1)}}))
    asyncio.run(gateway.create([account(1)]))
    asyncio.run(gateway.update([Resource(Address("account", "a1.example"), {"name": "A"}, remote_id="1")]))
    assert len(bodies) == 2


def test_refused_both_ways() -> None:
    """A batch that is refused in every way is refused for its first reason; a record alone isn't sent for nothing."""
    gateway, bodies = mocked(400)
    with pytest.raises(Rejected, match="POST /v1/accounts/bulk: 400"):
        asyncio.run(gateway.create([account(1, **{"custom_fields.tier": 1})]))
    assert bodies == [[{"domain": "a1.example", "tier": 1}]], "one way only, as nothing is known of the field"


def test_late_to_show() -> None:
    """What does not show after an update is sent by slug as well; what was sent first stands in the end."""
    definitions = {"tier": {"property_name": "text_1"}}
    stale = {"data": {"accounts": [{"id": "1"}], "has_more": False, "custom_field_definitions": definitions}}
    one = Resource(Address("account", "a1.example"), {"custom_fields.tier": 1}, remote_id="1")

    async def run(*answers: Any) -> list[Any]:
        gateway, bodies = mocked(stale, *answers)
        await gateway.resolve({"account": {"a1.example": one}})
        for _ in range(4):
            await gateway.update([one])
        return [body["1"] for body in bodies if "1" in body]

    both = [{"text_1": 1}, {"tier": 1}]
    assert asyncio.run(run({}, stale, 400, {}, stale, 400, {}, stale, 400, {})) == [*both * 3, both[0]]
    # Where it is accepted and does not show either, what is likeliest has the last word.
    assert asyncio.run(run(*[{}, stale, {}, stale, {}] * 3, {})) == [*[*both, both[0]] * 3, both[0]]


def test_no_field_list() -> None:
    """Where the list of fields is refused, what searches tell is all there is."""
    page = {"data": {"accounts": [], "has_more": False}}
    gateway, _ = mocked(page, 404)
    (finding,) = asyncio.run(
        gateway.resolve({"account": {"a1.example": account(1, **{"custom_fields.x": 1})}})
    ).findings
    assert finding.message == "accounts have no custom field 'x'; there is none at all"


# Values and definitions


LEVEL = CustomField("level", "text_1", "Level", "select", {"e-1": "Gold", "e-2": "Silver"})
REGIONS = CustomField("regions", "text_2", "Regions", "multi_select", {"e-1": "Gold", "e-2": "Silver"})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (LEVEL, "e-1", "Gold"),
        (LEVEL, "Gold", "Gold"),
        (LEVEL, {"value": "e-1", "label": "Gold"}, "Gold"),
        (LEVEL, "Else", "Else"),
        (LEVEL, None, None),
        (REGIONS, ["e-2", "Gold"], ["Gold", "Silver"]),
        (REGIONS, [{"label": "Gold"}], ["Gold"]),
        (REGIONS, "e-2", ["Silver"]),
        (REGIONS, None, None),
        (REGIONS, [{}, ["e-1"], "e-1"], [{}, ["e-1"], "Gold"]),
        (REGIONS, {"label": ["e-1", {}]}, ["Gold", {}]),
        (CustomField("d", "d", type="date"), 1801353600000, "2027-01-31"),
        (CustomField("d", "d", type="date"), "2027-01-31T00:00:00Z", "2027-01-31"),
        (CustomField("d", "d", type="datetime"), "2027-01-31T09:00:00+01:00", "2027-01-31T08:00:00Z"),
        (CustomField("d", "d", type="date"), "soon", "soon"),
        (CustomField("d", "d", type="date"), "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
        (CustomField("d", "d", type="date"), "0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
        (CustomField("n", "n", type="number"), "nan", "nan"),
        (CustomField("n", "n", type="number"), "1e999", "1e999"),
        (CustomField("n", "n", type="number"), "12", 12),
        (CustomField("n", "n", type="number"), "many", "many"),
        (CustomField("s", "s", type="string"), "12", "12"),
    ],
)
def test_values(field: CustomField, value: Any, said: Any) -> None:
    """Declared and live values are said in one form: labels, sorted lists, dates as text, numbers as numbers.

    What is none of these is said as it is: items that are no option, years beyond 1 and 9999, numbers no JSON has.
    """
    assert field.say(value) == said


def test_ways() -> None:
    """A field is written under either name, options by value or label; one nobody knows goes by its own name."""
    catalogue = Catalogue()
    catalogue.fields[PLACE] = {"level": LEVEL, "regions": REGIONS}
    fields = {"domain": "a", "custom_fields.level": "Gold", "custom_fields.text_2": ["Silver"], "custom_fields.x": 1}
    assert catalogue.write(PLACE, fields, Way()) == {"text_1": "e-1", "text_2": ["e-2"], "x": 1}
    assert catalogue.write(PLACE, fields, Way(by_slug=True, by_label=True)) == {
        "level": "Gold", "regions": ["Silver"], "x": 1,
    }  # fmt: skip


def test_odd_definitions() -> None:
    """Of definitions that are not what is documented, what can be understood is taken."""
    catalogue = Catalogue()
    odd: Any
    for odd in (None, [], {"a": None}, {"tier": {"metadata": {"options": [None, {"label": 5}, {"label": "Gold"}]}}}):
        catalogue.learn(PLACE, odd)
    assert catalogue.fields[PLACE] == {"tier": CustomField("tier", "tier", options={"Gold": "Gold"})}


@pytest.mark.parametrize("odd", [5, True, "Gold", {"Gold": 1}])
def test_options_that_are_no_list(odd: Any) -> None:
    """A field whose options can't be read has none."""
    catalogue = Catalogue()
    catalogue.learn(PLACE, {"tier": {"metadata": {"select_options": odd}}})
    assert catalogue.fields[PLACE] == {"tier": CustomField("tier", "tier")}


@pytest.mark.parametrize("odd", [5, True, "tier", ["tier"]])
def test_custom_fields_that_are_no_object(odd: Any) -> None:
    """A record that has something else in their place has none of them, and shows none."""
    definitions = {"tier": {"property_name": "text_1"}}
    record = {"id": "1", "domain": "a1.example", "custom_fields": odd}
    page = {"data": {"accounts": [record], "has_more": False, "custom_field_definitions": definitions}}
    gateway, _ = mocked(page)
    assert {"1": {"domain": "a1.example"}} == asyncio.run(live(gateway, fields=["domain", "custom_fields.tier"]))
    assert asyncio.run(gateway.carries("account", "custom_fields.tier")) is False


def test_field_list() -> None:
    """A list of fields of whatever shape adds what reads have not told of, without the system's own."""
    catalogue = Catalogue()
    catalogue.learn(PLACE, {"level": {"property_name": "text_1"}})
    listed = [
        {"property_name": "text_1", "name": "Level"},
        {"property_name": "custom__tier", "name": "Tier", "attribute_type": "string"},
        {"property_name": "text_9", "slug": "plan"},
        {"property_name": "industry"},
        {"name": "?"},
    ]
    catalogue.learn_list(PLACE, {"fields": {"all": listed}, "total": 5}, {"industry"})
    assert {slug: found.property_name for slug, found in catalogue.fields[PLACE].items()} == {
        "level": "text_1", "tier": "custom__tier", "plan": "text_9",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([None], "string"), ([], "string"), (["a", 1], "string"), ([True, None], "checkbox"),
        ([1, 2.5], "number"),
        ([["a"], ["b"]], "multi_select"), (["2027-01-31"], "date"), (["2027-01-31T00:00:00Z"], "datetime"),
        (["https://acme.example"], "url"), (["2027-01-31", "soon"], "string"),
    ],
)  # fmt: skip
def test_suggested_types(values: Any, expected: str) -> None:
    """The type of a new field is the narrowest that all its values fit."""
    assert suggest_type(values) == expected
