"""What an apply sends when batches are refused, too large, or too many: against the whole sandbox."""

from math import log2
from typing import Any

import pytest
from harness import Crm, actions, crm, statuses
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crmctl.apply import Settings
from crmctl.errors import BudgetSpent
from crmctl.outcome import Status
from crmctl.pace import Pace
from crmctl.providers import Options
from crmctl.sandbox.faults import Interference

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
BULK = "POST /v1/accounts/bulk"


def accounts(count: int, bad: set[int] = frozenset(), name: str = "C") -> str:  # type: ignore[assignment]
    """So many accounts; the bad ones are on a domain that the server refuses."""
    lines = [f"  - {{domain: c{n:03}.{'invalid' if n in bad else 'example'}, name: {name}{n}}}" for n in range(count)]
    return "accounts:\n" + "\n".join(lines)


def deals(count: int, bad: set[int]) -> str:
    """An account with so many opportunities; the bad ones have an owner that there is not."""
    owners = {True: ", owner_email: nobody@elsewhere.example", False: ""}
    items = [f"{{name: Deal {n:03}, pipeline: sales{owners[n in bad]}}}" for n in range(count)]
    return f"accounts: [{{domain: a.example, opportunities: [{', '.join(items)}]}}]"


class Log:
    """Spoils nothing, or all of one path, and keeps what was asked."""

    def __init__(self, path: str = "", **spoiled: Any) -> None:
        self.path, self.spoiled = path, spoiled
        self.asked: list[str] = []

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del nth
        self.asked.append(f"{method} {path}")
        return Interference(**self.spoiled) if path == self.path and method != "GET" else None


def pace(most: int | None = None, parallelism: int = 1) -> Pace:
    return Pace(lambda: 0.0, parallelism=parallelism, max_requests=most)


@settings(max_examples=12, derandomize=True, deadline=None)
@example({37})
@example(set(range(60)))
@given(st.sets(st.integers(0, 99), min_size=1, max_size=50))
def test_with_k_bad_records_every_good_one_is_created(bad: set[int]) -> None:
    """It costs about 2 k log2(100 / k) + 2 k creates more, and one look-up for all that went through."""
    with crm() as there:
        result = there.apply(accounts(100, bad), settings=Settings(parallelism=1))
        assert (100 - len(bad), len(bad)) == (result.count("created"), result.count("failed"))
        bound = 2 * len(bad) * log2(100 / len(bad)) + 2 * len(bad)
        assert there.sent[BULK] - 1 < bound + 4
        assert 1 == there.sent["POST /v1/accounts/search"]


@settings(max_examples=6, derandomize=True, deadline=None)
@given(st.sets(st.integers(0, 29), min_size=1, max_size=12))
def test_what_may_not_be_sent_twice_is_looked_for_before_each_half(bad: set[int]) -> None:
    """Opportunities are read after every refusal and before the next create; none is doubled."""
    log = Log()
    with crm(options=Options(pipelines={"sales": PIPELINE}), journal=True, interfere=log) as there:
        plan = there.plan(deals(30, bad))
        log.asked.clear()
        result = there.apply("", plan=plan, settings=Settings(parallelism=1))
        assert (31 - len(bad), len(bad)) == (result.count("created"), result.count("failed"))
        there.clock.now += 3600
        found = there.request("POST", "/v1/opportunities/search", {"pipeline_id": PIPELINE, "limit": 500})["data"]
        assert 30 - len(bad) == len({deal["name"] for deal in found["opportunities"]}) == len(found["opportunities"])
    create, search = "POST /v1/opportunities/bulk", "POST /v1/opportunities/search"
    assert search == log.asked[log.asked.index(create) + 1]
    assert log.asked.count(search) >= len(bad)


