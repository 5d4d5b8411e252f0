"""Thena's provider, writing: what is sent, what is believed, and how another way is found."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from thena import ACME, JANE, account, contact, mocked, note, read

from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.provider import Receipt, Scope
from crmctl.providers import Options
from crmctl.providers.thena import Thena
from crmctl.resource import Address, Links, Resource
from crmctl.retry import Limit, Policy

EMAILS = Options(items="emails")
IDS = {ACME: "A1", Address("account", "b.example"): "A2"}
BULK = "POST /v1/accounts/contacts/bulk"


def counts(total: int, created: int | None = None, skipped: int = 0) -> dict[str, Any]:
    data = {"total": total, "created": total - skipped if created is None else created, "skipped": skipped}
    return {"data": data, "status": True, "message": "", "timestamp": ""}


def create(provider: Thena, *batch: Resource, ids: Mapping[Address, str] = IDS) -> Receipt:
    return asyncio.run(provider.create(batch, ids))


def update(provider: Thena, *batch: Resource, ids: Mapping[Address, str] = IDS) -> Receipt:
    return asyncio.run(provider.update(batch, ids))


def change(resource: Resource, **fields: Any) -> Resource:
    return Resource(resource.address, fields, resource.refs, remote_id="X1")


# Contacts


def test_bulk() -> None:
    """Contacts go in one request, what they share above them; nothing is concluded about any of them."""
    provider, server = mocked([{"id": "T1", "value": "VIP"}], counts(2, skipped=1))
    fields = {"type": "VIP", "thena.source": "web", "accounts": Links(["b.example", "acme.example"])}
    jane = contact("Jane@Acme.example", last_name="Doe", phone="+1", avatar_url=None, **fields)
    other = contact("sam@acme.example", **{**fields, "accounts": ["acme.example", "b.example"]})
    asyncio.run(provider.resolve({"contact": {JANE.key: jane}}))
    assert Receipt((JANE, other.address)) == create(provider, jane, other)
    assert server.asked[1:] == [BULK]
    assert server.bodies[1] == {
        "contacts": [
            {"email": "Jane@Acme.example", "firstName": "Jane", "lastName": "Doe", "phoneNumber": "+1"},
            {"email": "sam@acme.example", "firstName": "Jane"},
        ],
        "accountIds": ["A1", "A2"],
        "contactType": "T1",
        "source": "web",
    }


def test_bulk_emails() -> None:
    """As the published schema literally says, items may be addresses alone; a first name isn't needed then."""
    provider, server = mocked(counts(1), options=EMAILS)
    create(provider, contact(last_name="Doe", **{"custom_fields.x": 1}))
    assert [{"contacts": ["jane@acme.example"]}] == server.bodies
    assert ((), "documented") == (provider.capabilities["contact"].needs, provider.capabilities["contact"].evidence)
    assert ("first_name",) == mocked(1)[0].capabilities["contact"].needs


@pytest.mark.parametrize(
    "answer",
    [counts(2), counts(1, 0), counts(1, 1, 1), counts(1, True), counts(1, -1, 2), {}, {"data": None}, {"data": [1]}],
)
def test_odd_counts(answer: Any) -> None:
    """Counts that don't add up to what was sent are ambiguous."""
    with pytest.raises(Ambiguous, match="the answer's counts are not those of 1 contacts"):
        create(mocked(answer)[0], contact())


def test_nothing_to_create() -> None:
    """A refused batch stays refused; it is not halved here."""
    provider, server = mocked(400)
    with pytest.raises(Rejected):
        create(provider, contact(), contact("sam@acme.example"))
    assert server.asked == [BULK]


def test_mixed_batch() -> None:
    """Contacts that share no request are a bug."""
    with pytest.raises(ValueError, match="differ in accounts"):
        create(mocked(counts(2))[0], contact(accounts=["acme.example"]), contact("sam@acme.example"))


# Accounts of contacts


