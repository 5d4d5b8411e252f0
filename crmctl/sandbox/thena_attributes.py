"""Attribute values of Thena: the picklists behind status, contact type and their like (docs/thena.md).

In: what a write or a filter calls a value, its id or its text. Out: its id; and the answers of the attribute routes.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_tables import ATTRIBUTES, TABLES, make_ulid

_COLUMNS = "id, attribute, value, is_default, icon, color, is_closed, created_at, updated_at"
_MEMBERS = {"value": "value", "isDefault": "is_default", "icon": "icon", "color": "color", "isClosed": "is_closed"}


@dataclass(frozen=True, slots=True)
class Value:
    """One attribute value."""

    id: str
    attribute: str
    value: str
    is_default: bool
    icon: str | None
    color: str | None
    is_closed: bool | None
    created_at: str
    updated_at: str

    def configure(self) -> dict[str, Any]:
        """Return how the value is displayed."""
        closed = None if self.is_closed is None else bool(self.is_closed)
        shown = {"icon": self.icon, "color": self.color, "isClosed": closed}
        return {name: value for name, value in shown.items() if value is not None}


class Attributes:
    """The values of an organisation, read once; lives for one transaction."""

    def __init__(self, connection: sqlite3.Connection, switches: ThenaSwitches) -> None:
        """Read them."""
        self._connection, self._switches = connection, switches
        rows = connection.execute(f"SELECT {_COLUMNS} FROM thena_attributes ORDER BY position")  # noqa: S608  a constant
        self._values = {row[0]: Value(*row) for row in rows}

    def find(self, kind: str, member: str, text: str) -> str | None:
        """Return the id of what a write or a filter names, None if there is nothing of that name."""
        by = self._switches.contact_type_by if kind == "contacts" else self._switches.attribute_by
        for value in self.list_values(ATTRIBUTES[kind][member]):
            if (by != "value" and value.id == text) or (by != "id" and value.value == text):
                return value.id
        return None

    def resolve(self, kind: str, member: str, text: str) -> str:
        """Return the id of what a write names, or raise `RequestError`."""
        found = self.find(kind, member, text)
        if found is None:
            raise RequestError(404, f"{ATTRIBUTES[kind][member].replace('_', ' ').capitalize()} not found")
        return found

    def default(self, attribute: str) -> str | None:
        """Return the id of what counts where nothing is named."""
        return next((value.id for value in self.list_values(attribute) if value.is_default), None)

    def get(self, id_: str | None) -> Value | None:
        """Return a value by its id."""
        return self._values.get(id_ or "")

    def list_values(self, attribute: str) -> list[Value]:
        """List the values of one attribute in the order in which they were made."""
        return [value for value in self._values.values() if value.attribute == attribute]

    def create(self, store: Store, body: Mapping[str, Any], now: str) -> Value:
        """Add a value."""
        blank = Value(make_ulid(store), body["attribute"], "", is_default=False, icon=None, color=None, is_closed=None,
                      created_at=now, updated_at=now)  # fmt: skip
        value = replace(blank, **_read_members(body))
        self._check_unique(value)
        self._connection.execute(
            f"INSERT INTO thena_attributes({_COLUMNS}) VALUES({', '.join('?' * 9)})", tuple(asdict(value).values())
        )
        return self._save(value)

    def update(self, id_: str, body: Mapping[str, Any], now: str) -> Value:
        """Change a value."""
        value = replace(self._find_or_refuse(id_), **_read_members(body), updated_at=now)
        self._check_unique(value)
        return self._save(value)

    def delete(self, store: Store, id_: str, *, force: bool, stamps: Any) -> Value:
        """Delete a value; with `force` also one in use, whose records get the default."""
        value = self._find_or_refuse(id_)
        if value.is_default:
            raise RequestError(400, "The default value cannot be deleted")
        for kind, members in ATTRIBUTES.items():
            for member in (member for member, attribute in members.items() if attribute == value.attribute):
                rows = store.find(self._connection, TABLES[kind], member, [id_])
                if rows and not force:
                    raise RequestError(400, "The value is in use")
                for row in rows:
                    row |= {member: self.default(value.attribute), "updated_at": next(stamps)}
                store.update(self._connection, TABLES[kind], rows)
        self._connection.execute("DELETE FROM thena_attributes WHERE id = ?", (id_,))
        return value

    def _find_or_refuse(self, id_: str) -> Value:
        if id_ not in self._values:
            raise RequestError(404, "Attribute value not found")
        return self._values[id_]

    def _check_unique(self, value: Value) -> None:
        for other in self.list_values(value.attribute):
            if other.value == value.value and other.id != value.id:
                raise RequestError(409, "The attribute has this value already")

    def _save(self, value: Value) -> Value:
        if value.is_default:
            self._connection.execute(
                "UPDATE thena_attributes SET is_default = 0 WHERE attribute = ?", (value.attribute,)
            )
        changes = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
        self._connection.execute(
            f"UPDATE thena_attributes SET {changes} WHERE id = ?",  # noqa: S608  constants
            (*asdict(value).values(), value.id),
        )
        return value


def render_value(value: Value) -> dict[str, Any]:
    """Write one value as the attribute routes answer it."""
    return {
        "id": value.id,
        "attribute": value.attribute,
        "value": value.value,
        "isDefault": bool(value.is_default),
        "configuration": value.configure(),
        "createdAt": render_time(value.created_at),
        "updatedAt": render_time(value.updated_at),
    }


def render_time(stamp: str) -> str:
    """Write a time with the milliseconds that the vendor's samples have."""
    return f"{stamp[:23]}Z"


def _read_members(body: Mapping[str, Any]) -> dict[str, Any]:
    return {_MEMBERS[name]: value for name, value in body.items() if name in _MEMBERS and value is not None}
