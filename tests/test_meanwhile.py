"""What somebody else makes between plan and apply, of kinds that nothing dedupes: found in time, and not made again."""

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from deals import PIPELINE
from harness import Crm, actions, crm, statuses
from test_matrix import OPTIONS, doubled

from crmctl.apply import Settings
from crmctl.errors import BudgetSpent, Unavailable
from crmctl.outcome import Result
from crmctl.pace import Pace
from crmctl.providers import Options
from crmctl.sandbox.faults import Interference


class Case(NamedTuple):
    """A kind that is created once: its CRM, what is there before, what is declared, and which of it is made twice."""

    provider: str
    before: str
    declared: str
    address: str
    field: str
    plural: str


CASES: Mapping[str, Case] = {
    "account": Case(
        "thena",
        "accounts: [{domain: a.example, name: A}]",
        "accounts: [{domain: a.example, name: A}, {domain: b.example, name: B}, {domain: c.example, name: C}]",
        "account/b.example",
        "name",
        "accounts",
    ),
    "note": Case(
        "thena",
        "accounts: [{domain: a.example, name: A}]",
        "accounts: [{domain: a.example, name: A, notes: [{key: n1, text: First}, {key: n2, text: Second}]}]",
        "note/a.example/n2",
        "",
        "accounts/notes",
    ),
    "opportunity": Case(
        "octolane",
        "accounts: [{domain: a.example}]",
        "accounts: [{domain: a.example, opportunities: [{name: Renewal, pipeline: sales, deal_size: 1}, "
        "{name: Seats, pipeline: sales, deal_size: 2}]}]",
        "opportunity/a.example/sales/Seats",
        "deal_size",
        "opportunities/bulk",
    ),
}
INBOUND = "accounts: [{domain: a.example, contacts: [{email: jo@a.example}]}, {domain: b.example}]"


def make(there: Crm, kind: str, value: str = "") -> None:
    """Make the record as somebody else; `value` is what differs from what is declared."""
    body: Any = {"name": value or "B", "primaryDomain": "b.example"}
    if kind == "note":
        [account] = there.request("GET", "/v1/accounts")["data"]
        body = {"accountId": account["id"], "content": "Second"}
    elif kind == "opportunity":
        item = {"pipeline_id": PIPELINE, "opportunity": {"name": "Seats", "deal_size": int(value or 2)}}
        body = [item | {"related_objects": {"account_domain": "a.example"}}]
    there.request("POST", f"/v1/{CASES[kind].plural}", body)
    there.clock.now += 3600


def opened(kind: str, **others: Any) -> Any:
    return crm(provider=CASES[kind].provider, options=OPTIONS, journal=True, **others)


def meanwhile(there: Crm, kind: str, value: str = "", *, canary: int = 0, **settings: Any) -> Result:
    """Plan; then somebody makes one of the records, then the plan is applied."""
    there.apply(CASES[kind].before)
    there.clock.now += 3600
    plan = replace(there.plan(CASES[kind].declared), canary=canary)
    make(there, kind, value)
    return there.apply("", plan=plan, settings=Settings(**settings))


@pytest.mark.parametrize("canary", [0, 1])
@pytest.mark.parametrize("reviewed", [False, True])
@pytest.mark.parametrize("kind", CASES)
def test_what_somebody_has_made_is_not_made_again(kind: str, *, reviewed: bool, canary: int) -> None:
    """Equal to what is declared, it existed; the others are created, and nothing is left to be done."""
    with opened(kind) as there:
        result = meanwhile(there, kind, reviewed=reviewed, canary=canary)
        assert "existed" == statuses(result).pop(CASES[kind].address)
        assert {"created", "existed"} == set(statuses(result).values())
        assert [0] == result.exit_codes()
        assert [] == doubled(there, CASES[kind].provider)
        assert {} == actions(there.plan(CASES[kind].declared))


@pytest.mark.parametrize("kind", ["account", "opportunity"])
def test_what_differs_is_brought_into_line(kind: str) -> None:
    """As with a create that meets a record of a kind that the CRM dedupes."""
    with opened(kind) as there:
        assert "existed" == statuses(meanwhile(there, kind, "7"))[CASES[kind].address]
        assert [] == doubled(there, CASES[kind].provider)
        assert {} == actions(there.plan(CASES[kind].declared))


@pytest.mark.parametrize("kind", ["account", "opportunity"])
def test_what_differs_is_a_conflict_with_a_plan_that_was_reviewed(kind: str) -> None:
    """Nobody has seen what it would overwrite; the rest goes on."""
    with opened(kind) as there:
        result = meanwhile(there, kind, "7", reviewed=True)
        [conflict] = [outcome for outcome in result.outcomes if outcome.conflict]
        assert (CASES[kind].address, "failed") == (str(conflict.change.address), conflict.status)
        assert f"exists since the plan was made, with other values ({CASES[kind].field})" in conflict.error
        assert "created" in statuses(result).values()
        assert {CASES[kind].address: "update"} == actions(there.plan(CASES[kind].declared))


def test_notes_of_an_account_that_somebody_has_made() -> None:
    """The plan has read neither; both are found."""
    with opened("note") as there:
        plan = there.plan(CASES["note"].declared)
        there.request("POST", "/v1/accounts", {"name": "A", "primaryDomain": "a.example"})
        make(there, "note")
        expected = {"account/a.example": "existed", "note/a.example/n1": "created", "note/a.example/n2": "existed"}
        assert expected == statuses(there.apply("", plan=plan))
        assert [] == doubled(there, "thena")