@pytest.mark.parametrize(
    ("key", "answers", "expected"),
    [
        ("acme.example", [], "A1"),
        ("01HZZZ", [], "01HZZZ"),
        ("c.example", [[{"id": "A3", "primaryDomain": "c.example"}], []], "A3"),
        ("c.example", [[{"id": "A3", "name": "C", "primaryDomain": "d.example"}], []], None),
        ("c.example", [[{"id": str(number), "primaryDomain": "c.example"} for number in range(2)], []], None),
    ],
)
def test_account_ids(key: str, answers: list[Any], expected: str | None) -> None:
    """Accounts are written by their ids: known, read, or given; one that is not there stops the request."""
    provider, server = mocked(*answers, counts(1)) if expected else mocked(*answers)
    if expected is None:
        with pytest.raises(Rejected, match=r"account/c\.example: Thena has (no|2) such accounts, so nothing was sent"):
            create(provider, contact(accounts=[key]))
    else:
        create(provider, contact(accounts=[key]))
        assert [expected] == server.bodies[-1]["accountIds"]
    assert (BULK in server.asked) is (expected is not None)


def test_replaced_accounts() -> None:
    """An update names all accounts, as they replace those that are there; none clears them."""
    provider, server = mocked({"data": {"id": "X1", "accounts": []}})
    update(provider, change(contact(), accounts=["b.example", "acme.example"]), change(contact(), accounts=None))
    assert [{"accountIds": ["A1", "A2"]}, {"accountIds": []}] == server.bodies


# One by one


def test_create_account() -> None:
    """Accounts go one by one; the answer has the id."""
    row = {"id": "A7", "name": "acme", "primaryDomain": "@ACME.example"}
    provider, server = mocked({"data": row})
    some = account("acme.example", description=None, **{"thena.employees": 7, "thena.add_existing_users": True})
    assert Receipt((ACME,), {ACME: "A7"}) == create(provider, some)
    body = {"name": "acme", "primaryDomain": "acme.example", "employees": 7, "addExistingUsersToAccountContacts": True}
    assert [body] == server.bodies


def test_unresolved_names() -> None:
    """What was not looked up goes as it is written, a custom field not at all."""
    provider, server = mocked({"id": "A7"})
    create(provider, account("acme.example", industry="Tools", **{"custom_fields.tier": "gold"}))
    assert [{"name": "acme", "primaryDomain": "acme.example", "industry": "Tools"}] == server.bodies


def test_other_domain() -> None:
    """An answer about another account is not taken for the one that was sent."""
    assert {} == create(mocked({"id": "A7", "primaryDomain": "b.example"})[0], account("acme.example")).ids


@pytest.mark.parametrize("answer", [{"data": {}}, {"data": [1]}, {"data": None}, {"id": 5}, {"data": {"id": ""}}])
def test_no_record(answer: Any) -> None:
    """An answer without the record that is promised is ambiguous."""
    with pytest.raises(Ambiguous, match="POST /v1/accounts: "):
        create(mocked(answer)[0], account("acme.example"))


def test_no_second_account() -> None:
    """An account is not sent again when nobody knows what became of it; an update and a bulk create are."""
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        return httpx.Response(502)

    async def run(resource: Resource) -> None:
        policy = Policy(ambiguous=Limit(3, 60), first=0)
        provider = Thena(Client([httpx.MockTransport(handle)], base_url="https://thena.example", policy=policy))
        await (provider.update([resource]) if resource.remote_id else provider.create([resource], IDS))

    for resource in (account("acme.example"), note("a", "b"), contact(), change(contact(), phone="1")):
        with pytest.raises(Ambiguous):
            asyncio.run(run(resource))
    assert ["POST", "POST", *["POST"] * 3, *["PUT"] * 3] == sent


def test_create_note() -> None:
    """A note goes to its account, and carries its address beside what else is declared."""
    provider, server = mocked({"data": {"id": "N1"}})
    some = note("kick off", "Well.", **{"thena.metadata": {"a": 1}, "thena.visibility": "private"})
    assert {some.address: "N1"} == create(provider, some).ids
    metadata = {"a": 1, "crmctl": str(some.address)}
    assert [{"accountId": "A1", "content": "Well.", "metadata": metadata, "visibility": "private"}] == server.bodies


