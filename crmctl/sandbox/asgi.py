"""Serve one API as an ASGI application: what every vendor's sandbox has in common.

In: an `Api` (its OpenAPI contract and what it answers), a store, and what is to go wrong. Out: a `Sandbox`, which can
be called in process through `httpx.ASGITransport` (no lifespan needed) or served by `server.py`.
"""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol, runtime_checkable

from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.faults import Interfere, Interference, Limiter
from crmctl.sandbox.store import Store

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_NO_CONTENT = 204
DROP = "sandbox.drop"
"""The ASGI extension by which `server.py` offers to drop a connection: a function without arguments."""
CLOSE = "sandbox.close"
"""The one by which it offers to take no connections for some seconds, and to drop those there are."""


class Api(Protocol):
    """What one vendor's API adds."""

    contract: Contract
    body_limit: int

    def answer(self, request: Request, operation: Operation | None) -> Answer:
        """Answer a request; without an operation there is no such route or method."""
        ...

    def refuse(self, status: int, message: str) -> Answer:
        """Make the API's error body."""
        ...

    def refuse_for(self, wait: float) -> Answer:
        """Answer that the route's rate limit was exceeded, for that many more seconds."""
        ...


@runtime_checkable
class ShowsLimit(Protocol):
    """An `Api` whose answers tell the rate limit, if there is one."""

    def describe_limit(self, limit: int, remaining: int, seconds: float) -> Mapping[str, str]:
        """Return the headers: requests at once, requests left, and the seconds until waiting helps."""
        ...


class Sandbox:
    """An ASGI application over one store.

    `violations` lists answers of ours that left the OpenAPI document (with `check_responses` only). `close` gives the
    file back; it also happens at the end of an ASGI lifespan and when the object goes.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        *,
        latency: float = 0.0,
        rate_limit: float = 0.0,
        check_responses: bool = False,
        interfere: Interfere | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Put the parts together; `clock` is for the rate limit, `sleep` for whatever takes time."""
        self.violations: list[str] = []
        self._api, self._store, self._latency = api, store, latency
        self._limiter, self._check, self._interfere = Limiter(rate_limit, clock), check_responses, interfere
        self._seen: Counter[tuple[str, str]] = Counter()
        self._sleep = sleep

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise NotImplementedError(f"the sandbox speaks HTTP only, not {scope['type']}")

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _read_body(receive, self._api.body_limit)
        if body is None:
            return
        if self._latency:
            await self._sleep(self._latency)
        self._seen[method, path] += 1
        fault = self._interfere(method, path, self._seen[method, path]) if self._interfere else None
        if fault is not None and fault.when == "before":
            if await self._spoil(fault, None, scope, receive, send):
                return
            fault = None
        request = Request(method, path, scope.get("query_string", b""), headers, body)
        answer = self._answer(request, fault)
        if fault is not None and await self._spoil(fault, answer, scope, receive, send):
            return
        await _send(send, answer.status, answer.body, answer.headers)

    def _answer(self, request: Request, fault: Interference | None) -> Answer:
        try:
            if fault is not None and fault.twist is not None:
                return fault.twist(request, self._process, self._api.refuse)
            return self._process(request)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return self._api.refuse(503, "Another process is writing to the database")

    def _process(self, request: Request) -> Answer:
        operation = self._api.contract.find(request.method, request.path)
        route = operation.route if operation else f"{request.method} (no such route)"
        wait = self._limiter.wait_for(route)
        if wait:
            answer = self._api.refuse_for(wait)
        elif len(request.body) > self._api.body_limit:
            answer = self._api.refuse(413, f"The body has more than {self._api.body_limit} bytes")
        else:
            answer = self._api.answer(request, operation)
        if self._check and operation is not None:
            found = operation.find_violations(answer.status, json.loads(answer.body) if answer.body else None)
            if found:
                self.violations += found
                answer = self._api.refuse(500, "; ".join(found))
        self._store.count_request(route, answer.status)
        return self._show_limit(answer, route, wait)

    def _show_limit(self, answer: Answer, route: str, wait: float) -> Answer:
        if not (self._limiter.limits and isinstance(self._api, ShowsLimit)):
            return answer
        limit, remaining, seconds = self._limiter.describe(route)
        shown = self._api.describe_limit(limit, remaining, wait or seconds)
        return Answer(answer.status, answer.body, {**answer.headers, **shown})

    async def _spoil(
        self,
        fault: Interference,
        answer: Answer | None,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> bool:
        """Do what the interference says; return whether the request is over."""
        if fault.delay:
            await self._sleep(fault.delay)
        if fault.drop or fault.closed:
            await _drop(scope, receive, fault.closed)
            return True
        if not fault.answers and (fault.cut is None or answer is None):
            return False
        status = fault.status or (answer.status if answer else 200)
        body = fault.body if fault.body is not None else answer.body if answer else b""
        if fault.message:
            body = self._api.refuse(status, fault.message).body
        if fault.cut is None:
            await _send(send, status, body, fault.headers)
            return True
        await _start(send, status, len(body), fault.headers)
        await send({"type": "http.response.body", "body": body[: fault.cut], "more_body": True})
        await _drop(scope, receive)
        return True

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self.close()
                return


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Read a body to its end, since a client may not listen before, but keep no more than one byte beyond the limit.

    None: the client left before the end.
    """
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body = (body + message.get("body", b""))[: limit + 1]
        more = message.get("more_body", False)
    return body


async def _drop(scope: MutableMapping[str, Any], receive: Receive, closed: float = 0.0) -> None:
    """Drop the connection, and where asked take no other for so many seconds."""
    offered = scope.get("extensions", {})
    if DROP not in offered:
        raise ConnectionRefusedError("the sandbox is closed") if closed else ConnectionResetError("dropped")
    if closed:
        offered[CLOSE](closed)
    else:
        offered[DROP]()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    await _start(send, status, len(body), headers)
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, length: int, headers: Mapping[str, str]) -> None:
    usual = {} if status == _NO_CONTENT else {"content-type": "application/json", "content-length": str(length)}
    lines = {**usual, **{name.lower(): value for name, value in headers.items()}}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
