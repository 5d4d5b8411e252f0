"""Thena's accounts and notes, and what every route has in common."""

import json
import re
from typing import Any

import httpx
import pytest

from crmctl.sandbox.server import running
from crmctl.sandbox.write_log import read_writes

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def test_an_account_is_created_and_read(thena: Any) -> None:
    """What is written is read back, in the documented members, with a ULID and times in milliseconds."""
    body = {"description": "Anvils", "annualRevenue": 1.5, "employees": 7, "website": "https://acme.example"}
    made = thena.account("@acme.example", status="ACTIVE", metadata={"crm": {"id": "17"}}, **body)
    assert ULID.fullmatch(made["id"])
    assert made == thena.get(f"accounts/{made['id']}")
    assert [made] == thena.get("accounts")
    assert body == {name: made[name] for name in body}
    assert ("@acme.example", "ACTIVE", {"crm": {"id": "17"}}) == (
        made["primaryDomain"],
        made["status"],
        made["metadata"],
    )
    assert (None, None, []) == (made["classification"], made["accountOwner"], made["customFieldValues"])
    assert made["createdAt"] == "2026-05-28T20:26:40.000Z"


def test_a_put_changes_what_it_names(thena: Any) -> None:
    """Members that are absent stay; a put that changes nothing leaves the time of the last change."""
    made = thena.account(description="Anvils", industry="RETAIL")
    thena.clock.now += 60
    changed = thena.put(f"accounts/{made['id']}", description="Rockets", primaryDomain="rockets.example")
    assert (
        made
        | {
            "description": "Rockets",
            "primaryDomain": "rockets.example",
            "updatedAt": "2026-05-28T20:27:40.000Z",
        }
        == changed
    )
    thena.clock.now += 60
    assert changed == thena.put(f"accounts/{made['id']}", description="Rockets")


def test_a_deleted_account_is_gone(thena: Any) -> None:
    """It can neither be read, changed, listed nor deleted again, and is no longer an account of its contacts."""
    made = thena.account()
    thena.contact(accountIds=[made["id"]])
    thena.post("accounts/notes", accountId=made["id"], content="Keep me")
    path = f"accounts/{made['id']}"
    assert made["id"] == thena.delete(path)["id"]
    assert 404 == thena.refused("PUT", path)
    assert [404, 404] == [thena.send(method, f"/v1/{path}").status_code for method in ("GET", "DELETE")]
    assert [] == thena.get("accounts")
    assert [] == thena.get("accounts/contacts")[0]["accounts"]
    assert ["Acme"] == [note["account"] for note in thena.get("accounts/notes")]


def test_accounts_are_filtered(thena: Any) -> None:
    """Every documented filter finds what has the value, by its id or its text; what does not exist finds nothing."""
    values = {"status": "TRIAL", "classification": "SMB", "health": "RED", "industry": "RETAIL"}
    one = thena.account(source="import", accountOwnerId="U1", **values)
    thena.account("other.example")
    filters = {**values, "source": "import", "accountOwnerId": "U1", "statusId": one["statusId"]}
    for name, value in filters.items():
        assert [one] == thena.get("accounts", **{name.removesuffix("Id") if name == "statusId" else name: value})
        assert [] == thena.get("accounts", **{name.removesuffix("Id") if name == "statusId" else name: "nope"})
    assert [] == thena.get("accounts", status="TRIAL", health="GREEN")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "A"}, "primaryDomain"),
        ({"name": "", "primaryDomain": "a.example"}, "name"),
        ({"name": "A" * 256, "primaryDomain": "a.example"}, "name"),
        ({"name": "A", "primaryDomain": "a.example", "employees": "7"}, "employees"),
        ({"name": "A", "primaryDomain": "a.example", "employees": 10**400}, "too large a number"),
        ({"name": "A", "primaryDomain": None}, "primaryDomain"),
        ({"name": "A", "primaryDomain": "https://a.example/x"}, "not a domain name"),
        ({"name": "A", "primaryDomain": "a.invalid"}, "does not exist"),
        ({"name": "A", "primaryDomain": "a.example", "secondaryDomain": "a"}, "secondaryDomain: not a domain name"),
        ({"name": "A", "primaryDomain": "a.example", "customFieldValues": [{"value": 1}]}, "customFieldValues"),
        ([], "body"),
    ],
)
def test_a_wrong_account_is_refused(thena: Any, body: Any, message: str) -> None:
    """What does not fit is 400, says why, and makes nothing."""
    answer = thena.send("POST", "/v1/accounts", json=body)
    assert (400, 400, "Bad Request") == (answer.status_code, answer.json()["statusCode"], answer.json()["error"])
    assert message in answer.json()["message"]
    assert [] == thena.get("accounts")


