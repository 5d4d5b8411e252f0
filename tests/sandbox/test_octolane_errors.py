"""Errors: each with its status, all in the documented body."""

import json
from pathlib import Path
from typing import Any

import pytest

from crmctl.sandbox.contract import Contract
from crmctl.sandbox.octolane import read_contract

JSON = {"content-type": "application/json"}


def test_the_body_of_an_error_is_the_documented_one(crm: Any) -> None:
    """An error has success false, a message and the status."""
    answer = crm.send("POST", "/v1/accounts/bulk", json=[])
    body = answer.json()
    assert ("application/json", {"success", "message", "statusCode"}) == (answer.headers["content-type"], set(body))
    assert (False, 400) == (body["success"], body["statusCode"])
    assert body["message"].startswith("Validation failed: body: /: [] has less than 1 item")


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_everything_is_401(crm: Any, key: str | None) -> None:
    """No route, not even an unknown one, answers without a key."""
    for method, path in (("GET", "/v1/accounts"), ("POST", "/v1/contacts/bulk"), ("GET", "/v1/nope")):
        assert 401 == crm.send(method, path, key=key).status_code


def test_a_set_key_is_the_only_one(open_crm: Any) -> None:
    """With a key set, any other is 401."""
    crm = open_crm(options={"api_key": "right"})
    assert [
        200,
        401,
        401,
        401,
    ] == [crm.send("GET", "/v1/accounts", key=key).status_code for key in ("right", "wrong", "rïght", None)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nope", 404),
        ("GET", "/v1/accounts/", 404),
        ("GET", "/V1/accounts", 404),
        ("POST", "/v1/contacts", 405),
        ("DELETE", "/v1/accounts/bulk", 405),
        ("PUT", "/v1/accounts", 405),
        ("GET", "/v1/accounts/6f1f4c1e-2f0b-4c57-9c39-0f5e0a7b1c11", 404),
        ("GET", "/v1/contacts/fields", 404),
        ("POST", "/v1/activities/bulk", 404),
    ],
)
def test_what_is_not_documented_is_not_there(crm: Any, method: str, path: str, status: int) -> None:
    """An unknown path is 404, a method that a path does not have is 405."""
    answer = crm.send(method, path)
    assert (status, status) == (answer.status_code, answer.json()["statusCode"])
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "limit=0",
        "limit=501",
        "limit=ten",
        "limit=1.5",
        "limit=",
        "limit=1&limit=2",
        "q=a&q=b",
        "sort=name",
        "q=%ff",
        "q",
        "cursor=",
        "cursor=%C3%A9",
    ],
)
def test_a_query_string_is_checked(crm: Any, query: str) -> None:
    """Unknown, repeated and unreadable parameters are 400."""
    assert 400 == crm.send("GET", f"/v1/accounts?{query}").status_code


