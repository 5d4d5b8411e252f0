"""The inbound host: the gateway's records under other paths, with other answers and other errors."""

from typing import Any

import pytest
from deals import ANY_ID, OWNER_IDS, PIPELINE, deal, read_deals

ACCOUNTS, CONTACTS = "/v1/inbound/accounts", "/v1/inbound/contacts"


def post(inbound: Any, path: str, **body: Any) -> Any:
    return inbound.send("POST", path, json=body)


def test_an_account_is_created_or_returned(inbound: Any) -> None:
    """A domain makes an account once; the answer is the documented one."""
    first, second = (post(inbound, ACCOUNTS, domain=domain) for domain in ("acme.example", "https://Acme.example"))
    body = first.json()
    assert (200, body) == (second.status_code, second.json())
    assert ({"success", "data", "message"}, "Account created successfully") == (set(body), body["message"])
    assert ("acme.example", None) == (body["data"]["domain"], body["data"]["name"])


def test_a_contact_is_created_or_returned(inbound: Any, open_crm: Any) -> None:
    """An address makes a contact once, and the account of its domain."""
    person = {"email": "Jane@acme.example", "first_name": "Jane", "last_name": "Doe"}
    body = post(inbound, CONTACTS, **person).json()
    assert body["data"] == {"people_id": body["data"]["people_id"], **person, "email": "jane@acme.example"}
    assert "Contact created successfully" == body["message"]
    assert body["data"] == post(inbound, CONTACTS, email="jane@acme.example").json()["data"]
    gateway = open_crm()
    (contact,), (account,) = gateway.records("contacts"), gateway.records("accounts")
    assert (body["data"]["people_id"], account["id"]) == (contact["id"], contact["account_id"])


def test_both_hosts_have_the_same_records(inbound: Any, open_crm: Any) -> None:
    """What one host writes the other reads, under the same ids."""
    gateway = open_crm()
    (made,) = gateway.create("accounts", {"domain": "acme.example", "name": "Acme", "tier": "gold"})["accounts"]
    data = post(inbound, ACCOUNTS, domain="acme.example").json()["data"]
    assert data == {"company_id": made["id"], "domain": "acme.example", "name": "Acme"}
    page = inbound.send("GET", "/v2/inbound/accounts").json()
    assert (200, True, [made]) == (page["statusCode"], page["success"], page["data"]["accounts"])


def test_reads_are_those_of_the_gateway(inbound: Any) -> None:
    """List and search take text, filters, sort, fields, limit and cursor."""
    for name in ("ant", "bee", "cow"):
        post(inbound, CONTACTS, email=f"{name}@acme.example")
    body: dict[str, Any] = {"sort": [{"field": "email", "direction": "desc"}], "limit": 2, "fields": ["email"]}
    first = post(inbound, "/v2/inbound/contacts/search", **body).json()
    second = post(inbound, "/v2/inbound/contacts/search", **body, cursor=first["data"]["next_cursor"]).json()
    emails = [record["email"] for page in (first, second) for record in page["data"]["contacts"]]
    assert emails == ["cow@acme.example", "bee@acme.example", "ant@acme.example"]
    assert [200, 200] == [page["statusCode"] for page in (first, second)]
    item = {"field": "email", "operator": "starts_with", "value": "b"}
    found = post(inbound, "/v2/inbound/contacts/search", filters=[item]).json()["data"]["contacts"]
    assert ["bee@acme.example"] == [record["email"] for record in found]
    accounts = post(inbound, "/v2/inbound/accounts/search", query="acme").json()["data"]["accounts"]
    assert ["acme.example"] == [record["domain"] for record in accounts]


@pytest.mark.parametrize("fields", ["email,phone", '["email", "phone"]'])
def test_fields_are_a_list_or_a_json_array(inbound: Any, fields: str) -> None:
    """GET takes names separated by commas, or a JSON array of them."""
    post(inbound, CONTACTS, email="jane@acme.example")
    page = inbound.send("GET", "/v2/inbound/contacts", params={"fields": fields, "limit": 5, "q": "jane"}).json()
    assert {"id", "email", "phone"} == set(page["data"]["contacts"][0])


