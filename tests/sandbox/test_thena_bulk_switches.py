"""Every value of every switch about Thena's bulk create of contacts, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

import pytest

Open = Callable[..., Any]
BULK = "/v1/accounts/contacts/bulk"


def person(email: str, **more: Any) -> dict[str, Any]:
    return {"firstName": "Ada", "email": email, **more}


def bulk_status(thena: Any, *contacts: Any, **body: Any) -> int:
    return int(thena.send("POST", BULK, json={"contacts": list(contacts), **body}).status_code)


def test_bulk_items_objects(open_thena: Open) -> None:
    """Contacts are objects, and a bare address is 400."""
    thena = open_thena()
    assert [201, 400] == [bulk_status(thena, person("a@acme.example")), bulk_status(thena, "b@acme.example")]


def test_bulk_items_emails(open_thena: Open) -> None:
    """Contacts are bare addresses, whose first part names them, and an object is 400."""
    thena = open_thena(bulk_items="emails")
    assert [400, 201] == [bulk_status(thena, person("a@acme.example")), bulk_status(thena, "bo@acme.example")]
    assert [("bo", "bo@acme.example")] == [
        (contact["firstName"], contact["email"]) for contact in thena.get("accounts/contacts")
    ]


def test_bulk_status_201(open_thena: Open) -> None:
    """A bulk create that created something is 201."""
    assert 201 == bulk_status(open_thena(), person("a@acme.example"))


def test_bulk_status_200(open_thena: Open) -> None:
    """A bulk create that created something is 200."""
    assert 200 == bulk_status(open_thena(bulk_status="200"), person("a@acme.example"))


def repeat(thena: Any) -> Any:
    thena.bulk("a@acme.example")
    return thena.send("POST", BULK, json={"contacts": [person("a@acme.example")]})


def test_all_duplicates_200(open_thena: Open) -> None:
    """A bulk create whose contacts all exist is 200."""
    answer = repeat(open_thena())
    assert (200, {"total": 1, "created": 0, "skipped": 1}) == (answer.status_code, answer.json()["data"])


def test_all_duplicates_201(open_thena: Open) -> None:
    """A bulk create whose contacts all exist is 201."""
    assert 201 == repeat(open_thena(all_duplicates="201")).status_code


def test_all_duplicates_400(open_thena: Open) -> None:
    """A bulk create whose contacts all exist is 400, and links nothing."""
    thena = open_thena(all_duplicates="400", link_skipped="yes")
    answer = repeat(thena)
    assert (400, "No contacts to create") == (answer.status_code, answer.json()["message"])
    assert 400 == bulk_status(thena, person("a@acme.example"), accountIds=[thena.account()["id"]])
    assert [] == thena.get("accounts/contacts")[0]["accounts"]


def test_bulk_limit_number(open_thena: Open) -> None:
    """More contacts than this are 400."""
    thena = open_thena(bulk_limit="1")
    assert 400 == bulk_status(thena, person("a@acme.example"), person("b@acme.example"))
    assert 201 == bulk_status(thena, person("a@acme.example"))


def test_bulk_limit_none(open_thena: Open) -> None:
    """There is no such number."""
    assert 300 == open_thena().bulk(*(f"{number}@acme.example" for number in range(300)))["created"]


BAD = [
    person("b@"),
    person("b@acme.invalid"),
    {"email": "b@acme.example"},
    person("b@acme.example", customFieldValues=[{"fieldId": "nope", "value": 1}]),
    person("b@acme.example", nope=1),
    "b@acme.example",
]


@pytest.mark.parametrize("bad", BAD)
def test_bulk_bad_item_reject(open_thena: Open, bad: Any) -> None:
    """One bad contact refuses the whole request, and is named."""
    thena = open_thena()
    answer = thena.send("POST", BULK, json={"contacts": [person("a@acme.example"), bad]})
    assert (400, True) == (answer.status_code, "contacts/1" in answer.json()["message"])
    assert [] == thena.emails()


@pytest.mark.parametrize("bad", BAD)
def test_bulk_bad_item_skip(open_thena: Open, bad: Any) -> None:
    """One bad contact is counted as skipped; if all are bad there is nothing to create."""
    thena = open_thena(bulk_bad_item="skip")
    answer = thena.post("accounts/contacts/bulk", contacts=[person("a@acme.example"), bad])
    assert {"total": 2, "created": 1, "skipped": 1} == answer
    assert ["a@acme.example"] == thena.emails()
    assert 400 == bulk_status(thena, bad)


def test_bulk_repeated_skip(open_thena: Open) -> None:
    """An address that stands twice is created once, as it stands first."""
    thena = open_thena()
    assert {"total": 3, "created": 2, "skipped": 1} == thena.bulk("a@acme.example", "A@acme.example", "b@acme.example")
    assert ["a@acme.example", "b@acme.example"] == thena.emails()


def test_bulk_repeated_reject(open_thena: Open) -> None:
    """An address that stands twice is 400, and nothing is created."""
    thena = open_thena(bulk_repeated="reject")
    assert 400 == bulk_status(thena, person("a@acme.example"), person("A@acme.example"))
    assert [] == thena.emails()


def test_bulk_not_found_before(open_thena: Open) -> None:
    """An account that does not exist is found out before anything is written."""
    thena = open_thena()
    assert 404 == bulk_status(thena, person("a@acme.example"), accountIds=["nope"])
    assert [] == thena.emails()


def test_bulk_not_found_after(open_thena: Open) -> None:
    """An account or a type that does not exist is found out when the contacts are there, without it."""
    thena = open_thena(bulk_not_found="after")
    account = thena.account()["id"]
    assert 404 == bulk_status(thena, person("a@acme.example"), accountIds=["nope", account])
    assert 404 == bulk_status(thena, person("b@acme.example"), contactType="nope")
    assert [(1, "PRIMARY"), (0, "PRIMARY")] == [
        (len(contact["accounts"]), contact["contactType"]) for contact in thena.get("accounts/contacts")
    ]


def link(thena: Any) -> list[int]:
    account, other = thena.account()["id"], thena.account("other.example")["id"]
    thena.contact("a@acme.example", accountIds=[account])
    thena.contact("b@acme.example", accountIds=[other])
    thena.bulk("a@acme.example", "b@acme.example", "c@acme.example", accountIds=[account])
    return [len(contact["accounts"]) for contact in thena.get("accounts/contacts")]


def test_link_skipped_no(open_thena: Open) -> None:
    """Contacts that exist keep their accounts."""
    assert [1, 1, 1] == link(open_thena())


def test_link_skipped_yes(open_thena: Open) -> None:
    """Contacts that exist get the accounts of the request as well."""
    assert [1, 2, 1] == link(open_thena(link_skipped="yes"))
