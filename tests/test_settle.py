"""Writes that show late: looked for again and again, at most as long as is allowed, and never sent twice."""

from contextlib import AbstractContextManager

import pytest
from harness import Crm, actions, crm, statuses
from test_matrix import MANIFESTS, OPTIONS, doubled

from crmctl.apply import Settings

PROVIDERS = sorted(MANIFESTS)
WRITES = ("POST", "PATCH", "PUT")
READS = ("search", "aggregate")


def late(provider: str, lag: str) -> AbstractContextManager[Crm]:
    """Open a CRM in which reads see a write only so many seconds later."""
    return crm({"search_lag": lag}, provider=provider, options=OPTIONS, journal=True)


def writes(there: Crm) -> dict[str, int]:
    """Return the requests that write, by route."""
    return {
        route: number
        for route, number in there.sent.items()
        if route.startswith(WRITES) and not any(word in route for word in READS)
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_shows_in_time_is_created(provider: str) -> None:
    """Polling goes on until it shows, at first soon, then at longer and longer intervals."""
    with late(provider, "2") as there:
        result = there.apply(MANIFESTS[provider], settings=Settings(settle=30))
        assert set(statuses(result).values()) <= {"created", "sent"}
        assert {"created"} <= set(statuses(result).values())
        assert 0.25 == there.clock.slept[0]
        assert [0.25, 0.5, 1.0] == sorted(set(there.clock.slept))[:3]
        assert [] == doubled(there, provider)
        assert {} == actions(there.plan(MANIFESTS[provider]))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_never_shows_is_unknown_and_sent_once(provider: str) -> None:
    """Never "created"; each request once; and the next plan, once all shows, has nothing to send."""
    with late(provider, "1000") as there:
        result = there.apply(MANIFESTS[provider], settings=Settings(settle=3))
        came = statuses(result)
        assert "created" not in came.values()
        assert "unknown" in came.values()
        assert 3 in result.exit_codes()
        records = {address for address, status in came.items() if status in {"unknown", "sent"}}
        assert sum(writes(there).values()) <= len(records)
        there.clock.now += 3600
        assert [] == doubled(there, provider)
        assert {"update"} >= set(actions(there.plan(MANIFESTS[provider])).values())


@pytest.mark.parametrize("provider", ["octolane", "thena"])
@pytest.mark.parametrize(("lag", "status"), [("2", "updated"), ("1000", "unknown")])
def test_an_update_that_shows_late(provider: str, lag: str, status: str) -> None:
    """It is waited for, called unknown if it never shows, and sent once."""
    manifest = "accounts: [{domain: a.example, name: NAME}]"
    with late(provider, lag) as there:
        there.apply(manifest.replace("NAME", "B"))
        there.clock.now += 3600
        result = there.apply(manifest.replace("NAME", "A"), settings=Settings(settle=3))
        assert {"account/a.example": status} == statuses(result)
        assert 1 == sum(writes(there).values())
        there.clock.now += 3600
        assert {} == actions(there.plan(manifest.replace("NAME", "A")))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("settle", [0, 0.1, 3])
def test_nobody_waits_longer_than_was_allowed(provider: str, settle: float) -> None:
    """Each look for something is given up after `settle` seconds, not after the next interval."""
    with late(provider, "1000") as there:
        there.apply(MANIFESTS[provider], settings=Settings(settle=settle, parallelism=1))
        assert sum(there.clock.slept) <= sum(writes(there).values()) * settle


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_run_after_an_unknown_waits_for_what_may_show(provider: str) -> None:
    """It doubles nothing though it can't see what the first has sent; what can't be told it reports."""
    with late(provider, "100") as there:
        there.apply(MANIFESTS[provider], settings=Settings(settle=1))
        there.apply(MANIFESTS[provider], settings=Settings(settle=1))
        assert [] == doubled(there, provider)
        there.clock.now += 3600
        there.apply(MANIFESTS[provider])
        assert [] == doubled(there, provider)
