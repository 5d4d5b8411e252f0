"""The client: what is sent, what becomes of exceptions, and what is sent again."""

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

import crmctl
from crmctl.client import EXCEPTIONS, Client
from crmctl.errors import Ambiguous, Auth, ProviderError, RateLimited, Rejected, Unavailable
from crmctl.retry import Limit, Policy

KEY = "oct_live_0123456789abcdef"
BASE = "https://api.example"
SEARCH = "POST /v1/accounts/search"
BULK = "POST /v1/accounts/bulk"
ONCE = Policy(Limit(1, 0), Limit(1, 0), Limit(1, 0))

Handler = Callable[[httpx.Request], httpx.Response]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def make_client(handler: Handler, **options: Any) -> Client:
    time = options.pop("time", None) or Time()
    settings: dict[str, Any] = {
        "base_url": BASE,
        "headers": {"x-api-key": KEY},
        "policy": ONCE,
        "sleep": time.sleep,
        "clock": time,
        "wall_clock": lambda: 1_800_000_000.0,
        "random": lambda: 1.0,
    }
    return Client([httpx.MockTransport(handler)], **(settings | options))


async def send(client: Client, route: str = BULK, *, body: Any = None, repeatable: bool = True) -> Any:
    method, path = route.split()
    return await client.request(method, path, route=route, json=body, repeatable=repeatable)


def answer(*responses: httpx.Response | Exception) -> Handler:
    """Answer one after the other; the last one for ever."""
    left = list(responses)

    def handle(_request: httpx.Request) -> httpx.Response:
        response = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(response, Exception):
            raise response
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return handle


def failure(handler: Handler, *, repeatable: bool = True, **options: Any) -> ProviderError:
    """Send once; return the error."""
    with pytest.raises(ProviderError) as caught:
        asyncio.run(send(make_client(handler, **options), repeatable=repeatable))
    return caught.value


OK = httpx.Response(200, json={"success": True})
LIMITED = httpx.Response(429, json={"message": "Slow down"})


# What is sent


def test_request() -> None:
    """A request carries the key, JSON, and the caller's name."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return OK

    assert asyncio.run(send(make_client(handle), body=[{"name": "Zoë"}])) == {"success": True}
    request = seen[0]
    assert ("POST", f"{BASE}/v1/accounts/bulk", KEY) == (request.method, str(request.url), request.headers["x-api-key"])
    assert json.loads(request.content) == [{"name": "Zoë"}]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"crmctl/{crmctl.__version__}"


def test_parameters() -> None:
    """Parameters go into the query, escaped."""
    urls = []

    def handle(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return OK

    client = make_client(handle)
    route = "GET /v1/accounts"
    asyncio.run(client.request("GET", "/v1/accounts", route=route, params={"q": "a&b=c"}, repeatable=True))
    assert urls == [f"{BASE}/v1/accounts?q=a%26b%3Dc"]


def test_path_stays_on_host() -> None:
    """No path leads to another host."""
    hosts = []

    def handle(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return OK

    async def run() -> None:
        client = make_client(handle)
        for path in ("//evil.test/x", "@evil.test/", "https://evil.test/"):
            await client.request("GET", path, route="GET /x", repeatable=True)

    asyncio.run(run())
    assert hosts == ["api.example"] * 3


def test_cookies() -> None:
    """A cookie is not sent back."""
    cookies = []

    def handle(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, json={}, headers={"set-cookie": "track=me"})

    async def run() -> None:
        client = make_client(handle)
        await send(client)
        await send(client)

    asyncio.run(run())
    assert cookies == [None, None]


def test_redirects() -> None:
    """A redirect is not followed; the message names where it leads."""
    client_calls = []

    def handle(request: httpx.Request) -> httpx.Response:
        client_calls.append(request.url.host)
        return httpx.Response(307, headers={"location": f"https://evil.test/?{KEY}"})

    error = failure(handle)
    assert isinstance(error, Rejected)
    assert str(error) == f"{BULK}: 307: redirects to evil.test, which is never followed; check base_url"
    assert client_calls == ["api.example"]


@pytest.mark.parametrize(("location", "host"), [("/v2", "itself"), ("//[", "an address that is none")])
def test_redirect_hosts(location: str, host: str) -> None:
    """A redirect without another host is named as well."""
    assert f"redirects to {host}," in str(failure(answer(httpx.Response(302, headers={"location": location}))))


@pytest.mark.parametrize("key", ["", "two\nlines", "trailing ", "ключ", "\x00"])
def test_impossible_keys(key: str) -> None:
    """A key that no header can carry is refused before anything is sent, and not shown."""
    with pytest.raises(Auth) as caught:
        make_client(answer(OK), headers={"x-api-key": key})
    assert "x-api-key" in str(caught.value)
    assert not key or key not in str(caught.value)


# What is not answered well


@pytest.mark.parametrize("status", [200, 400])
def test_huge_answer(status: int) -> None:
    """An answer that unpacks without end is given up; as an error it still is the error that it is."""
    bomb = gzip.compress(bytes(65 * 2**20), 1)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(bomb))

    expected = (Ambiguous, "answer is larger than 16 MiB") if status == 200 else (Rejected, "400: Bad Request")
    error = failure(handle)
    assert isinstance(error, expected[0])
    assert expected[1] in str(error)


@pytest.mark.parametrize("packed", ["gzip, gzip", "GZIP,br", "gzip, identity, deflate"])
@pytest.mark.parametrize(("status", "expected"), [(200, "packed in a way"), (400, "400: Bad Request")])
def test_an_answer_that_is_packed_twice_is_not_unpacked(packed: str, status: int, expected: str) -> None:
    """The inner one could be as large as it likes before anybody counts."""

    def handle(_request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "application/json", "content-encoding": packed}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"{}"))

    assert expected in str(failure(handle))


class Endless(httpx.AsyncByteStream):
    """A body that never ends, and does not come either."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()