def test_an_account_that_a_list_left_out_is_found_under_its_former_domain() -> None:
    """Renamed, not made anew."""
    renamed = "accounts: [{domain: b.example, was: old.example, name: B}]"
    with opened("account") as there:
        plan = there.plan(renamed)
        there.request("POST", "/v1/accounts", {"name": "B", "primaryDomain": "old.example"})
        assert {"account/b.example": "existed"} == statuses(there.apply("", plan=plan))
        assert ["b.example"] == [one["primaryDomain"] for one in there.request("GET", "/v1/accounts")["data"]]


@pytest.mark.parametrize("kind", ["note", "opportunity"])
def test_a_record_that_the_journal_knows_for_another_is_not_taken(kind: str) -> None:
    """It says the same, and is declared no more: the new one is a second record of that name, as it is meant to be."""
    key = {"note": ("n2", "n3"), "opportunity": ("{name: Seats", "{key: new, name: Seats")}[kind]
    with opened(kind) as there:
        there.apply(CASES[kind].declared)
        result = there.apply(CASES[kind].declared.replace(*key))
        assert ["created"] == list(statuses(result).values())
        assert 1 == len(doubled(there, CASES[kind].provider))


@pytest.mark.parametrize("kind", CASES)
def test_a_look_that_fails_ends_the_run_before_anything_is_sent(kind: str) -> None:
    """What is there is not known, so nothing is created."""
    dead: list[str] = []

    def interfere(method: str, path: str, nth: int) -> Interference | None:
        del method, nth
        return Interference(status=503) if dead and path == dead[0] else None

    with opened(kind, interfere=interfere) as there:
        there.apply(CASES[kind].before)
        there.clock.now += 3600
        plan = there.plan(CASES[kind].declared)
        dead.append(plan.capabilities[kind].read_route.partition(" ")[2])
        result = there.apply("", plan=plan)
        assert isinstance(result.stopped, Unavailable)
        assert {"skipped"} == set(statuses(result).values())
        assert not any(route == plan.capabilities[kind].create_route for route in there.sent)


@pytest.mark.parametrize("most", range(1, 25))
@pytest.mark.parametrize(
    ("provider", "switches"),
    [("thena", {}), ("thena", {"first_page": "1"}), ("octolane", {}), ("octolane_inbound", {})],
    ids=str,
)
def test_a_budget_is_never_too_small_for_what_was_begun(provider: str, switches: dict[str, str], most: int) -> None:
    """What was sent was read back, and what came along with it was looked for; the rest is skipped."""
    text = (
        INBOUND if provider == "octolane_inbound" else CASES["note" if provider == "thena" else "opportunity"].declared
    )
    with crm(switches, provider=provider, options=OPTIONS, journal=True) as there:
        pace = Pace(time.monotonic, max_requests=most)
        result = there.apply(text, settings=Settings(pace=pace))
        told = Counter(statuses(result).values())
        assert {"created", "skipped"} >= {*told}
        assert there.sent.total() <= most
        assert result.stopped is None or isinstance(result.stopped, BudgetSpent)
        there.clock.now += 3600
        assert told["skipped"] == len(actions(there.plan(text)))


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize("kind", CASES)
def test_a_budget_that_is_too_small_to_look_and_write_names_one_that_is_not(kind: str, action: str) -> None:
    """Nobody looks who could do no more than that, time after time; with what is named, the next run goes on."""
    case = CASES[kind]
    changed = (
        case.declared.replace("deal_size: 2", "deal_size: 3").replace("Second", "Third").replace("name: B", "name: X")
    )
    with opened(kind) as there:
        there.apply(case.before if action == "create" else case.declared)
        wanted = case.declared if action == "create" else changed
        result = there.apply(wanted, settings=Settings(pace=Pace(time.monotonic, max_requests=1)))
        named = re.search(r"the next run goes on with (\d+)$", str(result.stopped))
        assert named is not None
        assert 0 == there.sent.total()
        assert {"skipped"} == set(statuses(result).values())
        there.clock.now += 3600
        result = there.apply(wanted, settings=Settings(pace=Pace(time.monotonic, max_requests=int(named[1]))))
        assert f"{action}d" in statuses(result).values()


@pytest.mark.parametrize("most", range(1, 12))
def test_what_was_created_with_its_key_alone_is_not_called_skipped(most: int) -> None:
    """The update that has to follow may be one request too many: the record is there, and the report says so."""
    text = "contacts: [{email: jo@a.example, first_name: Jo}, {email: lee@a.example, first_name: Lee}]"
    with crm({"bulk_items": "emails"}, provider="thena", options=Options(items="emails")) as there:
        pace = Pace(time.monotonic, max_requests=most)
        result = there.apply(text, settings=Settings(pace=pace))
        written = there.request("GET", "/v1/accounts/contacts")["data"]
        assert len(written) == sum(outcome.remote_id is not None for outcome in result.outcomes)
        for outcome in result.outcomes:
            assert (outcome.status == "skipped") is (outcome.remote_id is None)
            assert outcome.status != "failed" or "it is there, but not as declared: the budget (--max" in outcome.error
