"""Every value of every switch about Thena's custom values, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]
CONTACTS = "/v1/accounts/contacts"


def define(thena: Any, name: str = "Tier") -> str:
    body = {"name": name, "source": "customer_contact", "fieldType": "single_line"}
    return str(thena.post("custom-field", **body)["uid"])


def test_custom_values_are_written_in_bulk(open_thena: Open) -> None:
    """Each contact of a bulk create has its own values."""
    thena = open_thena()
    uid = define(thena)
    people = [
        {"firstName": name, "email": f"{name}@acme.example", "customFieldValues": [{"fieldId": uid, "value": name}]}
        for name in ("ada", "bo")
    ]
    assert 2 == thena.post("accounts/contacts/bulk", contacts=people)["created"]
    assert ["ada", "bo"] == [contact["customFieldValues"][0]["data"] for contact in thena.get("accounts/contacts")]


def put_custom(thena: Any) -> list[Any]:
    one, two = define(thena, "One"), define(thena, "Two")
    made = thena.contact(customFieldValues=[{"fieldId": one, "value": "a"}])
    changed = thena.put(f"accounts/contacts/{made['id']}", customFieldValues=[{"fieldId": two, "value": "b"}])
    return [value["data"] for value in changed["customFieldValues"]]


def test_custom_update_merge(open_thena: Open) -> None:
    """Custom values that a PUT does not name stay."""
    assert ["a", "b"] == put_custom(open_thena())


def test_custom_update_replace(open_thena: Open) -> None:
    """Custom values that a PUT does not name go, if it names any."""
    assert ["b"] == put_custom(open_thena(custom_update="replace"))


def write_shapes(thena: Any, data: Any = "gold") -> list[int]:
    uid, id_ = define(thena), thena.contact()["id"]
    shapes = [{"fieldId": uid, "value": "gold"}, {"customFieldId": uid, "data": data, "metadata": {}}]
    return [thena.send("PUT", f"{CONTACTS}/{id_}", json={"customFieldValues": [shape]}).status_code for shape in shapes]


def test_custom_write_field_id(open_thena: Open) -> None:
    """A custom value is written as {fieldId, value}."""
    assert [200, 400] == write_shapes(open_thena())


def test_custom_write_custom_field_id(open_thena: Open) -> None:
    """A custom value is written as it is read."""
    assert [400, 200] == write_shapes(open_thena(custom_write="custom_field_id"))


def test_custom_write_either(open_thena: Open) -> None:
    """A custom value is written either way."""
    assert [200, 200] == write_shapes(open_thena(custom_write="either"))


def read_custom(thena: Any, value: Any = "gold") -> Any:
    return thena.contact(customFieldValues=[{"fieldId": define(thena), "value": value}])["customFieldValues"]


def test_custom_read_objects(open_thena: Open) -> None:
    """A custom value is read with the id of its field."""
    [value] = read_custom(open_thena())
    assert ({"customFieldId", "data", "metadata"}, "gold") == (set(value), value["data"])


def test_custom_read_strings(open_thena: Open) -> None:
    """A custom value is read as a text alone."""
    assert ["gold"] == read_custom(open_thena(custom_read="strings"))
    assert ["[1]"] == read_custom(open_thena(custom_read="strings", mistyped_custom="store", database="b.db"), [1])


def test_custom_data_value(open_thena: Open) -> None:
    """The data of a custom value is the value."""
    assert "gold" == read_custom(open_thena())[0]["data"]


def test_custom_data_list(open_thena: Open) -> None:
    """The data of a custom value is a list of one, read and written."""
    thena = open_thena(custom_data="list", custom_write="either")
    assert [{"value": "gold"}] == read_custom(thena)[0]["data"]
    other = open_thena(custom_data="list", custom_write="either", database="other.db")
    assert [200, 200] == write_shapes(other, [{"value": "gold"}])
    third = open_thena(custom_data="list", custom_write="either", database="third.db")
    assert [200, 400] == write_shapes(third, "gold")


def test_mistyped_custom_reject(open_thena: Open) -> None:
    """A custom value of another type is 400."""
    thena = open_thena()
    body = {"customFieldValues": [{"fieldId": define(thena), "value": 7}]}
    assert 400 == thena.refused("POST", "accounts/contacts", firstName="A", email="a@acme.example", **body)


def test_mistyped_custom_store(open_thena: Open) -> None:
    """A custom value of another type is stored."""
    assert 7 == read_custom(open_thena(mistyped_custom="store"), 7)[0]["data"]
