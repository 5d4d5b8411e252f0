"""Thena's contacts: one by one, in bulk, listed and searched."""

from typing import Any

import pytest


def test_a_contact_is_created_and_found(thena: Any) -> None:
    """What is written is read back by list, by id and by address."""
    account = thena.account()
    made = thena.contact(lastName="Byron", phoneNumber="+15550100", avatarUrl="https://acme.example/a.png",
                         accountIds=[account["id"], account["id"]], metadata={"key": "17"})  # fmt: skip
    assert ("Ada", "Byron", "+15550100") == (made["firstName"], made["lastName"], made["phoneNumber"])
    assert ([{"id": account["id"], "name": "Acme"}], "PRIMARY") == (made["accounts"], made["contactType"])
    assert {"key": "17"} == made["metadata"]
    assert [made] == thena.get("accounts/contacts")
    assert [made] == thena.get("accounts/contacts/search", email="ada@acme.example")
    assert [made] == thena.post("accounts/contacts/filter/ids", ids=[made["id"], made["id"], "nope"])


def test_ids_are_answered_in_the_order_asked_for(thena: Any) -> None:
    """contacts/filter/ids keeps the order; deleted contacts are left out."""
    ids = [thena.contact(f"{name}@acme.example")["id"] for name in "abc"]
    thena.delete(f"accounts/contacts/{ids[1]}")
    found = thena.post("accounts/contacts/filter/ids", ids=ids[::-1])
    assert [ids[2], ids[0]] == [contact["id"] for contact in found]


def test_contacts_are_listed_by_account_and_type(thena: Any) -> None:
    """Both filters narrow the list; what does not exist finds nothing."""
    account, other = thena.account(), thena.account("other.example")
    values = {value["value"]: value["id"] for value in thena.get("accounts/attributes", attribute="contact_type")}
    thena.contact("ada@acme.example", accountIds=[account["id"]], contactType=values["BILLING"])
    thena.contact("bo@acme.example", accountIds=[other["id"], account["id"]])
    thena.contact("carl@acme.example")
    assert ["ada@acme.example", "bo@acme.example"] == thena.emails(accountId=account["id"])
    assert ["bo@acme.example"] == thena.emails(accountId=other["id"])
    assert ["ada@acme.example"] == thena.emails(contactType=values["BILLING"])
    assert ["bo@acme.example"] == thena.emails(contactType=values["PRIMARY"], accountId=account["id"])
    assert [] == thena.emails(accountId='no"pe')
    assert [] == thena.emails(contactType="nope")


def test_a_put_replaces_the_accounts(thena: Any) -> None:
    """AccountIds of a put are the whole set; everything else stays."""
    ids = [thena.account(f"{name}.example")["id"] for name in ("one", "two", "three")]
    made = thena.contact(accountIds=ids[:2], lastName="Byron")
    changed = thena.put(f"accounts/contacts/{made['id']}", accountIds=[ids[2]])
    assert ([ids[2]], "Byron") == ([account["id"] for account in changed["accounts"]], changed["lastName"])


def test_a_put_may_change_the_address(thena: Any) -> None:
    """A contact moves to a free address and stays the same contact."""
    made = thena.contact()
    changed = thena.put(f"accounts/contacts/{made['id']}", email="countess@acme.example")
    assert (made["id"], "countess@acme.example") == (changed["id"], changed["email"])
    assert [] == thena.get("accounts/contacts/search", email="ada@acme.example")
    assert "Ada@acme.example" == thena.put(f"accounts/contacts/{made['id']}", email="Ada@acme.example")["email"]
    assert "ada@acme.example" == thena.put(f"accounts/contacts/{made['id']}", email="ada@acme.example")["email"]