def test_opportunities_and_notes_are_created_and_read(inbound: Any, open_crm: Any) -> None:
    """The routes that the introduction names take the gateway's bodies."""
    related = {"account_domain": "acme.example", "primary_contact_email": "jane@acme.example"}
    related["owner_id"] = OWNER_IDS["olga@crm.example"]
    answer = inbound.send("POST", "/v1/inbound/opportunities", json=deal(related=related)).json()
    (record,) = read_deals(open_crm())
    assert answer["data"] == {"opportunity_id": record["id"], "name": "Renewal"}
    listed = inbound.send("GET", "/v2/inbound/opportunities", params={"pipeline_id": PIPELINE}).json()
    found = post(inbound, "/v2/inbound/opportunities/search", pipeline_id=PIPELINE).json()
    assert [[record], [record]] == [page["data"]["opportunities"] for page in (listed, found)]
    note = post(inbound, "/v1/inbound/notes", text="A", account_domain="acme.example").json()
    assert ("A", "Note created successfully") == (note["data"]["text"], note["message"])


@pytest.mark.parametrize(
    ("path", "body", "status", "errors"),
    [
        (ACCOUNTS, {}, 400, {"domain"}),
        (ACCOUNTS, {"domain": 5}, 400, {"domain"}),
        (ACCOUNTS, {"domain": "bad.invalid"}, 400, {"domain"}),
        (ACCOUNTS, {"domain": "acme.example", "name": "Acme"}, 400, {"name"}),
        (CONTACTS, {"email": "jane"}, 400, {"email"}),
        (CONTACTS, {"email": "jane@acme.example", "first_name": 5}, 400, {"first_name"}),
        (CONTACTS, {"email": "jane@acme.example", "last_name": None}, 400, {"last_name"}),
        ("/v1/inbound/opportunities", {**deal(), "pipeline_id": "sales"}, 400, {"pipeline_id"}),
        ("/v1/inbound/opportunities", {"pipeline_id": PIPELINE}, 400, {"opportunity"}),
        ("/v1/inbound/opportunities", {**deal(), "pipeline_id": ANY_ID}, 404, {"pipeline_id"}),
        ("/v1/inbound/notes", {"text": "A", "account_domain": "acme.example"}, 404, {"account_domain"}),
        ("/v2/inbound/contacts/search", {"limit": 501}, 400, {"limit"}),
        ("/v2/inbound/opportunities/search", {}, 400, {"pipeline_id"}),
    ],
)
def test_errors_name_the_members(inbound: Any, path: str, body: Any, status: int, errors: set[str]) -> None:
    """An error says by member what is wrong."""
    answer = inbound.send("POST", path, json=body)
    assert (status, {"success", "statusCode", "message", "errors"}) == (answer.status_code, set(answer.json()))
    assert (False, status, errors) == (
        answer.json()["success"],
        answer.json()["statusCode"],
        set(answer.json()["errors"]),
    )


def test_other_errors_have_the_same_body(open_inbound: Any) -> None:
    """401, 404, 405 and 429 have an empty `errors`."""
    inbound = open_inbound(options={"rate_limit": 1}, retry_after="seconds")
    answers = [
        inbound.send("GET", "/v2/inbound/accounts", key=None),
        inbound.send("GET", "/v2/inbound/accounts"),
        inbound.send("GET", "/v1/accounts"),
        inbound.send("DELETE", ACCOUNTS),
    ]
    assert [401, 429, 404, 405] == [answer.status_code for answer in answers]
    assert ("1", "POST") == (answers[1].headers["retry-after"], answers[3].headers["allow"])
    assert [set(answer.json()["errors"]) for answer in answers] == [set(), set(), {"request"}, set()]


@pytest.mark.parametrize("query", ["fields=[1", "fields=[1]", "limit=0", "limit=501", "limit=1.5", "sort=name"])
def test_a_query_string_is_checked(inbound: Any, query: str) -> None:
    """What the document does not allow in a query is 400."""
    assert 400 == inbound.send("GET", f"/v2/inbound/accounts?{query}").status_code


def test_a_get_takes_no_body(inbound: Any) -> None:
    """A body in a GET is 400, and a body has to be JSON."""
    headers = {"content-type": "application/json"}
    assert 400 == inbound.send("GET", "/v2/inbound/accounts", content=b"{}", headers=headers).status_code
    body = inbound.send("POST", ACCOUNTS, content=b"{", headers=headers).json()
    assert (400, "Validation error") == (body["statusCode"], body["message"])


def test_a_record_that_is_left_out_is_refused(open_inbound: Any) -> None:
    """A single bad record is 400, also where bulk writes would leave it out."""
    inbound = open_inbound(bad_item="partial")
    assert 400 == post(inbound, ACCOUNTS, domain="bad.invalid").status_code
