"""Custom fields of Thena: what is defined, and how values are written and read (docs/thena.md).

A record keeps its values as a JSON object by id of the field. Writes take a list of `{fieldId, value}`, reads show a
list of `{customFieldId, data, metadata}`; the switches know other readings.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store, stamp_of
from crmctl.sandbox.thena_attributes import render_time
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_tables import make_ulid

SOURCES = {"accounts": "account", "contacts": "customer_contact"}
"""What the definitions of a kind's fields have as their source."""

_ORGANISATION = "ORG00000000000000000000001"
_FLAGS = ("autoAddToAllForms", "mandatoryOnCreation", "mandatoryOnClose", "visibleToCustomer", "editableByCustomer")
_TEXTS = ("teamId", "hintText", "placeholderText", "defaultValue")
_NUMBERS = ("decimal", "currency", "rating")
_CHOICES = ("single_choice", "radio_button")


class CustomFields:
    """The definitions of one source, read once; lives for one transaction."""

    def __init__(self, connection: sqlite3.Connection, source: str, switches: ThenaSwitches) -> None:
        """Read them."""
        self._connection, self._source, self._switches = connection, source, switches
        rows = connection.execute(
            "SELECT uid, definition FROM thena_fields WHERE source = ? ORDER BY position", (source,)
        )
        self._definitions: dict[str, dict[str, Any]] = {uid: json.loads(text) for uid, text in rows}

    def list_definitions(self) -> list[dict[str, Any]]:
        """List the definitions in the order in which they were made."""
        return list(self._definitions.values())

    def define(self, store: Store, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a field."""
        if any(field["name"] == body["name"] for field in self._definitions.values()):
            raise RequestError(409, "A custom field of this name exists")
        now = render_time(stamp_of(int(store.clock() * 1_000_000)))
        field = {
            "name": body["name"],
            "uid": make_ulid(store),
            "organizationId": _ORGANISATION,
            "source": body["source"],
            "fieldType": body["fieldType"],
            "options": body.get("options", []),
            "metadata": body.get("metadata", {}),
            "createdAt": now,
            "updatedAt": now,
            "isActive": True,
            **{name: body.get(name) for name in _TEXTS},
            **{name: body.get(name, False) for name in _FLAGS},
        }
        self._connection.execute(
            "INSERT INTO thena_fields(uid, source, name, definition) VALUES(?, ?, ?, ?)",
            (field["uid"], self._source, field["name"], dump_json(field)),
        )
        return field

    def write(self, stored: str, items: Sequence[Mapping[str, Any]], *, replace: bool) -> str:
        """Put written values into those of a record, or in their place; a value of null goes."""
        values: dict[str, Any] = {} if replace else json.loads(stored)
        for item in items:
            uid, value = self._read_item(item)
            if uid not in self._definitions:
                raise RequestError(400, f"customFieldValues: there is no custom field {uid}")
            if value is None and self._switches.put_null == "rejected":
                raise RequestError(400, "customFieldValues: a value must not be null")
            if value is None and self._switches.put_null == "clears":
                values.pop(uid, None)
            elif value is not None:
                if self._switches.mistyped_custom == "reject" and not _holds(self._definitions[uid], value):
                    raise RequestError(400, f"customFieldValues: {uid}: no {self._definitions[uid]['fieldType']}")
                values[uid] = value
        return dump_json(values)

    def read(self, stored: str) -> list[Any]:
        """Write the values of a record as answers show them."""
        values = json.loads(stored).items()
        if self._switches.custom_read == "strings":
            return [value if isinstance(value, str) else dump_json(value) for _, value in values]
        listed = self._switches.custom_data == "list"
        return [
            {"customFieldId": uid, "data": [{"value": value}] if listed else value, "metadata": {}}
            for uid, value in values
        ]

    def _read_item(self, item: Mapping[str, Any]) -> tuple[str, Any]:
        if "fieldId" in item:
            if self._switches.custom_write == "custom_field_id":
                raise RequestError(400, "customFieldValues: fieldId: unknown")
            return item["fieldId"], item["value"]
        if self._switches.custom_write == "field_id":
            raise RequestError(400, "customFieldValues: customFieldId: unknown")
        data = item["data"]
        if self._switches.custom_data == "value":
            return item["customFieldId"], data
        if not (isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict) and "value" in data[0]):
            raise RequestError(400, "customFieldValues: data: expected [{value}]")
        return item["customFieldId"], data[0]["value"]


def _holds(field: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a value fits the fieldType of its field."""
    kind, options = field["fieldType"], field["options"]
    if kind in ("checkbox", "toggle", "boolean"):
        return isinstance(value, bool)
    if kind == "integer" or kind in _NUMBERS:
        numbers: Any = int if kind == "integer" else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    if kind in _CHOICES:
        return value in options
    if kind == "multi_choice":
        return isinstance(value, list) and all(one in options for one in value)
    return isinstance(value, str)
