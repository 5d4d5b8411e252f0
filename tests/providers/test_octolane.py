"""Octolane's gateway, reading: against the embedded CRM, and against answers it never gives."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from octolane import account, contact, keys, mocked, opened, read

from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.provider import Provider
from crmctl.providers.octolane import search
from crmctl.resource import Address
from crmctl.sandbox.faults import Interference

SEARCH = "POST /v1/accounts/search"


async def fill(gateway: Provider, count: int, **fields: Any) -> None:
    for start in range(0, count, 100):
        await gateway.create([account(number, **fields) for number in range(start, min(start + 100, count))])


def page_of(*records: Any, cursor: str | None = None, **data: Any) -> dict[str, Any]:
    return {"data": {"accounts": list(records), "has_more": cursor is not None, "next_cursor": cursor, **data}}


# Reading


def test_round_trip(tmp_path: Path) -> None:
    """What was created is read back under its key, with its id and the asked fields."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, _):
            receipt = await gateway.create([account(1, name="Acme", industry=None), account(2)])
            assert receipt.sent == (Address("account", "a1.example"), Address("account", "a2.example"))
            assert receipt.ids == {}
            (page,) = await read(gateway, ["a1.example", "absent.example"], ["domain", "name"])
            (record,) = page.records
            assert ("a1.example", "a1.example", "Acme") == (record.key, record.fields["domain"], record.fields["name"])
            assert record.remote_id
            assert {"domain", "name"} <= set(page.members)

    asyncio.run(run())


def test_all_pages(tmp_path: Path) -> None:
    """A full read follows the cursors to the end."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, client):
            await fill(gateway, 1100)
            pages = await read(gateway)
            assert [len(page.records) for page in pages] == [500, 500, 100]
            assert len(keys(pages)) == 1100
            assert client.counts[SEARCH] == 3

    asyncio.run(run())


def test_asks_ahead() -> None:
    """While a page is taken the next one is asked for; who takes no more leaves nothing behind, whatever came of it."""

    async def run() -> None:
        answers = page_of({"id": "1"}, cursor="a"), page_of({"id": "2"}, cursor="b"), page_of(has_more="perhaps")
        gateway, bodies = mocked(*answers)
        pages = gateway.read("account", None, ["name"])
        assert "1" == (await anext(pages)).records[0].remote_id
        assert [None, "a"] == [body.get("cursor") for body in bodies]
        assert "2" == (await anext(pages)).records[0].remote_id
        await pages.aclose()
        assert {asyncio.current_task()} == asyncio.all_tasks()

    asyncio.run(run())


def test_asks_for_little() -> None:
    """Only id, key and the asked fields are asked for, each once, in a stable order."""
    gateway, bodies = mocked(page_of({"id": "1"}))
    asyncio.run(read(gateway, ["a1.example"], ["domain", "name"]))
    assert bodies == [
        {
            "filters": [{"field": "domain", "operator": "in", "value": ["a1.example"]}],
            "sort": "id:asc",
            "limit": 500,
            "fields": ["id", "domain", "name"],
        }
    ]


def test_live_fields() -> None:
    """A record keeps what it carries of the asked fields; a key that is none is empty."""
    records = [{"id": "1", "domain": "WWW.A1.example", "name": None, "x": 1}, {"id": "2", "domain": None}, {"id": "3"}]
    gateway, _ = mocked(page_of(*records, {"id": "4", "domain": 5}))
    (page,) = asyncio.run(read(gateway))
    found = [(record.key, record.fields, record.remote_id) for record in page.records]
    assert found == [("a1.example", {"name": None}, "1"), ("", {}, "2"), ("", {}, "3"), ("", {}, "4")]
    assert set(page.members) == {"domain", "name", "x"}


def test_many_spellings(tmp_path: Path) -> None:
    """More spellings than a look-up takes are cut."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, client):
            await fill(gateway, 450)
            assert len(keys(await read(gateway, [f"a{number}.example" for number in range(450)]))) == 450
            assert client.counts[SEARCH] == 3

    asyncio.run(run())


def test_small_look_ups(tmp_path: Path) -> None:
    """Look-ups are halved until they are taken, and stay so small for the kind."""

    async def run() -> None:
        async with opened(tmp_path, in_limit=30) as (gateway, client):
            await fill(gateway, 200)
            spellings = [f"a{number}.example" for number in range(200)]
            assert len(keys(await read(gateway, spellings))) == 200
            assert client.counts[SEARCH] == 3 + 8
            assert [gateway.capabilities[kind].look_up_batch for kind in ("account", "contact")] == [25, 200]
            await read(gateway, spellings)
            assert client.counts[SEARCH] == 3 + 8 + 8

    asyncio.run(run())


