"""Octolane's public gateway: accounts and contacts over the search and bulk routes of `https://api.octolane.com`.

In: resources, key spellings and field names. Out: pages of live resources, receipts of what was sent. Built on what
docs/octolane.md calls documented; a write's `data` is untyped there, so it is never read.
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from crmctl.capability import Capability
from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.identity import normalise
from crmctl.kinds import KINDS
from crmctl.provider import Page, Receipt, Record
from crmctl.providers import Endpoint
from crmctl.providers.octolane import FIELDS, KEY_HEADER, TIMESTAMPS
from crmctl.resource import Resource

LOOK_UP_BATCH = 200  # how many values `in` takes is not documented: begin here, and halve when refused
PAGE_SIZE = 500
LONGEST_FIELD_LIST = 100
SAMPLE = 100  # records looked at for a key with a letter
HARMLESS = {"account": "example.com", "contact": "nobody@example.com"}  # keys no server refuses

CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {
        kind: Capability(
            read=True,
            create=True,
            update=True,
            create_batch=100,
            update_batch=50,
            look_up_batch=LOOK_UP_BATCH,
            dedupes=True,
            read_route=f"POST /v1/{KINDS[kind].plural}/search",
            create_route=f"POST /v1/{KINDS[kind].plural}/bulk",
            update_route=f"PATCH /v1/{KINDS[kind].plural}/bulk",
            evidence="documented",
        )
        for kind in FIELDS
    }
)
"""No reference can be written: a contact's account follows from its e-mail address's domain."""


class Gateway:
    """Speak to the gateway; see `crmctl.provider.Provider` for what the methods promise."""

    endpoint = Endpoint(
        base_url="https://api.octolane.com",
        hosts=frozenset({"api.octolane.com"}),
        key_header=KEY_HEADER,
        reads=frozenset(capability.read_route for capability in CAPABILITIES.values()),
    )

    def __init__(self, client: Client, learned: dict[str, Any] | None = None) -> None:
        self._client = client
        known: dict[str, Any] = {} if learned is None else learned
        sizes = dict.fromkeys(CAPABILITIES, LOOK_UP_BATCH)
        self._look_up_batch: dict[str, int] = known.setdefault("look_up_batch", sizes)
        self._looks_up: dict[str, bool] = known.setdefault("looks_up", {})
        self._samples: dict[str, tuple[str, str]] = known.setdefault("samples", {})
        self._folds_case: dict[str, bool] = known.setdefault("folds_case", {})
        self._finds_by_text: dict[str, bool] = known.setdefault("finds_by_text", {})
        self._carries: dict[tuple[str, str], bool] = known.setdefault("carries", {})

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """Return what can be done with each kind; `look_up_batch` is the size in force after refusals."""
        sizes = self._look_up_batch
        return {kind: replace(can, look_up_batch=sizes[kind]) for kind, can in CAPABILITIES.items()}

    async def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str]
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
                async for page in self._look_up(kind, asked, fields):
                    yield page
            except Rejected:
                if await self._can_look_up(kind):
                    raise
                break
            rest = rest[len(asked) :]
        if rest or spellings is None:
            async for page in self._read_pages(kind, {}, fields):
                yield page

    async def folds_case(self, kind: str) -> bool:
        """Tell whether `in` finds a key stored in another case: ask for an existing one with its case swapped.

        While no record has a key with a letter there is nothing to miss: True.
        """
        if kind not in self._folds_case:
            if not await self._can_look_up(kind):
                return True  # look-ups are reads of everything: nothing is missed
            sample = await self._find_sample(kind)
            if sample is None:
                return True
            remote_id, swapped = sample
            found = await self._search(kind, _is_one_of(kind, [swapped]), (), limit=PAGE_SIZE)
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
            try:
                found = await self._search(kind, _filter(field, "not_empty"), (field,), limit=1)
            except Rejected:  # a field that cannot be filtered by
                return None
            if not found:
                return None
            self._carries[kind, field] = field in found[0]
        return self._carries[kind, field]

    def cannot_hold(self, resource: Resource) -> Sequence[tuple[str, str]]:
        """Return the fields Octolane does not document, and an account that the e-mail address does not lead to."""
        kind = resource.address.kind
        known = FIELDS[kind]
        missing = []
        if not resource.fields.keys() <= known:
            missing = [(name, "Octolane documents no such field") for name in resource.fields if name not in known]
        account = resource.refs.get("account")
        domain = resource.address.key.rpartition("@")[2]
        if account is not None and account.key not in (domain, normalise("account", domain)):
            missing.append(("account", "Octolane derives a contact's account from the domain of its e-mail address"))
        return missing

    async def create(self, batch: Sequence[Resource]) -> Receipt:
        """Create or resolve records; Octolane dedupes by key, so a batch may be sent again."""
        return await self._write("POST", batch, [to_native(resource, creating=True) for resource in batch])

    async def update(self, batch: Sequence[Resource]) -> Receipt:
        """Patch records by their ids."""
        patches = {_remote_id(resource): to_native(resource, creating=False) for resource in batch}
        return await self._write("PATCH", batch, patches)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _look_up(self, kind: str, asked: Sequence[str], fields: Sequence[str]) -> AsyncGenerator[Page, None]:
        """Read by key, with fewer keys at once when refused; a smaller size that works is kept for the run."""
        rest, size = list(asked), len(asked)
        while rest:
            try:
                async for page in self._read_pages(kind, _is_one_of(kind, rest[:size]), fields):
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
            for record in await self._search(kind, {}, (), limit=SAMPLE):
                key = record.get(KINDS[kind].key_field)
                if isinstance(key, str) and (swapped := _swap_case(key)) != key:
                    self._samples[kind] = (record["id"], swapped)
                    break
        return self._samples.get(kind)

    async def _can_look_up(self, kind: str) -> bool:
        """Tell whether records can be filtered by key at all; that is not documented."""
        if kind not in self._looks_up:
            try:
                await self._search(kind, _is_one_of(kind, [HARMLESS[kind]]), (), limit=1)
            except Rejected:
                self._looks_up[kind] = False
            else:
                self._looks_up[kind] = True
        return self._looks_up[kind]

    async def _write(self, method: str, batch: Sequence[Resource], body: Any) -> Receipt:
        path = f"/v1/{KINDS[batch[0].address.kind].plural}/bulk"
        route = f"{method} {path}"
        answer = await self._client.request(method, path, route=route, json=body, repeatable=True)
        if answer.get("success") is False:
            raise Ambiguous(f"{route}: answered as done and as not done: look at what is there")
        return Receipt(tuple(resource.address for resource in batch))

    async def _search(
        self, kind: str, chosen: Mapping[str, Any], fields: Sequence[str], *, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return the records of one page."""
        _, records, _ = await self._ask(kind, _build_query(kind, chosen, fields, limit))
        return records

    async def _read_pages(
        self, kind: str, chosen: Mapping[str, Any], fields: Sequence[str]
    ) -> AsyncGenerator[Page, None]:
        """Follow the cursors to the end.

        A cursor that is refused, or that leads to the first page again, begins the read anew: once.
        """
        query = _build_query(kind, chosen, fields, PAGE_SIZE)
        cursor: str | None = None
        cursors: set[str] = set()
        first_ids: set[str] = set()
        begun_again = False
        while True:
            try:
                route, records, following = await self._ask(
                    kind, query if cursor is None else {**query, "cursor": cursor}
                )
            except Rejected:
                if cursor is None or begun_again:
                    raise
                begun_again, cursor = True, None
                cursors, first_ids = set(), set()
                continue
            first_id = records[0]["id"] if records else ""
            known = first_id in first_ids
            if known and not begun_again:
                begun_again, known = True, False
                cursors, first_ids = set(), set()
            yield from_native(kind, records, fields)
            if following is None:
                return
            if known or following in cursors:
                raise Ambiguous(f"{route}: the pages go round in circles, so they have no end")
            cursor = following
            cursors.add(following)
            first_ids.update({first_id} - {""})

    async def _ask(self, kind: str, query: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]], str | None]:
        """Send one search; return its route, the records, and the next cursor (None at the end)."""
        plural = KINDS[kind].plural
        path = f"/v1/{plural}/search"
        route = f"POST {path}"
        answer = await self._client.request("POST", path, route=route, json=query, repeatable=True)
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
        return route, records, following


