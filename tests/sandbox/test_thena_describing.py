"""Thena's attribute values and custom fields."""

from typing import Any

import pytest


def values_of(thena: Any, attribute: str) -> dict[str, Any]:
    return {value["value"]: value for value in thena.get("accounts/attributes", attribute=attribute)}


@pytest.mark.parametrize(
    ("attribute", "values", "default"),
    [
        ("account_status", ["PROSPECT", "TRIAL", "ACTIVE", "CHURNED", "ACQUIRED"], ["PROSPECT"]),
        ("account_classification", ["ENTERPRISE", "MID_MARKET", "SMB", "STRATEGIC"], []),
        ("account_health", ["RED", "YELLOW", "GREEN"], []),
        ("contact_type", ["PRIMARY", "BILLING", "LEGAL", "EXECUTIVE", "OTHER"], ["PRIMARY"]),
        ("task_status", [], []),
    ],
)
def test_an_organisation_begins_with_values(thena: Any, attribute: str, values: list[str], default: list[str]) -> None:
    """The documented values are there, in their order, with the same ids in every database."""
    found = thena.get("accounts/attributes", attribute=attribute)
    assert values == [value["value"] for value in found]
    assert default == [value["value"] for value in found if value["isDefault"]]


def test_a_value_is_added_and_changed(thena: Any) -> None:
    """A new value can be used at once; a new default takes the place of the old one."""
    made = thena.post("accounts/attributes", attribute="account_status", value="PAUSED", icon="pause", color="#aabbcc")
    assert {"icon": "pause", "color": "#aabbcc"} == made["configuration"]
    account = thena.account(status="PAUSED")
    changed = thena.put(f"accounts/attributes/{made['id']}", value="RESTING", isDefault=True, isClosed=False)
    assert {"icon": "pause", "color": "#aabbcc", "isClosed": False} == changed["configuration"]
    assert "RESTING" == thena.get(f"accounts/{account['id']}")["status"]
    assert changed["configuration"] == thena.get(f"accounts/{account['id']}")["statusConfiguration"]
    assert ["RESTING"] == [name for name, value in values_of(thena, "account_status").items() if value["isDefault"]]
    assert "RESTING" == thena.account("other.example")["status"]


def test_a_value_stands_once(thena: Any) -> None:
    """A second value of one text is 409, whether it is new or changed."""
    assert 409 == thena.refused("POST", "accounts/attributes", attribute="account_health", value="RED")
    green = values_of(thena, "account_health")["GREEN"]["id"]
    assert 409 == thena.refused("PUT", f"accounts/attributes/{green}", value="RED")
    assert 404 == thena.refused("PUT", "accounts/attributes/nope", value="BLUE")


def test_a_value_is_deleted(thena: Any) -> None:
    """A value in use goes by force only, and its records get the default; the default itself stays."""
    types = values_of(thena, "contact_type")
    contact = thena.contact(contactType=types["BILLING"]["id"])
    path = f"/v1/accounts/attributes/{types['BILLING']['id']}"
    assert 400 == thena.send("DELETE", path).status_code
    assert 400 == thena.send("DELETE", path, params={"forceDelete": "perhaps"}).status_code
    assert 400 == thena.send("DELETE", path, params={"forceDelete": "false"}).status_code
    assert "BILLING" == thena.delete(path.removeprefix("/v1/"), forceDelete="true")["value"]
    assert "PRIMARY" == thena.post("accounts/contacts/filter/ids", ids=[contact["id"]])[0]["contactType"]
    assert 404 == thena.send("DELETE", path, params={"forceDelete": "true"}).status_code
    primary = f"/v1/accounts/attributes/{types['PRIMARY']['id']}"
    assert 400 == thena.send("DELETE", primary, params={"forceDelete": "true"}).status_code
    assert "LEGAL" == thena.delete(f"accounts/attributes/{types['LEGAL']['id']}", forceDelete="false")["value"]


def test_what_was_deleted_stays_away(thena: Any, open_thena: Any) -> None:
    """Opening a database again brings no value back."""
    red = values_of(thena, "account_health")["RED"]["id"]
    thena.delete(f"accounts/attributes/{red}", forceDelete="false")
    assert ["YELLOW", "GREEN"] == list(values_of(open_thena(), "account_health"))


def test_an_attribute_has_to_be_named(thena: Any) -> None:
    """The parameter is required, and one of a list."""
    assert 400 == thena.send("GET", "/v1/accounts/attributes").status_code
    assert 400 == thena.send("GET", "/v1/accounts/attributes?attribute=nope").status_code


def define(thena: Any, type_: str, source: str = "account", **body: Any) -> str:
    return str(thena.post("custom-field", name=type_, source=source, fieldType=type_, **body)["uid"])


def test_custom_fields_are_listed_by_source(thena: Any) -> None:
    """Fields of accounts and of contacts are apart; pages of the general list count from 0."""
    one, two = define(thena, "single_line"), define(thena, "integer")
    three = define(thena, "single_line", "customer_contact", hintText="Say something", metadata={"a": 1})
    assert [one, two] == [field["uid"] for field in thena.get("accounts/account-custom-fields")]
    assert [two] == [field["uid"] for field in thena.get("custom-field", source="account", page=1, limit=1)]
    [field] = thena.get("custom-field", source="customer_contact", page=0, limit=10)
    assert (three, "Say something", {"a": 1}, True) == (
        *(field["uid"], field["hintText"], field["metadata"]),
        field["isActive"],
    )
    assert 409 == thena.refused("POST", "custom-field", name="integer", source="account", fieldType="integer")


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("single_line", "x", 1),
        ("integer", 3, 3.5),
        ("integer", 3, True),
        ("decimal", 3.5, "3.5"),
        ("checkbox", True, "yes"),
        ("single_choice", "gold", "iron"),
        ("multi_choice", ["gold", "tin"], ["iron"]),
        ("multi_choice", [], "gold"),
    ],
)
def test_a_custom_value_is_kept(thena: Any, type_: str, good: Any, bad: Any) -> None:
    """A value that fits its fieldType is read back, any other is 400."""
    uid = define(thena, type_, options=["gold", "tin"])
    made = thena.account(customFieldValues=[{"fieldId": uid, "value": good}])
    assert [{"customFieldId": uid, "data": good, "metadata": {}}] == made["customFieldValues"]
    assert 400 == thena.refused("PUT", f"accounts/{made['id']}", customFieldValues=[{"fieldId": uid, "value": bad}])


def test_a_custom_field_has_to_exist(thena: Any) -> None:
    """A value of a field that does not exist, or is of another kind, is 400."""
    uid = define(thena, "single_line", "customer_contact")
    made = thena.account()
    for wrong in ("nope", uid):
        body = {"customFieldValues": [{"fieldId": wrong, "value": "x"}]}
        assert 400 == thena.refused("PUT", f"accounts/{made['id']}", **body)


def test_custom_values_go_with_the_list(thena: Any) -> None:
    """Null for all custom values clears them."""
    uid = define(thena, "single_line", "customer_contact")
    made = thena.contact(customFieldValues=[{"fieldId": uid, "value": "x"}])
    assert [] == thena.put(f"accounts/contacts/{made['id']}", customFieldValues=None)["customFieldValues"]
