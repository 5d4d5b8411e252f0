"""What is created once stays one, whatever is renamed, left out, rotated or interrupted around it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping
from typing import Any

import pytest
from crashing import Crash, Trap
from harness import Clock, Crm, actions, crm, read, redactor, statuses
from test_once import PIPELINE, QUICK, deals, opened

from crmctl.desired import select
from crmctl.journal import Journal
from crmctl.redact import Redactor
from crmctl.resource import Address
from crmctl.sandbox.faults import Interference

OLD = """
accounts:
  - domain: old.example
    name: A
    notes: [{key: k, text: Hello}]
"""
NEW = OLD.replace("old.example", "new.example").replace("name: A", "was: old.example\n    name: A")
DEALS = "    opportunities: [{name: Renewal, pipeline: sales, deal_size: 4}]\n"


@pytest.mark.parametrize("note_metadata", ["kept", "dropped"])
def test_an_account_that_gets_a_new_key_keeps_its_notes(note_metadata: str) -> None:
    """Thena can change a domain: the note is found under the old name of its account, and is not made again."""
    with crm({"note_metadata": note_metadata}, provider="thena") as there:
        there.apply(OLD)
        assert {"account/new.example": "updated"} == statuses(there.apply(NEW))
        assert {} == actions(there.plan(NEW))
        assert {} == actions(there.plan(NEW.replace("    was: old.example\n", "")))
        assert 1 == len(there.request("GET", "/v1/accounts/notes?accountId=" + account_id(there))["data"])


def account_id(there: Crm) -> str:
    [account] = there.request("GET", "/v1/accounts")["data"]
    return str(account["id"])


def test_an_account_whose_key_can_not_be_changed_takes_nothing_new_along() -> None:
    """Octolane would make an account of the new domain: until somebody has changed it there, nothing is sent."""
    with opened() as there:
        there.apply(OLD + DEALS)
        plan = there.plan(NEW + DEALS + "    contacts: [{email: jo@new.example}]\n")
        assert {"account/new.example": "report", "contact/jo@new.example": "report"} == actions(plan)
        assert {"skipped"} == set(statuses(there.apply(NEW + DEALS, plan=plan)).values())
        assert 1 == len(deals(there))
        [account] = there.records("accounts")
        there.request("PATCH", "/v1/accounts/bulk", {account["id"]: {"domain": "new.example"}})
        assert {} == actions(there.plan(NEW + DEALS))
        there.apply(NEW + DEALS)
        # By now the journal knows the note by its new address.
        assert {} == actions(there.plan((NEW + DEALS).replace("    was: old.example\n", "")))
        assert 1 == len(deals(there))


def test_a_note_about_an_account_and_a_contact_is_found_by_what_it_says() -> None:
    """Thena's notes are about accounts: the other part of its key is ours alone."""
    both = "accounts: [{domain: a.example, name: A}]\ncontacts: [{email: jo@a.example, first_name: Jo}]\n"
    both += "notes: [{key: k, account: a.example, contact: jo@a.example, text: Hello}]"
    with crm({"note_metadata": "dropped"}, provider="thena") as there:
        there.apply(both)
        for journal in (there.folder / "runs").iterdir():
            journal.unlink()
        assert {} == actions(there.plan(both))


class Refuse:
    """Refuses a bulk create as long as it has a bad record in it: seen by how many there are."""

    def __init__(self, *nth: int) -> None:
        self.nth = nth

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del method
        if path == "/v1/opportunities/bulk" and nth in self.nth:
            return Interference(status=400, body=b'{"success":false,"message":"no","statusCode":400}')
        return None


@pytest.mark.parametrize("size", [1, 2])
def test_a_refused_batch_takes_no_sibling_for_a_record_of_the_same_name(size: int) -> None:
    """What has just been created says the same as what is still to be sent: it is not that."""
    text = f"""
opportunities:
  - {{key: a, name: Same, pipeline: sales, account: acme.example, deal_size: 1}}
  - {{key: b, name: Bad, pipeline: sales, account: acme.example}}
  - {{key: c, name: Same, pipeline: sales, account: acme.example, deal_size: {size}}}
  - {{key: d, name: Worse, pipeline: sales, account: acme.example}}
"""
    # All four, then a and b, then b alone, then c and d, then d alone.
    with opened(interfere=Refuse(1, 2, 4, 5, 7)) as there:
        result = there.apply(text)
        made = {address for address, status in statuses(result).items() if status == "created"}
        assert {f"opportunity/acme.example/sales/{key}" for key in "ac"} == made
        assert [1, size] == sorted(deal["deal_size"] for deal in deals(there))
        assert {f"opportunity/acme.example/sales/{key}" for key in "bd"} == actions(there.plan(text)).keys()


def test_an_unknown_that_another_key_has_written_down_is_not_forgotten() -> None:
    """The API key was changed meanwhile: which record is in doubt can't be read, so none is created."""
    deal = "accounts: [{domain: acme.example, opportunities: [{name: Renewal, pipeline: sales}]}]"
    with opened(interfere=lambda _, path, nth: Interference(status=500) if (path, nth) == BULK else None) as there:
        there.apply(deal, settings=QUICK)
        old = Redactor(b"another", {}, False)
        for journal in sorted((there.folder / "runs").iterdir()):
            journal.write_text(journal.read_text().replace(redactor().digest("key")[:32], old.digest("key")[:32]))
        [change] = there.plan(deal).changes
        assert "report" == change.action
        assert "has left a record in doubt" in change.reason


