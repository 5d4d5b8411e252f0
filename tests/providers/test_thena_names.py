"""Thena's provider before planning: names looked up, and resources fitted to what Thena can hold."""

import asyncio
from typing import Any

import pytest
from thena import ACME, JANE, account, contact, mocked, note, read

from crmctl.capability import Definition
from crmctl.errors import Ambiguous, Auth, Unsupported
from crmctl.provider import Resolution
from crmctl.providers import Options
from crmctl.providers.thena import Thena
from crmctl.resource import Address, Links, Resource

DEFINE = Options(define=True, assumed_routes=True)
TIER = {"uid": "F1", "name": "Tier", "source": "account", "fieldType": "single_choice", "options": ["Gold", "Silver"]}
STATES = [{"id": "S1", "value": "ACTIVE", "attribute": "account_status"}, {"id": "S2", "value": "TRIAL"}]


def resolve(provider: Thena, *resources: Resource) -> Resolution:
    desired: dict[str, dict[str, Resource]] = {}
    for resource in resources:
        desired.setdefault(resource.address.kind, {})[resource.address.key] = resource
    return asyncio.run(provider.resolve(desired))


def problems(resolution: Resolution) -> list[tuple[str, str]]:
    return [(finding.field, finding.message) for finding in resolution.findings]


# Attributes


def test_nothing_to_look_up() -> None:
    """Where nothing is declared that needs it, nothing is asked."""
    provider, server = mocked(500)
    some = (account("acme.example", name=None), contact(), note("kickoff", "Well."))
    assert ([], []) == (resolve(provider, *some).findings, server.asked)


def test_looked_up_once() -> None:
    """Each attribute is asked for once, for planning and applying together."""
    learned: dict[str, Any] = {}
    asked = []
    for _ in range(2):
        provider, server = mocked(STATES, learned=learned)
        found = resolve(provider, account("acme.example", **{"thena.status": "ACTIVE"}), account("b.example"))
        asked.append((list(found.findings), len(server.asked)))
    assert [([], 1), ([], 0)] == asked
    assert "thena" in learned


@pytest.mark.parametrize("empty", [None, ""])
def test_a_value_that_counts_where_none_is_named_can_not_be_cleared(empty: str | None) -> None:
    """It would come back after each update, so it is left out and said; without such a value, null is sent."""
    provider, _ = mocked({"data": [*STATES, {**STATES[0], "id": "S9", "value": "NEW", "isDefault": True}]})
    cleared = account("acme.example", **{"thena.status": empty, "name": None})
    assert [] == resolve(provider, cleared).findings
    fitted, missing = provider.fit(cleared)
    assert {"domain": "acme.example", "name": None} == fitted.fields
    why = "can't be cleared, as NEW counts where nothing is named: declare that, or leave the field out"
    assert [("thena.status", why)] == missing
    provider, _ = mocked({"data": STATES})
    resolve(provider, cleared)
    assert (cleared, []) == provider.fit(cleared)


@pytest.mark.parametrize("written", ["ACTIVE", "active", "S1"])
def test_attribute(written: str) -> None:
    """A value may be written in any case, or as its id; it becomes what reads show."""
    provider, server = mocked({"data": STATES})
    resource = account("acme.example", **{"thena.status": written})
    assert [] == resolve(provider, resource).findings
    assert server.asked == ["GET /v1/accounts/attributes?attribute=account_status"]
    fitted, missing = provider.fit(resource)
    assert ("ACTIVE", []) == (fitted.fields["thena.status"], missing)
    assert (fitted is resource) is (written == "ACTIVE")


def test_unknown_attribute() -> None:
    """An unknown name is a finding that lists the valid ones."""
    provider, _ = mocked([*STATES, {"id": "S3", "value": "GONE", "deletedAt": "2027-01-31"}, {"id": "S4"}])
    found = resolve(provider, account("acme.example", **{"thena.status": "gone"}))
    text = "{value} is none of this organisation's; Thena has ACTIVE, TRIAL"
    assert [("thena.status", text)] == problems(found)


