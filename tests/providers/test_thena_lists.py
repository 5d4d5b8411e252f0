"""Thena's lists: however pages are counted, wrapped and capped, everything is read once."""

import asyncio
from typing import Any

import httpx
import pytest
from thena import mocked, read

from crmctl.errors import Ambiguous, Rejected
from crmctl.providers.thena.learned import LIMIT

ROWS = [{"id": str(number), "name": f"A{number}", "primaryDomain": f"a{number}.example"} for number in range(45)]


class Pages:
    """A list of rows, page by page, as some server or other would count them."""

    def __init__(
        self, rows: int = 45, *, base: int = 0, strict: bool = False, cap: int = 1000, skip_asked: bool = False,
        reject: bool = False, wrapped: bool = True,
    ) -> None:  # fmt: skip
        self.rows, self.base, self.strict, self.cap = ROWS[:rows], base, strict, cap
        self.skip_asked, self.reject, self.wrapped = skip_asked, reject, wrapped

    def __call__(self, request: httpx.Request) -> Any:
        asked = dict(request.url.params)
        page, limit = int(asked["page"]) - self.base, int(asked["limit"])
        if (page < 0 and self.strict) or (limit > self.cap and self.reject):
            return 400
        size = min(limit, self.cap)
        begin = max(page, 0) * (limit if self.skip_asked else size)
        rows = self.rows[begin : begin + size]
        return {"data": rows, "status": True, "message": "", "timestamp": ""} if self.wrapped else rows


def ids(answer: Any, *more: Any) -> tuple[list[int], list[str]]:
    """Read all accounts; return their numbers, and what was asked for."""
    provider, server = mocked(answer, *more)
    pages = asyncio.run(read(provider, "account", ["name"]))
    asked = [line.partition("?")[2] for line in server.asked]
    return [int(record.remote_id) for page in pages for record in page.records], asked


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 20, 45])
@pytest.mark.parametrize(
    "cap", [{}, {"cap": 3}, {"cap": 12}, {"cap": 3, "reject": True}, {"cap": 20, "skip_asked": True}]
)
def test_every_page(base: int, strict: bool, wrapped: bool, rows: int, cap: dict[str, Any]) -> None:  # noqa: FBT001
    """Whatever the first page is called, however much a page has: everything comes, and once."""
    found, _ = ids(Pages(rows, base=base, strict=strict, wrapped=wrapped, **cap))
    assert list(range(rows)) == sorted(found)


def test_requests() -> None:
    """A list is read up to an empty page; once it is known which page is the first, no other is tried."""
    provider, server = mocked(Pages(44, base=1))
    for _ in range(2):
        asyncio.run(read(provider, "account", ["name"]))
    pages = (0, 1, 0, 1, 2, 1, 2)
    assert [f"GET /v1/accounts?page={page}&limit={LIMIT}" for page in pages] == server.asked
    # Where one list begins with page 1, another is believed at once.
    asyncio.run(read(provider, "contact", ["first_name"]))
    assert ["0", "1", "2"] == [httpx.URL(line.partition(" ")[2]).params["page"] for line in server.asked[7:]]


@pytest.mark.parametrize(
    ("pages", "known"), [((1, 1), False), ((0, 0), False), ((None, 1), False), ((1, 1), True), ((0, 0), True)]
)
def test_a_page_in_place_of_another(pages: tuple[int | None, int], *, known: bool) -> None:
    """Where pages count from 0, no single answer makes it look as if they counted from 1."""
    true = Pages(cap=1)
    spoilt = [[] if page is None else {"data": [ROWS[page]]} for page in pages]
    provider, server = mocked(true)
    if known:
        asyncio.run(read(provider, "account", ["name"]))
    server.left = [*spoilt, true]
    with pytest.raises(Ambiguous, match="pages 0 and 1 were one a moment ago"):
        asyncio.run(read(provider, "account", ["name"]))
    assert 45 == sum(len(page.records) for page in asyncio.run(read(provider, "account", ["name"])))


def test_a_list_whose_first_page_becomes_another() -> None:
    """What was known of the first page is found out anew when the pages say otherwise."""
    provider, server = mocked(Pages())
    asyncio.run(read(provider, "account", ["name"]))
    server.left = [Pages(base=1)]
    for _ in range(2):
        [page] = asyncio.run(read(provider, "account", ["name"]))
        assert 45 == len(page.records)


