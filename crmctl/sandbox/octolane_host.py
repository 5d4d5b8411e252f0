"""What Octolane's two hosts have in common: the key, errors, list and search over the same records.

A host adds its OpenAPI document and a handler for each operation in it. 401 without a key, 404 and 405 for other
routes, 400 for whatever the document does not allow.
"""

import email.utils
import json
import math
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from crmctl.sandbox.bodies import dump_json, read_query
from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.octolane_reads import DEFAULT_LIMIT, Query, read_page
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_wire import read_body, succeed
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store

PAGE_LIMIT = 500
_WHOLE = re.compile(r"[0-9]{1,18}")

Handler = Callable[[Operation, Request], Answer]
"""Answers one operation."""


class OctolaneHost:
    """One host over one store; a subclass fills `handlers`, by operationId."""

    def __init__(self, store: Store, contract: Contract, *, api_key: str | None, switches: OctolaneSwitches) -> None:
        """Take the only key that is accepted; None accepts any that is not empty."""
        self.contract, self.body_limit = contract, switches.body_limit
        self.handlers: Mapping[str, Handler] = {}
        self.store, self.switches, self._api_key = store, switches, api_key
        self._secret = bytes.fromhex(store.setting("cursor_secret", partial(secrets.token_hex, 32)))

    def answer(self, request: Request, operation: Operation | None) -> Answer:
        """Answer one request."""
        try:
            self._check_key(request.headers.get("x-api-key", ""))
            if operation is None:
                return self._refuse_route(request)
            return self.handlers[operation.id](operation, request)
        except RequestError as error:
            return self.refuse(error.status, str(error))

    def refuse(self, status: int, message: str) -> Answer:
        """Make the documented error body."""
        text = f"Validation failed: {message}" if status == 400 else message  # noqa: PLR2004  the status is the name
        return Answer(status, dump_json({"success": False, "message": text, "statusCode": status}).encode())

    def refuse_for(self, wait: float) -> Answer:
        """Answer 429, with the Retry-After header that the switch asks for."""
        refusal = self.refuse(429, "Rate limit exceeded")
        if self.switches.retry_after == "none":
            return refusal
        seconds = math.ceil(wait)
        date = email.utils.formatdate(math.ceil(self.store.clock()) + seconds, usegmt=True)
        value = str(seconds) if self.switches.retry_after == "seconds" else date
        return Answer(refusal.status, refusal.body, {"retry-after": value})

    def list_page(self, kind: str, operation: Operation, request: Request) -> Answer:
        """Answer a GET."""
        if request.body:
            raise RequestError(400, "a GET takes no body")
        given = operation.read_parameters(
            (name, self._clamp(text) if name == "limit" else text) for name, text in read_query(request.query)
        )
        query = Query(
            kind,
            operation.route,
            text=given.get("q"),
            limit=given.get("limit", DEFAULT_LIMIT),
            cursor=given.get("cursor"),
            fields=_read_fields(given.get("fields")),
            pipeline_id=given.get("pipeline_id"),
            stage_id=given.get("stage_id"),
        )
        return self._page(query)

    def search_page(self, kind: str, operation: Operation, request: Request) -> Answer:
        """Answer a search."""
        body = read_body(operation, request)
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
            pipeline_id=body.get("pipeline_id"),
            stage_id=body.get("stage_id"),
        )
        return self._page(query)

    def show_page(self, kind: str, page: str) -> Answer:
        """Put a page into the envelope."""
        return succeed(200, f"{kind.capitalize()} fetched", page)

    def open_writer(self, connection: Any, kind: str, operation: Operation) -> Any:
        """Make the writer of one request."""
        from crmctl.sandbox.octolane_notes import NoteWriter  # noqa: PLC0415 - who only reads does not pay for it
        from crmctl.sandbox.octolane_opportunities import OpportunityWriter  # noqa: PLC0415 - likewise
        from crmctl.sandbox.octolane_writes import Writer  # noqa: PLC0415 - likewise

        make = {"opportunities": OpportunityWriter, "notes": NoteWriter}.get(kind, Writer)
        stamps = self.store.stamps(connection)
        return make(self.store, connection, kind, self.switches, stamps.__next__, operation.route)

    def _page(self, query: Query) -> Answer:
        return self.show_page(query.kind, read_page(self.store, self._secret, query, self.switches))

    def _clamp(self, limit: Any) -> Any:
        """Read a limit above the largest as the largest, if the switch says so; the contract judges all others."""
        if self.switches.over_limit == "reject" or isinstance(limit, bool) or not _WHOLE.fullmatch(str(limit)):
            return limit
        return type(limit)(min(int(limit), PAGE_LIMIT))

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


def _read_fields(given: str | list[str] | None) -> tuple[str, ...] | None:
    """Read names separated by commas, repeated, or as a JSON array, which the inbound host documents."""
    if given is None:
        return None
    if isinstance(given, str) and given.startswith("["):
        try:
            names = json.loads(given)
        except ValueError as error:
            raise RequestError(400, "fields: not a JSON array") from error
        if not all(isinstance(name, str) for name in names):
            raise RequestError(400, "fields: not an array of texts")
        return tuple(names)
    texts = [given] if isinstance(given, str) else given
    return tuple(name.strip() for text in texts for name in text.split(","))
