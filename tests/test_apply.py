"""Apply: what was sent, what became of it, and what happens when the other side misbehaves."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Mapping

import pytest
from harness import Crm, crm, statuses

from crmctl.apply import Settings
from crmctl.errors import Auth, CrmctlError, Unavailable
from crmctl.outcome import Result
from crmctl.plan import Plan
from crmctl.sandbox.faults import Interfere, Interference

PAIR = "accounts: [{domain: a.example, name: A}]\ncontacts: [{email: jane@a.example, first_name: Jane}]"


def accounts(count: int, *, bad: tuple[int, ...] = ()) -> str:
    """So many accounts; the bad ones are on a domain that the server refuses."""
    lines = [f"  - {{domain: c{n:03}.{'invalid' if n in bad else 'example'}, name: C{n}}}" for n in range(count)]
    return "accounts:\n" + "\n".join(lines)


def on(method: str, path: str, *interferences: Interference | None) -> Interfere:
    """Spoil the first requests of a route, one after the other."""

    def interfere(seen: str, where: str, nth: int) -> Interference | None:
        return interferences[nth - 1] if (seen, where) == (method, path) and nth <= len(interferences) else None

    return interfere


def test_accounts_come_before_contacts_and_each_batch_is_read_back() -> None:
    """One create and one look-up per batch, levels in order, nothing more."""
    with crm() as there:
        result = there.apply(PAIR)
        assert {"account/a.example": "created", "contact/jane@a.example": "created"} == statuses(result)
        expected = {
            "POST /v1/accounts/bulk": 1, "POST /v1/accounts/search": 1,
            "POST /v1/contacts/bulk": 1, "POST /v1/contacts/search": 1,
        }  # fmt: skip
        assert expected == there.sent


def test_creates_go_in_hundreds_and_updates_in_fifties() -> None:
    """The documented limits of the bulk routes are used in full."""
    with crm() as there:
        there.apply(accounts(201))
        assert 3 == there.sent["POST /v1/accounts/bulk"]
        there.apply(accounts(201).replace("name: C", "name: D"))
        assert 5 == there.sent["PATCH /v1/accounts/bulk"]
        assert {"D0"} == {record["name"] for record in there.records("accounts") if record["domain"] == "c000.example"}


def test_a_rejected_batch_is_halved_until_the_bad_record_stands_alone() -> None:
    """Its 99 neighbours go through, and what it costs grows with the logarithm."""
    with crm() as there:
        result = there.apply(accounts(100, bad=(37,)))
        assert (99, 1) == (result.count("created"), result.count("failed"))
        [failed] = [outcome for outcome in result.outcomes if outcome.status == "failed"]
        assert "account/c037.invalid" == str(failed.change.address)
        assert "400" in failed.error
        assert there.sent["POST /v1/accounts/bulk"] <= 16
        assert [0, 3] == result.exit_codes()


def test_a_batch_all_of_whose_records_are_rejected_stops_the_kind() -> None:
    """What follows would fail as well: it is skipped, and other kinds go on."""
    with crm() as there:
        manifest = accounts(150, bad=tuple(range(150))) + "\ncontacts: [{email: jane@a.example}]"
        result = there.apply(manifest, settings=Settings(parallelism=1))
        assert (20, 130, 1) == (result.count("failed"), result.count("skipped"), result.count("created"))


def test_what_belongs_to_a_record_that_failed_is_skipped() -> None:
    """A contact nested in an account that could not be created is not attempted."""
    with crm() as there:
        result = there.apply("accounts: [{domain: a.invalid, contacts: [{email: jane@a.example}]}]")
        assert {"account/a.invalid": "failed", "contact/jane@a.example": "skipped"} == statuses(result)


def test_records_left_out_silently_are_found_out() -> None:
    """A server that drops bad items of a batch is asked for each alone; the rest counts as created."""
    with crm({"bad_item": "partial"}) as there:
        result = there.apply(accounts(10, bad=(3,)))
        assert (9, 1) == (result.count("created"), result.count("failed") + result.count("unknown"))


def test_a_write_that_is_never_found_is_unknown_and_not_sent_again() -> None:
    """Beyond the settling time nothing is concluded."""
    with crm({"search_lag": "100"}) as there:
        result = there.apply(PAIR, settings=Settings(settle=3))
        assert {"unknown"} == set(statuses(result).values())
        assert (1, 1) == (there.sent["POST /v1/accounts/bulk"], there.sent["POST /v1/contacts/bulk"])
        assert [0, 3] == result.exit_codes()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "spoiled", [{"status": 500}, {"status": 503}, {"status": 502}, {"body": b"<html>"}, {"status": 429}]
)
def test_a_passing_fault_changes_nothing(when: str, spoiled: Mapping[str, object]) -> None:
    """Whether the write had happened or not: it ends as declared, and nothing is doubled."""
    fault = Interference(when=when, **spoiled)  # type: ignore[arg-type]
    with crm(interfere=on("POST", "/v1/contacts/bulk", fault, fault)) as there:
        result = there.apply(PAIR)
        assert {"created"} == set(statuses(result).values())
        assert ["jane@a.example"] == [record["email"] for record in there.records("contacts")]


def test_a_fault_that_stays_ends_in_unknown_if_it_may_have_happened() -> None:
    """An answer that never comes whole leaves the records unknown, until the next plan."""
    with crm(interfere=on("POST", "/v1/contacts/bulk", *[Interference(status=500)] * 50)) as there:
        result = there.apply(PAIR)
        assert {"account/a.example": "created", "contact/jane@a.example": "unknown"} == statuses(result)


def test_a_dead_server_stops_the_run_early() -> None:
    """What was not sent is skipped, and the report says why."""
    with crm(interfere=on("POST", "/v1/accounts/bulk", *[Interference(status=503)] * 50)) as there:
        result = there.apply(PAIR)
        assert {"account/a.example": "failed", "contact/jane@a.example": "skipped"} == statuses(result)
        assert isinstance(result.stopped, Unavailable)
        assert 1 in result.exit_codes()


def test_a_refused_key_stops_the_run() -> None:
    """401 on the first write: nothing more is sent, exit 6."""
    with crm(interfere=on("POST", "/v1/accounts/bulk", *[Interference(status=401)] * 5)) as there:
        result = there.apply(PAIR)
        assert {"account/a.example": "failed", "contact/jane@a.example": "skipped"} == statuses(result)
        assert isinstance(result.stopped, Auth)
        assert 6 in result.exit_codes()


def test_a_route_that_is_not_offered_is_not_tried_again() -> None:
    """405 on one route halts that kind of write, and no other."""
    with crm(interfere=on("POST", "/v1/accounts/bulk", *[Interference(status=405)] * 9)) as there:
        manifest = accounts(150) + "\ncontacts: [{email: jane@x.example}]"
        result = there.apply(manifest, settings=Settings(parallelism=1))
        assert 1 == there.sent["POST /v1/accounts/bulk"]
        assert (100, 50, 1) == (result.count("failed"), result.count("skipped"), result.count("created"))


def test_an_update_that_shows_late_is_waited_for() -> None:
    """Search lag is not taken for a refusal."""
    with crm({"search_lag": "4"}) as there:
        there.apply(PAIR)
        there.clock.now += 60
        result = there.apply(PAIR.replace("name: A", "name: B"))
        assert {"account/a.example": "updated"} == statuses(result)
        assert there.clock.slept


def test_a_rejected_update_stands_alone() -> None:
    """One patch that the server refuses does not hold back the others."""

    def delete(method: str, path: str, nth: int) -> None:
        """Somebody deletes one of the records, at the last moment."""
        if (method, path, nth) == ("PATCH", "/v1/accounts/bulk", 1):
            with contextlib.closing(sqlite3.connect(there.folder / "crm.db", isolation_level=None)) as database:
                database.execute("DELETE FROM octolane_accounts WHERE domain = 'c002.example'")

    with crm({"unknown_patch_id": "reject_all"}, interfere=delete) as there:
        there.apply(accounts(5))
        result = there.apply(accounts(5).replace("name: C", "name: D"))
        assert {"c002.example": "failed"} == {
            outcome.change.address.key: outcome.status for outcome in result.outcomes if outcome.status != "updated"
        }


def test_at_parallelism_1_the_order_is_that_of_the_plan() -> None:
    """Two runs journal the same batches in the same order."""
    journals = []
    for _ in range(2):
        with crm() as there:
            there.apply(accounts(250), settings=Settings(parallelism=1))
            lines = (there.folder / "runs" / "run-0001.jsonl").read_text().splitlines()
            journals.append([line for line in lines if "intent" in line])
    assert journals[0] == journals[1]
    assert 3 == len(journals[0])


def test_the_journal_has_every_intent_before_its_outcome_and_no_personal_data() -> None:
    """Records stand in it as keyed digests."""
    with crm() as there:
        there.apply(PAIR)
        text = (there.folder / "runs" / "run-0001.jsonl").read_text()
        mode = (there.folder / "runs" / "run-0001.jsonl").stat().st_mode & 0o777
    events = [json.loads(line) for line in text.splitlines()]
    told = ["plan", "planned", "intent", "outcome", "intent", "outcome", "end"]
    assert told == [event["event"] for event in events]
    assert events[2]["records"] == [row[0] for row in events[3]["records"]]
    assert "jane" not in text
    assert 0o600 == mode


def test_an_interruption_leaves_true_outcomes() -> None:
    """What was in flight is unknown, what was not sent is skipped, and the next run finishes the job."""
    tasks: list[asyncio.Task[Result]] = []

    def interrupt(method: str, path: str, nth: int) -> Interference | None:
        if (method, path, nth) != ("POST", "/v1/accounts/bulk", 1):
            return None
        tasks[0].cancel()
        return Interference(when="after", delay=3600)

    async def run(there: Crm, plan: Plan) -> Result:
        tasks.append(asyncio.ensure_future(there.carry_out(plan, Settings())))
        return await tasks[0]

    with crm(interfere=interrupt) as there:
        result = asyncio.run(run(there, there.plan(PAIR)))
        assert result.interrupted
        assert {"account/a.example": "unknown", "contact/jane@a.example": "skipped"} == statuses(result)
        assert [0, 130, 3] == result.exit_codes()
        there.apply(PAIR)
        assert {} == statuses(there.apply(PAIR))


def test_progress_counts_up_to_all() -> None:
    """Every change is told once it is settled."""
    seen: list[tuple[int, int]] = []
    with crm() as there:
        plan = there.plan(PAIR)
        asyncio.run(there.carry_out(plan, Settings(), progress=lambda *news: seen.append(news)))
    assert [(1, 2), (2, 2)] == seen


def test_reports_are_skipped_with_their_reason() -> None:
    """What can't be done has an outcome as well."""
    with crm({"key_normalisation": "none"}) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "a.example"}, {"domain": "A.example"}])
        # Looked up as a key and as written, it is found twice.
        result = there.apply("accounts: [{domain: A.example}, {domain: b.example}]")
        assert {"account/a.example": "skipped", "account/b.example": "created"} == statuses(result)
        assert "merge them there" in result.outcomes[0].error