def test_what_is_there_after_all_is_not_sent_again() -> None:
    """A batch that was committed in spite of its refusal is found, and nothing is doubled."""
    once = iter([Interference(status=400, when="after")])

    def interfere(method: str, path: str, nth: int) -> Interference | None:
        del method, nth
        return next(once, None) if path == "/v1/opportunities/bulk" else None

    with crm(options=Options(pipelines={"sales": PIPELINE}), journal=True, interfere=interfere) as there:
        result = there.apply(deals(5, set()))
        assert {"created"} == set(statuses(result).values())
        assert 1 == there.sent["POST /v1/opportunities/bulk"]


def test_a_wrong_host_costs_little() -> None:
    """Where nothing is ever accepted, twenty records say so, of whichever batch; not two hundred requests each."""
    log = Log("/v1/accounts/bulk", status=404)
    with crm(interfere=log) as there:
        result = there.apply(accounts(500), settings=Settings(parallelism=1))
        assert (20, 480) == (result.count("failed"), result.count("skipped"))
        assert 26 == there.sent[BULK]
        assert "20 records in a row were refused, each alone" in result.outcomes[499].error
        assert "--max-failures" in result.outcomes[499].error


def test_max_failures() -> None:
    """How many it takes is for whoever runs it to say."""
    with crm(interfere=Log("/v1/accounts/bulk", status=404)) as there:
        result = there.apply(accounts(500), settings=Settings(parallelism=1, max_failures=3))
        assert (3, 497) == (result.count("failed"), result.count("skipped"))
    with crm() as there:
        result = there.apply(accounts(100, set(range(99))), settings=Settings(max_failures=100))
        assert (99, 1) == (result.count("failed"), result.count("created"))


def test_a_batch_that_is_bad_through_and_through_stops_the_kind() -> None:
    """Also where more failures were allowed: what follows is skipped."""
    with crm() as there:
        text = accounts(250, set(range(100)))
        result = there.apply(text, settings=Settings(pace=pace(), max_failures=1000))
        assert (100, 150) == (result.count("failed"), result.count("skipped"))


def test_kinds_that_are_sent_one_by_one_stop_after_as_many() -> None:
    """Twenty in a row, whatever was accepted before them."""
    with crm(provider="thena", interfere=Log("/v1/accounts", status=404)) as there:
        result = there.apply(accounts(30), settings=Settings(pace=pace()))
        assert (20, 10) == (result.count("failed"), result.count("skipped"))
        assert 20 == there.sent["POST /v1/accounts"]


@pytest.mark.parametrize("provider", ["octolane_inbound", "thena"])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 12, 40])
def test_a_budget_where_everything_is_read_back_at_the_end(provider: str, most: int) -> None:
    """The reads at the end are held back from the beginning."""
    with crm(provider=provider, options=Options(assumed_routes=True), journal=True) as there:
        result = there.apply(accounts(9), settings=Settings(pace=pace(most)))
        assert there.sent.total() <= most
        assert 9 == result.count("created") + result.count("skipped")
        assert 9 == result.count("created") or [0, 7] == result.exit_codes()


def test_updates_are_halved_as_well() -> None:
    """With the same end to it."""
    with crm() as there:
        there.apply(accounts(120))
    with crm(interfere=Log("/v1/accounts/bulk", status=422)) as there:
        result = there.apply(accounts(60), settings=Settings(max_failures=5, parallelism=1))
        assert (5, 55) == (result.count("failed"), result.count("skipped"))


def test_a_body_that_is_too_large_is_halved() -> None:
    """413 is a refusal like any other; a body limit that is known is kept to beforehand."""
    text = accounts(100).replace("name: C", f"description: {'x' * 90}, name: C")
    with crm({"body_limit": "4000"}) as there:
        assert 100 == there.apply(text).count("created")
        assert 4 < there.sent[BULK]


@pytest.mark.parametrize(
    ("status", "route", "refused"), [("created", BULK, 2), ("updated", BULK.replace("POST", "PATCH"), 1)]
)
def test_what_was_too_large_once_is_not_sent_again(status: Status, route: str, refused: int) -> None:
    """The first batch of 100 (or 50) finds out that 25 fit; the others are halved to that before they are sent."""
    with crm({"body_limit": "6000"}) as there:
        if status == "updated":
            there.apply(accounts(400))
        text = accounts(400).replace("name: C", f"description: {'x' * 90}, name: C")
        result = there.apply(text, settings=Settings(parallelism=1))
        assert 400 == result.count(status)
        assert refused + 400 / 25 == there.sent[route]


