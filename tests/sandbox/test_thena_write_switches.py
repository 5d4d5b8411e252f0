"""Every value of every switch about Thena's writes, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

import pytest

Open = Callable[..., Any]
CONTACTS = "/v1/accounts/contacts"


def test_unknown_field_reject(open_thena: Open) -> None:
    """A member that a request does not have is 400."""
    thena = open_thena()
    assert 400 == thena.refused("POST", "accounts", name="A", primaryDomain="a.example", nope=1)


def test_unknown_field_ignore(open_thena: Open) -> None:
    """A member that a request does not have is left out, in bulk as well."""
    thena = open_thena(unknown_field="ignore")
    assert "nope" not in thena.account(nope=1)
    item = {"firstName": "Ada", "email": "ada@acme.example", "nope": 1}
    assert 1 == thena.post("accounts/contacts/bulk", contacts=[item], nope=1)["created"]


def other_case(thena: Any) -> tuple[int, int]:
    thena.contact("ada@acme.example")
    again = thena.send("POST", CONTACTS, json={"firstName": "Ada", "email": "Ada@acme.example"}).status_code
    return again, thena.bulk("ADA@acme.example")["created"]


def test_email_identity_insensitive(open_thena: Open) -> None:
    """Addresses that differ in case are one."""
    assert (409, 0) == other_case(open_thena())


def test_email_identity_sensitive(open_thena: Open) -> None:
    """Addresses that differ in case are two contacts."""
    assert (201, 1) == other_case(open_thena(email_identity="sensitive"))


def test_email_kept_sent(open_thena: Open) -> None:
    """An address is read as it was sent."""
    assert "Ada@Acme.example" == open_thena().contact("Ada@Acme.example")["email"]


@pytest.mark.parametrize("identity", ["insensitive", "sensitive"])
def test_email_kept_lower(open_thena: Open, identity: str) -> None:
    """An address is read in lower case, and is one with its other spellings."""
    thena = open_thena(email_kept="lower", email_identity=identity)
    assert "ada@acme.example" == thena.contact("Ada@Acme.example")["email"]
    assert 0 == thena.bulk("ADA@acme.example")["created"]


def reuse(thena: Any) -> tuple[int, int]:
    """Create a deleted contact again, alone and in bulk; return the status and the number created."""
    thena.delete(f"accounts/contacts/{thena.contact()['id']}")
    again = thena.send("POST", CONTACTS, json={"firstName": "Ada", "email": "ada@acme.example"})
    if again.status_code == 201:
        thena.delete(f"accounts/contacts/{again.json()['data']['id']}")
    return again.status_code, thena.bulk("ada@acme.example", "bo@acme.example")["created"]


def test_deleted_email_free(open_thena: Open) -> None:
    """The address of a deleted contact can be used again."""
    assert (201, 2) == reuse(open_thena())


def test_deleted_email_blocks(open_thena: Open) -> None:
    """The address of a deleted contact is taken: refused alone, skipped in bulk."""
    assert (409, 1) == reuse(open_thena(deleted_email="blocks", taken_email="existing"))


def test_the_living_contact_has_the_address(open_thena: Open) -> None:
    """Where a deleted and a living contact have one address, it is the living one's."""
    free = open_thena()
    free.delete(f"accounts/contacts/{free.contact()['id']}")
    living = free.contact()
    assert living == open_thena(deleted_email="blocks", taken_email="existing").contact()


def take(thena: Any) -> tuple[int, int]:
    """Take the address of another contact by POST and by PUT."""
    thena.contact()
    other = thena.contact("bo@acme.example")
    body = {"firstName": "Augusta", "email": "ada@acme.example"}
    return (
        thena.send("POST", CONTACTS, json=body).status_code,
        thena.refused("PUT", f"accounts/contacts/{other['id']}", email="ada@acme.example"),
    )


def test_taken_email_409(open_thena: Open) -> None:
    """A taken address is 409."""
    assert (409, 409) == take(open_thena())


def test_taken_email_400(open_thena: Open) -> None:
    """A taken address is 400."""
    assert (400, 400) == take(open_thena(taken_email="400"))


def test_taken_email_existing(open_thena: Open) -> None:
    """A new contact with a taken address is the one that has it, untouched; a PUT is refused."""
    thena = open_thena(taken_email="existing")
    assert (200, 409) == take(thena)
    assert "Ada" == thena.get("accounts/contacts")[0]["firstName"]


def take_domain(thena: Any) -> tuple[int, int, int]:
    """Take the domain of another account by POST and by PUT; count the accounts."""
    thena.account("@Acme.example")
    other = thena.account("other.example")
    body = {"name": "Second", "primaryDomain": "acme.example"}
    path = f"/v1/accounts/{other['id']}"
    return (
        thena.send("POST", "/v1/accounts", json=body).status_code,
        thena.send("PUT", path, json={"primaryDomain": "acme.example"}).status_code,
        len(thena.get("accounts")),
    )


