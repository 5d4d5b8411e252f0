"""Definitions of Octolane's fields, as they are stored and as they are read (docs/octolane.md).

A custom field has three names: the display name, the `property_name` (the stable key for writing) and the slug under
which reads show its values and filters find it.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.octolane_stages import STATEMENTS as PIPELINES
from crmctl.sandbox.octolane_tables import READABLE, WRITABLE

STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS octolane_fields(
      kind TEXT, id TEXT, slug TEXT, property_name TEXT, current_name TEXT, attribute_type TEXT, metadata TEXT,
      position INTEGER, is_hidden INTEGER, is_system INTEGER, PRIMARY KEY(kind, property_name)
    ) WITHOUT ROWID
    """,
    # No route makes fields of opportunities, so two are built in.
    """
    INSERT OR IGNORE INTO octolane_fields VALUES
      ('opportunities', '018f13b3-8239-7ef8-a8f1-93ad10b76301', 'competitor', 'custom__competitor', 'Competitor',
       'string', NULL, NULL, 0, 0),
      ('opportunities', '018f13b3-8239-7ef8-a8f1-93ad10b76302', 'forecast', 'custom__forecast', 'Forecast', 'select',
       '{"options":[{"label":"Likely","value":"e-1a","color":null},{"label":"Open","value":"e-2b","color":null}]}',
       NULL, 0, 0)
    """,
    *PIPELINES,
)
"""The SQL behind `TABLES` that is no record: field definitions, pipelines and their stages."""

COLUMNS = "id, slug, property_name, current_name, attribute_type, metadata, position, is_hidden, is_system"
_NUMBERS = ("number", "rating", "currency", "percentage")
_SELECTS = ("select", "multi_select")
_LISTS = ("multi_select", "team_members")
_ATTRIBUTE_TYPES = {
    "text": "string",
    "number": "number",
    "boolean": "checkbox",
    "time": "timestamp",
    "milliseconds": "timestamp",
    "list": "multi_select",
}


class Definition(NamedTuple):
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

    @property
    def options(self) -> list[dict[str, str]]:
        """Return the options of a select, as far as each has a value and a label."""
        metadata = json.loads(self.metadata) if self.metadata and self.attribute_type in _SELECTS else {}
        return [
            option
            for option in metadata.get("options") or ()
            if isinstance(option.get("value"), str) and isinstance(option.get("label"), str)
        ]

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
    rows = connection.execute(f"SELECT {COLUMNS} FROM octolane_fields WHERE kind = ? ORDER BY slug", (kind,))  # noqa: S608  a constant
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
    system = [stored.get(name, system_field(kind, name)) for name in system_names(kind)]
    return [_as_member(definition) for definition in (*system, *(d for d in definitions if not d.is_system))]


def system_names(kind: str) -> list[str]:
    """Name the members of a kind that are not custom fields."""
    return [name for name, type_ in READABLE[kind].items() if type_ != "custom"]


def system_field(kind: str, name: str) -> Definition:
    """Make the definition of a system field; its id is derived, so that it is the same in every database."""
    number = list(READABLE[kind]).index(name) + 1000 * list(READABLE).index(kind)
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
