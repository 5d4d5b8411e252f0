"""What must be created once: opportunities and notes, which no CRM tells apart, whatever becomes of a request."""

from typing import Any

import pytest
from harness import Crm, actions, crm, redactor, statuses

from crmctl.apply import Settings
from crmctl.journal import Journal, key_check
from crmctl.providers import Options
from crmctl.resource import Address
from crmctl.sandbox.faults import Interference

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
OPTIONS = Options(pipelines={"sales": PIPELINE}, assumed_routes=True)
RENEWAL = Address("opportunity", "acme.example/sales/Renewal")
KICKOFF = Address("note", "acme.example/kickoff")
DEAL = "accounts: [{domain: acme.example, opportunities: [{name: Renewal, pipeline: sales, deal_size: 4}]}]"
NOTE = "accounts: [{domain: acme.example, notes: [{key: kickoff, text: It went well.}]}]"
QUICK = Settings(settle=1)


class Spoil:
    """Spoils the next requests of a path, `times` of them."""

    def __init__(self, path: str, times: int = 1, **how: Any) -> None:
        self.path = path
        self.left = times
        self.how = how
        self.seen = 0

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del method, nth
        if path != self.path:
            return None
        self.seen += 1
        self.left -= 1
        return Interference(**self.how) if self.left >= 0 else None


def opened(**others: Any) -> Any:
    return crm(options=OPTIONS, journal=True, **others)


def deals(there: Crm) -> list[dict[str, Any]]:
    """Return every opportunity there is, once everything is searchable."""
    there.clock.now += 3600
    found = there.request("POST", "/v1/opportunities/search", {"pipeline_id": PIPELINE, "limit": 500})
    return list(found["data"]["opportunities"])


def settle(there: Crm, address: Address, status: str, remote_id: str | None = None) -> None:
    """Say what became of a record, as `crmctl runs settle` does."""
    there.runs += 1
    journal = Journal(there.folder / "runs", f"run-{there.runs:04}", redactor(), target="test", clock=there.clock)
    journal.settle(address, status, remote_id)
    journal.close()


def test_a_second_plan_is_empty() -> None:
    """Opportunities are read, and a note that can't be is known from the journal."""
    both = DEAL.replace("opportunities", "notes: [{key: kickoff, text: It went well.}], opportunities")
    with opened() as there:
        assert {"account": "created", "opportunity": "created", "note": "sent"} == {
            address.partition("/")[0]: status for address, status in statuses(there.apply(both)).items()
        }
        assert {} == actions(there.plan(both))
        assert 3 == there.plan(both).unchanged


def test_an_answer_that_is_lost_doubles_nothing() -> None:
    """The opportunity was made, the server said 500: it is found by what it says, and not sent again."""
    lost = Spoil("/v1/opportunities/bulk", status=500, when="after")
    with opened(interfere=lost) as there:
        assert "created" == statuses(there.apply(DEAL))[str(RENEWAL)]
        assert 1 == lost.seen
        assert 1 == len(deals(there))
        assert {} == actions(there.plan(DEAL))


def test_what_is_lost_on_its_way_is_unknown_until_somebody_says_what_became_of_it() -> None:
    """It is never sent again by itself, and every plan says so."""
    lost = Spoil("/v1/opportunities/bulk", status=500)
    with opened(interfere=lost) as there:
        assert "unknown" == statuses(there.apply(DEAL, settings=QUICK))[str(RENEWAL)]
        for _ in range(2):
            [change] = there.plan(DEAL).changes
            assert "report" == change.action
            assert f"crmctl runs settle '{RENEWAL}' --created (or --not-created)" in change.reason
            assert "skipped" == statuses(there.apply(DEAL, settings=QUICK))[str(RENEWAL)]
        assert 1 == lost.seen
        settle(there, RENEWAL, "not-created")
        assert {str(RENEWAL): "create"} == actions(there.plan(DEAL))
        assert "created" == statuses(there.apply(DEAL))[str(RENEWAL)]
        assert 1 == len(deals(there))


