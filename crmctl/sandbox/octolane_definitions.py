"""Custom fields of Octolane: their definitions, and which one a written member means (docs/octolane.md).

A custom field has three names: the display name, the `property_name` (the stable key for writing) and the slug under
which reads show its values and filters find it.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import READABLE, WRITABLE, dump_json
from crmctl.sandbox.problems import RequestError

STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS octolane_fields(
      kind TEXT, id TEXT, slug TEXT, property_name TEXT, current_name TEXT, attribute_type TEXT, metadata TEXT,
      position INTEGER, is_hidden INTEGER, is_system INTEGER, PRIMARY KEY(kind, property_name)
    ) WITHOUT ROWID
    """,
)
_COLUMNS = "id, slug, property_name, current_name, attribute_type, metadata, position, is_hidden, is_system"
_PROPERTY_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NESTING = 50
"""Levels of lists and objects a custom value may have; SQLite's own limit is 1000."""
_NUMBERS = ("number", "rating", "currency", "percentage")
_LISTS = ("multi_select", "team_members")
_ATTRIBUTE_TYPES = {
    "text": "string",
    "number": "number",
    "boolean": "checkbox",
    "time": "timestamp",
    "list": "multi_select",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """One custom field (or a system field that somebody renamed); `metadata` is JSON text or None."""

    id: str
    slug: str
    property_name: str
    current_name: str
    attribute_type: str
    metadata: str | None = None
    position: int | None = None
    is_hidden: int = 0
    is_system: int = 0

    @property
    def type(self) -> str:
        """Return the type by which filters compare its values."""
        if self.attribute_type in _NUMBERS:
            return "number"
        if self.attribute_type in _LISTS:
            return "list"
        if self.attribute_type == "checkbox":
            return "boolean"
        return "ordered_text" if self.attribute_type in ("date", "timestamp", "time", "datetime") else "text"

    def holds(self, value: Any) -> bool:
        """Tell whether a value fits the attribute_type."""
        if self.type == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "boolean":
            return isinstance(value, bool)
        if self.type == "list":
            return isinstance(value, list)
        return (
            self.type == "ordered_text" or self.attribute_type in ("date_range", "location") or isinstance(value, str)
        )


def read_definitions(connection: sqlite3.Connection, kind: str) -> list[Definition]:
    """Read the definitions of one kind, custom fields and renamed system fields."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM octolane_fields WHERE kind = ? ORDER BY slug", (kind,))  # noqa: S608  a constant
    return [Definition(*row) for row in rows]


def describe_definitions(definitions: Sequence[Definition]) -> str:
    """Write `custom_field_definitions` of a page."""
    return dump_json(
        {
            definition.slug: {
                "current_name": definition.current_name,
                "property_name": definition.property_name,
                "attribute_type": definition.attribute_type,
                "metadata": json.loads(definition.metadata) if definition.metadata else None,
            }
            for definition in definitions
            if not definition.is_system
        }
    )


def list_definitions(definitions: Sequence[Definition], kind: str) -> list[dict[str, Any]]:
    """Write the answer to GET .../fields: system fields first."""
    stored = {definition.property_name: definition for definition in definitions}
    system = [stored.get(name, _system_field(kind, name)) for name in _system_names(kind)]
    return [_as_member(definition) for definition in (*system, *(d for d in definitions if not d.is_system))]


class CustomFields:
    """Find, and if need be make, the custom field that a written member means; lives for one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, kind: str, switches: OctolaneSwitches, make_id: Callable[[], str]
    ) -> None:
        """Read what is defined; `make_id` gives new definitions their id."""
        self._connection, self._kind, self._switches, self._make_id = connection, kind, switches, make_id
        self._definitions = {d.property_name: d for d in read_definitions(connection, kind)}
        self._slugs = {d.slug: d for d in self._definitions.values() if not d.is_system}

    def find(self, member: str) -> Definition | None:
        """Find the field by the names that the switch `custom_key` lets a write use."""
        by = self._switches.custom_key
        found = self._definitions.get(member) if by != "slug" else None
        return found or (self._slugs.get(member) if by != "property_name" else None)

    def place(self, member: str, value: Any) -> str | None:
        """Return the slug under which to store a value, None to drop it; raise `RequestError` if it may not be."""
        if _is_deep(value, _NESTING):
            raise RequestError(400, f"{member}: nested too deep")
        field = self.find(member)
        if field is None:
            if self._switches.unknown_field == "ignore":
                return None
            if self._switches.unknown_field == "reject" or not _PROPERTY_NAME.fullmatch(member):
                raise RequestError(400, f"{member}: no such field")
            if value is None:
                return None
            field = self.define({"name": member, "property_name": member, "attribute_type": _guess_type(value)}, member)
        elif value is not None and not field.holds(value) and self._switches.mistyped_custom != "store":
            if self._switches.mistyped_custom == "ignore":
                return None
            raise RequestError(400, f"{member}: not a value for {field.attribute_type}")
        return field.slug

    def create(self, item: Mapping[str, Any]) -> Definition:
        """Define a field, or resolve the one that has its name or property_name."""
        name, wanted = item["name"], item.get("property_name")
        if wanted in READABLE[self._kind]:
            raise RequestError(400, f"{wanted}: is a system field")
        for field in self._definitions.values():
            if not field.is_system and (field.property_name == wanted or field.current_name == name):
                if self._switches.repeated_field == "reject":
                    raise RequestError(400, f"{name}: exists")
                return field
        return self.define(item, re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "field")

    def define(self, item: Mapping[str, Any], slug: str) -> Definition:
        """Store a new definition; slug and property_name get a number when they are taken."""
        slug = _free(slug, {**self._slugs, **READABLE[self._kind]})
        wanted = item.get("property_name") or f"custom__{slug}"
        field = Definition(
            id=self._make_id(),
            slug=slug,
            property_name=_free(wanted, self._definitions),
            current_name=item["name"],
            attribute_type=item["attribute_type"],
            metadata=_read_metadata(item.get("metadata"), self._make_id),
            position=item.get("order"),
            is_hidden=int(item.get("is_hidden", False)),
        )
        self._save(field)
        return field

    def update(self, item: Mapping[str, Any]) -> Definition:
        """Change a definition; its property_name and slug stay."""
        id_, property_name = item.get("id") or item.get("attribute_id"), item.get("property_name")
        if id_ and item.get("attribute_id", id_) != id_:
            raise RequestError(400, "id and attribute_id differ")
        field = next((d for d in self._definitions.values() if id_ and d.id == id_), None)
        if id_ is None and property_name in _system_names(self._kind):
            field = self._definitions.get(property_name) or _system_field(self._kind, property_name)
        elif id_ is None:
            field = self._definitions.get(str(property_name))
        if field is None:
            raise RequestError(400, f"{id_ or property_name}: no such field")
        if property_name is not None and property_name != field.property_name:
            raise RequestError(400, f"{property_name}: property_name cannot be changed")
        if "attribute_type" in item and field.is_system and item["attribute_type"] != field.attribute_type:
            raise RequestError(400, f"{field.property_name}: a system field keeps its attribute_type")
        if item.get("name", item.get("current_name")) != item.get("current_name", item.get("name")):
            raise RequestError(400, "name and current_name differ")
        changed = Definition(
            id=field.id,
            slug=field.slug,
            property_name=field.property_name,
            current_name=item.get("name", item.get("current_name", field.current_name)),
            attribute_type=item.get("attribute_type", field.attribute_type),
            metadata=_read_metadata(item["metadata"], self._make_id) if "metadata" in item else field.metadata,
            position=item.get("order", field.position),
            is_hidden=int(item.get("is_hidden", field.is_hidden)),
            is_system=field.is_system,
        )
        self._save(changed)
        return changed

    def _save(self, field: Definition) -> None:
        values = [getattr(field, name) for name in _COLUMNS.split(", ")]
        self._connection.execute(
            f"INSERT OR REPLACE INTO octolane_fields(kind, {_COLUMNS}) VALUES(?{', ?' * len(values)})",
            (self._kind, *values),
        )
        self._definitions[field.property_name] = field
        if not field.is_system:
            self._slugs[field.slug] = field