def test_other_attribute() -> None:
    """A server that answers with the values of all attributes is understood."""
    provider, _ = mocked([*STATES, {"id": "I1", "value": "Tools", "attribute": "account_industry"}])
    found = resolve(provider, account("acme.example", industry="ACTIVE"))
    assert [("industry", "{value} is none of this organisation's; Thena has TRIAL, Tools")] == problems(found)


def test_name_of_several() -> None:
    """A name that several values have is no name: their ids are offered."""
    values = [{"id": "T1", "value": "Vip"}, {"id": "T2", "value": "Vip"}, {"id": "T3", "value": "VIP"}]
    provider, _ = mocked(values)
    text = "{value} is the name of several values: write an id; Thena has T1, T2, VIP"
    found = resolve(provider, contact(type="Vip"), contact("a@acme.example", type="vip"))
    assert [("type", text), ("type", text)] == problems(found)
    assert ["Vip", "vip"] == [finding.value for finding in found.findings]
    assert [] == resolve(provider, contact(type="T2"), contact("a@acme.example", type="VIP")).findings
    assert "T2" == provider.fit(contact(type="T2"))[0].fields["type"]


def test_no_values() -> None:
    """An organisation without values says so."""
    found = resolve(mocked([])[0], account("acme.example", industry="Tools"))
    assert [("industry", "{value} is none of this organisation's; Thena has none at all")] == problems(found)


def test_refused_key() -> None:
    """A refused key ends the look-up."""
    with pytest.raises(Auth):
        resolve(mocked(401)[0], account("acme.example", industry="Tools"))


# Custom fields


def test_custom_field() -> None:
    """A custom field is found by its name as a slug, or by its id; an option by its label in any case."""
    provider, server = mocked({"data": [TIER]})
    some = account("acme.example", **{"custom_fields.tier": "gold", "custom_fields.F1": None})
    assert [] == resolve(provider, some).findings
    assert server.asked == ["GET /v1/accounts/account-custom-fields"]
    assert "Gold" == provider.fit(some)[0].fields["custom_fields.tier"]


def test_contact_fields() -> None:
    """Definitions of contacts have pages, and those of other sources are left out."""
    fields = [{"uid": "F2", "name": "Shoe size", "source": "customer_contact"}, {**TIER, "name": "Shoe-Size"}]
    gone = {"uid": "F3", "name": "Gone", "isActive": False}
    provider, server = mocked([*fields, gone, {"uid": "F4"}], [])
    found = resolve(provider, contact(**{"custom_fields.shoe_size": 9, "custom_fields.gone": 1}))
    assert [("custom_fields.gone", "Thena has no custom field 'gone'; there is shoe_size")] == problems(found)
    assert "GET /v1/custom-field?source=customer_contact&page=0&limit=100" == server.asked[0]


def test_unknown_custom_field() -> None:
    """An unknown slug is a finding with the nearest ones; without any, with what there is."""
    provider, _ = mocked([TIER])
    found = resolve(provider, account("acme.example", **{"custom_fields.teir": 1, "custom_fields.x": 1}))
    first, second = (message for _, message in problems(found))
    assert ("Thena has no custom field 'teir'; did you mean tier?", "there is tier") == (first, second[-13:])
    assert (
        "there is none at all"
        in problems(resolve(mocked([])[0], account("a.example", **{"custom_fields.x": "1"})))[0][1]
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("Bronze", "{value} is no option of tier: there is Gold, Silver"),
        (["gold", 7], "{value} is no option of tier: there is Gold, Silver"),
        (["gold", "SILVER"], ""),
        (None, ""),
    ],
)
def test_options(value: Any, problem: str) -> None:
    """A choice is one of its options."""
    found = resolve(mocked([TIER])[0], account("acme.example", **{"custom_fields.tier": value}))
    assert [problem] * bool(problem) == [message for _, message in problems(found)]