def test_what_shows_late_is_adopted_by_a_later_run() -> None:
    """A record that the settle time was too short for is found by the next plan, and is not made twice."""
    with opened(switches={"search_lag": "20"}) as there:
        assert "unknown" == statuses(there.apply(DEAL, settings=QUICK))[str(RENEWAL)]
        there.clock.now += 30
        assert {} == actions(there.plan(DEAL))
        assert 1 == len(deals(there))


def leave_open(there: Crm, address: Address, text: str) -> None:
    """Leave what a run leaves that was killed between intent and outcome."""
    [change] = [change for change in there.plan(text).changes if change.address == address]
    there.runs += 1
    journal = Journal(there.folder / "runs", f"run-{there.runs:04}", redactor(), target="test", clock=there.clock)
    journal.once[address] = ""
    journal._witness([(address, "open", None)])
    journal.close()
    assert change.action == "create"


def test_an_intent_without_an_outcome_is_waited_for_and_then_taken_for_lost() -> None:
    """A run was killed before it sent anything: the next one looks until it could not show any more, then sends."""
    with opened() as there:
        leave_open(there, RENEWAL, DEAL)
        before = there.clock.now
        assert "create" == actions(there.plan(DEAL))[str(RENEWAL)]
        assert 30 == there.clock.now - before
        assert "created" == statuses(there.apply(DEAL))[str(RENEWAL)]
        assert 1 == len(deals(there))


def test_an_intent_without_an_outcome_is_found_as_soon_as_it_shows() -> None:
    """A run was killed after it had sent: what it made is adopted, however late it shows."""
    with opened(switches={"search_lag": "8"}) as there:
        leave_open(there, RENEWAL, DEAL)
        item = {"pipeline_id": PIPELINE, "opportunity": {"name": "Renewal", "deal_size": 4}}
        there.request(
            "POST", "/v1/opportunities/bulk", [item | {"related_objects": {"account_domain": "acme.example"}}]
        )
        # The account came along with it, and had not shown yet when accounts were read.
        assert {"account/acme.example": "create"} == actions(there.plan(DEAL))
        assert 1 == len(deals(there))


def test_a_record_is_known_by_its_id_when_somebody_renames_it() -> None:
    """The journal remembers the id, so the name is corrected and no second record made."""
    keyed = DEAL.replace("{name: Renewal", "{key: renewal, name: Renewal")
    with opened() as there:
        there.apply(keyed)
        [deal] = deals(there)
        there.request("PATCH", "/v1/opportunities/bulk", {deal["id"]: {"name": "Renamed"}})
        [change] = there.plan(keyed).changes
        assert ("update", "name") == (change.action, change.fields[0].path)
        assert {"opportunity/acme.example/sales/renewal": "updated"} == statuses(there.apply(keyed))
        assert ["Renewal"] == [deal["name"] for deal in deals(there)]


def test_two_opportunities_of_one_name_are_kept_apart_by_their_keys() -> None:
    """Each keeps its own values, through further runs."""
    text = f"""
opportunities:
  - {{key: first, name: Seats, pipeline: sales, account: acme.example, deal_size: 1}}
  - {{key: second, name: Seats, pipeline_id: {PIPELINE}, account: acme.example, deal_size: 2}}
"""
    with opened() as there:
        assert {"created"} == set(statuses(there.apply(text)).values())
        assert {} == actions(there.plan(text))
        changed = text.replace("deal_size: 2", "deal_size: 3")
        assert ["update"] == list(actions(there.plan(changed)).values())
        there.apply(changed)
        assert [1, 3] == sorted(deal["deal_size"] for deal in deals(there))


def test_records_alike_that_nothing_tells_apart_are_reported() -> None:
    """Somebody has made two of one name: which one is meant can't be told, so neither is touched."""
    with opened() as there:
        there.apply("accounts: [{domain: acme.example}]")
        item = {"pipeline_id": PIPELINE, "opportunity": {"name": "Renewal"}}
        item["related_objects"] = {"account_domain": "acme.example"}
        there.request("POST", "/v1/opportunities/bulk", [item, item])
        [change] = there.plan(DEAL).changes
        assert "report" == change.action
        assert "2 records of this key" in change.reason


