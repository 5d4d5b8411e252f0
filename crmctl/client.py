"""One polite HTTP client per target, the only home of httpx: every transport is built here.

In: a method, a path, a body. Out: the JSON object that was answered, or one of the `ProviderError` classes. In between:
the key, the read-only guard, the rate limit of the route, sending again as the policy says, and the one border where
exceptions of httpx and HTTP statuses become ours. Requests go straight to the transport: no redirect is followed, no
cookie kept and no environment variable read, because nothing is there that would.
"""

import asyncio
import json as json_format
import random as randomness
import re
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import crmctl
from crmctl.answers import Answer, Wording, judge, read_allowance, read_object
from crmctl.errors import Ambiguous, Auth, ProviderError, RateLimited, Rejected, Unavailable, Unsupported, UsageError
from crmctl.origin import Origin, check_base_url, check_headers, find_proxy, parse_origin
from crmctl.pace import Pace
from crmctl.retry import Policy

# httpx imports its own command line, and with it rich and pygments where they are installed (60 ms and more), and goes
# without if that fails. An empty module makes it fail; it is taken away again for whoever wants the real one.
_stub = ModuleType("httpx._main")
sys.modules.setdefault("httpx._main", _stub)
import httpx  # noqa: E402

if sys.modules["httpx._main"] is _stub:
    del sys.modules["httpx._main"]
# httpcore imports sniffio several times a request and goes without where it is not installed: a module that is known to
# be missing is not searched for on the disk again, which took a tenth of each request.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # the documented way to say so

__all__ = [
    "Client", "Embedded", "ReadOnly", "SandboxOptions", "WriteRefused",
    "check_base_url", "connect", "embedded_key",
]  # fmt: skip

CONNECTIONS_PER_POOL = 8  # httpx's pools cost time in proportion to their size: more of them, not larger ones
LONGEST_BODY = 16 * 2**20  # as values up to 45 times as much
TOO_LARGE = 413  # of an answer: who only reads can ask for less
PACKED = re.compile("br|deflate|gzip|zstd", re.IGNORECASE)
PATIENCE = 4  # a whole answer may take this many timeouts: a server that drips bytes is not waited for longer
NOTHING: Mapping[str, str] = MappingProxyType({})

EXCEPTIONS: Mapping[type[Exception], tuple[type[Unavailable | Ambiguous], str] | None] = MappingProxyType(
    {
        # It certainly was not processed: there was no connection to carry it.
        httpx.ConnectError: (Unavailable, "no connection; is the server running, and the address right?"),
        httpx.ConnectTimeout: (Unavailable, "no connection in time"),
        httpx.PoolTimeout: (Unavailable, "no connection became free in time"),
        httpx.ProxyError: (Unavailable, "the proxy gave no connection"),
        # It may have been processed.
        httpx.ReadTimeout: (Ambiguous, "no answer in time"),
        httpx.WriteTimeout: (Ambiguous, "could not be sent in time"),
        httpx.ReadError: (Ambiguous, "the connection broke before the answer"),
        httpx.WriteError: (Ambiguous, "the connection broke while sending"),
        httpx.CloseError: (Ambiguous, "the connection broke while closing"),
        httpx.RemoteProtocolError: (Ambiguous, "the answer is cut off, or is not HTTP"),
        httpx.DecodingError: (Ambiguous, "the answer's compression is broken"),
        # What they have in common, should httpx raise it or something new below it.
        httpx.TimeoutException: (Ambiguous, "not in time"),
        httpx.NetworkError: (Ambiguous, "the connection broke"),
        httpx.ProtocolError: (Ambiguous, "the answer is not HTTP"),
        httpx.TransportError: (Ambiguous, "no answer"),
        httpx.RequestError: (Ambiguous, "no answer"),
        httpx.HTTPError: (Ambiguous, "no answer"),
        # A bug of ours: it stays what it is, and ends in a traceback.
        httpx.UnsupportedProtocol: None,
        httpx.LocalProtocolError: None,
        httpx.TooManyRedirects: None,
        httpx.HTTPStatusError: None,
        httpx.InvalidURL: None,
        httpx.CookieConflict: None,
        httpx.StreamError: None,
        httpx.StreamConsumed: None,
        httpx.StreamClosed: None,
        httpx.ResponseNotRead: None,
        httpx.RequestNotRead: None,
    }
)
"""What every exception of httpx means to us; None stands for a bug."""


