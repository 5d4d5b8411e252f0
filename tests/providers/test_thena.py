"""Thena's provider, reading: fields, keys, accounts of contacts, notes, and what reads can tell."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from thena import ACME, JANE, account, contact, mocked, note, read, read_only

from crmctl.client import WriteRefused
from crmctl.errors import Rejected
from crmctl.provider import Page, Record, Scope
from crmctl.providers import find_endpoint
from crmctl.providers.thena import CAPABILITIES, Thena
from crmctl.resource import Address, Links, Resource

JANES = {"id": "C1", "email": "Jane@Acme.example", "firstName": "Jane", "phoneNumber": None}
HOME = {"id": "A1", "name": "Acme", "primaryDomain": "@Acme.example"}


def records(pages: Sequence[Page]) -> list[Record]:
    return [record for page in pages for record in page.records]


def members(pages: Sequence[Page]) -> set[str]:
    return {name for page in pages for name in page.members}


# Fields


def test_account() -> None:
    """An account's members come under our names; its key is its domain, however that is kept."""
    row = {
        **HOME, "status": "ACTIVE", "statusId": "S1", "annualRevenue": "1000.0", "employees": 7, "website": None,
        "secondaryDomain": "@acme.test", "metadata": {"a": 1}, "createdAt": "2027-01-31T00:00:00Z", "source": "hubspot",
    }  # fmt: skip
    provider, _ = mocked([row], [])
    names = ["domain", "name", "thena.status", "thena.annual_revenue", "thena.employees", "thena.website"]
    names += ["thena.secondary_domain", "thena.metadata", "thena.source", "thena.health", "tags"]
    pages = asyncio.run(read(provider, "account", names))
    expected = {
        "domain": "Acme.example", "name": "Acme", "thena.status": "ACTIVE", "thena.annual_revenue": 1000,
        "thena.employees": 7, "thena.website": None, "thena.secondary_domain": "acme.test",
        "thena.metadata": {"a": 1}, "thena.source": "hubspot",
    }  # fmt: skip
    assert [("acme.example", expected, "A1")] == [record[:3] for record in records(pages)]
    assert set(expected) == members(pages)


def test_odd_accounts() -> None:
    """A record without a key has an empty one; a deleted record is none."""
    rows = [{"id": "1"}, {"id": "2", "primaryDomain": 7}, {"id": "3", "primaryDomain": "no domain"}]
    deleted = {**HOME, "deletedAt": "2027-01-31T00:00:00Z"}
    kept = {**HOME, "id": "A2", "deletedAt": None, "annualRevenue": "a lot", "metadata": "none"}
    provider, _ = mocked([*rows, deleted, kept], [])
    found = records(asyncio.run(read(provider, "account", ["thena.annual_revenue", "thena.metadata"])))
    assert ["", "", "", "acme.example"] == [record.key for record in found]
    assert {"thena.annual_revenue": "a lot", "thena.metadata": {}} == found[-1].fields


def test_metadata() -> None:
    """Of metadata only what is declared is compared; who else keeps something there is left alone."""
    row = {**HOME, "metadata": {"ours": 1, "theirs": 2}}
    wanted = {"acme.example": account("acme.example", **{"thena.metadata": {"ours": 2, "new": 3}})}
    provider, _ = mocked([row], [])
    found = records(asyncio.run(read(provider, "account", ["thena.metadata"], scope=Scope(wanted))))
    assert [{"thena.metadata": {"ours": 1}}] == [record.fields for record in found]


def test_attribute_names() -> None:
    """A value shows by its name; by its id where two have the same name; a contact's type by its id alone."""
    values = [{"id": "T1", "value": "VIP"}, {"id": "T2", "value": "Other"}, {"id": "T3", "value": "Other"}]
    rows = [
        {"id": "C1", "email": "a@a.example", "contactType": "whatever", "contactTypeId": "T1"},
        {"id": "C2", "email": "b@a.example", "contactType": "T1"},
        {"id": "C3", "email": "c@a.example", "contactType": "Other", "contactTypeId": "T3"},
        {"id": "C4", "email": "d@a.example", "contactType": "Gone", "contactTypeId": "T9"},
        {"id": "C5", "email": "e@a.example", "contactType": None, "contactTypeId": None},
    ]
    provider, _ = mocked(values, rows, [])
    asyncio.run(provider.resolve({"contact": {JANE.key: contact(type="vip")}}))
    found = records(asyncio.run(read(provider, "contact", ["type"])))
    assert ["VIP", "VIP", "T3", "Gone", None] == [record.fields["type"] for record in found]


