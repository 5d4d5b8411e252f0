"""Field definitions: creating, changing and listing them, and the three names of a custom field."""

from typing import Any

import pytest

FIELDS = "/v1/contacts/fields/bulk"
ANY_ID = "00000000-0000-4000-8000-00000000ffff"


def define(crm: Any, **item: Any) -> Any:
    return crm.send("POST", FIELDS, json=[{"name": "Customer tier", "attribute_type": "string", **item}])


def change(crm: Any, **item: Any) -> Any:
    return crm.send("POST", f"{FIELDS}/update", json=[item])


def test_a_definition_gets_a_slug_and_a_property_name(crm: Any) -> None:
    """The slug comes from the name; the property_name is generated, and another one."""
    (field,) = define(crm).json()["data"]["fields"]
    assert "custom__customer_tier" == field["property_name"]
    expected = {"current_name": "Customer tier", "property_name": "custom__customer_tier", "attribute_type": "string"}
    assert {"customer_tier": {**expected, "metadata": None}} == crm.search("contacts")["custom_field_definitions"]


def test_two_definitions_never_share_a_slug(crm: Any) -> None:
    """A second field of the same slug gets a number."""
    define(crm)
    define(crm, name="Customer  Tier!")
    define(crm, name="E-mail", property_name="mail")
    define(crm, name="Email", property_name="mail_2")
    slugs = crm.search("contacts")["custom_field_definitions"]
    assert {"customer_tier", "customer_tier_2", "e_mail", "email_2"} == set(slugs)


def test_select_options_are_read_as_options_with_values(crm: Any) -> None:
    """Options are created as `select_options` and read as `options`, each with a value."""
    options = [{"label": "Gold", "value": "g", "color": "#fff", "order": 1}, {"label": "Lead"}]
    define(crm, attribute_type="select", metadata={"select_options": options})
    (definition,) = crm.search("contacts")["custom_field_definitions"].values()
    gold, lead = definition["metadata"]["options"]
    assert gold == {"label": "Gold", "value": "g", "color": "#fff"}
    assert lead["value"].startswith("e-")


@pytest.mark.parametrize(
    "item",
    [
        {"attribute_type": "colour"},
        {"property_name": "Tier"},
        {"property_name": "email"},
        {"property_name": "custom_fields"},
        {"order": 0},
        {"is_hidden": "no"},
        {"name": None},
    ],
)
def test_a_bad_definition_is_refused(crm: Any, item: dict[str, Any]) -> None:
    """What the documentation does not allow in a definition is 400."""
    assert 400 == define(crm, **item).status_code


def test_a_definition_is_changed_by_any_of_its_identifiers(crm: Any) -> None:
    """A field is named by id, attribute_id or property_name, and renamed by name or current_name."""
    (field,) = define(crm, property_name="tier").json()["data"]["fields"]
    for by, name in (
        ({"id": field["id"]}, "A"),
        ({"attribute_id": field["id"]}, "B"),
        ({"property_name": "tier"}, "C"),
    ):
        assert 200 == change(crm, **by, name=name).status_code
    (changed,) = change(crm, id=field["id"], property_name="tier", current_name="D").json()["data"]["fields"]
    assert changed == {**field, "current_name": "D"}
    assert ["customer_tier"] == list(crm.search("contacts")["custom_field_definitions"])


def test_everything_but_the_property_name_can_be_changed(crm: Any) -> None:
    """Type, metadata, order and visibility of a custom field can be changed."""
    define(crm, property_name="tier")
    new = {"attribute_type": "number", "metadata": {"unit": "x"}, "order": 3, "is_hidden": True}
    (changed,) = change(crm, property_name="tier", **new).json()["data"]["fields"]
    assert new == {name: changed[name] for name in new}


@pytest.mark.parametrize(
    "item",
    [
        {"id": ANY_ID},
        {"property_name": "nope"},
        {},
        {"property_name": "email", "attribute_type": "number"},
        {"property_name": "custom_fields", "name": "X"},
        {"property_name": "tier", "name": "A", "current_name": "B"},
        {"property_name": "tier", "attribute_type": "colour"},
    ],
)
def test_a_bad_change_is_refused(crm: Any, item: dict[str, Any]) -> None:
    """An unknown field, or a change that is not allowed, is 400."""
    define(crm, property_name="tier")
    assert 400 == change(crm, **item).status_code


def test_the_property_name_never_changes(crm: Any) -> None:
    """Given with an id it has to be the stored one, and two ids have to agree."""
    (field,) = define(crm, property_name="tier").json()["data"]["fields"]
    assert 400 == change(crm, id=field["id"], property_name="other").status_code
    assert 400 == change(crm, id=field["id"], attribute_id=ANY_ID).status_code


def test_a_system_field_can_be_renamed(crm: Any) -> None:
    """A system field takes another display name and does not turn into a custom field."""
    assert 200 == change(crm, property_name="job_title", name="Role").status_code
    assert {} == crm.search("contacts")["custom_field_definitions"]
    crm.create("contacts", {"email": "jane@acme.example", "job_title": "CTO"})
    assert "CTO" == crm.records("contacts")[0]["job_title"]


def test_system_and_custom_fields_are_listed(crm: Any) -> None:
    """GET lists the system fields first, then the custom ones."""
    crm.create("accounts", {"domain": "acme.example", "tier": "gold", "vip": True, "seats": 5, "regions": ["n"]})
    fields = crm.send("GET", "/v1/accounts/fields").json()["data"]["fields"]
    system = {field["property_name"]: field["attribute_type"] for field in fields if field["is_system"]}
    custom = {field["property_name"]: field["attribute_type"] for field in fields if not field["is_system"]}
    assert ("string", "number", "timestamp") == (system["domain"], system["founded"], system["next_meeting"])
    assert custom == {"tier": "string", "vip": "checkbox", "seats": "number", "regions": "multi_select"}
    assert [field["is_system"] for field in fields] == [True] * len(system) + [False] * len(custom)


def test_a_written_name_beside_a_slug_makes_a_field_of_its_own(open_crm: Any) -> None:
    """Where only property_names count, a member called like a slug is another, new field, found again next time."""
    crm = open_crm(custom_key="property_name")
    define(crm)
    for value in ("a", "b"):
        crm.create("contacts", {"email": "jane@acme.example", "customer_tier": value})
    assert {"customer_tier_2": "b"} == crm.records("contacts")[0]["custom_fields"]


@pytest.mark.parametrize(
    ("attribute_type", "good", "bad"),
    [
        ("number", 5, "5"),
        ("rating", 4.5, True),
        ("checkbox", True, 1),
        ("multi_select", ["a"], "a"),
        ("select", "a", ["a"]),
        ("date", 1771286400, None),
        ("location", {"city": "X"}, None),
    ],
)
def test_a_custom_value_fits_its_attribute_type(open_crm: Any, attribute_type: str, good: Any, bad: Any) -> None:
    """With mistyped values rejected, each attribute_type takes its own kind of value."""
    crm = open_crm(mistyped_custom="reject")
    define(crm, attribute_type=attribute_type, property_name="value")

    def status(value: Any) -> int:
        return int(crm.send("POST", "/v1/contacts/bulk", json=[{"email": "a@x.example", "value": value}]).status_code)

    assert (200, 200 if bad is None else 400) == (status(good), status(bad))