def test_dripping_answer() -> None:
    """An answer that never gets complete is ambiguous after some timeouts."""

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    assert str(failure(handle, timeout=0.005)) == f"{BULK}: no complete answer within 0.02 s"


def every_exception() -> set[type[Exception]]:
    """Return all exception classes that httpx has, public or found below them."""
    found = {thing for thing in vars(httpx).values() if isinstance(thing, type) and issubclass(thing, Exception)}
    while below := {lower for upper in found for lower in upper.__subclasses__() if lower not in found}:
        found |= below
    return found


def test_every_exception() -> None:
    """No exception of httpx is left unmapped."""
    assert every_exception() == set(EXCEPTIONS)


def raised(kind: type[Exception]) -> Exception:
    if kind is httpx.HTTPStatusError:
        return httpx.HTTPStatusError("x", request=httpx.Request("GET", BASE), response=httpx.Response(200))
    bare = {httpx.StreamConsumed, httpx.StreamClosed, httpx.ResponseNotRead, httpx.RequestNotRead}
    return kind() if kind in bare else kind("x")


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_exceptions(kind: type[Exception]) -> None:
    """Every exception of httpx leaves as one of ours, or as the bug it is."""
    expected = EXCEPTIONS[kind]
    with pytest.raises(kind if expected is None else expected[0]) as caught:
        asyncio.run(send(make_client(answer(raised(kind)))))
    assert expected is None or str(caught.value) == f"{BULK}: {BASE}: {expected[1]}: x"


def test_unknown_exception() -> None:
    """An exception that httpx may add later is taken for the nearest known one."""
    added = type("Added", (httpx.NetworkError,), {})
    error = failure(answer(added("")))
    assert (Ambiguous, f"{BULK}: {BASE}: the connection broke") == (type(error), str(error))
    del added


def test_key_in_exception() -> None:
    """A key in an exception's text is taken out as well."""
    message = str(failure(answer(httpx.ReadError(f"while sending {KEY}"))))
    assert message == f"{BULK}: {BASE}: the connection broke before the answer: while sending [key]"


# Who is refused


async def statuses(*steps: tuple[str, int]) -> list[str]:
    """Send to routes that answer so; return what came of each."""
    client = make_client(answer(*(httpx.Response(status, json={}) for _, status in steps)))
    results = []
    for route, _ in steps:
        try:
            await send(client, route)
        except ProviderError as error:
            results.append(type(error).__name__)
        else:
            results.append("ok")
    return results