class WriteRefused(Exception):  # named for what happened, like every error here
    """A read-only connection was asked to send something that is no read: a bug; nothing has left."""


class SandboxOptions(NamedTuple):
    """Which embedded CRM to talk to instead of a server."""

    provider: str
    database: Path
    api_key: str | None = None
    switches: Mapping[str, str] = NOTHING


class ReadOnly(httpx.AsyncBaseTransport):
    """Let only the allowed routes through (`POST /v1/accounts/search`; `{id}` stands for one segment)."""

    def __init__(self, transport: httpx.AsyncBaseTransport, reads: Collection[str]) -> None:
        patterns = [re.sub(r"\\\{\w+\\\}", "[A-Za-z0-9_-]+", re.escape(route)) for route in reads]
        self._allowed = re.compile("|".join(patterns) or "(?!)")
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a read on; raise WriteRefused for everything else."""
        line = f"{request.method} {request.url.raw_path.partition(b'?')[0].decode('ascii')}"
        if not self._allowed.fullmatch(line):
            raise WriteRefused(line)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport behind."""
        await self._transport.aclose()


class Embedded(httpx.ASGITransport):
    """Reach an application in this process, and `close` it with the connection."""

    def __init__(self, app: Any, close: Callable[[], None]) -> None:
        super().__init__(app=app)
        self._close = close

    async def aclose(self) -> None:
        """Close the application."""
        self._close()