def test_a_second_record_of_a_key_is_noticed() -> None:
    """Should the CRM double a record in spite of its promise, the outcome names both ids."""
    with crm({"key_normalisation": "none", "in_case": "insensitive"}) as there:
        plan = there.plan("accounts: [{domain: a.example}]")
        there.request("POST", "/v1/accounts/bulk", [{"domain": "A.example"}])
        [outcome] = there.apply("", plan=plan).outcomes
        assert "failed" == outcome.status
        assert "the CRM now holds 2 records of this key" in outcome.error


def test_a_write_that_may_have_arrived_is_never_called_failed() -> None:
    """Its first attempt was processed and answered 500, the next ones found the server gone."""
    first, rest = Interference(when="after", status=500), [Interference(status=503)] * 50
    with crm(interfere=on("POST", "/v1/accounts/bulk", first, *rest)) as there:
        result = there.apply(PAIR)
        assert {"account/a.example": "created", "contact/jane@a.example": "created"} == statuses(result)


def test_what_belongs_to_a_skipped_record_is_skipped() -> None:
    """Contacts of accounts that were not sent any more are not sent either."""
    lines = [f"  - {{domain: c{n:03}.invalid, contacts: [{{email: a@c{n:03}.example}}]}}" for n in range(120)]
    with crm() as there:
        result = there.apply("accounts:\n" + "\n".join(lines), settings=Settings(parallelism=1))
        assert (20, 220, 0) == (result.count("failed"), result.count("skipped"), result.count("created"))


