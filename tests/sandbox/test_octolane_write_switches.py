"""Every value of every switch about writes, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]
ANY_ID = "00000000-0000-4000-8000-00000000ffff"


def resolve_twice(crm: Any, first: dict[str, Any], second: dict[str, Any]) -> Any:
    crm.create("accounts", {"domain": "acme.example", **first})
    crm.create("accounts", {"domain": "acme.example", **second})
    return crm.records("accounts")[0]


def test_existing_overwrite(open_crm: Open) -> None:
    """A create replaces the fields of an existing record that it names."""
    record = resolve_twice(open_crm(), {"name": "Old", "type": "kept"}, {"name": "New", "industry": "Tools"})
    assert ("New", "Tools", "kept") == (record["name"], record["industry"], record["type"])


def test_existing_untouched(open_crm: Open) -> None:
    """A create leaves an existing record as it is."""
    record = resolve_twice(open_crm(existing="untouched"), {"name": "Old"}, {"name": "New", "industry": "Tools"})
    assert ("Old", None) == (record["name"], record["industry"])


def test_existing_fill_blank(open_crm: Open) -> None:
    """A create fills the empty fields of an existing record, custom ones too."""
    first = {"name": "Old", "industry": "", "tags": [], "tier": "gold"}
    second = {"name": "New", "industry": "Tools", "tags": ["a"], "tier": "lead", "region": "north"}
    record = resolve_twice(open_crm(existing="fill_blank"), first, second)
    assert ("Old", "Tools", ["a"]) == (record["name"], record["industry"], record["tags"])
    assert {"tier": "gold", "region": "north"} == record["custom_fields"]


def test_same_key_twice_merge(open_crm: Open) -> None:
    """Two items of one request with one key make one record."""
    crm = open_crm()
    crm.create("accounts", {"domain": "acme.example", "name": "A"}, {"domain": "ACME.example", "industry": "Tools"})
    assert [("A", "Tools")] == [(record["name"], record["industry"]) for record in crm.records("accounts")]


def test_same_key_twice_reject(open_crm: Open) -> None:
    """Two items of one request with one key are 400, and nothing is made."""
    crm = open_crm(same_key_twice="reject")
    body = [{"domain": "acme.example"}, {"domain": "Acme.example"}]
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=body).status_code
    assert [] == crm.records("accounts")


BAD_BATCH = [{"domain": "good.example"}, {"domain": "bad.invalid"}, {"domain": "worse.example", "founded": 3}]


def test_bad_item_reject_all(open_crm: Open) -> None:
    """One bad item refuses the whole request."""
    crm = open_crm()
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=BAD_BATCH).status_code
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=BAD_BATCH[:2]).status_code
    assert [] == crm.records("accounts")


def test_bad_item_partial(open_crm: Open) -> None:
    """Bad items are left out silently, the good ones are created, and likewise patched."""
    crm = open_crm(bad_item="partial")
    (made,) = crm.create("accounts", *BAD_BATCH)["accounts"]
    assert "good.example" == made["domain"]
    other = crm.create("accounts", {"domain": "other.example"})["accounts"][0]
    crm.patch("accounts", {made["id"]: {"name": "Good"}, other["id"]: {"founded": 3}})
    crm.patch("accounts", {made["id"]: {"industry": "Tools"}, other["id"]: {"domain": "good.example", "name": "No"}})
    assert [("Good", "Tools"), (None, None)] == [(r["name"], r["industry"]) for r in crm.records("accounts")]


def test_bulk_data_records(open_crm: Open) -> None:
    """A write answers with the records, in the order sent."""
    data = open_crm().create("accounts", {"domain": "b.example"}, {"domain": "a.example"})
    assert ["b.example", "a.example"] == [record["domain"] for record in data["accounts"]]


def test_bulk_data_split(open_crm: Open) -> None:
    """A write answers with what it created and what it found apart."""
    crm = open_crm(bulk_data="split")
    crm.create("accounts", {"domain": "old.example"})
    data = crm.create("accounts", {"domain": "old.example"}, {"domain": "new.example"})
    assert ["new.example"] == [record["domain"] for record in data["created"]]
    assert ["old.example"] == [record["domain"] for record in data["existing"]]


def test_bulk_data_ids(open_crm: Open) -> None:
    """A write answers with ids only."""
    crm = open_crm(bulk_data="ids")
    data = crm.create("accounts", {"domain": "a.example"})
    assert data == {"ids": [crm.records("accounts")[0]["id"]]}


def test_bulk_data_empty(open_crm: Open) -> None:
    """A write answers with nothing."""
    assert {} == open_crm(bulk_data="empty").create("accounts", {"domain": "a.example"})


def create_statuses(crm: Any) -> list[int]:
    item = {"domain": "a.example"}
    return [
        crm.send("POST", "/v1/accounts/bulk", json=[item]).status_code,
        crm.send("POST", "/v1/accounts", json=item).status_code,
        crm.send("POST", "/v1/contacts/bulk", json=[{"email": "jane@a.example"}]).status_code,
    ]


def test_created_status_200(open_crm: Open) -> None:
    """Creating and resolving answer 200."""
    assert [200, 200, 200] == create_statuses(open_crm())


def test_created_status_201(open_crm: Open) -> None:
    """Creating and resolving answer 201."""
    assert [201, 201, 201] == create_statuses(open_crm(created_status="201"))


SPELLINGS = ("https://www.Acme.example:8080/about", "Acme.example", "acme.example")


def store_spellings(crm: Any) -> list[str]:
    for spelling in SPELLINGS:
        crm.create("accounts", {"domain": spelling})
    crm.create("contacts", {"email": "Jane@Acme.example"}, {"email": "jane@acme.example"})
    return [
        *(record["domain"] for record in crm.records("accounts")),
        *(record["email"] for record in crm.records("contacts")),
    ]


def test_key_normalisation_full(open_crm: Open) -> None:
    """Keys are stored bare: one account, one contact."""
    assert ["acme.example", "jane@acme.example"] == store_spellings(open_crm())


def test_key_normalisation_case(open_crm: Open) -> None:
    """Keys are stored in lower case, with whatever else was sent."""
    stored = store_spellings(open_crm(key_normalisation="case"))
    assert ["https://www.acme.example:8080/about", "acme.example", "jane@acme.example"] == stored


def test_key_normalisation_none(open_crm: Open) -> None:
    """Keys are stored as sent, so that every spelling is a record."""
    stored = store_spellings(open_crm(key_normalisation="none"))
    assert [*SPELLINGS, "Jane@Acme.example", "jane@acme.example"] == stored


def test_key_normalisation_dedupe_only(open_crm: Open) -> None:
    """Keys are stored as first sent, and compared bare."""
    stored = store_spellings(open_crm(key_normalisation="dedupe_only"))
    assert stored == [SPELLINGS[0], "Jane@Acme.example"]


def create_alias(crm: Any) -> list[str]:
    crm.create("contacts", {"email": "jane@acme.example", "other_emails": ["J.Doe@acme.example"]})
    crm.create("contacts", {"email": "j.doe@acme.example", "job_title": "CTO"})
    return [record["email"] for record in crm.records("contacts")]


def test_other_emails_plain(open_crm: Open) -> None:
    """A further address of a contact is only a value."""
    assert ["jane@acme.example", "j.doe@acme.example"] == create_alias(open_crm())


def test_other_emails_dedupe(open_crm: Open) -> None:
    """A further address of a contact finds that contact."""
    assert ["jane@acme.example"] == create_alias(open_crm(other_emails="dedupe"))


def test_other_addresses_of_one_contact_meet_in_one_request(open_crm: Open) -> None:
    """Two items that find one contact by two further addresses both change it."""
    crm = open_crm(other_emails="dedupe")
    crm.create("contacts", {"email": "jane@acme.example", "other_emails": ["a@acme.example", "b@acme.example"]})
    crm.create("contacts", {"email": "a@acme.example", "job_title": "CTO"}, {"email": "b@acme.example", "phone": "1"})
    assert [("CTO", "1")] == [(record["job_title"], record["phone"]) for record in crm.records("contacts")]


def test_contact_makes_account_yes(open_crm: Open) -> None:
    """A new contact brings the account of its domain along and belongs to it."""
    crm = open_crm()
    crm.create("contacts", {"email": "jane@acme.example"}, {"email": "sam@acme.example"})
    (account,) = crm.records("accounts")
    assert "acme.example" == account["domain"]
    assert [account["id"]] * 2 == [record["account_id"] for record in crm.records("contacts")]


def test_contact_makes_account_no(open_crm: Open) -> None:
    """A new contact belongs to the account of its domain only if there is one."""
    crm = open_crm(contact_makes_account="no")
    crm.create("accounts", {"domain": "acme.example"})
    crm.create("contacts", {"email": "jane@acme.example"}, {"email": "sam@other.example"})
    (account,) = crm.records("accounts")
    assert [account["id"], None] == [record["account_id"] for record in crm.records("contacts")]


def test_free_mail_account_no(open_crm: Open) -> None:
    """A free-mail address makes no account."""
    crm = open_crm()
    crm.create("contacts", {"email": "jane@freemail.example"})
    assert [] == crm.records("accounts")


def test_free_mail_account_yes(open_crm: Open) -> None:
    """A free-mail address makes an account like any other."""
    crm = open_crm(free_mail_account="yes")
    crm.create("contacts", {"email": "jane@freemail.example"})
    assert ["freemail.example"] == [record["domain"] for record in crm.records("accounts")]


def create_with_unknown(crm: Any) -> Any:
    return crm.send("POST", "/v1/accounts/bulk", json=[{"domain": "a.example", "tier": "gold"}])


def test_unknown_field_store(open_crm: Open) -> None:
    """An unknown member becomes a custom field."""
    crm = open_crm()
    assert 200 == create_with_unknown(crm).status_code
    page = crm.search("accounts")
    assert {"tier": "gold"} == page["accounts"][0]["custom_fields"]
    assert "string" == page["custom_field_definitions"]["tier"]["attribute_type"]


def test_unknown_field_ignore(open_crm: Open) -> None:
    """An unknown member is dropped silently."""
    crm = open_crm(unknown_field="ignore")
    assert 200 == create_with_unknown(crm).status_code
    assert ({}, {}) == (
        crm.records("accounts")[0]["custom_fields"],
        crm.search("accounts")["custom_field_definitions"],
    )


def test_unknown_field_reject(open_crm: Open) -> None:
    """An unknown member is 400."""
    assert 400 == create_with_unknown(open_crm(unknown_field="reject")).status_code


def write_by_both_names(crm: Any) -> Any:
    field = {"name": "Customer tier", "property_name": "text_7", "attribute_type": "string"}
    crm.send("POST", "/v1/accounts/fields/bulk", json=[field])
    for member, domain in (("text_7", "a.example"), ("customer_tier", "b.example")):
        crm.send("POST", "/v1/accounts/bulk", json=[{"domain": domain, member: "gold"}])
    return [record["custom_fields"] for record in crm.records("accounts")]


def test_custom_key_either(open_crm: Open) -> None:
    """A custom field is written by its property_name or its slug."""
    assert [{"customer_tier": "gold"}] * 2 == write_by_both_names(open_crm())


def test_custom_key_property_name(open_crm: Open) -> None:
    """A custom field is written by its property_name only."""
    written = write_by_both_names(open_crm(custom_key="property_name", unknown_field="ignore"))
    assert [{"customer_tier": "gold"}, {}] == written


def test_custom_key_slug(open_crm: Open) -> None:
    """A custom field is written by its slug only."""
    written = write_by_both_names(open_crm(custom_key="slug", unknown_field="ignore"))
    assert [{}, {"customer_tier": "gold"}] == written


def write_mistyped(crm: Any) -> Any:
    field = {"name": "Seats", "property_name": "seats", "attribute_type": "number"}
    crm.send("POST", "/v1/accounts/fields/bulk", json=[field])
    return crm.send("POST", "/v1/accounts/bulk", json=[{"domain": "a.example", "seats": "many"}])


def test_mistyped_custom_store(open_crm: Open) -> None:
    """A custom value of another type is stored as it came."""
    crm = open_crm()
    assert 200 == write_mistyped(crm).status_code
    assert {"seats": "many"} == crm.records("accounts")[0]["custom_fields"]


def test_mistyped_custom_ignore(open_crm: Open) -> None:
    """A custom value of another type is dropped."""
    crm = open_crm(mistyped_custom="ignore")
    assert 200 == write_mistyped(crm).status_code
    assert {} == crm.records("accounts")[0]["custom_fields"]


def test_mistyped_custom_reject(open_crm: Open) -> None:
    """A custom value of another type is 400."""
    assert 400 == write_mistyped(open_crm(mistyped_custom="reject")).status_code


def define_twice(crm: Any) -> list[int]:
    body = [{"name": "Tier", "attribute_type": "string"}]
    return [crm.send("POST", "/v1/contacts/fields/bulk", json=body).status_code for _ in range(2)]


def test_repeated_field_resolve(open_crm: Open) -> None:
    """A definition that exists is resolved."""
    crm = open_crm()
    assert [200, 200] == define_twice(crm)
    assert ["tier"] == list(crm.search("contacts")["custom_field_definitions"])


def test_repeated_field_reject(open_crm: Open) -> None:
    """A definition that exists is 400."""
    assert [200, 400] == define_twice(open_crm(repeated_field="reject"))


def write_null(crm: Any) -> list[Any]:
    crm.create("accounts", {"domain": "a.example", "name": "A", "industry": "Tools", "tier": "gold"})
    (record,) = crm.records("accounts")
    crm.patch("accounts", {record["id"]: {"name": None, "tier": None}})
    crm.create("accounts", {"domain": "a.example", "industry": None})
    (record,) = crm.records("accounts")
    return [record["name"], record["industry"], record["custom_fields"]]


def test_patch_null_clears(open_crm: Open) -> None:
    """Null clears a field of an existing record."""
    assert [None, None, {}] == write_null(open_crm())


def test_patch_null_ignored(open_crm: Open) -> None:
    """Null leaves a field of an existing record alone."""
    assert ["A", "Tools", {"tier": "gold"}] == write_null(open_crm(patch_null="ignored"))


def patch_key(crm: Any) -> tuple[int, str]:
    (record,) = crm.create("accounts", {"domain": "old.example"})["accounts"]
    status = crm.send("PATCH", "/v1/accounts/bulk", json={record["id"]: {"domain": "New.example"}}).status_code
    return status, crm.records("accounts")[0]["domain"]


def test_patch_key_allowed(open_crm: Open) -> None:
    """A patch may change the key."""
    assert (200, "new.example") == patch_key(open_crm())


def test_patch_key_rejected(open_crm: Open) -> None:
    """A patch that names the key is 400."""
    assert (400, "old.example") == patch_key(open_crm(patch_key="rejected"))


def test_patch_key_ignored(open_crm: Open) -> None:
    """A patch that names the key leaves it alone."""
    assert (200, "old.example") == patch_key(open_crm(patch_key="ignored"))


def patch_lists(crm: Any) -> tuple[Any, Any]:
    (record,) = crm.create("accounts", {"domain": "a.example", "tags": ["a", "b"], "regions": ["n"]})["accounts"]
    crm.patch("accounts", {record["id"]: {"tags": ["b", "c"], "regions": ["s"]}})
    (record,) = crm.records("accounts")
    return record["tags"], record["custom_fields"]["regions"]


def test_patch_arrays_replace(open_crm: Open) -> None:
    """An array replaces the stored one."""
    assert (["b", "c"], ["s"]) == patch_lists(open_crm())


def test_patch_arrays_append(open_crm: Open) -> None:
    """An array adds what is not stored yet."""
    assert (["a", "b", "c"], ["n", "s"]) == patch_lists(open_crm(patch_arrays="append"))


def patch_unknown(crm: Any) -> tuple[int, Any]:
    (record,) = crm.create("accounts", {"domain": "a.example"})["accounts"]
    body = {record["id"]: {"name": "A"}, ANY_ID: {"name": "B"}}
    return crm.send("PATCH", "/v1/accounts/bulk", json=body).status_code, crm.records("accounts")[0]["name"]


def test_unknown_patch_id_reject_all(open_crm: Open) -> None:
    """A patch of an unknown record refuses the whole request."""
    assert (400, None) == patch_unknown(open_crm())


def test_unknown_patch_id_skip(open_crm: Open) -> None:
    """A patch of an unknown record is left out."""
    assert (200, "A") == patch_unknown(open_crm(unknown_patch_id="skip"))
