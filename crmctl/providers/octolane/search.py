"""Read records by the search routes, which Octolane's surfaces have in common (docs/octolane.md).

In: a kind, key spellings or a text, and field names. Out: pages of live records. What a server turns out to be like,
how many keys it takes at once say, is kept in `learned`, so that it is found out once per run.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Container, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

from crmctl.capability import Capability
from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.identity import normalise
from crmctl.kinds import KINDS
from crmctl.provider import NO_SCOPE, Page, Record, Scope
from crmctl.providers import Options
from crmctl.providers.octolane.catalogue import Catalogue
from crmctl.providers.octolane.custom_fields import PREFIX, SECTION, Place
from crmctl.resource import Address

LOOK_UP_BATCH = 200  # how many values `in` takes is not documented: begin here, and halve when refused
PAGE_SIZE = 500
LONGEST_FIELD_LIST = 100
TOO_LARGE = 413
MOST_PAGES = 20_000  # ten million records: who announces more has no end
MOST_EMPTY = 10  # so many empty pages in a row that announce more
SAMPLE = 100  # records looked at for a key with a letter
HARMLESS = {"account": "example.com", "contact": "nobody@example.com"}  # keys no server refuses


LEAVING = 8  # turns of the event loop: a request leaves within four

Answered = tuple[str, list[dict[str, Any]], str | None]


class Searching:
    """Read accounts and contacts below `root`; the part of a provider that all surfaces share.

    `table` is what a surface can do at most.
    """

    root: ClassVar[str]
    table: ClassVar[Mapping[str, Capability]]

    def __init__(self, client: Client, options: Options, learned: dict[str, Any]) -> None:
        self._client = client
        self._options = options
        sizes = dict.fromkeys(HARMLESS, LOOK_UP_BATCH)
        self._look_up_batch: dict[str, int] = learned.setdefault("look_up_batch", sizes)
        self._looks_up: dict[str, bool] = learned.setdefault("looks_up", {})
        self._page_size: dict[str, int] = learned.setdefault("page_size", {})
        self._samples: dict[str, tuple[str, str]] = learned.setdefault("samples", {})
        self._folds_case: dict[str, bool] = learned.setdefault("folds_case", {})
        self._finds_by_text: dict[str, bool] = learned.setdefault("finds_by_text", {})
        self._carries: dict[tuple[str, str], bool] = learned.setdefault("carries", {})
        self.catalogue: Catalogue = learned.setdefault("catalogue", Catalogue())
        self.stored: dict[Address, str] = learned.setdefault("stored", {})

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """Return what can be done with each kind; `look_up_batch` is the size in force after refusals."""
        sizes = self._look_up_batch
        return {
            kind: can._replace(look_up_batch=sizes[kind]) if kind in sizes else can
            for kind, can in self.table.items()
            if can.evidence != "assumed" or self._options.assumed_routes
        }

    async def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str], scope: Scope = NO_SCOPE
    ) -> AsyncGenerator[Page, None]:
        """Read live records, by key or all of them.

        More spellings than one look-up may have are cut. A record may come again, since a read begins anew when a
        cursor is refused midway; and where keys cannot be filtered by, everything comes: the caller knows what it
        wants by `address`, and what it has by `remote_id`.
        """
        rest = list(spellings or ())
        while rest and self._looks_up.get(kind, True):
            asked = rest[: self._look_up_batch[kind]]
            try:
                async with aclosing(self._look_up(kind, asked, fields, scope.desired)) as pages:
                    async for page in pages:
                        yield page
            except Rejected:
                if await self._can_look_up(kind):
                    raise
                break
            rest = rest[len(asked) :]
        if rest or spellings is None:
            async with aclosing(self._read_pages(kind, {}, fields, scope.desired)) as pages:
                async for page in pages:
                    yield page

    async def folds_case(self, kind: str) -> bool:
        """Tell whether `in` finds a key stored in another case: ask for an existing one with its case swapped.

        While no record has a key with a letter there is nothing to miss: True; nor where there are no look-ups.
        """
        if kind not in HARMLESS:
            return True
        if kind not in self._folds_case:
            if not await self._can_look_up(kind):
                return True  # look-ups are reads of everything: nothing is missed
            sample = await self._find_sample(kind)
            if sample is None:
                return True
            remote_id, swapped = sample
            found = await self.find(kind, is_one_of(KINDS[kind].key_field, [swapped]), (), limit=PAGE_SIZE)
            self._folds_case[kind] = any(record["id"] == remote_id for record in found)
        return self._folds_case[kind]

    async def finds_by_text(self, kind: str) -> bool | None:
        """Tell whether text search finds a key stored in another case, in the same way; None: nothing is there yet."""
        if kind not in self._finds_by_text:
            sample = await self._find_sample(kind)
            if sample is None:
                return None
            remote_id, swapped = sample
            pages = self._read_pages(kind, {"query": swapped}, ())
            self._finds_by_text[kind] = any([r.remote_id == remote_id async for page in pages for r in page.records])
        return self._finds_by_text[kind]

    async def search(self, kind: str, text: str, fields: Sequence[str]) -> AsyncGenerator[Page, None]:
        """Search names and keys for a text."""
        async for page in self._read_pages(kind, {"query": text}, fields):
            yield page

    async def carries(self, kind: str, field: str) -> bool | None:
        """Tell whether reads return a field: look at a record that has a value there; None if none is found."""
        if (kind, field) not in self._carries:
            custom = self.catalogue.find(Place(kind), field)
            carried = await self.shows(kind, {}, custom.slug if custom else field, field, custom=custom is not None)
            if carried is None:
                return None
            self._carries[kind, field] = carried
        return self._carries[kind, field]

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _look_up(
        self, kind: str, asked: Sequence[str], fields: Sequence[str], desired: Container[str]
    ) -> AsyncGenerator[Page, None]:
        """Read by key, with fewer keys at once when refused; a smaller size that works is kept for the run."""
        rest, size = list(asked), len(asked)
        while rest:
            try:
                chosen = is_one_of(KINDS[kind].key_field, rest[:size])
                async for page in self._read_pages(kind, chosen, fields, desired):
                    yield page
            except Rejected:
                if size == 1 or self._looks_up.get(kind) is False:
                    raise
                size //= 2
                continue
            # Only now: a request may have been refused for something else in it.
            self._looks_up[kind] = True
            if size < len(asked):
                self._look_up_batch[kind] = min(size, self._look_up_batch[kind])
            rest = rest[size:]

    async def _find_sample(self, kind: str) -> tuple[str, str] | None:
        """Return the id of some record and its key in swapped case; None while no record has a key with a letter."""
        if kind not in self._samples:
            for record in await self.find(kind, {}, (), limit=SAMPLE):
                key = record.get(KINDS[kind].key_field)
                if isinstance(key, str) and (swapped := _swap_case(key)) != key:
                    self._samples[kind] = (record["id"], swapped)
                    break
        return self._samples.get(kind)

    async def _can_look_up(self, kind: str) -> bool:
        """Tell whether records can be filtered by key at all; that is not documented."""
        if kind not in self._looks_up:
            try:
                await self.find(kind, is_one_of(KINDS[kind].key_field, [HARMLESS[kind]]), (), limit=1)
            except Rejected:
                self._looks_up[kind] = False
            else:
                self._looks_up[kind] = True
        return self._looks_up[kind]

    async def shows(
        self, kind: str, chosen: Mapping[str, Any], member: str, asked: str, *, custom: bool = False
    ) -> bool | None:
        """Tell whether a record that has a value in a member shows it when asked; None if there is no such record."""
        try:
            found = await self.find(kind, {**chosen, **is_filled(member)}, (asked,), limit=1)
        except Rejected:  # a field that cannot be filtered by
            return None
        if not found:
            return None
        shown = found[0].get(SECTION) if custom else found[0]
        return isinstance(shown, Mapping) and member in shown

    async def find_keys(self, kind: str, ids: Sequence[str]) -> dict[str, str]:
        """Return the keys of the records that have these ids, as far as ids can be filtered by."""
        found: dict[str, str] = {}
        size = self._look_up_batch[kind]
        for start in range(0, len(ids), size):
            try:
                async for page in self._read_pages(kind, is_one_of("id", ids[start : start + size]), ()):
                    found.update((record.remote_id, record.key) for record in page.records if record.key)
            except Rejected:
                break
        return found

    async def find(
        self, kind: str, chosen: Mapping[str, Any], fields: Sequence[str], *, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return the records of one page."""
        _, records, _ = await self._ask(kind, _build_query(kind, chosen, fields, limit))
        return records

    async def _read_pages(
        self, kind: str, chosen: Mapping[str, Any], fields: Sequence[str], desired: Container[str] = ()
    ) -> AsyncGenerator[Page, None]:
        """Read the pages of one search, as live records."""
        async with aclosing(self.follow(kind, chosen, fields)) as answers:
            async for records in answers:
                yield from_native(kind, records, fields, self.catalogue, self.stored, desired)

    async def follow(
        self, kind: str, chosen: Mapping[str, Any], fields: Sequence[str], *, bare: bool = False
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Follow the cursors to the end; the next page is asked for before one is handed out.

        `bare`: neither sorted nor with a choice of fields.

        A cursor that is refused, or that leads to the first page again, begins the read anew: once. So does a page
        that is too large, with half of it, as often as that helps; of look-ups by key whoever sends them asks for less.
        """
        size = self._page_size.get(kind, PAGE_SIZE)
        query = {**chosen, "limit": size} if bare else _build_query(kind, chosen, fields, size)
        cursor: str | None = None
        cursors: set[str] = set()
        first_ids: set[str] = set()
        begun_again = False
        empty = 0
        answer: Awaitable[Answered] = self._ask(kind, query)
        try:
            while True:
                try:
                    route, records, following = await answer
                except Rejected as error:
                    if error.status == TOO_LARGE and "filters" not in chosen and query["limit"] > 1:
                        query["limit"] = self._page_size[kind] = query["limit"] // 2
                    elif cursor is None or begun_again:
                        raise
                    else:
                        begun_again = True
                    cursor, cursors, first_ids = None, set(), set()
                    answer = self._ask(kind, query)
                    continue
                first_id = records[0]["id"] if records else ""
                known = first_id in first_ids
                if known and not begun_again:
                    begun_again, known = True, False
                    cursors, first_ids = set(), set()
                empty = 0 if records else empty + 1
                too_long = empty >= MOST_EMPTY or len(cursors) >= MOST_PAGES
                endless = following is not None and (known or following in cursors or too_long)
                if following is not None and not endless:
                    cursor = following
                    cursors.add(following)
                    first_ids.update({first_id} - {""})
                    answer = asyncio.create_task(self._ask(kind, {**query, "cursor": following}))
                    await _let_leave()
                yield records
                if following is None:
                    return
                if endless:
                    raise Ambiguous(f"{route}: the pages have no end")
        finally:
            if isinstance(answer, asyncio.Task):
                await _drop(answer)

    async def _ask(self, kind: str, query: Mapping[str, Any]) -> Answered:
        """Send one search; return its route, the records, and the next cursor (None at the end)."""
        plural = KINDS[kind].plural
        path = f"{self.root}/{plural}/search"
        route = f"POST {path}"
        answer = await self._client.request("POST", path, route=route, json=query, repeatable=True, reads=True)
        data = answer.get("data")
        records = data.get(plural) if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(records, list) or not isinstance(data.get("has_more"), bool):
            raise Ambiguous(f"{route}: the answer is not a page of {plural}")
        if not all(
            isinstance(record, dict) and isinstance(record.get("id"), str) and record["id"] for record in records
        ):
            raise Ambiguous(f"{route}: the answer has a record without an id")
        following = data.get("next_cursor") if data["has_more"] else None
        if data["has_more"] and not (isinstance(following, str) and following):
            raise Ambiguous(f"{route}: the answer announces more {plural}, but names no cursor")
        self.catalogue.learn(Place(kind, query.get("pipeline_id", "")), data.get("custom_field_definitions"))
        return route, records, following


def is_one_of(field: str, values: Sequence[str]) -> Mapping[str, Any]:
    """Return what chooses the records whose field has one of the values."""
    return {"filters": [{"field": field, "operator": "in", "value": list(values)}]}


def is_filled(field: str) -> Mapping[str, Any]:
    """Return what chooses the records that have a value in a field."""
    return {"filters": [{"field": field, "operator": "not_empty"}]}


async def _let_leave() -> None:
    """Let the request that has just been begun leave: the server works on it while we take the page before."""
    for _ in range(LEAVING):
        await asyncio.sleep(0)


async def _drop(answer: "asyncio.Task[Answered]") -> None:
    """Give up a request that nobody waits for any more, and what it came to."""
    answer.cancel()
    await asyncio.wait([answer])
    if not answer.cancelled():
        answer.exception()


def _build_query(kind: str, chosen: Mapping[str, Any], fields: Sequence[str], limit: int) -> dict[str, Any]:
    """Return a search body; a cursor is good only for the same one, so nothing of it may change between pages."""
    members = (SECTION if field.startswith(PREFIX) else field for field in fields)
    asked = list(dict.fromkeys(("id", KINDS[kind].key_field, *members)))
    if len(asked) > LONGEST_FIELD_LIST:
        raise Unsupported(f"{kind}: {len(asked)} fields to read, Octolane takes {LONGEST_FIELD_LIST}; declare fewer")
    query: dict[str, Any] = {"sort": "id:asc", "limit": limit, "fields": asked}
    return {**chosen, **query}


def _swap_case(key: str) -> str:
    """Swap the case of ASCII letters; other letters do not all come back."""
    return "".join(letter.swapcase() if letter.isascii() else letter for letter in key)


def from_native(
    kind: str,
    records: Sequence[dict[str, Any]],
    fields: Sequence[str],
    catalogue: Catalogue,
    stored: dict[Address, str],
    desired: Container[str] = (),
) -> Page:
    """Return a page of live records with the asked fields that each carries; takes the records over.

    Keys that are stored in another spelling are noted in `stored`: a server may take them for another record's. What
    is `desired` are keys already, which need no normalising.
    """
    key_field = KINDS[kind].key_field
    asked = frozenset(fields)
    custom = [field for field in fields if field.startswith(PREFIX)]
    found = []
    members: set[str] = set()
    for record in records:
        remote_id, spelling = record.pop("id"), record.get(key_field)
        key: str | None = None
        if isinstance(spelling, str):
            key = spelling if spelling in desired else normalise(kind, spelling)
            if key != spelling and key is not None:
                stored[Address(kind, key)] = spelling
        if custom:
            record.update(catalogue.spread(Place(kind), custom, record.pop(SECTION, None)))
        # Most answers hold what was asked for: those are not copied.
        values = record if record.keys() <= asked else {name: record[name] for name in fields if name in record}
        found.append(Record(key or "", values, remote_id))
        members.update(record)
    return Page(found, members)