def test_a_halted_kind_needs_a_whole_batch_of_rejections() -> None:
    """Many bad records among good ones stop nothing."""
    with crm() as there:
        result = there.apply(accounts(150, bad=tuple(range(60))), settings=Settings(parallelism=1))
        assert (60, 90) == (result.count("failed"), result.count("created"))


@pytest.mark.parametrize(("reviewed", "expected"), [(False, "existed"), (True, "failed")])
def test_a_record_whose_difference_a_policy_holds_is_not_called_created(*, reviewed: bool, expected: str) -> None:
    """Somebody else made it: adopted, or a conflict with what was reviewed."""
    with crm({"existing": "untouched"}, policies={"contact": {"first_name": "create_only"}}) as there:
        plan = there.plan("contacts: [{email: jane@a.example, first_name: Jane}]")
        there.request("POST", "/v1/contacts/bulk", [{"email": "jane@a.example", "first_name": "Theirs"}])
        result = there.apply("", plan=plan, settings=Settings(reviewed=reviewed))
        assert {"contact/jane@a.example": expected} == statuses(result)


def test_updates_of_records_that_turned_up_are_limited_too() -> None:
    """max_updates holds for what a create found as well."""
    with crm({"existing": "untouched"}) as there:
        plan = there.plan(accounts(3))
        there.request("POST", "/v1/accounts/bulk", [{"domain": f"c{n:03}.example", "name": "Theirs"} for n in range(3)])
        result = there.apply("", plan=plan, settings=Settings(max_updates=1))
        assert (1, 2) == (result.count("existed"), result.count("failed"))
        assert 4 in result.exit_codes()