def test_a_record_that_somebody_has_deleted_is_not_made_again_by_itself() -> None:
    """Of what was created once a report says that it is gone, and how to have it again."""
    with opened() as there:
        there.apply(DEAL)
        settle(there, RENEWAL, "settled", "00000000-0000-4000-8000-000000000000")
        moved = DEAL.replace("name: Renewal", "key: Renewal, name: Other")
        [change] = there.plan(moved).changes
        assert "report" == change.action
        assert "somebody has said (run run-0002) that it was created, and it is not there" in change.reason


@pytest.mark.parametrize("status", ["settled", "not-created"])
def test_a_note_that_may_have_arrived_is_settled_by_somebody(status: str) -> None:
    """A note can't be read: what became of it only a person can see."""
    lost = Spoil("/v1/notes/bulk", status=502, when="after" if status == "settled" else "before")
    with opened(interfere=lost) as there:
        assert "unknown" == statuses(there.apply(NOTE))[str(KICKOFF)]
        [change] = there.plan(NOTE).changes
        assert "report" == change.action
        assert "can't be asked" in change.reason
        settle(there, KICKOFF, status)
        left = {} if status == "settled" else {str(KICKOFF): "create"}
        assert left == actions(there.plan(NOTE))
        there.apply(NOTE)
        assert {} == actions(there.plan(NOTE))
        assert 1 + (status == "not-created") == lost.seen


def test_a_note_that_says_something_else_now_is_reported() -> None:
    """It was sent and can't be changed."""
    with opened() as there:
        there.apply(NOTE)
        [change] = there.plan(NOTE.replace("well", "badly")).changes
        assert "report" == change.action
        assert "created it with another content" in change.reason


def test_a_note_needs_a_journal_that_outlives_the_machine() -> None:
    """Without one it is reported, and nothing is sent."""
    with crm(options=OPTIONS) as there:
        [_, change] = there.plan(NOTE).changes
        assert "report" == change.action
        assert "durable journal" in change.reason
        assert {"created", "skipped"} == set(statuses(there.apply(NOTE)).values())


def test_a_journal_that_was_written_with_another_key_is_not_taken_for_an_empty_one() -> None:
    """Whether the note was sent stands there, and can't be read: so nothing is sent."""
    with opened() as there:
        there.apply(NOTE)
        [journal] = (there.folder / "runs").iterdir()
        ours = key_check(redactor())
        journal.write_text(journal.read_text().replace(ours, "0" * len(ours)))
        [change] = there.plan(NOTE).changes
        assert "report" == change.action
        assert "set CRMCTL_PSEUDONYM_KEY to what it was" in change.reason


def test_a_note_has_no_place_where_its_route_is_not_documented() -> None:
    """Unless the target allows assumed routes."""
    with crm(journal=True) as there:
        [_, change] = there.plan(NOTE).changes
        assert ("report", "this target has no place for notes: `crmctl providers` shows what it takes") == (
            change.action,
            change.reason,
        )


def test_a_batch_that_is_refused_is_halved_without_doubling() -> None:
    """The bad opportunity stands alone in the end, and every other is there once."""
    good = "\n".join(f"  - {{name: Deal {number}, pipeline: sales, account: acme.example}}" for number in range(6))
    text = f"opportunities:\n{good}\n"
    with opened(interfere=Bad()) as there:
        result = there.apply(text)
        assert 1 == result.count("failed")
        assert 5 == result.count("created")
        assert [f"Deal {number}" for number in range(6) if number != 3] == sorted(deal["name"] for deal in deals(there))


class Bad:
    """Refuses bulk creates that are not the size the test wants to get through: all but those without the bad one."""

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del method
        refused = {1, 3, 4} if path == "/v1/opportunities/bulk" else set()
        return (
            Interference(status=400, body=b'{"success":false,"message":"no","statusCode":400}')
            if nth in refused
            else None
        )