def test_one_record_that_is_too_large_makes_no_other_batch_smaller() -> None:
    """What weighs less than it is sent as it is; it costs what any bad record does, whatever the others weigh."""
    with crm({"body_limit": "9000"}) as there:
        text = accounts(300).replace("name: C37}", f"name: {'x' * 9000}}}")
        result = there.apply(text, settings=Settings(parallelism=1))
        assert (299, 1) == (result.count("created"), result.count("failed"))
        assert there.sent[BULK] - 3 < 2 * log2(100) + 2 + 4


def test_bodies_are_cut_by_bytes() -> None:
    """No request is refused for its size, and the plan knew how many there would be."""
    text = accounts(100).replace("name: C", f"description: {'x' * 900}, name: C")
    with crm({"body_limit": "100000"}) as there:
        there.target = there.target.__class__("test", "octolane", max_body_bytes=50_000)
        plan = there.plan(text)
        assert 100 == there.apply("", plan=plan).count("created")
        assert 3 == plan.requests[BULK] == there.sent[BULK]


@pytest.mark.parametrize("most", range(1, 14))
@pytest.mark.parametrize("parallelism", [1, 4])
def test_a_budget_ends_a_run_with_true_outcomes_and_the_next_goes_on(most: int, parallelism: int) -> None:
    """What was sent was read back, the rest is skipped with that reason, and nothing is unknown."""
    text = f"{accounts(250)}\ncontacts: [{{email: jane@c000.example}}]"
    with crm() as there:
        budget = pace(most, parallelism)
        result = there.apply(text, settings=Settings(pace=budget))
        assert there.sent.total() <= most
        assert 251 == result.count("created") + result.count("skipped")
        if result.stopped is None:
            assert 8 <= most
        else:
            assert isinstance(result.stopped, BudgetSpent)
            assert [0, 7] == result.exit_codes()
            assert all("--max-requests" in one.error for one in result.outcomes if one.status == "skipped")
        assert result.count("created") == 251 - len(actions(there.plan(text)))
        assert result.count("skipped") == there.apply(text).count("created")


@pytest.mark.parametrize("most", range(1, 30, 4))
def test_a_budget_that_ends_among_refusals(most: int) -> None:
    """What went through is read back all the same."""
    with crm() as there:
        result = there.apply(accounts(100, {37}), settings=Settings(pace=pace(most)))
        assert there.sent.total() <= most
        assert 0 == result.count("unknown")
        assert 100 == result.count("created") + result.count("failed") + result.count("skipped")


def journalled(there: Crm) -> list[str]:
    text = (there.folder / "runs" / "run-0001.jsonl").read_text()
    return [line for line in text.splitlines() if '"intent"' in line]


def test_a_window_of_one_sends_in_the_order_of_the_plan() -> None:
    """However often."""
    runs: list[list[str]] = []
    for _ in range(2):
        with crm() as there:
            there.apply(accounts(350, {120}), settings=Settings(pace=pace()))
            runs.append(journalled(there))
    assert runs[0] == runs[1]


def test_a_server_in_trouble_gets_less_at_once() -> None:
    """Each 429 halves what is in flight; everything is created all the same."""
    faults = iter([Interference(status=429)] * 3)
    widths: list[int] = []

    def interfere(method: str, path: str, nth: int) -> Interference | None:
        del method, nth
        widths.append(shared.window.width)
        return next(faults, None) if path == "/v1/accounts/bulk" else None

    with crm(interfere=interfere) as there:
        shared = Pace(there.clock, parallelism=8)
        plan = there.plan(accounts(900))
        result = there.apply("", plan=plan, settings=Settings(pace=shared))
        assert 900 == result.count("created")
    assert (8, 1) == (widths[0], min(widths))