@pytest.mark.parametrize("odd", [[], ["T1"], {"id": "T1"}, 7, True])
def test_odd_values_of_attributes(odd: Any) -> None:
    """What is no text names no value: it shows as it is, unless the member beside it names one."""
    rows = [
        {"id": "C1", "email": "a@a.example", "contactType": odd},
        {"id": "C2", "email": "b@a.example", "contactType": "Else", "contactTypeId": odd},
        {"id": "C3", "email": "c@a.example", "contactType": odd, "contactTypeId": "T1"},
    ]
    provider, _ = mocked([{"id": "T1", "value": "VIP"}], rows, [])
    asyncio.run(provider.resolve({"contact": {JANE.key: contact(type="vip")}}))
    found = records(asyncio.run(read(provider, "contact", ["type"])))
    assert [odd, "Else", "VIP"] == [record.fields["type"] for record in found]


@pytest.mark.parametrize("text", ["nan", "-inf", "Infinity", "1e999"])
def test_numbers_that_no_json_has(text: str) -> None:
    """A text that Python alone takes for a number stays a text: it could be neither compared nor sent again."""
    provider, _ = mocked([{**HOME, "annualRevenue": text}], [])
    [found] = records(asyncio.run(read(provider, "account", ["thena.annual_revenue"])))
    assert {"thena.annual_revenue": text} == found.fields


# Contacts by key


def test_look_up() -> None:
    """Each address is one request; whoever else comes is left out, as is who was deleted."""
    other = {"id": "C2", "email": "jane@acme.example.test"}
    deleted = {"id": "C3", "email": "sam@acme.example", "deletedAt": "2027-01-31T00:00:00Z"}
    provider, server = mocked({"data": [other, JANES]}, [deleted], 404)
    wanted = ["jane+x@acme.example".replace("+x", ""), "sam@acme.example", "a+b@acme.example"]
    found = records(asyncio.run(read(provider, "contact", ["first_name", "phone"], wanted)))
    assert [("jane@acme.example", {"first_name": "Jane", "phone": None}, "C1", "")] == found
    assert server.asked[-1] == "GET /v1/accounts/contacts/search?email=a%2Bb%40acme.example"
    assert len(server.asked) == 3


def test_refused_look_up() -> None:
    """A look-up that is refused is an error; only one that finds nothing may be a 404."""
    with pytest.raises(Rejected):
        asyncio.run(read(mocked(400)[0], "contact", [], ["jane@acme.example"]))


@pytest.mark.parametrize("folds", [True, False])
def test_folds_case(folds: bool) -> None:  # noqa: FBT001  # a table of facts
    """Whether look-ups mind case is asked once, of a contact that is there."""
    provider, server = mocked([{"id": "C0", "email": "1@2.3"}, JANES], [JANES] if folds else [])

    async def run() -> list[bool]:
        return [await provider.folds_case("contact"), await provider.folds_case("contact")]

    assert [folds, folds] == asyncio.run(run())
    assert server.asked[1:] == ["GET /v1/accounts/contacts/search?email=jANE%40aCME.EXAMPLE"]


def test_nothing_to_find() -> None:
    """Where no contact is, nothing is missed; text is searched for nowhere."""

    async def run(provider: Thena) -> list[Any]:
        found: list[Any] = [await provider.folds_case("contact"), await provider.finds_by_text("contact")]
        return [*found, await provider.folds_case("account"), await provider.finds_by_text("note")]

    assert [True, None, True, None] == asyncio.run(run(mocked([])[0]))
    assert [True, False, True, None] == asyncio.run(run(mocked([JANES])[0]))


def test_search() -> None:
    """A search for a contact is a look-up."""
    provider, server = mocked([JANES])

    async def run() -> list[Page]:
        return [page async for page in provider.search("contact", "jane@acme.example", ["first_name"])]

    assert ["C1"] == [record.remote_id for record in records(asyncio.run(run()))]
    assert len(server.asked) == 1


# The accounts of contacts


def linked(*answers: Any, scope: Scope | None = None, learned: dict[str, Any] | None = None) -> tuple[Any, list[str]]:
    """Return what a contact's `accounts` come to, `None` if they can't be told, and what was asked."""
    provider, server = mocked(*answers, learned=learned)
    wanted = {JANE.key: contact(accounts=Links(["acme.example"]))}
    scope = scope or Scope(wanted, {ACME: "A1"})
    (record,) = records(asyncio.run(read(provider, "contact", ["accounts"], [JANE.key], scope)))
    return record.fields.get("accounts"), server.asked[1:]