@pytest.mark.parametrize("status", [401, 403])
def test_refused(status: int) -> None:
    """A key refused at first stops the run; refused on one route while another works, it only closes the route."""
    assert asyncio.run(statuses((SEARCH, status), (BULK, status))) == ["Auth", "Auth"]
    assert asyncio.run(statuses((SEARCH, 200), (BULK, status))) == ["ok", "Unsupported"]
    assert asyncio.run(statuses((SEARCH, 200), (SEARCH, status))) == ["ok", "Auth"]


def test_revoked() -> None:
    """A key refused where it has worked is revoked, whatever else worked."""
    assert asyncio.run(statuses((BULK, 200), (SEARCH, 200), (SEARCH, 401))) == ["ok", "ok", "Auth"]


# Waiting and sending again


def test_sends_again() -> None:
    """A request is sent until it is answered, waiting longer each time; every attempt counts."""
    time, told = Time(), []

    def tell(route: str, seconds: float, error: ProviderError) -> None:
        told.append((route, seconds, type(error)))

    handler = answer(
        httpx.ConnectError("x"), httpx.ReadTimeout(""), httpx.Response(503, headers={"retry-after": "9"}), OK
    )
    client = make_client(handler, policy=Policy(), time=time, on_wait=tell)
    assert asyncio.run(send(client)) == {"success": True}
    assert time.slept == [0.5, 1, 9]
    assert told == [(BULK, 0.5, Unavailable), (BULK, 1, Ambiguous), (BULK, 9, Unavailable)]
    assert client.counts == {BULK: 4}


def test_gives_up() -> None:
    """The last error is raised when the policy gives up."""
    time = Time()
    error = failure(answer(httpx.ConnectError("x")), policy=Policy(unavailable=Limit(3, 60)), time=time)
    assert isinstance(error, Unavailable)
    assert time.slept == [0.5, 1]


def test_not_repeatable() -> None:
    """What must not be done twice is not sent again after an ambiguous failure."""
    client = make_client(answer(httpx.ReadTimeout("")), policy=Policy())
    with pytest.raises(Ambiguous):
        asyncio.run(send(client, repeatable=False))
    assert client.counts == {BULK: 1}


def test_rate_limited_route() -> None:
    """A 429 holds up all requests of its route, and no others."""
    time = Time()
    sent: list[tuple[float, str]] = []
    limited = {"yes"}

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append((time.now, request.url.path))
        if request.url.path == "/v1/accounts/bulk" and limited:
            limited.clear()
            return httpx.Response(429, headers={"retry-after": "10"})
        return OK

    async def run() -> None:
        client = make_client(handle, policy=Policy(), time=time)
        await asyncio.gather(send(client, BULK), send(client, SEARCH))
        await send(client, BULK)

    asyncio.run(run())
    bulk = [now for now, path in sent if path == "/v1/accounts/bulk"]
    assert bulk == [0, 10, pytest.approx(10.05)]


def test_told_limit() -> None:
    """A route on which nothing more is welcome is left alone until the server's window ends, and no 429 comes."""
    time = Time()
    sent: list[tuple[float, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append((time.now, request.url.path))
        headers = {"x-ratelimit-remaining": str(max(0, 2 - len(sent))), "x-ratelimit-reset": "1800000060"}
        return httpx.Response(200, json={}, headers=headers)

    async def run() -> None:
        client = make_client(handle, time=time)
        for route in (BULK, BULK, SEARCH, BULK):
            await send(client, route)

    asyncio.run(run())
    assert [(0, "bulk"), (0, "bulk"), (0, "search"), (60, "bulk")] == [(now, path[13:]) for now, path in sent]


def test_list() -> None:
    """A list is answered to whom it may come."""
    client = make_client(answer(httpx.Response(200, json=[1])))
    assert [1] == asyncio.run(client.request("GET", "/v1/x", route="GET /v1/x", repeatable=True, lists=True))


def test_rate_limited_for_ever() -> None:
    """A route that stays limited is given up in the end, within the policy's seconds."""
    time = Time()
    error = failure(answer(LIMITED), policy=Policy(), time=time)
    assert isinstance(error, RateLimited)
    assert 0 < time.now <= Policy().rate_limited.seconds + 1


def test_import() -> None:
    """Importing the client loads neither httpx's command line nor what that would load."""
    code = (
        "import sys, crmctl.client; print({'httpx._main', 'click', 'pygments', 'rich', 'certifi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