def test_taken_domain_second(open_thena: Open) -> None:
    """Several accounts may have one domain."""
    assert (201, 200, 3) == take_domain(open_thena())


def test_taken_domain_existing(open_thena: Open) -> None:
    """A new account with a taken domain is the one that has it; a PUT makes a second one."""
    thena = open_thena(taken_domain="existing")
    assert (200, 200, 2) == take_domain(thena)
    assert "Acme" == thena.get("accounts")[0]["name"]


def test_taken_domain_409(open_thena: Open) -> None:
    """A taken domain is refused, unless its account was deleted."""
    thena = open_thena(taken_domain="409")
    assert (409, 409, 2) == take_domain(thena)
    thena.delete(f"accounts/{thena.get('accounts')[0]['id']}")
    assert "acme.example" == thena.account()["primaryDomain"]


def domains(thena: Any) -> tuple[str, str]:
    account = thena.account("@Acme.example", secondaryDomain="@Other.example")
    return account["primaryDomain"], account["secondaryDomain"]


def test_domain_kept_sent(open_thena: Open) -> None:
    """A domain is read as it was sent."""
    assert ("@Acme.example", "@Other.example") == domains(open_thena())


def test_domain_kept_stripped(open_thena: Open) -> None:
    """A domain loses its leading @."""
    assert ("Acme.example", "Other.example") == domains(open_thena(domain_kept="stripped"))


def test_domain_kept_bare(open_thena: Open) -> None:
    """A domain loses its leading @ and its case."""
    assert ("acme.example", "other.example") == domains(open_thena(domain_kept="bare"))


def type_by(thena: Any) -> list[int]:
    billing = thena.get("accounts/attributes", attribute="contact_type")[1]
    named = [billing["id"], billing["value"]]
    statuses = [
        thena.send("POST", CONTACTS, json={"firstName": "A", "email": f"{i}@acme.example", "contactType": type_})
        for i, type_ in enumerate(named)
    ]
    found = [len(thena.emails(contactType=type_)) for type_ in named]
    return [*(answer.status_code for answer in statuses), *found]


def test_contact_type_by_id(open_thena: Open) -> None:
    """A contact type is named by its id only."""
    assert [201, 404, 1, 0] == type_by(open_thena())


def test_contact_type_by_either(open_thena: Open) -> None:
    """A contact type is named by its id or its value."""
    assert [201, 201, 2, 2] == type_by(open_thena(contact_type_by="either"))


def status_by(thena: Any) -> list[int]:
    active = thena.get("accounts/attributes", attribute="account_status")[2]
    bodies = [{"name": "A", "primaryDomain": "a.example", "status": active[name]} for name in ("id", "value")]
    return [thena.send("POST", "/v1/accounts", json=body).status_code for body in bodies]


def test_attribute_by_either(open_thena: Open) -> None:
    """A status is named by its id or its value."""
    assert [201, 201] == status_by(open_thena())


def test_attribute_by_id(open_thena: Open) -> None:
    """A status is named by its id."""
    assert [201, 404] == status_by(open_thena(attribute_by="id"))


def test_attribute_by_value(open_thena: Open) -> None:
    """A status is named by its value."""
    assert [404, 201] == status_by(open_thena(attribute_by="value"))


def metadata(thena: Any) -> list[Any]:
    account = thena.account(metadata={"a": 1})
    contact = thena.contact(metadata={"a": 1})
    note = thena.post("accounts/notes", accountId=account["id"], content="x", metadata={"a": 1})
    return [account["metadata"], contact["metadata"], note["metadata"]]


def test_metadata_kept(open_thena: Open) -> None:
    """Metadata of accounts and contacts is read back."""
    assert [{"a": 1}, {"a": 1}, {"a": 1}] == metadata(open_thena())


def test_metadata_dropped(open_thena: Open) -> None:
    """Metadata of accounts and contacts is taken and lost."""
    assert [{}, {}, {"a": 1}] == metadata(open_thena(metadata="dropped"))


def test_note_metadata_kept(open_thena: Open) -> None:
    """Metadata of notes is read back."""
    assert {"a": 1} == metadata(open_thena())[2]


def test_note_metadata_dropped(open_thena: Open) -> None:
    """Metadata of notes is taken and lost."""
    assert [{"a": 1}, {"a": 1}, {}] == metadata(open_thena(note_metadata="dropped"))


