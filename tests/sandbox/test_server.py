"""The sandbox over real HTTP, and what can be made to go wrong with it."""

import asyncio
import concurrent.futures
import json
import multiprocessing
import socket
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.faults import Interference, Limiter
from crmctl.sandbox.server import running

HEADERS = {"x-api-key": "key"}
ITEM = [{"domain": "acme.example"}]


def interfering(fault: Interference | None, *, nth: int = 1) -> Callable[[str, str, int], Interference | None]:
    """Spoil the nth bulk create, and nothing else."""
    return lambda method, path, count: fault if (method, path, count) == ("POST", "/v1/accounts/bulk", nth) else None


def create(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/accounts/bulk", json=ITEM, headers=HEADERS, trust_env=False)


def count(url: str) -> int:
    answer = httpx.get(f"{url}/v1/accounts", headers=HEADERS, trust_env=False)
    return len(answer.json()["data"]["accounts"])


def test_the_same_application_answers_over_http(open_crm: Any) -> None:
    """A record made in process is read over HTTP."""
    crm = open_crm()
    crm.create("accounts", *ITEM)
    with running(crm.app) as url:
        assert url.startswith("http://127.0.0.1:")
        assert 1 == count(url)


def test_a_connection_is_kept_and_small_answers_are_not_held_back(open_crm: Any) -> None:
    """Requests share a connection, whose socket sends at once."""
    with running(open_crm().app) as url, httpx.Client(base_url=url, headers=HEADERS, trust_env=False) as client:
        streams = [client.get("/v1/nope").extensions["network_stream"] for _ in range(3)]
        assert 1 == len({stream.get_extra_info("client_addr") for stream in streams})


def test_a_port_can_be_chosen_and_a_taken_one_is_an_error(open_crm: Any) -> None:
    """The server takes the port it is given, or raises."""
    with running(open_crm().app) as url:
        port = urllib.parse.urlsplit(url).port
        assert port is not None
        with pytest.raises(OSError, match="in use"), running(open_crm().app, port=port):
            pass
    with running(open_crm().app, port=port) as again:
        assert again == url


@pytest.mark.parametrize(("when", "records"), [("before", 0), ("after", 1)])
def test_a_status_can_be_forced(open_crm: Any, when: Any, records: int) -> None:
    """A request fails before it has an effect, or after."""
    fault = Interference(when=when, status=503, headers={"Retry-After": "1"}, body=b"<html>")
    with running(open_crm(options={"interfere": interfering(fault)}).app) as url:
        answer = create(url)
        assert (503, b"<html>", "1") == (answer.status_code, answer.content, answer.headers["retry-after"])
        assert records == count(url)


def test_only_the_chosen_request_is_spoilt(open_crm: Any) -> None:
    """Requests are counted per method and path, from 1."""
    crm = open_crm(options={"interfere": interfering(Interference(status=500), nth=2)})
    statuses = [crm.send("POST", "/v1/accounts/bulk", json=ITEM).status_code for _ in range(3)]
    assert statuses == [200, 500, 200]


@pytest.mark.parametrize(("when", "records"), [("before", 0), ("after", 1)])
def test_a_connection_can_be_dropped(open_crm: Any, when: Any, records: int) -> None:
    """The client sees the connection close without an answer, and the server goes on."""
    fault = Interference(when=when, drop=True)
    with running(open_crm(options={"interfere": interfering(fault)}).app) as url:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            create(url)
        assert records == count(url)


def test_an_answer_can_be_cut(open_crm: Any) -> None:
    """The client gets the status and a part of the body, and the effect is there."""
    fault = Interference(when="after", cut=20)
    with running(open_crm(options={"interfere": interfering(fault)}).app) as url:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            create(url)
        assert 1 == count(url)


def test_an_answer_can_be_other_than_json(open_crm: Any) -> None:
    """A body can be replaced and the status kept."""
    fault = Interference(when="after", body=b"<html>", headers={"content-type": "text/html"})
    crm = open_crm(options={"interfere": interfering(fault)})
    answer = crm.send("POST", "/v1/accounts/bulk", json=ITEM)
    assert (200, "<html>", "text/html") == (answer.status_code, answer.text, answer.headers["content-type"])
    assert 1 == len(crm.records("accounts"))


def test_a_delayed_answer_runs_into_the_timeout_of_the_client(open_crm: Any) -> None:
    """A client that waits no longer gives up, though the request took effect."""
    fault = Interference(when="after", delay=0.3)
    with running(open_crm(options={"interfere": interfering(fault)}).app) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/accounts/bulk", json=ITEM, headers=HEADERS, timeout=0.1, trust_env=False)
        assert 1 == count(url)


def test_in_process_a_drop_is_an_error_of_the_connection(open_crm: Any) -> None:
    """Where there is no connection to drop, the request raises."""
    crm = open_crm(options={"interfere": interfering(Interference(drop=True))})
    with pytest.raises(ConnectionResetError):
        crm.send("POST", "/v1/accounts/bulk", json=ITEM)


def test_latency_holds_up_requests_but_not_each_other(open_crm: Any) -> None:
    """Every request waits for the latency."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    open_crm(options={"latency": 0.25, "sleep": note}).send("GET", "/v1/accounts")
    assert waits == [0.25]


def test_the_rate_limit_counts_per_route(open_crm: Any) -> None:
    """Beyond so many requests per second a route answers 429, until time has passed; other routes do not."""
    crm = open_crm(options={"rate_limit": 2.0})
    assert [200, 200, 429] == [crm.send("GET", "/v1/accounts").status_code for _ in range(3)]
    assert 200 == crm.send("GET", "/v1/contacts").status_code
    crm.clock.now += 0.5
    assert [200, 429] == [crm.send("GET", "/v1/accounts").status_code for _ in range(2)]


def test_a_refused_request_says_how_long_to_wait() -> None:
    """The wait is what the bucket needs for one token; a full bucket holds one second's worth."""
    now = [0.0]
    limiter = Limiter(2.0, lambda: now[0])
    assert [0.0, 0.0, 0.5] == [limiter.wait_for("a") for _ in range(3)]
    now[0] += 60
    assert [0.0, 0.0, 0.5] == [limiter.wait_for("a") for _ in range(3)]


def test_simultaneous_requests_in_one_loop_work(open_crm: Any) -> None:
    """Several requests in flight in process get their own answers."""
    crm = open_crm()

    async def run() -> list[str]:
        transport = httpx.ASGITransport(app=crm.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://crm.test", headers=HEADERS) as client:
            bodies = [[{"domain": f"a{number}.example"}] for number in range(20)]
            answers = await asyncio.gather(*(client.post("/v1/accounts/bulk", json=body) for body in bodies))
            return [answer.json()["data"]["accounts"][0]["domain"] for answer in answers]

    assert asyncio.run(run()) == [f"a{number}.example" for number in range(20)]


def overlapping(writer: int) -> list[dict[str, str]]:
    return [{"email": f"a{number}@c{number % 7}.example"} for number in range(writer * 5, writer * 5 + 60)]


def test_parallel_writers_never_double(open_crm: Any) -> None:
    """Eight clients creating overlapping keys over HTTP make each record once."""
    crm = open_crm()
    with running(crm.app) as url, concurrent.futures.ThreadPoolExecutor(8) as pool:

        def write(writer: int) -> int:
            with httpx.Client(base_url=url, headers=HEADERS, trust_env=False) as client:
                return max(client.post("/v1/contacts/bulk", json=overlapping(writer)).status_code for _ in range(5))

        assert {200} == set(pool.map(write, range(8)))
    emails = [record["email"] for record in crm.records("contacts", limit=500)]
    assert len(emails) == len(set(emails)) == 95
    assert 7 == len(crm.records("accounts"))


def write_in_process(database: str, writer: int) -> int:
    app = open_sandbox("octolane", Path(database))

    async def run() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://crm.test", headers=HEADERS) as client:
            answers = [await client.post("/v1/contacts/bulk", json=overlapping(writer)) for _ in range(5)]
            return max(answer.status_code for answer in answers)

    try:
        return asyncio.run(run())
    finally:
        app.close()


def test_parallel_processes_never_double(open_crm: Any, tmp_path: Path) -> None:
    """Four processes on one new file, creating overlapping keys, make each record once."""
    database = str(tmp_path / "shared.db")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
        assert {200} == set(pool.map(write_in_process, [database] * 4, range(4)))
    emails = [record["email"] for record in open_crm(database="shared.db").records("contacts", limit=500)]
    assert len(emails) == len(set(emails)) == 75


def test_a_client_that_leaves_early_does_no_harm(open_crm: Any) -> None:
    """Half a request, or none, leaves the server serving."""
    with running(open_crm().app) as url:
        where = urllib.parse.urlsplit(url)
        for start in (
            b"",
            b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[",
            b"nonsense\r\n\r\n",
        ):
            with socket.create_connection((where.hostname, where.port)) as connection:
                connection.sendall(start)
        assert 0 == count(url)


def test_an_asgi_server_may_use_the_lifespan(open_crm: Any) -> None:
    """Start-up is confirmed, and shutdown closes the database; other protocols are refused."""
    crm = open_crm()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(crm.app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(NotImplementedError):
        asyncio.run(crm.app({"type": "websocket"}, receive, send))


def test_everything_sent_is_json(open_crm: Any) -> None:
    """An answer names its type and length."""
    answer = open_crm().send("GET", "/v1/accounts")
    assert "application/json" == answer.headers["content-type"]
    assert len(answer.content) == int(answer.headers["content-length"])
    assert json.loads(answer.content)["success"] is True