def test_a_record_made_between_two_looks_is_no_contradiction() -> None:
    """Pages that count from 1 are still one page under two numbers, whatever somebody adds to it meanwhile."""
    provider, _ = mocked(Pages(3, base=1), Pages(3, base=1), Pages(4, base=1))
    assert 3 <= sum(len(page.records) for page in asyncio.run(read(provider, "account", ["name"])))


def test_nothing_there() -> None:
    """An empty page 0 proves nothing: page 1 may be the first."""
    assert ([], [f"page=0&limit={LIMIT}", f"page=1&limit={LIMIT}"]) == ids(Pages(0))


def test_overlapping_pages() -> None:
    """A record that moves to the next page while others write comes once."""
    assert [0, 1, 2] == ids(ROWS[:2], ROWS[1:3], [])[0]


def test_circles() -> None:
    """A server that heeds no page number never comes to an end: the read fails instead."""
    with pytest.raises(Ambiguous, match="GET /v1/accounts: the pages go round in circles"):
        ids(ROWS[:2])


def test_capped_limit() -> None:
    """A short page that is not the last shows the limit there is, and from then on that is asked for."""
    found, asked = ids(Pages(cap=20, skip_asked=True))
    assert list(range(45)) == sorted(found)
    assert [f"page=0&limit={LIMIT}"] == asked[:1]
    assert [f"page={page}&limit=20" for page in (0, 1, 2, 3)] == asked[-4:]


def test_cap_found_once() -> None:
    """Once a page has shown the limit, later pages that aren't full are what they look like."""
    provider, server = mocked(Pages(45, cap=20))
    asyncio.run(read(provider, "account", ["name"]))
    server.left, server.asked = [ROWS[:10], []], []
    asyncio.run(read(provider, "account", ["name"]))
    assert ["page=0&limit=20", "page=1&limit=20"] == [line.partition("?")[2] for line in server.asked]


def test_usual_cap() -> None:
    """A list that is as long as a limit may be is looked at once more; it may be all there is."""
    found, asked = ids(Pages(20))
    assert (list(range(20)), "page=1&limit=20", 3) == (found, asked[-1], len(asked))


def test_refused_limit() -> None:
    """A refused limit is halved until it is taken, and stays so small."""
    provider, server = mocked(Pages(12, cap=30, reject=True))
    asyncio.run(read(provider, "account", ["name"]))
    assert ["100", "100", "50", "50", "25", "25"] == [line.rpartition("=")[2] for line in server.asked]
    assert provider.capabilities["account"].page_size == 25


def test_refused_list() -> None:
    """A list that is refused whatever is asked for is an error, and says nothing about the limit."""
    provider, server = mocked(400)
    with pytest.raises(Rejected, match="GET /v1/accounts: 400"):
        asyncio.run(read(provider, "account", ["name"]))
    assert len(server.asked) < 20
    assert provider.capabilities["account"].page_size == LIMIT


def test_missing_list() -> None:
    """A list that isn't there is asked for once."""
    provider, server = mocked(404)
    with pytest.raises(Rejected):
        asyncio.run(read(provider, "account", ["name"]))
    assert len(server.asked) == 1


def test_refused_midway() -> None:
    """A page that is refused after others is an error."""
    with pytest.raises(Rejected):
        ids(ROWS[:2], ROWS[2:4], 400)


@pytest.mark.parametrize(
    "answer",
    [{"data": 5}, {"data": {"rows": []}}, {"success": True}, {"data": ["A1"]}, {"data": [{"name": "A"}]},
     {"data": [{"id": 7}]}, [{"id": ""}], {"data": [], "status": False}],
)  # fmt: skip
def test_odd_lists(answer: Any) -> None:
    """What is no list of records with ids is ambiguous, and names its route."""
    with pytest.raises(Ambiguous, match="GET /v1/accounts: "):
        ids(answer)


@pytest.mark.parametrize("answer", [{"data": None}, None])
def test_no_list(answer: Any) -> None:
    """Nothing in a wrapper is an empty list; nothing at all is no answer."""
    if answer is None:
        with pytest.raises(Ambiguous):
            ids(answer)
    else:
        assert [] == ids(answer)[0]


def test_one_object() -> None:
    """Where a list is published as one object, one object is taken for a list of one."""
    assert [0] == ids({"data": ROWS[0]}, [])[0]
