"""Every value of every switch about the inbound host, one test each: `test_<switch>_<value>`; and some shared ones."""

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]


def send_name(inbound: Any) -> tuple[int, list[Any]]:
    answer = inbound.send("POST", "/v1/inbound/accounts", json={"domain": "acme.example", "name": "Acme"})
    page = inbound.send("GET", "/v2/inbound/accounts").json()["data"]["accounts"]
    return answer.status_code, [account["name"] for account in page]


def test_inbound_unknown_member_reject(open_inbound: Open) -> None:
    """A member that is not documented is 400."""
    assert (400, []) == send_name(open_inbound())


def test_inbound_unknown_member_ignore(open_inbound: Open) -> None:
    """A member that is not documented is dropped."""
    assert (200, [None]) == send_name(open_inbound(inbound_unknown_member="ignore"))


def create_twice(inbound: Any) -> list[str]:
    body = {"email": "jane@acme.example"}
    return [inbound.send("POST", "/v1/inbound/contacts", json=body).json()["message"] for _ in range(2)]


def test_inbound_message_same(open_inbound: Open) -> None:
    """A record that existed is said to be created."""
    assert ["Contact created successfully"] * 2 == create_twice(open_inbound())


def test_inbound_message_distinct(open_inbound: Open) -> None:
    """A record that existed is said to exist."""
    messages = create_twice(open_inbound(inbound_message="distinct"))
    assert ["Contact created successfully", "Contact already exists"] == messages


def test_the_other_switches_hold_here_too(open_inbound: Open) -> None:
    """Whether a contact makes an account, and what a create does to one that exists, are asked of the same switches."""
    inbound = open_inbound(contact_makes_account="no", existing="untouched")
    for name in ("Jane", "Joan"):
        body = {"email": "jane@acme.example", "first_name": name}
        data = inbound.send("POST", "/v1/inbound/contacts", json=body).json()["data"]
        assert "Jane" == data["first_name"]
    assert [] == inbound.send("GET", "/v2/inbound/accounts").json()["data"]["accounts"]