def test_option_ids() -> None:
    """Options with ids are known by their labels, on both sides."""
    options = [{"id": "O1", "label": "Gold"}, {"id": "O2", "value": "Silver"}, {"name": "Tin"}, {"id": "O4"}, 5]
    row = {"id": "A1", "customFieldValues": [{"customFieldId": "F1", "data": "O2"}]}
    provider, _ = mocked([{**TIER, "options": options}], [row], [])
    resource = account("acme.example", **{"custom_fields.tier": "gold"})
    assert [] == resolve(provider, resource).findings
    (page, *_) = asyncio.run(read(provider, "account", ["custom_fields.tier"]))
    assert {"custom_fields.tier": "Silver"} == page.records[0].fields
    assert "Tin" in problems(resolve(provider, account("acme.example", **{"custom_fields.tier": "x"})))[0][1]


@pytest.mark.parametrize(
    ("field_type", "data", "expected"),
    [
        ("integer", "5", 5), ("decimal", "1.5", 1.5), ("rating", "many", "many"), ("toggle", "TRUE", True),
        ("boolean", "perhaps", "perhaps"), ("multi_choice", "a", ["a"]), ("multi_choice", [{"value": "a"}], ["a"]),
        ("multi_choice", [{"value": "a"}, {"value": "b"}], ["a", "b"]), ("multi_choice", None, None),
        ("single_line", {"value": "a"}, "a"), ("single_line", {"other": "a"}, {"other": "a"}),
    ],
)  # fmt: skip
def test_custom_values(field_type: str, data: Any, expected: Any) -> None:
    """A custom value is what its type has, however the answer wraps it."""
    row = {"id": "A1", "customFieldValues": [{"customFieldId": "F1", "data": data}]}
    provider, _ = mocked([{**TIER, "fieldType": field_type, "options": []}], [row], [])
    resolve(provider, account("acme.example", **{"custom_fields.tier": None}))
    (page,) = asyncio.run(read(provider, "account", ["custom_fields.tier"]))
    assert ({"custom_fields.tier": expected}, {"custom_fields.tier"}) == (page.records[0].fields, set(page.members))


@pytest.mark.parametrize("status", [404, 405])
def test_unreadable_definitions(status: int) -> None:
    """Where definitions can't be read, each custom field is a finding."""
    provider, _ = mocked(status)
    found = resolve(provider, contact(**{"custom_fields.vip": True}))
    assert "custom_fields.vip" == problems(found)[0][0]
    assert problems(found)[0][1].startswith(f"Thena's custom fields can't be read: GET /v1/custom-field: {status}")


@pytest.mark.parametrize(
    ("values", "expected"),
    [([True, False], "boolean"), ([1], "integer"), ([1, 1.5], "decimal"), (["a", None], "single_line"),
     (["a\nb", "c"], "multi_line")],
)  # fmt: skip
def test_definitions(values: list[Any], expected: str) -> None:
    """On request a missing field is made, of the type that its values suggest."""
    provider, _ = mocked([], options=DEFINE)
    some = [account(f"a{number}.example", **{"custom_fields.x": value}) for number, value in enumerate(values)]
    assert Resolution([], [Definition("account", "x", expected)]) == resolve(provider, *some)
    assert "POST /v1/custom-field" == provider.capabilities["account"].define_route
    assert "" == provider.capabilities["note"].define_route


@pytest.mark.parametrize("values", [[None], [["a"]], [1, "a"]])
def test_no_type(values: list[Any]) -> None:
    """Values that suggest no type make none."""
    some = [account(f"a{number}.example", **{"custom_fields.x": value}) for number, value in enumerate(values)]
    found = resolve(mocked([], options=DEFINE)[0], *some)
    assert ([], len(values)) == (list(found.definitions), len(found.findings))
    assert "its values suggest no type" in problems(found)[0][1]


