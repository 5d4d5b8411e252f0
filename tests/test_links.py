"""Which accounts a contact is linked to, where an API has a place for that: added to, and taken away on request."""

from typing import Any

import pytest
from harness import Crm, actions, crm, statuses

from crmctl.diff import Held, Rules, compare
from crmctl.resource import Address, Links, Resource
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.faults import Interference, Process, Refuse

BOTH = """
accounts:
  - {domain: a.example, name: A, contacts: [{email: jo@free.example, first_name: Jo}]}
  - {domain: b.example, name: B}
"""


def opened(**switches: str) -> Any:
    return crm(switches, provider="thena")


def account(there: Crm, domain: str, name: str = "Other") -> str:
    """Make an account as somebody else; returns its id."""
    data = there.request("POST", "/v1/accounts", {"name": name, "primaryDomain": domain})["data"]
    return str(data["id"])


def contact(there: Crm, *accounts: str) -> str:
    """Make the contact as somebody else; returns its id."""
    body = {"email": "jo@free.example", "firstName": "Jo", "accountIds": list(accounts)}
    return str(there.request("POST", "/v1/accounts/contacts", body)["data"]["id"])


def linked(there: Crm) -> list[str]:
    """Return the ids of the accounts that the contact is linked to."""
    [found] = there.request("GET", "/v1/accounts/contacts/search?email=jo@free.example")["data"]
    return sorted(one["id"] for one in found["accounts"])


@pytest.mark.parametrize("contact_accounts", ["objects", "names"])
def test_a_link_is_added_to_those_that_are_there(contact_accounts: str) -> None:
    """What somebody else has linked stays, whether or not any manifest knows that account."""
    with opened(contact_accounts=contact_accounts) as there:
        strange = account(there, "strange.example", "Strange")
        contact(there, strange)
        result = there.apply(BOTH)
        assert "updated" == statuses(result)["contact/jo@free.example"]
        assert {} == actions(there.plan(BOTH))
    with opened() as there:
        strange = account(there, "strange.example")
        contact(there, strange)
        there.apply(BOTH)
        assert strange in linked(there)
        assert 2 == len(linked(there))


def test_what_a_contact_declares_itself_is_all_there_is() -> None:
    """`accounts: [...]` takes away what is not in it."""
    with opened() as there:
        strange = account(there, "strange.example")
        contact(there, strange)
        whole = BOTH.replace("first_name: Jo}", "first_name: Jo, accounts: [b.example]}")
        there.apply(whole)
        assert strange not in linked(there)
        assert 2 == len(linked(there))
        assert {} == actions(there.plan(whole))


def test_names_that_two_accounts_have_are_told_apart_by_what_each_lists() -> None:
    """Reads that show names only say too little: the contacts of each such account say the rest."""
    with opened(contact_accounts="names") as there:
        contact(there, account(there, "one.example", "Same"))
        account(there, "two.example", "Same")
        [change] = [change for change in there.plan(BOTH).changes if change.action == "update"]
        assert (["one.example"], ["a.example", "one.example"]) == (change.fields[0].before, change.fields[0].after)


def test_links_that_can_not_be_known_are_left_alone() -> None:
    """The page holds a contact without its links: they would be lost by sending others."""
    address = Address("contact", "jo@free.example")
    wanted = Resource(address, {"email": "jo@free.example", "first_name": "Jo", "accounts": Links(["a.example"])})
    record = Resource(address, {"email": "jo@free.example", "first_name": "J"}, remote_id="1")
    held: list[Held] = []
    change = compare(wanted, record, Rules(), frozenset(), held)
    assert change is not None
    assert ["first_name"] == [one.path for one in change.fields]
    assert [("accounts", "links unknown", ["a.example"])] == [(one.path, one.policy, one.after) for one in held]


def test_links_that_no_read_shows_are_sent_once_and_never_compared() -> None:
    """They are unreadable like any other field."""
    address = Address("contact", "jo@free.example")
    wanted = Resource(address, {"email": "jo@free.example", "accounts": Links(["a.example"])})
    record = Resource(address, {"email": "jo@free.example"}, remote_id="1")
    held: list[Held] = []
    assert compare(wanted, record, Rules(), frozenset({"accounts"}), held) is None
    assert [] == held


def test_an_account_that_is_there_twice_takes_no_contact() -> None:
    """Which of the two is meant can't be told: both are reports, and nothing is sent."""
    with opened() as there:
        account(there, "a.example")
        account(there, "a.example")
        plan = there.plan(BOTH)
        reports = {str(change.address): change.reason for change in plan.changes if change.action == "report"}
        assert {"account/a.example", "contact/jo@free.example"} == reports.keys()
        assert "account/a.example is there more than once" in reports["contact/jo@free.example"]


def test_an_account_that_nobody_declares_has_to_be_there() -> None:
    """A contact that refers to one that is neither declared nor there is a report."""
    free = "contacts: [{email: jo@free.example, first_name: Jo, account: a.example}]"
    with opened() as there:
        [change] = there.plan(free).changes
        assert ("report", "account/a.example is neither there nor declared here: declare it, or include it") == (
            change.action,
            change.reason,
        )
        account(there, "a.example")
        assert {"contact/jo@free.example": "created"} == statuses(there.apply(free))
        assert 1 == len(linked(there))


def test_a_contact_of_an_account_that_could_not_be_made_is_skipped() -> None:
    """An account without a name is none to Thena, so its contact has nowhere to go."""
    nameless = "accounts: [{domain: a.example, contacts: [{email: jo@free.example, first_name: Jo}]}]"
    with opened() as there:
        assert {"account/a.example": "report", "contact/jo@free.example": "create"} == actions(there.plan(nameless))
        result = there.apply(nameless)
        assert {"skipped"} == set(statuses(result).values())
        assert "account/a.example is not created" in result.outcomes[1].error


def test_two_accounts_of_one_domain_made_at_once_are_told_of() -> None:
    """Thena does not dedupe accounts: one that somebody makes in the same moment is a second one, and named."""

    def double(request: Request, process: Process, _refuse: Refuse) -> Answer:
        process(request)
        return process(request)

    def interfere(method: str, path: str, nth: int) -> Interference | None:
        doubles = (method, path, nth) == ("POST", "/v1/accounts", 2)
        return Interference("after", twist=double) if doubles else None

    with crm(provider="thena", interfere=interfere) as there:
        result = there.apply(BOTH)
        assert "failed" == statuses(result)["account/b.example"]
        assert "now holds 2 records of this key" in next(
            outcome.error for outcome in result.outcomes if str(outcome.change.address) == "account/b.example"
        )


@pytest.mark.parametrize("taken_domain", ["existing", "409", "second"])
def test_an_account_somebody_makes_meanwhile_is_adopted(taken_domain: str) -> None:
    """It is found by reading, and brought into line, whatever the server would have said to a second one."""
    with opened(taken_domain=taken_domain) as there:
        plan = there.plan(BOTH)
        account(there, "b.example")
        result = there.apply(BOTH, plan=plan)
        assert "existed" == statuses(result)["account/b.example"]
        assert {} == actions(there.plan(BOTH))
