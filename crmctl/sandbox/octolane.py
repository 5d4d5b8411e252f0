"""Play Octolane's public gateway for accounts and contacts (docs/octolane.md).

In: a request and the operation of `octolane.openapi.json` that serves it. Out: the documented answer: 401 without a
key, 404 and 405 for other routes, 400 for whatever the document does not allow, else the envelope
`{"success", "message", "data"}`.
"""

import email.utils
import json
import math
import re
import secrets
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from crmctl.sandbox.asgi import Answer, Request
from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.octolane_definitions import CustomFields, list_definitions, read_definitions
from crmctl.sandbox.octolane_reads import DEFAULT_LIMIT, Query, read_page, read_records
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import dump_json
from crmctl.sandbox.octolane_writes import Outcome, Writer
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store

DOCUMENT = Path(__file__).with_name("octolane.openapi.json")
PAGE_LIMIT = 500
_WHOLE = re.compile(r"[0-9]{1,18}")
_NULL_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class OctolaneGateway:
    """The gateway's accounts and contacts over one store."""

    def __init__(self, store: Store, *, api_key: str | None, switches: OctolaneSwitches) -> None:
        """Take the only key that is accepted; None accepts any that is not empty."""
        self.contract, self.body_limit = read_contract(), switches.body_limit
        self._store, self._api_key, self._switches = store, api_key, switches
        self._secret = bytes.fromhex(store.setting("cursor_secret", partial(secrets.token_hex, 32)))
        self._handlers = {
            **_for_kind("accounts", self._list, "listAccountsV1"),
            **_for_kind("contacts", self._list, "listContactsV1"),
            **_for_kind("accounts", self._search, "searchAccountsV1Compatibility"),
            **_for_kind("contacts", self._search, "searchContactsV1"),
            **_for_kind("accounts", self._create_one, "createOrResolveAccountV1"),
            **_for_kind("accounts", self._create_many, "bulkCreateAccountsV1"),
            **_for_kind("contacts", self._create_many, "bulkCreateContactsV1"),
            **_for_kind("accounts", self._patch_many, "bulkUpdateAccountsV1"),
            **_for_kind("contacts", self._patch_many, "bulkUpdateContactsV1"),
            **_for_kind("accounts", self._list_fields, "listAccountFieldsV1"),
            **_for_kind("accounts", self._create_fields, "bulkCreateAccountFieldsV1"),
            **_for_kind("contacts", self._create_fields, "bulkCreateContactFieldsV1"),
            **_for_kind("contacts", self._update_fields, "bulkUpdateContactFieldsV1"),
        }

    def answer(self, request: Request, operation: Operation | None) -> Answer:
        """Answer one request."""
        try:
            self._check_key(request.headers.get("x-api-key", ""))
            if operation is None:
                return self._refuse_route(request)
            return self._handlers[operation.id](operation, request)
        except RequestError as error:
            return self.refuse(error.status, str(error))

    def refuse(self, status: int, message: str) -> Answer:
        """Make the documented error body."""
        text = f"Validation failed: {message}" if status == 400 else message  # noqa: PLR2004  the status is the name
        return Answer(status, dump_json({"success": False, "message": text, "statusCode": status}).encode())

    def refuse_for(self, wait: float) -> Answer:
        """Answer 429, with the Retry-After header that the switch asks for."""
        refusal = self.refuse(429, "Rate limit exceeded")
        if self._switches.retry_after == "none":
            return refusal
        seconds = math.ceil(wait)
        date = email.utils.formatdate(math.ceil(self._store.clock()) + seconds, usegmt=True)
        value = str(seconds) if self._switches.retry_after == "seconds" else date
        return Answer(refusal.status, refusal.body, {"retry-after": value})

    def _check_key(self, given: str) -> None:
        accepted = (
            bool(given) if self._api_key is None else secrets.compare_digest(given.encode(), self._api_key.encode())
        )
        if not accepted:
            raise RequestError(401, "API key is missing or invalid")

    def _refuse_route(self, request: Request) -> Answer:
        methods = self.contract.methods(request.path)
        if not methods:
            return self.refuse(404, "Not found")
        refusal = self.refuse(405, "Method not allowed")
        return Answer(refusal.status, refusal.body, {"allow": ", ".join(methods)})

    def _list(self, kind: str, operation: Operation, request: Request) -> Answer:
        if request.body:
            raise RequestError(400, "a GET takes no body")
        given = operation.read_parameters(
            (name, self._clamp(text) if name == "limit" else text) for name, text in _read_query(request.query)
        )
        fields = given.get("fields")
        if fields is not None:
            texts = [fields] if isinstance(fields, str) else fields
            fields = tuple(name.strip() for text in texts for name in text.split(","))
        query = Query(
            kind,
            operation.route,
            text=given.get("q"),
            limit=given.get("limit", DEFAULT_LIMIT),
            cursor=given.get("cursor"),
            fields=fields,
        )
        return self._page(query)

    def _search(self, kind: str, operation: Operation, request: Request) -> Answer:
        body = _read_json(operation, request)
        if isinstance(body, dict) and "limit" in body:
            body["limit"] = self._clamp(body["limit"])
        operation.check_body(body)
        text = body.get("query", body.get("q"))
        if body.get("q", text) != text:
            raise RequestError(400, "body: query and q differ")
        query = Query(
            kind,
            operation.route,
            text=text,
            filters=tuple(body.get("filters", ())),
            sort=body.get("sort"),
            limit=int(body.get("limit", DEFAULT_LIMIT)),
            cursor=body.get("cursor"),
            fields=tuple(body["fields"]) if "fields" in body else None,
        )
        return self._page(query)

    def _page(self, query: Query) -> Answer:
        page = read_page(self._store, self._secret, query, self._switches)
        return _succeed(200, f"{query.kind.capitalize()} fetched", page)

    def _clamp(self, limit: Any) -> Any:
        """Read a limit above the largest as the largest, if the switch says so; the contract judges all others."""
        if self._switches.over_limit == "reject" or isinstance(limit, bool) or not _WHOLE.fullmatch(str(limit)):
            return limit
        return type(limit)(min(int(limit), PAGE_LIMIT))

    def _create_one(self, kind: str, operation: Operation, request: Request) -> Answer:
        item = _read_json(operation, request)
        operation.check_body(item)
        return self._create(kind, [item])

    def _create_many(self, kind: str, operation: Operation, request: Request) -> Answer:
        items = _read_json(operation, request)
        bad = self._check_items(operation, items)
        return self._create(kind, [item for index, item in enumerate(items) if index not in bad])

    def _create(self, kind: str, items: Sequence[Mapping[str, Any]]) -> Answer:
        with self._store.writing() as connection:
            outcomes = self._writer(connection, kind).resolve(items)
            data = self._describe(connection, kind, outcomes)
        return _succeed(int(self._switches.created_status), f"{kind.capitalize()} created or resolved", data)

    def _patch_many(self, kind: str, operation: Operation, request: Request) -> Answer:
        patches = _read_json(operation, request)
        bad = self._check_items(operation, patches)
        with self._store.writing() as connection:
            good = {id_: patch for id_, patch in patches.items() if id_ not in bad}
            data = self._describe(connection, kind, self._writer(connection, kind).patch(good))
        return _succeed(200, f"{kind.capitalize()} updated", data)

    def _check_items(self, operation: Operation, body: Any) -> set[Any]:
        """Return the items to leave out: none, unless the switch lets bad ones be skipped."""
        if self._switches.bad_item == "partial":
            return operation.find_bad_items(body)
        operation.check_body(body)
        return set()

    def _writer(self, connection: Any, kind: str) -> Writer:
        stamps = self._store.stamps(connection)
        return Writer(self._store, connection, kind, self._switches, stamps.__next__)

    def _describe(self, connection: Any, kind: str, outcomes: Sequence[Outcome]) -> str:
        """Write `data` of a write, whose shape the documentation leaves open."""
        if self._switches.bulk_data == "empty":
            return "{}"
        ids = list(dict.fromkeys(outcome.id for outcome in outcomes))
        if self._switches.bulk_data == "ids":
            return dump_json({"ids": ids})
        records = read_records(connection, kind, ids, self._switches)
        if self._switches.bulk_data == "records":
            return f'{{"{kind}":[{",".join(records[outcome.id] for outcome in outcomes)}]}}'
        created = [records[outcome.id] for outcome in outcomes if outcome.created]
        existing = [records[outcome.id] for outcome in outcomes if not outcome.created]
        return f'{{"created":[{",".join(created)}],"existing":[{",".join(existing)}]}}'

    def _list_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        operation.read_parameters(_read_query(request.query))
        with self._store.reading() as connection:
            fields = list_definitions(read_definitions(connection, kind), kind)
        return _succeed(200, "Fields fetched", dump_json({"fields": fields}))

    def _create_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        items = _read_json(operation, request)
        operation.check_body(items)
        return self._define(kind, items, "create", int(self._switches.created_status))

    def _update_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        items = _read_json(operation, request)
        operation.check_body(items)
        return self._define(kind, items, "update", 200)

    def _define(self, kind: str, items: Sequence[Mapping[str, Any]], verb: str, status: int) -> Answer:
        with self._store.writing() as connection:
            fields = CustomFields(connection, kind, self._switches, self._store.make_id)
            act = fields.create if verb == "create" else fields.update
            names = [act(item).property_name for item in items]
            described = {
                field["property_name"]: field for field in list_definitions(read_definitions(connection, kind), kind)
            }
        return _succeed(status, f"Fields {verb}d", dump_json({"fields": [described[name] for name in names]}))