BULK = ("/v1/opportunities/bulk", 1)


@pytest.mark.parametrize("planned_between", [False, True])
def test_what_a_killed_run_has_sent_is_not_made_again_when_it_is_declared_otherwise(planned_between: bool) -> None:  # noqa: FBT001 - by name
    """By its new name nobody finds what was sent under the old one, and no answer has told its id."""
    deal = "accounts: [{domain: acme.example, opportunities: [{key: k, name: Old, pipeline: sales}]}]"
    trap = Trap()
    trap.left, trap.after = 1, True

    def kill(method: str, path: str, nth: int) -> Interference | None:
        return trap(method, path, nth) if (method, path) == ("POST", BULK[0]) else None

    with opened(interfere=kill) as there:
        with contextlib.suppress(ConnectionResetError, BaseExceptionGroup):
            there.apply(deal)
        if planned_between:
            assert {} == actions(there.plan(deal))
        [change] = there.plan(deal.replace("Old", "New")).changes
        assert "report" == change.action
        assert "crmctl runs settle 'opportunity/acme.example/sales/k' --created --id ID" in change.reason
        assert ["Old"] == [one["name"] for one in deals(there)]


@pytest.mark.parametrize("arrived", [False, True])
def test_what_is_known_by_a_name_that_is_its_key_may_say_something_else(arrived: bool) -> None:  # noqa: FBT001 - by name
    """With another name it would have another address, so what a killed run has sent is found: nobody is asked."""
    deal = "accounts: [{domain: acme.example, opportunities: [{name: A/B, pipeline: sales, deal_size: 1}]}]"
    trap = Trap()
    trap.left, trap.after = 1, arrived

    def kill(method: str, path: str, nth: int) -> Interference | None:
        return trap(method, path, nth) if (method, path) == ("POST", BULK[0]) else None

    with opened(interfere=kill) as there:
        with contextlib.suppress(Crash, ConnectionResetError, BaseExceptionGroup):
            there.apply(deal)
        edited = deal.replace("deal_size: 1", "deal_size: 2")
        planned = {"opportunity/acme.example/sales/A%2FB": "update" if arrived else "create"}
        assert planned == actions(there.plan(edited))
        there.apply(edited)
        assert [2] == [one["deal_size"] for one in deals(there)]


def test_a_doubt_about_what_is_renamed_is_settled_under_its_former_key() -> None:
    """The journal knows no other, so the plan names that one; else nothing that is said would help."""
    lost = {("POST", "/v1/accounts"): Interference(status=500)}
    with crm(provider="thena", journal=True, interfere=lambda method, path, _: lost.pop((method, path), None)) as there:
        there.apply("accounts: [{domain: old.example, name: A}]", settings=QUICK)
        renamed = "accounts: [{domain: new.example, was: old.example, name: A}]"
        [change] = there.plan(renamed).changes
        assert "crmctl runs settle 'account/old.example' --created (or --not-created)" in change.reason
        there.runs += 1
        journal = Journal(there.folder / "runs", f"run-{there.runs:04}", redactor(), target="test", clock=Clock())
        journal.settle(Address("account", "old.example"), "not-created")
        journal.close()
        assert {"account/new.example": "create"} == actions(there.plan(renamed))


def test_what_is_settled_as_created_is_not_created_again() -> None:
    """An account on Thena that somebody says is there, and that is not found, is a report."""
    with crm(provider="thena") as there:
        there.runs += 1
        journal = Journal(there.folder / "runs", "run-0001", redactor(), target="test", clock=Clock())
        journal.settle(Address("account", "a.example"), "settled")
        journal.close()
        [change] = there.plan("accounts: [{domain: a.example, name: A}]").changes
        assert "report" == change.action
        assert "somebody has said (run run-0001) that it was created" in change.reason


def test_what_an_interrupted_run_calls_unknown_stays_so() -> None:
    """It is reported as unknown, so nothing sends it again by itself."""
    deal = "accounts: [{domain: acme.example, opportunities: [{name: Renewal, pipeline: sales}]}]"
    tasks: list[asyncio.Task[Any]] = []

    def interrupt(method: str, path: str, nth: int) -> Interference | None:
        if (method, path, nth) == ("POST", *BULK):
            tasks[0].cancel()
            return Interference(status=500)
        return None

    with opened(interfere=interrupt) as there:
        plan = there.plan(deal)

        async def run() -> Mapping[str, str]:
            tasks.append(asyncio.ensure_future(there.carry_out(plan, QUICK)))
            return statuses(await tasks[0])

        assert "unknown" == asyncio.run(run())["opportunity/acme.example/sales/Renewal"]
        [change] = there.plan(deal).changes
        assert "report" == change.action
        assert "crmctl runs settle" in change.reason


def test_a_record_that_is_another_ones_is_not_taken_for_one_that_is_left_over() -> None:
    """With --only a sibling of the same name is not in sight, and its record is still its own."""
    text = f"""
opportunities:
  - {{key: a, name: Same, pipeline: sales, account: acme.example, deal_size: 1}}
  - {{key: b, name: Same, pipeline_id: {PIPELINE}, account: acme.example, deal_size: 2}}
"""

    with opened() as there:
        there.apply(text)
        with contextlib.closing(sqlite3.connect(there.folder / "crm.db")) as connection, connection:
            connection.execute("DELETE FROM octolane_opportunities WHERE deal_size = 1")
        [change] = there.plan(select(read(text), ["opportunity/*/a"], [])).changes
        assert "report" == change.action
        assert "it is no longer there" in change.reason
