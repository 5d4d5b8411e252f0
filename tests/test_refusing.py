"""What an apply refuses to overwrite: records that somebody has changed since the plan was made."""

from collections import Counter
from typing import Any

import pytest
from harness import Crm, crm, statuses

from crmctl.apply import Settings
from crmctl.errors import StalePlan
from crmctl.plan import Plan
from crmctl.sandbox.faults import Interference

GO_ON = Settings(apply_unchanged=True)
THENA = "accounts: [{domain: a.example, name: NAME}, {domain: b.example, name: NAME}, {domain: c.example, name: NAME}]"


def accounts(count: int, name: str) -> str:
    """Return a manifest of so many accounts."""
    return "accounts:\n" + "\n".join(f"  - {{domain: c{n:03}.example, name: {name}}}" for n in range(count))


def edit(there: Crm, domain: str, **fields: Any) -> None:
    """Change an account of Octolane's as somebody else would; creating it again overwrites it."""
    there.request("POST", "/v1/accounts/bulk", [{"domain": domain, **fields}])


def expected(plan: Plan) -> Counter[str]:
    """Return the requests that an apply is expected to send, by route."""
    return Counter(plan.requests) - Counter(plan.reads)


def names(there: Crm) -> dict[str, str]:
    """Return the names of all accounts, by domain."""
    return {record["domain"]: record["name"] for record in there.records("accounts")}


def test_a_field_that_somebody_changed_is_not_overwritten() -> None:
    """It is a conflict, with all three values; nothing of the batch is sent, and the run ends with exit 4."""
    with crm() as there:
        there.apply(accounts(3, "B"))
        plan = there.plan(accounts(3, "A") + "\ncontacts: [{email: jane@c000.example}]")
        edit(there, "c001.example", name="Theirs")
        result = there.apply("", plan=plan)
        assert {"skipped"} == set(statuses(result).values())
        assert {"c000.example": "B", "c001.example": "Theirs", "c002.example": "B"} == names(there)
    [conflict] = [outcome for outcome in result.outcomes if outcome.conflict]
    assert [("name", "B", "Theirs", "A")] == [(one.path, one.before, one.now, one.after) for one in conflict.clashes]
    assert isinstance(result.stopped, StalePlan)
    assert "1 record was changed since the plan was made: nothing more was sent" in str(result.stopped)
    assert {0, 4} == set(result.exit_codes())
    [rest] = {outcome.error for outcome in result.outcomes if not outcome.conflict}
    assert rest.startswith("the run stopped: 1 record was changed")


def test_the_rest_may_go_on() -> None:
    """With --apply-unchanged only the record itself is left alone, and that is no failure."""
    with crm() as there:
        there.apply(accounts(3, "B"))
        plan = there.plan(accounts(3, "A") + "\ncontacts: [{email: jane@c000.example}]")
        edit(there, "c001.example", name="Theirs")
        result = there.apply("", plan=plan, settings=GO_ON)
        assert ("skipped", 2, 1) == (
            statuses(result)["account/c001.example"],
            result.count("updated"),
            result.count("created"),
        )
        assert {"c000.example": "A", "c001.example": "Theirs", "c002.example": "A"} == names(there)
    assert [0] == result.exit_codes()


def test_fields_that_we_leave_alone_may_change() -> None:
    """A conflict is about what would be overwritten."""
    with crm() as there:
        there.apply(accounts(1, "B"))
        plan = there.plan(accounts(1, "A"))
        edit(there, "c000.example", industry="Theirs")
        assert {"account/c000.example": "updated"} == statuses(there.apply("", plan=plan))
        [record] = there.records("accounts")
        assert ("A", "Theirs") == (record["name"], record["industry"])


def test_what_somebody_has_made_as_declared_is_not_sent() -> None:
    """Nothing is left to be done."""
    with crm() as there:
        there.apply(accounts(1, "B"))
        plan = there.plan(accounts(1, "A"))
        edit(there, "c000.example", name="A")
        result = there.apply("", plan=plan)
        assert {"account/c000.example": "existed"} == statuses(result)
        assert {"POST /v1/accounts/search": 1} == there.sent
        assert [0] == result.exit_codes()


def test_a_batch_costs_one_request_more_and_the_plan_knows() -> None:
    """Updates go in fifties, each read before and after; creates are read after alone."""
    with crm() as there:
        plan = there.plan(accounts(101, "B"))
        there.apply("", plan=plan)
        assert {"POST /v1/accounts/bulk": 2, "POST /v1/accounts/search": 2} == there.sent == expected(plan)
        plan = there.plan(accounts(101, "A"))
        there.apply("", plan=plan)
        assert {"PATCH /v1/accounts/bulk": 3, "POST /v1/accounts/search": 6} == there.sent == expected(plan)