@pytest.mark.parametrize("by_key", [True, False])
def test_what_is_too_large_is_asked_for_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_key: bool) -> None:  # noqa: FBT001  # a table of facts
    """An answer of more than is taken is not asked for again as it is: fewer keys, or fewer records a page."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, client):
            await fill(gateway, 200, description="x" * 1000)
            monkeypatch.setattr("crmctl.client.LONGEST_BODY", 64 * 1024)
            spellings = [f"a{number}.example" for number in range(200)] if by_key else None
            for asked in (2 + 4, 4) if by_key else (4 + 7, 7):  # refused, then answered: 50 keys, 31 records a page
                before = client.counts[SEARCH]
                pages = await read(gateway, spellings, ["description"])
                assert 200 == sum(len(page.records) for page in pages)
                assert asked == client.counts[SEARCH] - before

    asyncio.run(run())


def test_one_that_is_too_large_alone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do; nothing is waited for."""

    async def run() -> None:
        async with opened(tmp_path) as (gateway, client):
            await fill(gateway, 1, description="x" * 3000)
            monkeypatch.setattr("crmctl.client.LONGEST_BODY", 2 * 1024)
            for spellings, tries in ((["a0.example"], 2), (None, 9)):
                before = client.counts[SEARCH]
                with pytest.raises(Rejected, match=r"larger than .* declare fewer long fields, or shorten them"):
                    await read(gateway, spellings, ["description"])
                assert tries == client.counts[SEARCH] - before

    asyncio.run(run())


def test_refused_value() -> None:
    """A key that is refused alone is an error, and says nothing about the size."""
    gateway, bodies = mocked(400, 400, page_of(), page_of())
    with pytest.raises(Rejected):
        asyncio.run(read(gateway, ["a1.example", "odd"]))
    assert [len(body["filters"][0]["value"]) for body in bodies] == [2, 1, 1]
    assert gateway.capabilities["account"].look_up_batch == 200


def test_no_key_filter(tmp_path: Path) -> None:
    """Where records cannot be filtered by key, everything is read instead."""

    async def run() -> None:
        async with opened(tmp_path, key_filter="no") as (gateway, client):
            await fill(gateway, 3)
            wanted = ["a1.example", "a2.example"]
            assert keys(await read(gateway, wanted)) == {"a0.example", "a1.example", "a2.example"}
            before = client.counts[SEARCH]
            assert keys(await read(gateway, wanted)) >= set(wanted)
            assert client.counts[SEARCH] == before + 1
            assert await gateway.folds_case("account") is True

    asyncio.run(run())


def refuse_page(*turns: int) -> Callable[[str, str, int], Interference | None]:
    """Refuse the cursors of these searches."""

    def interfere(_method: str, path: str, turn: int) -> Interference | None:
        refused = path.endswith("/search") and turn in turns
        return Interference(status=400, body=b'{"message": "Invalid cursor"}') if refused else None

    return interfere


def test_lost_cursor(tmp_path: Path) -> None:
    """A read whose cursor is refused midway begins again; what came twice has the same ids."""

    async def run() -> None:
        async with opened(tmp_path, interfere=refuse_page(3)) as (gateway, _):
            await fill(gateway, 1100)
            pages = await read(gateway)
            assert [len(page.records) for page in pages] == [500, 500, 500, 500, 100]
            assert len({record.remote_id for page in pages for record in page.records}) == 1100

    asyncio.run(run())


def test_lost_cursor_twice(tmp_path: Path) -> None:
    """A second refusal ends the read."""

    async def run() -> None:
        async with opened(tmp_path, interfere=refuse_page(2, 4)) as (gateway, _):
            await fill(gateway, 600)
            with pytest.raises(Rejected, match="Invalid cursor"):
                await read(gateway)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("turns", "expected"),
    [("12123", [1, 2, 1, 2, 3]), ("123", [1, 2, 3]), ("1212123", None), ("11111", None)],
)
def test_pages_from_the_start(turns: str, expected: list[int] | None) -> None:
    """A server that begins with the first page again is read on once; where that repeats, the read fails."""
    answers = [page_of({"id": turn}, cursor=f"{place}") for place, turn in enumerate(turns)]
    last = page_of({"id": turns[-1]})
    gateway, _ = mocked(*answers[:-1], last)
    if expected is None:
        with pytest.raises(Ambiguous, match="no end"):
            asyncio.run(read(gateway))
    else:
        pages = asyncio.run(read(gateway))
        assert [int(record.remote_id or 0) for page in pages for record in page.records] == expected