def test_large_numbers_are_kept_as_doubles(thena: Any) -> None:
    """A number beyond 64 bits comes back as the nearest double."""
    assert 1e30 == thena.account(annualRevenue=10**30)["annualRevenue"]


def test_members_without_effect_are_taken(thena: Any) -> None:
    """There are no users here that could become contacts."""
    thena.account(addExistingUsersToAccountContacts=True)
    assert [] == thena.get("accounts/contacts")


def test_an_unknown_value_of_a_picklist_is_404(thena: Any) -> None:
    """A status that does not exist is not found."""
    assert 404 == thena.refused("POST", "accounts", name="A", primaryDomain="a.example", status="NOPE")


def test_notes_come_and_go(thena: Any) -> None:
    """A note is created, listed, changed and deleted."""
    account, other = thena.account(), thena.account("other.example")
    note = thena.post("accounts/notes", accountId=account["id"], content="Call back", type="CALL", visibility="private",
                      attachmentUrls=["https://acme.example/a.pdf"], metadata={"key": "n1"})  # fmt: skip
    assert ("Acme", "CALL", "private") == (note["account"], note["type"], note["visibility"])
    assert (["https://acme.example/a.pdf"], {"key": "n1"}) == (note["attachments"], note["metadata"])
    thena.post("accounts/notes", accountId=other["id"], content="Other")
    assert [note] == thena.get("accounts/notes", accountId=account["id"])
    assert ["Other"] == [one["content"] for one in thena.get("accounts/notes", type="GENERAL")]
    changed = thena.put(f"accounts/notes/{note['id']}", content="Called back")
    assert ("Called back", "CALL") == (changed["content"], changed["type"])
    assert note["id"] == thena.delete(f"accounts/notes/{note['id']}")["id"]
    assert [] == thena.get("accounts/notes", accountId=account["id"])
    assert 404 == thena.refused("PUT", f"accounts/notes/{note['id']}", content="x")


def test_a_note_needs_its_account(thena: Any) -> None:
    """A note about an account that does not exist is 404."""
    assert 404 == thena.refused("POST", "accounts/notes", accountId="nope", content="x")


def test_a_key_is_needed(open_thena: Any) -> None:
    """Without a key, or with another than the one that counts, everything is 401."""
    thena = open_thena(options={"api_key": "right"})
    statuses = [thena.send("GET", "/v1/accounts", key=key).status_code for key in ("right", "wrong", "", None)]
    assert [200, 401, 401, 401] == statuses
    assert {"statusCode": 401, "message": "API key is missing or invalid", "error": "Unauthorized"} == (
        thena.send("GET", "/v1/nope", key=None).json()
    )


@pytest.mark.parametrize("path", ["/v1/nope", "/v1/accounts/contacts/ingest/x", "/v1/accounts/tasks/T1/attachments/A1"])
def test_other_routes_are_404(thena: Any, path: str) -> None:
    """What the sandbox does not play is not found."""
    answer = thena.send("GET", path)
    assert (404, f"Cannot GET {path}") == (answer.status_code, answer.json()["message"])


@pytest.mark.parametrize("left_out", ["relationships", "activities", "tasks"])
def test_what_is_left_out_is_no_account(thena: Any, left_out: str) -> None:
    """The first segment of what is left out counts as an account's id, and no account has it."""
    assert 404 == thena.send("GET", f"/v1/accounts/{left_out}").status_code


def test_literal_segments_win(thena: Any) -> None:
    """`contacts` is the list of contacts, not the account of that id; `search` is no contact."""
    assert [] == thena.get("accounts/contacts")
    assert [] == thena.get("accounts/contacts/search", email="ada@acme.example")
    assert [] == thena.get("accounts/notes")
    assert [] == thena.get("accounts/account-custom-fields")