def test_where_no_look_up_takes_a_batch_a_kind_is_read_once() -> None:
    """Thena's accounts: everything, before the first update and after the last."""
    with crm(provider="thena", journal=True) as there:
        there.apply(THENA.replace("NAME", "B"))
        plan = there.plan(THENA.replace("NAME", "A"))
        result = there.apply("", plan=plan)
        assert {"updated"} == set(statuses(result).values())
        assert there.sent == expected(plan)
        assert 2 * 2 == there.sent["GET /v1/accounts"]  # a page, and an empty one


def test_a_conflict_stops_a_kind_that_is_read_once() -> None:
    """None of its updates is sent, where the rest may not go on."""
    with crm(provider="thena", journal=True) as there:
        there.apply(THENA.replace("NAME", "B"))
        plan = there.plan(THENA.replace("NAME", "A"))
        [found] = [change.before for change in plan.changes if change.address.key == "b.example"]
        assert found is not None
        there.request("PUT", f"/v1/accounts/{found.remote_id}", {"name": "Theirs"})
        assert {"skipped"} == set(statuses(there.apply("", plan=plan)).values())
        assert {"updated": 2, "skipped": 1} == Counter(statuses(there.apply("", plan=plan, settings=GO_ON)).values())


def test_what_a_create_has_met_is_not_read_again() -> None:
    """It was read in the same run, a moment before."""
    with crm({"existing": "untouched"}) as there:
        plan = there.plan(accounts(2, "A"))
        edit(there, "c001.example", name="Theirs")
        result = there.apply("", plan=plan)
        assert {"account/c000.example": "created", "account/c001.example": "existed"} == statuses(result)
        assert {"POST /v1/accounts/bulk": 1, "PATCH /v1/accounts/bulk": 1, "POST /v1/accounts/search": 2} == there.sent


@pytest.mark.parametrize("parallelism", [1, 4])
def test_batches_in_flight_end_well(parallelism: int) -> None:
    """A conflict in a later batch: what was sent is verified and updated, the rest is skipped, nothing is unknown."""
    with crm() as there:
        there.apply(accounts(300, "B"))
        plan = there.plan(accounts(300, "A"))
        edit(there, "c120.example", name="Theirs")
        result = there.apply("", plan=plan, settings=Settings(parallelism=parallelism))
        assert 300 == result.count("updated") + result.count("skipped")
        renamed = [name for name in names(there).values() if name == "A"]
        assert result.count("updated") == len(renamed) <= 250
        if parallelism == 1:
            assert 100 == len(renamed)


def test_two_applies_at_once_do_not_take_each_other_for_strangers() -> None:
    """The second finds everything as declared."""
    with crm() as there:
        there.apply(accounts(60, "B"))
        first, second = there.plan(accounts(60, "A")), there.plan(accounts(60, "A"))
        assert 60 == there.apply("", plan=first).count("updated")
        assert 60 == there.apply("", plan=second).count("existed")


def test_a_link_that_somebody_added_is_not_lost() -> None:
    """An update sends all links, and so must know all of them."""
    manifest = "accounts: [{domain: a.example, name: A}, {domain: b.example, name: B}, {domain: c.example, name: C}]\n"
    manifest += "contacts: [{email: jane@a.example, first_name: Jane, accounts: [LINKS]}]"
    with crm(provider="thena", journal=True) as there:
        there.apply(manifest.replace("LINKS", "a.example"))
        plan = there.plan(manifest.replace("LINKS", "a.example, b.example"))
        there.apply(manifest.replace("LINKS", "a.example, c.example"))
        [outcome] = there.apply("", plan=plan).outcomes
        assert "skipped" == outcome.status
        assert ["accounts"] == [clash.path for clash in outcome.clashes]


def test_a_read_that_fails_before_an_update_sends_nothing() -> None:
    """What can't be checked is not overwritten."""

    def gone(method: str, path: str, nth: int) -> Interference | None:
        del nth
        return Interference(status=503) if closed and (method, path) == ("POST", "/v1/accounts/search") else None

    closed: list[bool] = []
    with crm(interfere=gone) as there:
        there.apply(accounts(1, "B"))
        plan = there.plan(accounts(1, "A"))
        closed.append(True)
        result = there.apply("", plan=plan)
        assert {"account/c000.example": "skipped"} == statuses(result)
        assert result.stopped is not None
        assert 0 == there.sent["PATCH /v1/accounts/bulk"]