def test_undocumented() -> None:
    """No documentation shows how to make one: without leave for assumed routes that is said, and not tried."""
    provider, server = mocked([], options=Options(define=True))
    found = resolve(provider, account("acme.example", **{"custom_fields.x": 1}))
    assert problems(found)[0][1].endswith("or set assumed_routes")
    with pytest.raises(Unsupported, match="custom field x"):
        asyncio.run(provider.define([Definition("account", "x", "integer")]))
    assert len(server.asked) == 1
    assert "" == provider.capabilities["account"].define_route


def test_define() -> None:
    """What was made is known from then on."""
    made = {"uid": "F7", "name": "vip", "source": "customer_contact", "fieldType": "boolean"}
    provider, server = mocked([], [], {"data": made}, {"total": 1, "created": 1, "skipped": 0}, options=DEFINE)
    one = contact(**{"custom_fields.vip": True})

    async def run() -> None:
        resolution = await provider.resolve({"contact": {JANE.key: one}})
        await provider.define(resolution.definitions)
        await provider.create([one])

    asyncio.run(run())
    assert {"name": "vip", "source": "customer_contact", "fieldType": "boolean"} == server.bodies[2]
    assert [{"fieldId": "F7", "value": True}] == server.bodies[3]["contacts"][0]["customFieldValues"]


def test_define_odd_answer() -> None:
    """An answer without the field is ambiguous."""
    answers: list[Any] = [{"data": []}, {"data": {"uid": "F7", "name": "other"}}]
    for answer in answers:
        with pytest.raises(Ambiguous, match="POST /v1/custom-field"):
            asyncio.run(mocked(answer, options=DEFINE)[0].define([Definition("account", "x", "integer")]))


# What Thena can hold


def test_fits() -> None:
    """What is fine as it is comes back itself."""
    provider, _ = mocked([])
    for resource in (account("acme.example", description=None), contact(), note("kickoff", "Well.")):
        fitted, missing = provider.fit(resource)
        assert (fitted is resource, missing) == (True, [])


def test_no_place() -> None:
    """What Thena has not is named and left out; another vendor's section is left out silently."""
    some = account(
        "acme.example", tags=["a"], **{"octolane.linkedin": "x", "thena.colour": "red", "thena.website": "w"}
    )
    fitted, missing = mocked([])[0].fit(some)
    reason = "Thena has no such field"
    assert [("tags", reason), ("thena.colour", reason)] == missing
    assert {"domain": "acme.example", "name": "acme", "thena.website": "w"} == fitted.fields


def test_links() -> None:
    """A contact's account becomes a link that is added; accounts that it declares itself are all it has."""
    provider, _ = mocked([])
    fitted, missing = provider.fit(contact(owner="acme.example"))
    assert (Links(["acme.example"]), Links, []) == (fitted.fields["accounts"], type(fitted.fields["accounts"]), missing)
    assert {"account": ACME} == fitted.refs
    fitted, _ = provider.fit(contact(owner="acme.example", accounts=["b.example"]))
    assert (["b.example"], list) == (fitted.fields["accounts"], type(fitted.fields["accounts"]))


def test_notes_belong_to_accounts() -> None:
    """A note on a contact has no place; of a note on both, the account keeps it."""
    provider, _ = mocked([])
    reason = "Thena's notes belong to accounts alone"
    alone = Resource(Address("note", "x/y"), {"text": "Well."}, {"contact": JANE})
    both = Resource(Address("note", "x/y"), {"text": "Well."}, {"account": ACME, "contact": JANE})
    assert [("", reason)] == provider.fit(alone)[1]
    assert [("contact", reason)] == provider.fit(both)[1]
    custom = Resource(Address("note", "x/y"), {"text": "", "custom_fields.x": 1}, {"account": ACME})
    assert [("custom_fields.x", "Thena has no such field")] == provider.fit(custom)[1]


def test_visibility() -> None:
    """Visibility is documented in both cases: it is compared in lower case."""
    fitted, _ = mocked([])[0].fit(note("kickoff", "Well.", **{"thena.visibility": "PRIVATE"}))
    assert "private" == fitted.fields["thena.visibility"]