def test_a_deleted_contact_is_gone(thena: Any) -> None:
    """It is neither listed nor found nor changed, and its address is free again."""
    made = thena.contact()
    thena.delete(f"accounts/contacts/{made['id']}")
    assert [] == thena.get("accounts/contacts")
    assert [] == thena.get("accounts/contacts/search", email="ada@acme.example")
    assert 404 == thena.refused("PUT", f"accounts/contacts/{made['id']}", firstName="A")
    assert made["id"] != thena.contact()["id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"email": "ada@acme.example"}, 400),
        ({"firstName": "", "email": "ada@acme.example"}, 400),
        ({"firstName": "Ada", "email": "ada@"}, 400),
        ({"firstName": "Ada", "email": "ada@acme.invalid"}, 400),
        ({"firstName": "Ada", "email": "ada@acme.example", "accountIds": ["nope"]}, 404),
        ({"firstName": "Ada", "email": "ada@acme.example", "accountIds": "nope"}, 400),
        ({"firstName": "Ada", "email": "ada@acme.example", "contactType": "BILLING"}, 404),
    ],
)
def test_a_wrong_contact_is_refused(thena: Any, body: dict[str, Any], status: int) -> None:
    """What does not fit is 400, what it names and does not exist 404, and nothing is made."""
    assert status == thena.refused("POST", "accounts/contacts", **body)
    assert [] == thena.emails()


def test_a_search_needs_an_address(thena: Any) -> None:
    """Without the parameter, or with nothing in it, a search is 400."""
    assert [400, 400] == [
        thena.send("GET", f"/v1/accounts/contacts/search{query}").status_code for query in ("", "?email=")
    ]


def test_a_bulk_create_counts(thena: Any) -> None:
    """New contacts are created with what the request says of all of them; existing ones are skipped untouched."""
    account = thena.account()
    billing = thena.get("accounts/attributes", attribute="contact_type")[1]["id"]
    first = thena.contact()
    answer = thena.bulk("ada@acme.example", "bo@acme.example", "carl@acme.example", accountIds=[account["id"]],
                        contactType=billing, source="import")  # fmt: skip
    assert {"total": 3, "created": 2, "skipped": 1} == answer
    kept, *created = thena.get("accounts/contacts")
    assert first == kept
    assert [("BILLING", [account["id"]])] * 2 == [
        (contact["contactType"], [one["id"] for one in contact["accounts"]]) for contact in created
    ]


def test_an_item_carries_its_person(thena: Any) -> None:
    """Names, phone, metadata and the like belong to the item."""
    item = {
        "firstName": "Bo",
        "lastName": "B",
        "email": "bo@acme.example",
        "phoneNumber": "+15550101",
        "metadata": {"k": 1},
    }
    assert 1 == thena.post("accounts/contacts/bulk", contacts=[item])["created"]
    assert item == {name: thena.get("accounts/contacts")[0][name] for name in item}


def test_nothing_to_create_is_400(thena: Any) -> None:
    """An empty list has the documented refusal."""
    answer = thena.send("POST", "/v1/accounts/contacts/bulk", json={"contacts": []})
    assert {"statusCode": 400, "message": "No contacts to create", "error": "Bad Request"} == answer.json()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"accountIds": ["nope"]}, "Account not found"),
        ({"contactType": "nope"}, "Contact type not found"),
        ({"accountIds": ["nope"], "contactType": "nope"}, "Account not found"),
    ],
)
def test_a_bulk_create_names_what_exists(thena: Any, named: dict[str, Any], message: str) -> None:
    """An account or a type that does not exist has the documented refusal."""
    body = {"contacts": [{"firstName": "Ada", "email": "ada@acme.example"}], **named}
    answer = thena.send("POST", "/v1/accounts/contacts/bulk", json=body)
    assert {"statusCode": 404, "message": message, "error": "Not Found"} == answer.json()
    assert [] == thena.emails()


def test_what_all_contacts_get_may_be_null(thena: Any) -> None:
    """Null for the accounts or the type of a bulk create is as if they were not there."""
    assert 1 == thena.bulk("ada@acme.example", accountIds=None, contactType=None, source=None)["created"]