def test_accounts_as_objects() -> None:
    """Accounts with ids come as keys where those are known, else as they are."""
    row = {**JANES, "accounts": [{"id": "A1", "name": "Acme"}, {"id": "A9", "name": "Else"}]}
    assert (["A9", "acme.example"], []) == linked([row])


@pytest.mark.parametrize("accounts", [[], None])
def test_no_accounts(accounts: Any) -> None:
    """Who belongs to no account has none."""
    assert ([], []) == linked([{**JANES, "accounts": accounts}])


def test_accounts_by_name() -> None:
    """A name that one account bears is that account; the accounts are read once, page 0 being known or not."""
    asked = ["GET /v1/accounts?page=0&limit=100", "GET /v1/accounts?page=1&limit=100"]
    assert (["acme.example"], asked) == linked([{**JANES, "accounts": ["Acme"]}], [HOME, {"id": "A2", "name": "B"}], [])


def test_accounts_of_one_name() -> None:
    """Where several accounts bear a name, their contacts tell which is meant."""
    other = {"id": "A2", "name": "Acme", "primaryDomain": "acme.test"}
    row = {**JANES, "accounts": ["Acme"]}
    found, asked = linked([row], [HOME, other], [], [{**JANES, "id": "C7"}], [], [row], [])
    assert ["acme.test"] == found
    assert "GET /v1/accounts/contacts?accountId=A1&page=0&limit=100" in asked
    assert "GET /v1/accounts/contacts?accountId=A2&page=0&limit=100" in asked


@pytest.mark.parametrize(
    ("accounts", "answers"),
    [
        (["Gone"], [[HOME], []]),  # a name that nobody bears
        (["Acme"], [[HOME, {"id": "A2", "name": "Acme"}], [], 404]),  # a list that is refused
        (["Acme", "Acme"], [[HOME, {"id": "A2", "name": "Acme"}], [], [{"id": "C1"}], [], []]),  # one of two
        ([7], []),
        ([{}], []),
        ("Acme", []),
    ],
)
def test_unknown_accounts(accounts: Any, answers: list[Any]) -> None:
    """What can't be told is left out, and the record is named, so that nothing of it is written."""
    learned: dict[str, Any] = {}
    assert linked([{**JANES, "accounts": accounts}], *answers, learned=learned)[0] is None
    assert {"C1"} == learned["unlinked"]


def test_accounts_by_id() -> None:
    """Where the texts are ids after all, they are taken for what they are."""
    first, second = ({**JANES, "accounts": [shown]} for shown in ({"id": "A1", "name": "Acme"}, "A1"))
    learned: dict[str, Any] = {}
    assert ["acme.example"] == linked([first], learned=learned)[0]
    assert (["acme.example"], []) == linked([second], learned=learned)


def test_account_renamed() -> None:
    """A name that is new has the accounts read again; one that nobody bears, only once."""
    learned: dict[str, Any] = {}
    linked([{**JANES, "accounts": ["Acme"]}], [HOME], [], learned=learned)
    new = {**JANES, "accounts": ["New"]}
    assert ["acme.example"] == linked([new], [{**HOME, "name": "New"}], [], learned=learned)[0]
    gone = [{**JANES, "accounts": ["Gone"]}]
    assert [True, False] == [bool(linked(gone, [HOME], [], learned=learned)[1]) for _ in range(2)]


def test_no_accounts_shown() -> None:
    """Where contacts don't show accounts at all, they are no member of the page."""
    assert linked([JANES])[0] is None


def test_found_later() -> None:
    """A contact whose accounts are established after all is no longer named."""
    learned: dict[str, Any] = {"unlinked": {"C1", "C2"}}
    assert ["acme.example"] == linked([{**JANES, "accounts": [{"id": "A1"}]}], learned=learned)[0]
    assert {"C2"} == learned["unlinked"]


def test_accounts_declared_elsewhere() -> None:
    """An account that a contact names and no manifest declares is found by its domain."""
    row = {**JANES, "accounts": [{"id": "A1", "name": "Acme"}]}
    scope = Scope({JANE.key: contact(accounts=["acme.example"])}, {})
    assert ["acme.example"] == linked([row], [HOME], [], scope=scope)[0]