@pytest.mark.parametrize(
    "query", ["nope=1", "page=-1", "page=x", "limit=0", "limit=1.5", "page=1&page=2", "status=%FF", "a"]
)
def test_a_wrong_query_is_400(thena: Any, query: str) -> None:
    """Unknown, repeated and unreadable parameters are refused."""
    assert 400 == thena.send("GET", f"/v1/accounts?{query}").status_code


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"content-type": "text/plain"}, b"{}"),
        ({"content-type": "application/json; charset=latin-1"}, b"{}"),
        ({"content-type": "application/json"}, b"{"),
        ({"content-type": "application/json"}, b"7"),
        ({"content-type": "application/json"}, b"\xff"),
        ({"content-type": "application/json"}, b'{"name": NaN}'),
        ({"content-type": "application/json"}, b'{"name": 1e999}'),
        ({"content-type": "application/json"}, b'{"name": "\\ud800"}'),
        ({"content-type": "application/json"}, b'{"name": "\\u0000"}'),
        ({"content-type": "application/json"}, b"[" * 100 + b"]" * 100),
    ],
)
def test_a_body_that_no_database_takes_is_400(thena: Any, headers: dict[str, str], content: bytes) -> None:
    """What is not JSON in UTF-8, or holds what no database stores, is refused."""
    assert 400 == thena.send("POST", "/v1/accounts", headers=headers, content=content).status_code


def test_a_read_takes_no_body(thena: Any) -> None:
    """A body where none belongs is refused."""
    assert 400 == thena.send("GET", "/v1/accounts", content=b"{}").status_code


def test_the_rate_limit_is_told(open_thena: Any) -> None:
    """Every answer tells the limit, what is left and when waiting helps; what is beyond is 429."""
    thena = open_thena(options={"rate_limit": 2.0})
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    answers = [thena.send("GET", "/v1/accounts") for _ in range(3)]
    told = [tuple(int(answer.headers[name]) for name in names) for answer in answers]
    assert [(2, 1, 1780000001), (2, 0, 1780000001), (2, 0, 1780000001)] == told
    assert [200, 200, 429] == [answer.status_code for answer in answers]
    assert {"statusCode": 429, "message": "Too many requests", "error": "Too Many Requests"} == answers[2].json()
    thena.clock.now = told[2][2]
    assert 200 == thena.send("GET", "/v1/accounts").status_code


def test_writes_are_logged(thena: Any, tmp_path: Any) -> None:
    """The log of the sandbox says what each write came to."""
    account = thena.account()
    thena.put(f"accounts/{account['id']}", name="New")
    thena.put(f"accounts/{account['id']}", name="New")
    thena.bulk("ada@acme.example", "bo@acme.example")
    thena.bulk("ada@acme.example")
    assert [
        ("POST /v1/accounts", "created"),
        ("PUT /v1/accounts/{id}", "updated"),
        ("PUT /v1/accounts/{id}", "resolved"),
        ("POST /v1/accounts/contacts/bulk", "created"),
        ("POST /v1/accounts/contacts/bulk", "created"),
        ("POST /v1/accounts/contacts/bulk", "resolved"),
    ] == [(write.route, write.outcome) for write in read_writes(tmp_path / "crm.db")]


def test_an_empty_answer_passes_over_http(open_thena: Any) -> None:
    """A 204 has neither a body nor headers about one."""
    thena = open_thena(delete_answer="nothing")
    account = thena.account()
    with running(thena.app) as url, httpx.Client(base_url=url, headers={"x-api-key": "k"}, trust_env=False) as client:
        answer = client.delete(f"/v1/accounts/{account['id']}")
        assert (204, b"") == (answer.status_code, answer.content)
        assert not {"content-type", "content-length"} & set(answer.headers)
        assert [] == client.get("/v1/accounts").json()["data"]


def test_two_vendors_share_a_file(thena: Any, open_crm: Any) -> None:
    """Each vendor has its own records in one database."""
    octolane = open_crm()
    octolane.create("accounts", {"domain": "octo.example"})
    thena.account()
    assert ["acme.example"] == [account["primaryDomain"] for account in thena.get("accounts")]
    assert ["octo.example"] == [account["domain"] for account in octolane.records("accounts")]


def test_a_body_of_its_own_json_is_kept(thena: Any) -> None:
    """Metadata comes back as it was sent."""
    sent = json.loads('{"a": [1, 2.5, null, {"b": "\\u00e9"}], "": true}')
    assert sent == thena.account(metadata=sent)["metadata"]