def test_note_without_metadata() -> None:
    """That a new note may have metadata is inferred: where it may not, it goes without."""
    provider, server = mocked(400, {"id": "N1"}, {"id": "N2"})
    create(provider, note("a", "A"))
    create(provider, note("b", "B"))
    assert [True, False, False] == ["metadata" in body for body in server.bodies]


def test_note_without_account() -> None:
    """A note without an account is not sent."""
    with pytest.raises(Unsupported, match="belong to accounts"):
        create(mocked({})[0], Resource(Address("note", "x/y"), {"text": ""}))


def test_update() -> None:
    """Updates go one by one to the record of the id; null clears."""
    provider, server = mocked({"data": {"id": "X1"}})
    some = change(contact(), email="new@acme.example", last_name=None, **{"thena.source": "x"})
    assert (JANE,) == update(provider, some).sent
    update(provider, change(note("a", "A"), text="B", **{"thena.metadata": None}))
    assert server.asked == ["PUT /v1/accounts/contacts/X1", "PUT /v1/accounts/notes/X1"]
    assert server.bodies == [
        {"email": "new@acme.example", "lastName": None},
        {"content": "B", "metadata": {"crmctl": "note/acme.example/a"}},
    ]


def test_nothing_to_send() -> None:
    """What only a create can say is no update."""
    provider, server = mocked({})
    update(provider, change(contact(), **{"thena.source": "x"}))
    assert server.asked == []


@pytest.mark.parametrize(
    ("remote_id", "path"),
    [("A/../B", "A%2F..%2FB"), ("a?b#c", "a%3Fb%23c"), ("é", "%C3%A9"), ("%2e%2e", "%252e%252e"), ("a b", "a%20b")],
)
def test_strange_ids(remote_id: str, path: str) -> None:
    """An id stays one segment of the path."""
    provider, server = mocked({"id": "1"})
    update(provider, change(account("acme.example"), name="x")._replace(remote_id=remote_id))
    assert server.asked == [f"PUT /v1/accounts/{path}"]


@pytest.mark.parametrize("remote_id", ["", ".", "..", "A\ud800", pytest.param("A" * 70_000, id="long")])
def test_impossible_ids(remote_id: str) -> None:
    """An id that would lead elsewhere is refused, and none is a bug."""
    provider, server = mocked({"id": "1"})
    with pytest.raises(Rejected, match="is no id: nothing was sent"):
        update(provider, change(account("acme.example"), name="x")._replace(remote_id=remote_id))
    with pytest.raises(ValueError, match=r"account/acme\.example has no remote id"):
        update(provider, account("acme.example"))
    assert server.asked == []


# Another way


def prepared(kind: str, live: Mapping[str, Any], wanted: Resource, *answers: Any) -> tuple[Thena, Any]:
    """Return a provider that has read a record, and what was asked of it since."""
    tier = {"uid": "F1", "name": "tier", "fieldType": "single_line", "source": "account"}
    status = [{"id": "S1", "value": "ACTIVE"}, {"id": "S2", "value": "TRIAL"}]
    provider, server = mocked([])

    async def run() -> None:
        server.left = [status] if "thena.status" in wanted.fields else []
        server.left += [[tier]] if "custom_fields.tier" in wanted.fields else []
        server.left += [[live], []]
        await provider.resolve({kind: {wanted.address.key: wanted}})
        await read_all(provider, kind, wanted)

    asyncio.run(run())
    server.left, server.asked, server.bodies = list(answers), [], []
    return provider, server


async def read_all(provider: Thena, kind: str, wanted: Resource) -> None:
    await read(provider, kind, sorted(wanted.fields), scope=Scope({wanted.address.key: wanted}, IDS))


LIVE = {"id": "X1", "name": "Acme", "primaryDomain": "acme.example", "description": "d", "website": "w"}


def bodies(live: Mapping[str, Any], fields: dict[str, Any], *answers: Any) -> Sequence[Any]:
    wanted = Resource(ACME, fields)
    provider, server = prepared("account", live, wanted, *answers)
    update(provider, wanted._replace(remote_id="X1"))
    return list(server.bodies)


