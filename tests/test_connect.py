"""How a connection is made: where the key may go, through what, and what a read-only one refuses."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

import crmctl
from crmctl.client import Client, ReadOnly, WriteRefused, check_base_url, connect
from crmctl.errors import Ambiguous, ProviderError, Rejected, Unavailable, UsageError
from crmctl.origin import find_proxy, parse_origin
from crmctl.providers import PROVIDERS, find_endpoint
from crmctl.retry import Limit, Policy

KEY = "oct_live_0123456789abcdef"
BASE = "https://api.example"
SEARCH = "POST /v1/accounts/search"
BULK = "POST /v1/accounts/bulk"
ONCE = Policy(Limit(1, 0), Limit(1, 0), Limit(1, 0))
SANDBOX = Path(crmctl.__file__).parent / "sandbox"

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def succeed(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"success": True})


async def send(client: Client, route: str = BULK, *, body: Any = None) -> Any:
    method, path = route.split()
    return await client.request(method, path, route=route, json=body, repeatable=True)


# Read-only


def routes(provider: str) -> list[str]:
    """Return every route of an API, with an id where one is wanted."""
    document = json.loads((SANDBOX / f"{provider}.openapi.json").read_bytes())
    return [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    ]


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_read_only_every_route(provider: str) -> None:
    """Through the read-only transport no route of an API passes but the reads; nothing else has left."""
    left: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        left.append(f"{request.method} {request.url.path}")
        return succeed(request)

    reads = find_endpoint(provider).reads
    client = Client([ReadOnly(httpx.MockTransport(handle), reads)], base_url=BASE)
    every = routes(provider)

    async def run() -> None:
        for route in every:
            method, path = route.split()
            for tried in (method, method.lower(), "POST", "PUT", "PATCH", "DELETE", "GET"):
                line = f"{tried.upper()} {path}"
                if line not in reads:
                    with pytest.raises(WriteRefused):
                        await client.request(tried, fill_in(path), route=line, repeatable=True)
        for read in reads:
            method, path = read.split()
            await client.request(method, fill_in(path), route=read, repeatable=True)

    asyncio.run(run())
    assert len(every) > 7
    assert sorted(left) == sorted(map(fill_in, reads))


def fill_in(path: str) -> str:
    """Put an id where one is wanted."""
    return re.sub(r"\{[^}]*\}", "018f13b3-8239-7ef8-a8f1-93ad10b76110", path)


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("GET /v1/accounts", True),
        ("GET /v1/accounts?limit=1", True),
        ("GET /v1/accounts/", False),
        ("GET /v1/accounts/7f-a", True),
        ("GET /v1/accounts/7f-a/x", False),
        ("GET /v1/accounts/..%2Fbulk", False),
        ("GET /v1/accounts/../bulk", False),
        ("GET /v1/Accounts", False),
        ("GET /v1/accounts%2F", False),
        ("GET /v1xaccounts", False),
        ("PATCH /v1/accounts", False),
    ],
)
def test_read_only_lines(line: str, passes: bool) -> None:  # noqa: FBT001  # a table of facts
    """Method and path have to match exactly; a placeholder is one plain segment."""
    transport = ReadOnly(httpx.MockTransport(succeed), ["GET /v1/accounts", "GET /v1/accounts/{id}"])
    method, path = line.split()

    async def run() -> bool:
        try:
            await transport.handle_async_request(httpx.Request(method, BASE + path))
        except WriteRefused:
            return False
        return True

    assert asyncio.run(run()) is passes


def test_read_only_nothing() -> None:
    """Without any read allowed nothing passes."""
    with pytest.raises(WriteRefused, match="GET /v1/accounts"):
        asyncio.run(send(Client([ReadOnly(httpx.MockTransport(succeed), [])], base_url=BASE), "GET /v1/accounts"))


# Addresses, proxies, certificates


@pytest.mark.parametrize(
    "url",
    [
        "https://api.vendor.example", "https://api.vendor.example/", "HTTPS://API.Vendor.Example:8443",
        "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80", "https://127.9.9.9", "https://gate.example",
    ],
)  # fmt: skip
def test_good_addresses(url: str) -> None:
    """The vendor's host, this machine, and what the environment allows are good."""
    check_base_url(url, {"api.vendor.example"}, ["Gate.example"])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.vendor.example", "plain http is only for this machine"),
        ("http://gate.example", "plain http"),
        ("https://evil.example", "set CRMCTL_ALLOW_HOSTS=evil.example"),
        ("https://api.vendor.example.evil.test", "neither the vendor's"),
        ("https://api.vendor.example@evil.test", "only scheme, host and port"),
        ("https://me:secret@api.vendor.example", "only scheme, host and port"),
        ("https://api.vendor.example/v1", "write https://api.vendor.example"),
        ("https://api.vendor.example?x=1", "only scheme, host and port"),
        ("https://api.vendor.example?", "only scheme, host and port"),
        ("https://api.vendor.example/#x", "only scheme, host and port"),
        ("http://127.0.0.1.evil.test", "plain http"),
        ("http://[::ffff:127.0.0.1]", "plain http"),
        ("http://0.0.0.0", "plain http"),
        ("ftp://api.vendor.example", "write https://host"),
        ("api.vendor.example", "write https://host"),
        ("https://api.vendor.example:99999", "write https://host"),
        ("https://[::1", "write https://host"),
        ("https://api.ven\ndor.example", "write https://host"),
        ("https://api vendor.example", "write https://host"),
        ("https://äpi.vendor.example", "write https://host"),
        ("https://api.vendor.example\\@evil.test", "only scheme|write https://host"),
        ("https://api.vendor.example%2eevil.test", "write https://host"),
        ("//api.vendor.example", "write https://host"),
        ("https://", "write https://host"),
        ("", "write https://host"),
        ("https://api.vendor.example:port", "write https://host"),
        ("https://api.vendor\x00.example", "write https://host"),
    ],
)
def test_bad_addresses(url: str, words: str) -> None:
    """Every other address is refused with what to write instead, and without its password."""
    with pytest.raises(UsageError, match=words.replace("(", r"\(")) as caught:
        check_base_url(url, {"api.vendor.example"}, ["gate.example"])
    assert "secret" not in str(caught.value)