@pytest.mark.parametrize("limit", ["MOST_PAGES", "MOST_EMPTY"])
def test_a_read_without_an_end_ends(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever always names one more cursor is not followed for ever, with records or without."""
    monkeypatch.setattr(search, limit, 3)
    records = [{"id": f"{n}"} if limit == "MOST_PAGES" else None for n in range(4)]
    gateway, bodies = mocked(*(page_of(*filter(None, [one]), cursor=f"c{n}") for n, one in enumerate(records)))
    with pytest.raises(Ambiguous, match="the pages have no end"):
        asyncio.run(read(gateway))
    assert 4 == len(bodies) + (limit == "MOST_EMPTY")


def test_circle() -> None:
    """A cursor that comes back would never end: the read fails instead."""
    gateway, bodies = mocked(page_of(cursor="a"), page_of(cursor="b"), page_of(cursor="a"))
    with pytest.raises(Ambiguous, match="the pages have no end"):
        asyncio.run(read(gateway))
    assert [body.get("cursor") for body in bodies] == [None, "a", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": []},
        {"data": {"has_more": False}},
        {"data": {"accounts": {}, "has_more": False}},
        {"data": {"accounts": []}},
        page_of({"domain": "a1.example"}),
        page_of({"id": ""}),
        page_of({"id": 7}),
        page_of("a1.example"),
        page_of(has_more=True),
        page_of(has_more=True, next_cursor=5),
        page_of(has_more="no"),
    ],
)
def test_odd_pages(answer: Any) -> None:
    """A page that is not what is promised is ambiguous and names its route."""
    with pytest.raises(Ambiguous, match="POST /v1/accounts/search: the answer"):
        asyncio.run(read(mocked(answer)[0]))


def test_last_page_with_cursor() -> None:
    """A cursor on the last page is not followed."""
    gateway, bodies = mocked(page_of(has_more=False, next_cursor="a"))
    asyncio.run(read(gateway))
    assert len(bodies) == 1


def test_too_many_fields() -> None:
    """More fields than a search takes are refused before anything is sent."""
    gateway, bodies = mocked(page_of())
    with pytest.raises(Unsupported, match="101 fields"):
        asyncio.run(read(gateway, None, [f"f{number}" for number in range(99)]))
    assert bodies == []


# What reads can tell


@pytest.mark.parametrize(("in_case", "folds"), [("sensitive", False), ("insensitive", True)])
def test_folds_case(tmp_path: Path, in_case: str, folds: bool) -> None:  # noqa: FBT001  # a table of facts
    """Whether look-ups find another case is asked once, of a record that is there; without one nothing is missed."""

    async def run() -> None:
        async with opened(tmp_path, in_case=in_case) as (gateway, client):
            assert await gateway.folds_case("contact") is True
            await gateway.create([contact("jane@acme.example")])
            assert await gateway.folds_case("contact") is folds
            before = client.counts.total()
            assert await gateway.folds_case("contact") is folds
            assert client.counts.total() == before

    asyncio.run(run())


def test_folds_case_without_letters() -> None:
    """A key without a letter, or none, is no sample; both spellings being there is no folding."""
    records = [{"id": "1", "domain": None}, {"id": "2", "domain": "123.456"}, {"id": "3", "domain": "a.Example"}]
    gateway, bodies = mocked(page_of(), page_of(*records), page_of({"id": "4", "domain": "A.eXAMPLE"}))
    assert asyncio.run(gateway.folds_case("account")) is False
    assert bodies[-1]["filters"][0]["value"] == ["A.eXAMPLE"]


def test_carries(tmp_path: Path) -> None:
    """A field that reads return is told from one they do not, and from one nobody has."""

    async def run() -> None:
        async with opened(tmp_path, read_fields="documented") as (gateway, client):
            await gateway.create([account(1, name="Acme", type="customer")])
            asked = [("account", "name"), ("account", "type"), ("account", "industry"), ("account", "no_such_field")]
            assert [await gateway.carries(kind, field) for kind, field in asked] == [True, False, None, None]
            before = client.counts.total()
            assert await gateway.carries("account", "type") is False
            assert client.counts.total() == before

    asyncio.run(run())