class Client:
    """Send requests to one target. `counts` has the requests sent by route, every attempt counted.

    `transports` share the load; more requests than their connections wait here. `headers` go with every request; they
    hold the key, and never appear in a message. `pace` is shared by a target's connections, like `worked`, the routes
    that the key has opened. `on_wait` is told route, seconds and reason whenever a request has to be sent again.
    `discreet` messages leave out what a server says in its own words. `clock` counts seconds; `wall_clock` is only for
    dates in headers, when the server does not tell its own time.
    """

    def __init__(
        self,
        transports: Sequence[httpx.AsyncBaseTransport],
        *,
        base_url: str,
        headers: Mapping[str, str] = NOTHING,
        timeout: float = 30,
        discreet: bool = False,
        worked: set[str] | None = None,
        policy: Policy | None = None,
        pace: Pace | None = None,
        on_wait: Callable[[str, float, ProviderError], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._transports = transports
        self._busy = [0] * len(transports)
        self._slots = asyncio.Semaphore(CONNECTIONS_PER_POOL * len(transports))
        self._origin = parse_origin(base_url)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"crmctl/{crmctl.__version__}",
            **check_headers(headers),
        }
        self._wording = Wording(headers.values(), discreet=discreet)
        self._policy = policy or Policy()
        self._pace = pace or Pace(clock)
        self._limit = self._pace.limit
        self._timeout, self._on_wait = timeout, on_wait
        self._sleep, self._clock, self._wall_clock, self._random = sleep, clock, wall_clock, random
        self._worked: set[str] = set() if worked is None else worked

    async def request(
        self,
        method: str,
        path: str,
        *,
        route: str,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        repeatable: bool,
        lists: bool = False,
        reads: bool = False,
    ) -> Any:
        """Return the JSON object answered; raise the last `ProviderError` when the policy gives up.

        `route` is the name for counting and limiting (`POST /v1/accounts/bulk`). `repeatable` says that sending the
        request twice does no more than sending it once, `lists` that the answer may also be a list, `reads` that it
        changes nothing though it is no GET: what an earlier attempt came to says nothing then.
        """
        request = self._build(method, path, params, json)
        attempt, first_sent, unsure = 0, 0.0, False
        while True:
            attempt += 1
            try:
                async with self._take_turn(route):
                    sent = self._clock()
                    first_sent = first_sent if attempt > 1 else sent
                    answer = await self._send(route, request, repeatable=repeatable, lists=lists)
            except ProviderError as error:
                if error.status == TOO_LARGE and isinstance(error, Ambiguous) and (reads or method == "GET"):
                    raise Rejected(f"{error}; declare fewer long fields, or shorten them", status=TOO_LARGE) from error
                elapsed = self._clock() - first_sent
                wait = self._policy.next_wait(error, attempt, elapsed, self._random, repeatable=repeatable)
                self._pace.fail(route, error, wait)
                if wait is None and unsure and not isinstance(error, Ambiguous):
                    # Whatever this attempt came to, an earlier one may have arrived.
                    raise Ambiguous(f"{error}; an earlier attempt may have arrived", status=error.status) from error
                if wait is None:
                    raise
                unsure = unsure or (isinstance(error, Ambiguous) and not (reads or method == "GET"))
                if self._on_wait is not None:
                    self._on_wait(route, wait, error)
                if not isinstance(error, RateLimited):
                    await self._sleep(wait)
            else:
                self._pace.accept(route, self._clock() - sent)
                return answer

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in self._transports:
            await transport.aclose()

    @asynccontextmanager
    async def _take_turn(self, route: str) -> AsyncIterator[None]:
        """Wait until the route is open and a connection is free, both at once, and hold the connection."""
        while True:
            async with self._slots:
                if not (delay := self._limit.delay(route)):
                    try:
                        yield
                    finally:
                        self._limit.land(route)
                    return
            await self._sleep(delay)

    def _build(self, method: str, path: str, params: Mapping[str, str] | None, json: Any) -> httpx.Request:
        """Return the request; its body is bytes, so it can be sent again."""
        content, headers = None, self._headers
        if json is not None:
            content = json_format.dumps(json, separators=(",", ":"), allow_nan=False).encode()
            headers = {**headers, "Content-Type": "application/json"}
        timeouts = {"timeout": httpx.Timeout(self._timeout).as_dict()}
        url = f"{self._origin}/{path.removeprefix('/')}"
        return httpx.Request(method, url, params=params, headers=headers, content=content, extensions=timeouts)

    async def _send(self, route: str, request: httpx.Request, *, repeatable: bool, lists: bool) -> Any:
        """Send once; every failure leaves as one of our errors."""
        self._pace.budget.spend()
        pool = min(range(len(self._busy)), key=self._busy.__getitem__)
        self.counts[route] += 1
        self._busy[pool] += 1
        try:
            async with asyncio.timeout(self._timeout * PATIENCE):
                answer = await _exchange(self._transports[pool], request, route)
        except TimeoutError as error:
            raise Ambiguous(f"{route}: no complete answer within {self._timeout * PATIENCE:g} s") from error
        except tuple(EXCEPTIONS) as error:
            failure = next(EXCEPTIONS[kind] for kind in type(error).__mro__ if kind in EXCEPTIONS)
            if failure is None:
                raise
            kind, words = failure
            detail = self._wording.clean(f"{self._origin}: {words}{': ' * bool(str(error))}{error}")
            raise kind(f"{route}: {detail}") from error
        finally:
            self._busy[pool] -= 1
        now = self._wall_clock()
        if (allowance := read_allowance(answer.headers, now)) is not None:
            self._limit.allow(route, *allowance)
        if httpx.codes.is_success(answer.status):
            decoded = read_object(route, answer, lists=lists)
            self._worked.add(route)
            return decoded
        # A key that works elsewhere is only not good for this route; one that worked on this route is good no longer.
        revoked = answer.status == httpx.codes.UNAUTHORIZED and route in self._worked
        refusal = Unsupported if self._worked - {route} and not revoked else Auth
        raise judge(route, answer, repeatable=repeatable, refusal=refusal, wording=self._wording, now=now)


async def _exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request, route: str) -> Answer:
    """Send a request and read the whole answer; of an answer that is an error anyway, what can be had."""
    response = await transport.handle_async_request(request)
    try:
        body = await _read_body(response, route)
    except (httpx.TransportError, httpx.DecodingError, Ambiguous):
        if response.is_success:
            raise
        body = b""
    finally:
        await response.aclose()
    return Answer(response.status_code, response.headers, body)


