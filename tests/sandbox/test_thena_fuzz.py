"""Whatever is sent to Thena's API, the answer is one that the document knows."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmctl.sandbox.thena_wire import read_contract

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["", "ada@acme.example", "ADA@acme.example", "bo@x.example", "x.invalid", "acme.example", "%"])
    | st.sampled_from(["ACTIVE", "BILLING", "CALL", "RED", 10**400])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
SCHEMAS = {
    "accounts": ("CreateAccountDto", "UpdateAccountDto"),
    "accounts/contacts": ("CreateCustomerContactDto", "UpdateCustomerContactDto"),
    "accounts/notes": ("CreateAccountNoteDto", "UpdateAccountNoteDto"),
    "accounts/attributes": ("CreateAccountAttributeValueDto", "UpdateAccountAttributeValueDto"),
}
NAMES = st.sampled_from(
    sorted({name for pair in SCHEMAS.values() for schema in pair for name in read_contract().list_members(schema)})
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.sampled_from(sorted(SCHEMAS))
EXAMPLES = 12
"""Each is sent under several sets of switches, as several requests."""

FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXPECTED = {200, 201, 400, 404, 409}
SWITCHES = [
    {},
    {"bulk_bad_item": "skip", "link_skipped": "yes", "bulk_not_found": "after", "unknown_field": "ignore"},
    {"put_null": "ignored", "put_empty": "clears", "put_absent": "cleared", "metadata_update": "merge"},
    {"email_identity": "sensitive", "search_match": "partial", "list_deleted": "yes", "deleted_email": "blocks"},
    {"mistyped_custom": "store", "custom_data": "list", "custom_write": "either", "read_numbers": "text"},
]


@pytest.fixture(params=SWITCHES, ids=lambda switches: " ".join(switches) or "defaults")
def filled(request: pytest.FixtureRequest, open_thena: Any) -> Any:
    """Hold a record of each kind, and custom fields."""
    thena = open_thena(**request.param)
    uids = [
        thena.post("custom-field", name=type_, source=source, fieldType=type_)["uid"]
        for source in ("account", "customer_contact")
        for type_ in ("single_line", "integer")
    ]
    thena.ids = {"account": thena.account(customFieldValues=[{"fieldId": uids[0], "value": "x"}])["id"]}
    thena.ids["contact"] = thena.contact(accountIds=[thena.ids["account"]])["id"]
    thena.ids["note"] = thena.post("accounts/notes", accountId=thena.ids["account"], content="x")["id"]
    thena.ids["value"] = thena.get("accounts/attributes", attribute="note_type")[1]["id"]
    thena.uids = uids
    return thena


def complete(thena: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Give a body what its kind requires, so that more of it is looked at."""
    required: dict[str, dict[str, Any]] = {
        "accounts": {"name": "A", "primaryDomain": "a.example"},
        "accounts/contacts": {"firstName": "A", "email": "a@a.example", "accountIds": [thena.ids["account"]]},
        "accounts/notes": {"accountId": thena.ids["account"], "content": "x"},
        "accounts/attributes": {"attribute": "contact_type", "value": "NEW"},
    }
    known = read_contract().list_members(SCHEMAS[path][0])
    return {**required[path], **{name: value for name, value in body.items() if name in known}}


@FUZZ
@given(path=PATHS, body=BODIES, whole=VALUES, custom=VALUES, data=st.data())
def test_no_write_makes_the_server_fail(
    filled: Any, path: str, body: dict[str, Any], whole: Any, custom: Any, data: st.DataObject
) -> None:
    """A create or a change is done, or refused."""
    id_ = filled.ids[
        {"accounts": "account", "accounts/contacts": "contact", "accounts/notes": "note"}.get(path, "value")
    ]
    uid = data.draw(st.sampled_from([*filled.uids, "nope"]))
    values = [{"fieldId": uid, "value": custom}, {"customFieldId": uid, "data": custom}]
    for sent in (body, whole, complete(filled, path, body), {"customFieldValues": values[:1]}):
        assert filled.send("POST", f"/v1/{path}", json=sent).status_code in EXPECTED
        assert filled.send("PUT", f"/v1/{path}/{id_}", json=sent).status_code in EXPECTED
    for sent in values:
        body = {"customFieldValues": [sent]}
        assert filled.send("PUT", f"/v1/accounts/{filled.ids['account']}", json=body).status_code in EXPECTED


@FUZZ
@given(items=st.lists(BODIES | VALUES, max_size=3), more=BODIES)
def test_no_bulk_makes_the_server_fail(filled: Any, items: list[Any], more: dict[str, Any]) -> None:
    """A bulk create is done, or refused, and what it counts is complete."""
    keyed = [{"firstName": "A", "email": "a@a.example", **item} if isinstance(item, dict) else item for item in items]
    bodies: list[Any] = [{**more, "contacts": items}, {"contacts": keyed}, {"contacts": keyed, "accountIds": ["nope"]}]
    for sent in bodies:
        answer = filled.send("POST", "/v1/accounts/contacts/bulk", json=sent)
        assert answer.status_code in EXPECTED
        if answer.status_code < 300:
            counted = answer.json()["data"]
            assert len(sent["contacts"]) == counted["total"] == counted["created"] + counted["skipped"]


@FUZZ
@given(path=PATHS, query=st.text("abcdeilmnoprstuI=&%+,;0123456789é", max_size=20), value=st.text(max_size=5))
def test_no_query_makes_the_server_fail(filled: Any, path: str, query: str, value: str) -> None:
    """A list or a search is answered, or refused."""
    assert filled.send("GET", f"/v1/{path}", params=query).status_code in EXPECTED
    assert filled.send("GET", "/v1/accounts/contacts", params={"accountId": value}).status_code in EXPECTED
    assert filled.send("GET", "/v1/accounts/contacts/search", params={"email": value}).status_code in EXPECTED
    assert filled.send("GET", f"/v1/accounts/{quote(value, safe='')}").status_code in EXPECTED