def put_metadata(thena: Any) -> Any:
    made = thena.contact(metadata={"a": 1, "b": {"c": 1}})
    return thena.put(f"accounts/contacts/{made['id']}", metadata={"b": {"d": 2}})["metadata"]


def test_metadata_update_replace(open_thena: Open) -> None:
    """Metadata of a PUT takes the place of all that was stored."""
    assert {"b": {"d": 2}} == put_metadata(open_thena())


def test_metadata_update_merge(open_thena: Open) -> None:
    """Metadata of a PUT is put into what was stored, member by member, one level deep."""
    assert {"a": 1, "b": {"d": 2}} == put_metadata(open_thena(metadata_update="merge"))


def define(thena: Any) -> str:
    body = {"name": "Tier", "source": "customer_contact", "fieldType": "single_line"}
    return str(thena.post("custom-field", **body)["uid"])


def put_nothing(thena: Any, nothing: Any) -> Any:
    """Fill a contact and an account, and put null or an empty text into some members."""
    uid = define(thena)
    account = thena.account(status="ACTIVE", industry="RETAIL", description="Anvils", employees=7)
    contact = thena.contact(lastName="Byron", metadata={"a": 1}, accountIds=[account["id"]],
                            customFieldValues=[{"fieldId": uid, "value": "x"}])  # fmt: skip
    shapes = {"metadata": None, "accountIds": None, "customFieldValues": [{"fieldId": uid, "value": None}]}
    changed = thena.put(f"accounts/contacts/{contact['id']}", lastName=nothing, **(shapes if nothing is None else {}))
    numbers = {"employees": None, "status": None, "industry": None} if nothing is None else {}
    other = thena.put(f"accounts/{account['id']}", description=nothing, **numbers)
    return (
        *(changed["lastName"], changed["metadata"], len(changed["accounts"]), len(changed["customFieldValues"])),
        *(other["description"], other["employees"], other["status"], other["industry"]),
    )


def test_put_null_clears(open_thena: Open) -> None:
    """A null clears; what has a default gets that."""
    assert (None, {}, 0, 0, None, None, "PROSPECT", None) == put_nothing(open_thena(), None)


def test_put_null_ignored(open_thena: Open) -> None:
    """A null changes nothing."""
    expected = ("Byron", {"a": 1}, 1, 1, "Anvils", 7, "ACTIVE", "RETAIL")
    assert expected == put_nothing(open_thena(put_null="ignored"), None)


def test_put_null_rejected(open_thena: Open) -> None:
    """A null is 400, wherever it stands."""
    thena = open_thena(put_null="rejected")
    uid, id_ = define(thena), thena.contact()["id"]
    values = [{"fieldId": uid, "value": None}]
    assert [400, 400] == [
        thena.refused("PUT", f"accounts/contacts/{id_}", **body)
        for body in ({"lastName": None}, {"customFieldValues": values})
    ]
    person = {"firstName": "Bo", "email": "bo@acme.example"}
    for body in ({"accountIds": None}, {"contactType": None}):
        assert 400 == thena.refused("POST", "accounts/contacts/bulk", contacts=[person], **body)


def test_put_empty_stored(open_thena: Open) -> None:
    """An empty text is a text."""
    assert ("", "") == put_nothing(open_thena(), "")[::4]


def test_put_empty_clears(open_thena: Open) -> None:
    """An empty text clears what can be cleared; an id is none for being empty."""
    thena = open_thena(put_empty="clears")
    assert (None, None) == put_nothing(thena, "")[::4]
    assert 404 == thena.refused("POST", "accounts/notes", accountId="", content="x")


def put_one(thena: Any) -> tuple[Any, ...]:
    uid = define(thena)
    values = [{"fieldId": uid, "value": "x"}]
    made = thena.contact(lastName="Byron", metadata={"a": 1}, customFieldValues=values)
    contact = thena.put(f"accounts/contacts/{made['id']}", phoneNumber="+15550100")
    account = thena.account(status="ACTIVE", employees=7)
    changed = thena.put(f"accounts/{account['id']}", description="Anvils")
    return (
        *(contact["firstName"], contact["lastName"], contact["metadata"], len(contact["customFieldValues"])),
        *(changed["primaryDomain"], changed["employees"], changed["status"]),
    )


def test_put_absent_stays(open_thena: Open) -> None:
    """Members that a PUT does not name stay."""
    assert ("Ada", "Byron", {"a": 1}, 1, "acme.example", 7, "ACTIVE") == put_one(open_thena())


def test_put_absent_cleared(open_thena: Open) -> None:
    """Members that a PUT does not name are cleared, but for those that every record has to have."""
    expected: Any = ("Ada", None, {}, 0, "acme.example", None, "PROSPECT")
    assert expected == put_one(open_thena(put_absent="cleared"))