@cache
def read_contract() -> Contract:
    """Read the OpenAPI document, once per process: compiled validators are shared by all sandboxes in it."""
    return Contract(DOCUMENT)


def _for_kind(
    kind: str, handle: Callable[[str, Operation, Request], Answer], operation_id: str
) -> dict[str, Callable[[Operation, Request], Answer]]:
    return {operation_id: partial(handle, kind)}


def _succeed(status: int, message: str, data: str) -> Answer:
    """Put JSON that is ready into the documented envelope."""
    return Answer(status, f'{{"success":true,"message":{json.dumps(message)},"data":{data}}}'.encode())


def _read_query(query: bytes) -> list[tuple[str, str]]:
    try:
        return urllib.parse.parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError as error:
        raise RequestError(400, "the query string cannot be read") from error


def _read_json(operation: Operation, request: Request) -> Any:
    """Read a body of a route without query parameters: JSON in UTF-8 that a database can hold."""
    operation.read_parameters(_read_query(request.query))
    media_type, _, parameter = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json" or parameter.strip().lower() not in ("", "charset=utf-8"):
        raise RequestError(400, "the content type has to be application/json")
    try:
        text = request.body.decode("utf-8")
        body = json.loads(text, parse_constant=_refuse_constant)
        # What hides behind an escape: half a surrogate pair is no text, and databases refuse the null character.
        if "\\u" in text:
            dump_json(body).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if "\\u0000" in text and _NULL_CHARACTER.search(text):
        raise RequestError(400, "a text holds the null character")
    return body


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