def _build_query(kind: str, chosen: Mapping[str, Any], fields: Sequence[str], limit: int) -> dict[str, Any]:
    """Return a search body; a cursor is good only for the same one, so nothing of it may change between pages."""
    asked = list(dict.fromkeys(("id", KINDS[kind].key_field, *fields)))
    if len(asked) > LONGEST_FIELD_LIST:
        raise Unsupported(f"{kind}: {len(asked)} fields to read, Octolane takes {LONGEST_FIELD_LIST}; declare fewer")
    query: dict[str, Any] = {"sort": "id:asc", "limit": limit, "fields": asked}
    return {**chosen, **query}


def _is_one_of(kind: str, values: Sequence[str]) -> Mapping[str, Any]:
    return _filter(KINDS[kind].key_field, "in", value=list(values))


def _filter(field: str, operator: str, **value: Any) -> Mapping[str, Any]:
    """Return what chooses records by one field."""
    return {"filters": [{"field": field, "operator": operator, **value}]}


def _swap_case(key: str) -> str:
    """Swap the case of ASCII letters; other letters do not all come back."""
    return "".join(letter.swapcase() if letter.isascii() else letter for letter in key)


def _remote_id(resource: Resource) -> str:
    if resource.remote_id is None:
        raise ValueError(f"{resource.address} has no remote id to update by")
    return resource.remote_id


def to_native(resource: Resource, *, creating: bool) -> dict[str, Any]:
    """Return a record as Octolane takes it: documented fields only; a create has nothing to clear, so no nulls."""
    known = FIELDS[resource.address.kind]
    return {
        name: _to_native_value(name, value)
        for name, value in resource.fields.items()
        if name in known and not (creating and value is None)
    }


def _to_native_value(name: str, value: Any) -> Any:
    if name in TIMESTAMPS and isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        return f"{value}T00:00:00Z"
    return value


def from_native(kind: str, records: Sequence[dict[str, Any]], fields: Sequence[str]) -> Page:
    """Return a page of live records with the asked fields that each carries; takes the records over."""
    key_field = KINDS[kind].key_field
    asked = frozenset(fields)
    found = []
    members: set[str] = set()
    for record in records:
        remote_id, spelling = record.pop("id"), record.get(key_field)
        key = normalise(kind, spelling) if isinstance(spelling, str) else None
        # Most answers hold what was asked for: those are not copied.
        values = record if record.keys() <= asked else {name: record[name] for name in fields if name in record}
        found.append(Record(key or "", values, remote_id))
        members.update(record)
    return Page(found, members)
