"""Read Thena's answers and lists, whichever of the documented forms they have.

In: a path and query. Out: rows, each with an id, none twice. What is sent back may be bare or wrapped, pages may be
counted from 0 or from 1, a limit may be capped or refused; nothing says how many rows there are.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected
from crmctl.kinds import NOTHING
from crmctl.providers.thena.learned import LIMIT, Learned

Row = dict[str, Any]
NOT_FOUND = 404
MALFORMED = frozenset({400, 422})
LONGEST_ID = 4096  # encoded, a longer one makes an address that httpx calls a bug
SMALLEST, ROUND = 10, 5  # what a cap on the limit looks like: 10 is what the API's own tools use


def unwrap(route: str, answer: Any) -> Any:
    """Return what an answer is about: it comes bare, or as `data` beside `status`, `message` and `timestamp`."""
    if not isinstance(answer, dict) or "data" not in answer or "id" in answer:
        return answer
    if answer.get("status") is False:
        raise Ambiguous(f"{route}: answered as done and as not done: look at what is there")
    return answer["data"]


def read_rows(route: str, answer: Any, name: str = "id") -> list[Row]:
    """Return the rows of a list; one object alone is a list of one, since lists are published as such (§5)."""
    content = unwrap(route, answer)
    if isinstance(content, dict) and name in content:
        content = [content]
    rows = [] if content is None else content
    if not isinstance(rows, list):
        raise Ambiguous(f"{route}: the answer is no list")
    if not all(isinstance(row, dict) and isinstance(row.get(name), str) and row[name] for row in rows):
        raise Ambiguous(f"{route}: the answer has a row without an id")
    return rows


def read_row(route: str, answer: Any) -> Row:
    """Return the record that a write answers with; Ambiguous where it has none, since its schema is published."""
    row = unwrap(route, answer)
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        raise Ambiguous(f"{route}: the answer has no record")
    return row


def fits_address(text: str) -> bool:
    """Tell whether an address can have a text in it: an answer's may have any length, and hold half a character."""
    halved = not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)
    return len(text) <= LONGEST_ID and not halved


class Lists:
    """The lists of one organisation."""

    def __init__(self, client: Client, learned: Learned) -> None:
        self._client = client
        self._learned = learned

    async def get(self, path: str, query: Mapping[str, str] = NOTHING, name: str = "id") -> list[Row]:
        """Return the rows of a list that has no pages; `name` is the member with a row's id."""
        route = f"GET {path}"
        if not all(map(fits_address, query.values())):  # ids come from the CRM
            raise Rejected(f"{route}: an id of the CRM's fits no address: nothing was sent")
        answer = await self._client.request("GET", path, route=route, params=query, repeatable=True, lists=True)
        return read_rows(route, answer, name)

    async def walk(
        self, path: str, query: Mapping[str, str] = NOTHING, name: str = "id"
    ) -> AsyncGenerator[list[Row], None]:
        """Yield the rows page by page, up to an empty page; Ambiguous when the pages have no end.

        Where the first page's number isn't known, page 0 is asked for: if it is refused, empty or the same as page 1,
        and stays so when it is asked for again, pages count from 1. A page that is not full, and not the last one,
        shows a capped limit: since the server may have skipped as many rows as were asked for, the walk begins anew
        with that limit; and where all there is would be a usual cap, it is made sure that this is all.
        """
        seen: set[str] = set()
        while True:
            limit = self._learned.limit
            try:
                async for rows in self._walk_once(path, query, name):
                    new = [row for row in rows if row[name] not in seen]
                    seen.update(row[name] for row in new)
                    if new:
                        yield new
            except Rejected:
                if self._learned.limit in {limit, LIMIT}:
                    raise
            if self._learned.limit == limit:
                return

    async def _walk_once(self, path: str, query: Mapping[str, str], name: str) -> AsyncGenerator[list[Row], None]:
        """Walk with one limit; ends early, or is refused, with a smaller one in `learned` when that has to be tried."""
        base = self._learned.bases.get(path)
        number = base or 0
        limit = self._learned.limit
        before: set[str] = set()
        seen: set[str] = set()
        short = 0
        while True:
            zeroth = base is None and number == 0
            rows = await self._get_page(path, query, name, number, begun=bool(seen), zeroth=zeroth)
            ids = {row[name] for row in rows}
            if base != 1 and number == 1:
                base = await self._settle(path, query, name, before, ids)
                if base == 1 and ids == before:  # page 0 was page 1 as well
                    number += 1
                    continue
            if rows and ids <= seen:
                raise Ambiguous(f"GET {path}: the pages go round in circles, so they have no end")
            if (
                short >= SMALLEST
                and not zeroth
                and await self._is_cap(path, query, name, number, short, ended=not rows)
            ):
                self._learned.limit, self._learned.capped = short, True
                return
            if not rows and not zeroth:
                return
            yield rows
            short = len(rows) if len(rows) < limit and not seen else 0
            seen |= ids
            before = ids
            number += 1

    async def _get_page(
        self, path: str, query: Mapping[str, str], name: str, number: int, *, begun: bool, zeroth: bool
    ) -> list[Row]:
        """Return one page; nothing where there may be no page 0, so that page 1 is asked for."""
        limit = self._learned.limit
        try:
            return await self.get(path, {**query, "page": str(number), "limit": str(limit)}, name)
        except Rejected as error:
            if begun or error.status not in MALFORMED:
                raise
            if zeroth:
                return []
            self._learned.limit = limit // 2 or LIMIT  # at 1 it is not the limit
            raise

    async def _is_cap(
        self, path: str, query: Mapping[str, str], name: str, number: int, short: int, *, ended: bool
    ) -> bool:
        """Tell whether a first page was short because of a cap on the limit; `ended`: the next page was empty.

        That may be the whole list. With what it has as the limit, the next page tells.
        """
        if self._learned.capped:
            return False
        if not ended:
            return True
        return short % ROUND == 0 and bool(
            await self.get(path, {**query, "page": str(number), "limit": str(short)}, name)
        )

    async def _settle(
        self, path: str, query: Mapping[str, str], name: str, zeroth: set[str], first: set[str]
    ) -> int | None:
        """Return the number of the first page, as pages 0 and 1 tell it; None while both are empty.

        That it is 1 may be a fault: one page that came in place of the other. Where it was wrong, page 0 would be left
        out from then on, so the first list that says so has to say it twice; Ambiguous if it does not.
        """
        if not zeroth and not first:
            return None
        base = 0 if zeroth and zeroth != first else 1
        bases = self._learned.bases
        doubtful = base == 1 and (path in bases or base not in bases.values())
        if doubtful:
            again = [
                {row[name] for row in await self._get_page(path, query, name, n, begun=n == 1, zeroth=n == 0)}
                for n in (0, 1)
            ]
            # Somebody may write meanwhile: the two pages have to be one again, not what they were.
            if again[0] and again[0] != again[1]:
                raise Ambiguous(f"GET {path}: pages 0 and 1 were one a moment ago, so no page can be relied on")
        bases[path] = base
        return base