def open_client(base_url: str, **options: Any) -> Client:
    settings: dict[str, Any] = {
        "headers": {"x-api-key": KEY}, "reads": [SEARCH], "read_only": False, "sandbox": None, "timeout": 5.0,
        "parallelism": 4, "policy": ONCE,
    }  # fmt: skip
    return connect(base_url=base_url, **(settings | options))


def test_certificates() -> None:
    """Own authorities are read for https, and only for it; none there is a usage error."""
    environment = {"SSL_CERT_FILE": "/nowhere/at/all.pem"}
    asyncio.run(open_client("http://127.0.0.1:1", environment=environment).aclose())
    with pytest.raises(UsageError, match=r"no certificates at /nowhere/at/all\.pem"):
        open_client("https://api.vendor.example", environment=environment)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "http://a.example", "https_proxy": "http://b.example"}, "http://b.example"),
        ({"ALL_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTP_PROXY": "http://proxy.example"}, None),
        ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "a.test, .vendor.example"}, None),
        ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "dor.example,"}, "http://proxy.example"),
        ({"HTTPS_PROXY": ""}, None),
    ],
)
def test_proxies(environment: Mapping[str, str], proxy: str | None) -> None:
    """The environment's proxy is used, but for the hosts that it excepts."""
    found = find_proxy(parse_origin("https://api.vendor.example"), environment)
    assert found == proxy


def test_no_proxy_for_loopback() -> None:
    """This machine is never reached through a proxy."""
    assert find_proxy(parse_origin("http://127.0.0.1"), {"ALL_PROXY": "http://proxy.example"}) is None


@pytest.mark.parametrize(
    "address", ["socks5://me:secret@proxy.example", "http://", "http://me:secret@proxy.example:port", "ftp://x"]
)
def test_bad_proxies(address: str) -> None:
    """A proxy of another kind is a usage error that shows no password."""
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        find_proxy(parse_origin("https://api.vendor.example"), {"HTTPS_PROXY": address})
    assert "secret" not in str(caught.value)


# Over real connections


async def served(serve: Served, use: Callable[[int], Awaitable[None]]) -> None:
    """Serve connections on loopback while something uses the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        await use(server.sockets[0].getsockname()[1])


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    await reader.readexactly(length)
    return head


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    at_once = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"success": tr')
    await writer.drain()


async def cut_off_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
    await writer.drain()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("serve", "expected", "words"),
    [
        (hang, Ambiguous, "no answer in time"),
        (hang_up, Ambiguous, "cut off"),
        (reset, Ambiguous, "the connection broke"),
        (cut_off, Ambiguous, "cut off"),
        (cut_off_error, Rejected, "400: Bad Request"),
        (talk_nonsense, Ambiguous, "not HTTP"),
    ],
)
def test_real_failures(serve: Served, expected: type[ProviderError], words: str) -> None:
    """What goes wrong on a real connection is one of our errors."""

    async def use(port: int) -> None:
        client = open_client(f"http://127.0.0.1:{port}", timeout=0.1 if serve is hang else 10.0)
        with pytest.raises(expected, match=words):
            await send(client, body=[{}])
        await client.aclose()

    asyncio.run(served(serve, use))


def test_connection_refused() -> None:
    """Where nobody listens, the server is unavailable."""

    async def use(port: int) -> None:
        ports.append(port)

    ports: list[int] = []
    asyncio.run(served(hang, use))
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:\d+: no connection; is the server running"):
        asyncio.run(send(open_client(f"http://127.0.0.1:{ports[0]}")))


def test_proxy_connection() -> None:
    """A request to the vendor goes through the proxy; one that refuses makes it unavailable and shows no password."""
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def use(port: int) -> None:
        environment = {"HTTPS_PROXY": f"http://me:secret@127.0.0.1:{port}"}
        client = open_client("https://api.vendor.example", environment=environment)
        with pytest.raises(Unavailable, match="the proxy gave no connection") as caught:
            await send(client)
        assert "secret" not in str(caught.value)
        await client.aclose()

    asyncio.run(served(refuse, use))
    assert heads[0].startswith(b"CONNECT api.vendor.example:443")
    assert KEY.encode() not in heads[0]


def test_parallel_connections() -> None:
    """As many requests as asked for are in flight at once, spread over small pools."""
    waiting: list[asyncio.StreamWriter] = []

    async def gather(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        waiting.append(writer)
        if len(waiting) == 20:
            for each in waiting:
                each.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read()

    async def use(port: int) -> None:
        client = open_client(f"http://127.0.0.1:{port}", parallelism=20)
        assert await asyncio.gather(*(send(client) for _ in range(20))) == [{}] * 20
        await client.aclose()

    asyncio.run(served(gather, use))