def test_metadata_is_kept() -> None:
    """Whether metadata is merged or replaced is not known: what is there is sent along."""
    sent = bodies({**LIVE, "metadata": {"a": 1, "b": 2}}, {"thena.metadata": {"a": 3}}, LIVE)
    assert [{"metadata": {"a": 3, "b": 2}}] == sent


def test_custom_values_are_kept() -> None:
    """The same goes for custom values."""
    live = {**LIVE, "customFieldValues": [{"customFieldId": "F9", "data": [{"value": 1}]}]}
    sent = bodies(live, {"custom_fields.tier": "gold"}, LIVE)
    values = [{"fieldId": "F9", "value": 1}, {"fieldId": "F1", "value": "gold"}]
    assert [{"customFieldValues": values}] == sent


def test_cleared_by_text() -> None:
    """Where null is refused, or does nothing, an empty text clears."""
    assert [{"description": None}, {"description": ""}] == bodies(LIVE, {"description": None}, 400, LIVE)
    cleared = {**LIVE, "description": ""}
    assert [{"description": None}, {"description": ""}] == bodies(LIVE, {"description": None}, LIVE, cleared)


def test_named_by_value() -> None:
    """Where a status isn't taken by its id, it is by its name, once and for all."""
    sent = bodies(LIVE, {"thena.status": "TRIAL"}, 404, LIVE)
    assert [{"status": "S2"}, {"status": "TRIAL"}] == sent


def test_custom_shapes() -> None:
    """Custom values are tried as the documentation has them in other places, as far as answers don't show them."""
    shapes = [
        [{"fieldId": "F1", "value": "gold"}],
        [{"customFieldId": "F1", "data": "gold"}],
        [{"customFieldId": "F1", "data": [{"value": "gold"}]}],
    ]
    done = {**LIVE, "customFieldValues": [{"customFieldId": "F1", "data": [{"value": "gold"}]}]}
    lost = {**LIVE, "customFieldValues": []}
    for answers in ((400, 400, done), (lost, lost, done)):
        assert [{"customFieldValues": shape} for shape in shapes] == bodies(
            LIVE, {"custom_fields.tier": "gold"}, *answers
        )


@pytest.mark.parametrize("odd", [[], {}, 7])
def test_a_custom_value_of_no_field_shows_nothing(odd: Any) -> None:
    """Whatever stands in place of a field's id, the value that was sent is looked for elsewhere."""
    shown = {**LIVE, "customFieldValues": [{"customFieldId": odd, "data": "gold"}]}
    done = {**LIVE, "customFieldValues": [{"customFieldId": "F1", "data": "gold"}]}
    assert 2 == len(bodies(LIVE, {"custom_fields.tier": "gold"}, shown, done))


def test_whole_records() -> None:
    """A PUT that empties what it doesn't name is repaired at once, and names everything from then on."""
    live = {**LIVE, "statusId": "S1", "status": "ACTIVE", "annualRevenue": "5", "metadata": "odd"}
    emptied = {"id": "X1", "name": "New", "primaryDomain": "", "description": None, "website": None}
    whole = {"name": "New", "primaryDomain": "acme.example", "description": "d", "website": "w", "status": "S1"}
    assert [{"name": "New"}, {**whole, "annualRevenue": 5}] == bodies(live, {"name": "New"}, emptied, live)


def test_refused_anyway() -> None:
    """What is refused in every way is refused for the first reason, and what isn't there at once."""
    provider, server = prepared("account", LIVE, Resource(ACME, {"description": None}), 422)
    with pytest.raises(Rejected):
        update(provider, change(account("acme.example"), description=None))
    assert len(server.asked) == 2
    provider, server = prepared("account", LIVE, Resource(ACME, {"description": None}), 404)
    with pytest.raises(Rejected):
        update(provider, change(account("acme.example"), description=None))
    assert len(server.asked) == 1


def test_members_that_never_return() -> None:
    """A member that was sent and isn't in the answer is not carried."""
    provider, _ = mocked({"id": "A1", "name": "acme", "primaryDomain": "acme.example"})
    create(provider, account("acme.example", description="d"))
    assert [True, False] == [asyncio.run(provider.carries("account", name)) for name in ("name", "description")]