def _is_deep(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    return levels == 0 or any(
        _is_deep(one, levels - 1) for one in (value.values() if isinstance(value, dict) else value)
    )


def _system_names(kind: str) -> list[str]:
    return [name for name, type_ in READABLE[kind].items() if type_ != "custom"]


def _free(name: str, taken: Mapping[str, object]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _guess_type(value: Any) -> str:
    if isinstance(value, bool):
        return "checkbox"
    if isinstance(value, int | float):
        return "number"
    return "multi_select" if isinstance(value, list) else "string"


def _read_metadata(given: Mapping[str, Any] | None, make_id: Callable[[], str]) -> str | None:
    """Turn `select_options` of a create into `options` of a read; an option without a value gets one."""
    if given is None:
        return None
    options = given.get("select_options")
    if not isinstance(options, list) or not all(isinstance(option, dict) for option in options):
        return dump_json(given)
    read = [
        {"label": o.get("label"), "value": o.get("value") or f"e-{make_id()[:6]}", "color": o.get("color")}
        for o in options
    ]
    return dump_json({**{name: value for name, value in given.items() if name != "select_options"}, "options": read})


def _system_field(kind: str, name: str) -> Definition:
    """Make the definition of a system field; its id is derived, so that it is the same in every database."""
    number = list(READABLE[kind]).index(name) + (1000 if kind == "contacts" else 0)
    attribute_type = {"email": "email", "phone": "phone"}.get(name, _ATTRIBUTE_TYPES[READABLE[kind][name]])
    title = name.replace("_", " ").capitalize()
    hidden = int(name not in WRITABLE[kind])
    return Definition(
        f"00000000-0000-4000-8000-{number:012d}", name, name, title, attribute_type, None, None, hidden, 1
    )


def _as_member(field: Definition) -> dict[str, Any]:
    return {
        "id": field.id,
        "current_name": field.current_name,
        "property_name": field.property_name,
        "attribute_type": field.attribute_type,
        "metadata": json.loads(field.metadata) if field.metadata else None,
        "order": field.position,
        "is_hidden": bool(field.is_hidden),
        "is_system": bool(field.is_system),
    }
