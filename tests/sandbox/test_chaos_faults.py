"""What each fault looks like from outside: over a real connection, one after the other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crmctl.sandbox import open_sandbox, server
from crmctl.sandbox.chaos import FAULTS, Chaos, Fault

KEY = {"x-api-key": "k"}
TWO = [{"domain": "one.example"}, {"domain": "two.example"}]
SEARCH = "/v1/accounts/search"
NOW = 1_800_000_000.0


@contextlib.contextmanager
def served(folder: Path, *faults: Fault, provider: str = "octolane", **options: Any) -> Iterator[httpx.Client]:
    """Serve a CRM with faults."""
    app = open_sandbox(provider, folder / "crm.db", interfere=Chaos(faults, 0, lambda: NOW), **options)
    with server.running(app) as url, httpx.Client(base_url=url, headers=KEY, trust_env=False) as client:
        yield client
    app.close()


def domains(client: httpx.Client) -> list[str]:
    """Return the domains of all accounts."""
    found = client.post(SEARCH, json={"limit": 500}).json()["data"]["accounts"]
    return sorted(account["domain"] for account in found)


@pytest.mark.parametrize(
    ("fault", "status", "arrives"),
    [
        ("500_before", 500, 0), ("500_after", 500, 2), ("502", 502, 0), ("502_after", 502, 2), ("503", 503, 0),
        ("504", 504, 0), ("504_after", 504, 2), ("429", 429, 0), ("429_no_hint", 429, 0), ("429_date", 429, 0),
        ("wrong_type", 200, 2), ("truncated_json", 200, 2), ("partial_commit", 500, 1), ("missing_page", 200, 2),
        ("duplicate_page", 200, 2), ("cursor_expired", 200, 2), ("delay", 200, 2),
    ],
)  # fmt: skip
def test_an_answer_that_is_spoiled(tmp_path: Path, fault: str, status: int, arrives: int) -> None:
    """Before or after what was sent took effect, or half of it."""
    seconds = 0.01 if fault == "delay" else None
    with served(tmp_path, Fault(fault, nth=frozenset({1}), seconds=seconds)) as client:
        answer = client.post("/v1/accounts/bulk", json=TWO)
        assert (status, arrives) == (answer.status_code, len(domains(client)))
        hints = {"429": "1", "429_date": "Fri, 15 Jan 2027 08:00:02 GMT"}
        assert hints.get(fault) == answer.headers.get("retry-after")
        if fault == "wrong_type":
            assert answer.headers["content-type"] == "text/html"
        if fault == "truncated_json":
            with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
                answer.json()
        if status > 400:
            assert answer.json()["statusCode"] == status


@pytest.mark.parametrize(("fault", "arrives"), [("reset_before", 0), ("reset_after", 2), ("cut", 2), ("refuse", 0)])
def test_a_connection_that_breaks(tmp_path: Path, fault: str, arrives: int) -> None:
    """Before or after; and one that is refused, until the CRM is back."""
    seconds = 0.05 if fault == "refuse" else None
    with served(tmp_path, Fault(fault, nth=frozenset({1}), seconds=seconds)) as client:
        with pytest.raises(httpx.TransportError):
            client.post("/v1/accounts/bulk", json=TWO)
        if fault == "refuse":
            with pytest.raises(httpx.ConnectError):
                client.post(SEARCH, json={})
            while True:
                with contextlib.suppress(httpx.ConnectError):
                    assert domains(client) == []
                    break
        assert arrives == len(domains(client))


def pages(client: httpx.Client, ask: Any) -> list[list[str]]:
    """Follow a list to its end; returns the names on each page."""
    found: list[list[str]] = []
    cursor = None
    while True:
        data = ask(client, cursor).json()["data"]
        found.append([account["domain"][:1] for account in data["accounts"]])
        cursor = data["next_cursor"]
        if not data["has_more"]:
            return found


def by_search(client: httpx.Client, cursor: str | None) -> httpx.Response:
    return client.post(SEARCH, json={"limit": 1, "sort": "domain", **({"cursor": cursor} if cursor else {})})


def by_list(client: httpx.Client, cursor: str | None) -> httpx.Response:
    return client.get("/v1/accounts", params={"limit": 1, **({"cursor": cursor} if cursor else {})})


@pytest.mark.parametrize("ask", [by_search, by_list])
@pytest.mark.parametrize(
    ("fault", "nth", "expected"),
    [("duplicate_page", 3, 4), ("duplicate_page", 2, 3), ("missing_page", 2, 2), ("missing_page", 4, 3)],
)
def test_pages_that_come_twice_or_never(tmp_path: Path, ask: Any, fault: str, nth: int, expected: int) -> None:
    """A page again instead of the next, or the next but one; the first and the last have none to be confused with."""
    with served(tmp_path, Fault(fault, nth=frozenset({nth}))) as client:
        client.post("/v1/accounts/bulk", json=[*TWO, {"domain": "zoo.example"}])
        found = pages(client, ask)
        assert expected == len(found)
        assert (2 if fault == "missing_page" and nth == 2 else 3) == len({name for page in found for name in page})


def test_a_cursor_that_has_expired(tmp_path: Path) -> None:
    """The first page comes, the next does not."""
    with served(tmp_path, Fault("cursor_expired", f"POST {SEARCH}")) as client:
        client.post("/v1/accounts/bulk", json=TWO)
        cursor = by_search(client, None).json()["data"]["next_cursor"]
        assert 400 == by_search(client, cursor).status_code


def test_numbered_pages(tmp_path: Path) -> None:
    """Of lists by number, too, a page is skipped or comes twice."""
    faults = (Fault("missing_page", nth=frozenset({3})), Fault("duplicate_page", nth=frozenset({5})))
    with served(tmp_path, *faults, provider="thena") as client:
        for name in ("one", "two"):
            client.post("/v1/accounts", json={"name": name, "primaryDomain": f"{name}.example"})
        asked = [(0,), (0,), (1,)]
        found = [client.get("/v1/accounts", params={"page": page, "limit": 1}).text for (page,) in asked]
        assert ["two" in text for text in found] == [True, False, False]


def test_half_of_a_batch(tmp_path: Path) -> None:
    """Updates by id and Thena's contacts are halved as well; one record alone does not arrive at all."""
    with served(tmp_path, Fault("partial_commit", "P*bulk", nth=frozenset({2, 3}))) as client:
        made = client.post("/v1/accounts/bulk", json=TWO).json()["data"]["accounts"]
        patch = {account["id"]: {"name": "New"} for account in made}
        assert 500 == client.patch("/v1/accounts/bulk", json=patch).status_code
        assert 500 == client.post("/v1/accounts/bulk", json=[{"domain": "three.example"}]).status_code
        found = client.post(SEARCH, json={"limit": 9}).json()["data"]["accounts"]
        assert {None, "New"} == {account["name"] for account in found}
        assert 2 == len(found)


def test_delays_add_to_other_faults(tmp_path: Path) -> None:
    """The first of the other faults counts."""
    chaos = Chaos([Fault("delay", seconds=2), Fault("502"), Fault("504"), Fault("delay", seconds=1)], 0, lambda: NOW)
    interference = chaos("GET", "/", 1)
    assert interference is not None
    assert (3.0, 502) == (interference.delay, interference.status)
    assert ["delay", "502", "delay"] == [fault for _, _, fault in chaos.struck]
    assert tmp_path.is_dir()


def test_a_fault_strikes_so_many_times() -> None:
    """`times` bounds it, `routes` chooses."""
    chaos = Chaos([Fault("502", "GET /v1/*", times=2)], 0, lambda: NOW)
    struck = [chaos(method, "/v1/accounts", 1) is not None for method in ("POST", "GET", "GET", "GET")]
    assert [False, True, True, False] == struck


def test_every_fault_is_documented() -> None:
    """docs/sandbox.md has a row for each."""
    text = Path(__file__).parent.parent.parent.joinpath("docs", "sandbox.md").read_text(encoding="utf-8")
    assert [] == [fault for fault in (*FAULTS, "clock_skew", "search_lag") if f"`{fault}`" not in text]