def test_records_left_out_silently_are_sent_alone_in_spite_of_search_lag() -> None:
    """The good ones show late; then it is clear that one is missing."""
    with crm({"bad_item": "partial", "search_lag": "2"}) as there:
        result = there.apply(accounts(10, bad=(3,)))
        assert (9, 1, 2) == (result.count("created"), result.count("unknown"), there.sent["POST /v1/accounts/bulk"])


def test_a_second_record_that_turns_up_is_noticed_by_an_update() -> None:
    """The outcome names both, and the id of ours."""

    def double(method: str, path: str, nth: int) -> None:
        if (method, path, nth) == ("PATCH", "/v1/accounts/bulk", 1):
            with contextlib.closing(sqlite3.connect(there.folder / "crm.db", isolation_level=None)) as database:
                database.execute("UPDATE octolane_accounts SET domain = 'A.example' WHERE domain = 'b.example'")

    with crm({"key_normalisation": "none", "in_case": "insensitive"}, interfere=double) as there:
        named = [{"domain": f"{name}.example", "name": "Old"} for name in "ab"]
        there.request("POST", "/v1/accounts/bulk", named)
        plan = there.plan("accounts: [{domain: a.example, name: A}]")
        [outcome] = there.apply("", plan=plan).outcomes
        assert ("failed", plan.changes[0].before and plan.changes[0].before.remote_id) == (
            outcome.status,
            outcome.remote_id,
        )
        assert "2 records of this key" in outcome.error


def test_a_journal_that_fails_stops_the_run_with_true_outcomes() -> None:
    """Nothing is sent that could not be noted, and the report is made all the same."""
    with crm() as there:
        plan = there.plan(accounts(250))
        result = asyncio.run(there.carry_out(plan, Settings(parallelism=1), journal_room=2000))
        assert isinstance(result.stopped, CrmctlError)
        assert result.count("created") + result.count("skipped") == 250
        assert result.count("created") < 250