async def _read_body(response: httpx.Response, route: str) -> bytes:
    if len(PACKED.findall(response.headers.get("content-encoding", ""))) > 1:  # one in another may be a bomb
        raise Ambiguous(f"{route}: the answer is packed in a way that was not asked for", status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise Ambiguous(f"{route}: the answer is larger than {LONGEST_BODY >> 20} MiB", status=TOO_LARGE)
    return bytes(body)


def connect(
    *,
    base_url: str,
    headers: Mapping[str, str],
    reads: Collection[str],
    read_only: bool,
    sandbox: SandboxOptions | None,
    timeout: float,
    parallelism: int,
    discreet: bool = False,
    worked: set[str] | None = None,
    policy: Policy | None = None,
    pace: Pace | None = None,
    on_wait: Callable[[str, float, ProviderError], None] | None = None,
    environment: Mapping[str, str] = NOTHING,
) -> Client:
    """Return a client for an embedded sandbox, or for the server at `base_url`, which `check_base_url` has passed.

    `reads` are the routes a `read_only` client is held to. Of the environment, which is the operator's and not the pull
    request's, HTTPS_PROXY, ALL_PROXY and NO_PROXY count (never for loopback), and SSL_CERT_FILE and SSL_CERT_DIR for
    companies with an authority of their own. TLS is always verified.
    """
    transports: list[httpx.AsyncBaseTransport] = []
    if sandbox is None:
        origin = parse_origin(base_url)
        context, proxy = _trust(origin, environment), find_proxy(origin, environment)
        while CONNECTIONS_PER_POOL * len(transports) < parallelism:
            limits = httpx.Limits(max_connections=CONNECTIONS_PER_POOL, max_keepalive_connections=CONNECTIONS_PER_POOL)
            transports.append(httpx.AsyncHTTPTransport(verify=context, proxy=proxy, limits=limits, trust_env=False))
    else:
        transports.append(_embed(sandbox))
    if read_only:
        transports = [ReadOnly(transport, reads) for transport in transports]
    return Client(
        transports,
        base_url=base_url,
        headers=headers,
        timeout=timeout,
        discreet=discreet,
        worked=worked,
        policy=policy,
        pace=pace,
        on_wait=on_wait,
    )


def embedded_key(sandbox: SandboxOptions) -> bytes:
    """Return the key that an embedded sandbox keeps beside its database, for digests and pseudonyms."""
    from crmctl.sandbox.store import pseudonym_key  # noqa: PLC0415  # only who uses it pays for it

    try:
        return pseudonym_key(sandbox.database)
    except (OSError, ValueError) as error:
        raise UsageError(f"sandbox: {sandbox.database}.key: no key ({error}); delete that file") from error


def _embed(options: SandboxOptions) -> httpx.AsyncBaseTransport:
    """Return a transport into a sandbox in this process; closing it closes the database."""
    from crmctl.sandbox import PROVIDERS, open_sandbox  # noqa: PLC0415  # only who uses it pays for it
    from crmctl.sandbox.store import StoreError  # noqa: PLC0415
    from crmctl.sandbox.switches import SwitchError  # noqa: PLC0415

    if options.provider not in PROVIDERS:
        raise UsageError(f"sandbox: {options.provider} cannot be embedded; only {', '.join(sorted(PROVIDERS))} can")
    try:
        app = open_sandbox(options.provider, options.database, api_key=options.api_key, switches=options.switches)
    except (StoreError, SwitchError) as error:
        raise UsageError(f"sandbox: {error}") from error
    return Embedded(app, app.close)


def _trust(origin: Origin, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return a verifying context; without authorities where nothing is encrypted, since loading them takes 40 ms."""
    if origin.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if not (file or folder):
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        raise UsageError(f"SSL_CERT_FILE, SSL_CERT_DIR: no certificates at {file or folder} ({error})") from error