def test_accounts_of_one_domain() -> None:
    """Where two accounts have a domain, an account is known by its id."""
    row = {**JANES, "accounts": [{"id": "A1", "name": "Acme"}]}
    scope = Scope({JANE.key: contact(accounts=["acme.example"])}, {})
    assert ["A1"] == linked([row], [HOME, {**HOME, "id": "A2"}], [], scope=scope)[0]


def test_strangers() -> None:
    """For contacts that nobody declares no accounts are looked for; by its former key one is declared."""
    rows = [{**JANES, "email": f"{name}@acme.example", "id": name, "accounts": ["Acme"]} for name in ("old", "x")]
    provider, server = mocked(rows, [HOME], [], [])
    wanted = {JANE.key: contact(accounts=Links(["acme.example"]))._replace(was="old@acme.example")}
    found = records(asyncio.run(read(provider, "contact", ["accounts"], scope=Scope(wanted, {ACME: "A1"}))))
    assert [{"accounts": ["acme.example"]}, {}] == [record.fields for record in found]
    assert len(server.asked) == 4


# Notes


def test_notes() -> None:
    """Notes are read account by account, are known by account and text, and carry the address crmctl gave them."""
    row = {"id": "N1", "accountId": "A1", "content": " Well. ", "visibility": "PRIVATE", "metadata": None}
    marked = {**row, "id": "N2", "metadata": {"crmctl": "note/acme.example/kickoff", "a": 1}}
    provider, server = mocked([row, marked], [])
    wanted = [
        note("kickoff", "Well."),
        note("other", "", "new.example"),
        Resource(Address("note", "x/y"), {"text": ""}),
    ]
    scope = Scope({one.address.key: one for one in wanted}, {ACME: "A1"})
    found = records(asyncio.run(read(provider, "note", ["text", "thena.visibility", "thena.metadata"], scope=scope)))
    first = {"text": " Well. ", "thena.visibility": "private", "thena.metadata": {}}
    assert found == [
        Record("acme.example/Well.", first, "N1"),
        Record("acme.example/Well.", {**first, "thena.metadata": {"a": 1}}, "N2", "note/acme.example/kickoff"),
    ]
    assert {line.partition("&")[0] for line in server.asked} == {"GET /v1/accounts/notes?accountId=A1"}


@pytest.mark.parametrize("account_id", ["A\ud800", "A" * 70_000])
def test_notes_of_an_account_whose_id_fits_no_address(account_id: str) -> None:
    """They can't be asked for, and that is said."""
    provider, server = mocked([])
    scope = Scope({"acme.example/kickoff": note("kickoff", "Well.")}, {ACME: account_id})
    with pytest.raises(Rejected, match="GET /v1/accounts/notes: an id of the CRM's fits no address"):
        asyncio.run(read(provider, "note", ["text"], scope=scope))
    assert [] == server.asked


# What reads can tell


def test_carries() -> None:
    """A member that answers have is carried; of one that never came nothing is known; some are never returned."""
    provider, _ = mocked([{**JANES, "accounts": [], "customFieldValues": ["gold"]}], [])
    asyncio.run(read(provider, "contact", ["first_name"]))

    async def run() -> list[bool | None]:
        names = ("first_name", "last_name", "accounts", "thena.source", "custom_fields.tier", "no_such_field")
        return [await provider.carries("contact", name) for name in names]

    assert [True, None, True, False, False, False] == asyncio.run(run())


def test_endpoint() -> None:
    """Only lists and searches may be used read-only; all of them are reads."""
    endpoint = find_endpoint("thena")
    assert ("https://platform.thena.ai", {"x-api-key": "k"}) == (endpoint.base_url, endpoint.headers("k"))
    assert all(route.startswith("GET /v1/") and "{" not in route for route in endpoint.reads)
    assert {can.read_route for can in CAPABILITIES.values()} <= endpoint.reads


@pytest.mark.parametrize("remote_id", ["C1", "search", "../contacts", "search?email=x", "%2e%2e", ""])
def test_read_only(remote_id: str) -> None:
    """A read-only connection refuses every write, whatever an id looks like."""
    provider = read_only([])
    assert [] == asyncio.run(read(provider, "contact", ["first_name"]))
    for write in (
        provider.update([Resource(JANE, {"first_name": "J"}, remote_id=remote_id)]),
        provider.create([contact()]),
        provider.create([account()]),
    ):
        with pytest.raises((WriteRefused, Rejected)):
            asyncio.run(write)