def test_a_route_without_parameters_takes_none(crm: Any) -> None:
    """A query string on a route that documents none is 400."""
    assert 400 == crm.send("POST", "/v1/accounts/search?limit=5", json={}).status_code
    assert 400 == crm.send("GET", "/v1/accounts/fields?limit=5").status_code


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_a_body_has_to_be_called_json(crm: Any, content_type: str | None) -> None:
    """Any other content type, or none, is 400."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = crm.send("POST", "/v1/accounts/bulk", content=b'[{"domain": "a.example"}]', headers=headers)
    assert 400 == answer.status_code


def test_the_charset_may_be_named(crm: Any) -> None:
    """UTF-8 is the only charset, and may be said."""
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    answer = crm.send("POST", "/v1/accounts/bulk", content=b'[{"domain": "a.example"}]', headers=headers)
    assert 200 == answer.status_code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"\xff",
        b"[{}]",
        b"{}",
        b"null",
        b"[null]",
        b'[{"domain": null}]',
        b'[{"domain": "a.example", "founded": NaN}]',
        b'[{"domain": "a.example", "estimated_revenue": 1e999}]',
        b'[{"domain": "a.example", "score": 1e999}]',
        b'[{"domain": "a.example", "score": 1' + b"0" * 400 + b"}]",
        b'[{"domain": "a.example", "name": "\\ud800"}]',
        b'[{"domain": "a.example", "name": "\\u0000"}]',
        b'[{"domain": "a.example", "tags": [5]}]',
        b'[{"domain": "a.example", "last_interaction": "yesterday"}]',
        b'[{"domain": "a.example", "last_interaction": true}]',
        b"[" * 100_000,
        b'[{"domain": "a.example", "deep": ' + b"[" * 900 + b"]" * 900 + b"}]",
    ],
)
def test_a_body_is_checked(crm: Any, body: bytes) -> None:
    """What is no JSON, or not what the document describes, is 400."""
    assert 400 == crm.send("POST", "/v1/accounts/bulk", content=body, headers=JSON).status_code


def test_a_backslash_before_u0000_is_text(crm: Any) -> None:
    """Only the null character itself is refused, not the look of it."""
    body = b'[{"domain": "a.example", "name": "\\\\u0000"}]'
    assert 200 == crm.send("POST", "/v1/accounts/bulk", content=body, headers=JSON).status_code
    assert "\\u0000" == crm.records("accounts")[0]["name"]


@pytest.mark.parametrize("founded", [999, 10000, "1999", True])
def test_the_range_of_founded_is_kept(crm: Any, founded: Any) -> None:
    """`founded` is a number from 1000 to 9999."""
    body = [{"domain": "a.example", "founded": founded}]
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=body).status_code


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": "5"},
        {"fields": "name"},
        {"filters": {}},
        {"filters": [{"field": "name"}]},
        {"filters": [{"operator": "empty"}]},
        {"cursor": 5},
        {"query": 5},
        [],
    ],
)
def test_a_search_is_checked(crm: Any, body: Any) -> None:
    """A search that the document does not describe is 400."""
    assert 400 == crm.send("POST", "/v1/accounts/search", json=body).status_code


def test_a_get_with_a_body_is_refused(crm: Any) -> None:
    """A list takes no body."""
    assert 400 == crm.send("GET", "/v1/accounts", content=b"{}", headers=JSON).status_code


def test_a_refused_request_changes_nothing(crm: Any) -> None:
    """An error in the last item undoes the first."""
    items = [{"domain": "a.example", "tier": "gold"}, {"domain": "bad.invalid"}]
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=items).status_code
    page = crm.search("accounts")
    assert ([], {}) == (page["accounts"], page["custom_field_definitions"])


def test_answers_are_held_to_the_document() -> None:
    """A status or a body that the document does not know is a violation."""
    operation = read_contract().find("POST", "/v1/accounts/search")
    assert operation is not None
    page = {"accounts": [], "custom_field_definitions": {}, "has_more": False, "next_cursor": None, "limit": 1}
    good = {"success": True, "message": "", "data": page}
    assert [] == operation.find_violations(200, good)
    assert operation.find_violations(200, {**good, "data": {**page, "has_more": "no"}}) != []
    assert operation.find_violations(418, good) != []


def test_a_violation_is_500_and_recorded(open_crm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With responses checked, an answer outside the document is not sent."""
    crm = open_crm()
    monkeypatch.setattr(read_contract().find("GET", "/v1/accounts"), "find_violations", lambda *_: ["wrong"])
    assert 500 == crm.send("GET", "/v1/accounts").status_code
    assert ["wrong"] == crm.app.violations
    crm.app.violations.clear()


def test_paths_with_a_parameter_are_found(tmp_path: Path) -> None:
    """A step in braces stands for any one step, but an exact path goes first."""
    operation = {"operationId": "x", "responses": {}}
    paths = {"/a/{id}": {"get": {**operation, "operationId": "one"}}, "/a/all": {"get": {**operation}}}
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"paths": paths, "components": {}}), encoding="utf-8")
    contract = Contract(document)
    found = [contract.find("GET", path) for path in ("/a/5", "/a/all", "/a/", "/a/5/6")]
    assert ["one", "x", None, None] == [operation and operation.id for operation in found]
