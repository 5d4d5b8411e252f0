"""Find the custom field of Octolane that a written member means, made if need be, and change fields."""

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.octolane_definitions import COLUMNS, Definition, read_definitions, system_field, system_names
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import READABLE
from crmctl.sandbox.problems import RequestError

_PROPERTY_NAME = re.compile(r"[a-z][a-z0-9_]*")


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

    def place(self, member: str, value: Any) -> tuple[str, Any] | None:
        """Return the slug under which to store a value, and the value as it is read; None to drop it.

        Raises `RequestError` for what may not be stored.
        """
        field = self.find(member)
        if field is None:
            if self._switches.unknown_field == "ignore":
                return None
            if self._switches.unknown_field == "reject" or not _PROPERTY_NAME.fullmatch(member):
                raise RequestError(400, f"{member}: no such field")
            if value is None:
                return None
            field = self.define({"name": member, "property_name": member, "attribute_type": _guess_type(value)}, member)
        options = self._name_options(field)
        items = value if isinstance(value, list) else [value]
        known = not options or all(isinstance(item, str) and item in options for item in items)
        if value is not None and not (known and field.holds(value)) and self._switches.mistyped_custom != "store":
            if self._switches.mistyped_custom == "ignore":
                return None
            raise RequestError(400, f"{member}: not a value for {field.attribute_type}")
        named = [options.get(item, item) if isinstance(item, str) else item for item in items]
        return field.slug, named if isinstance(value, list) else named[0]

    def _name_options(self, field: Definition) -> dict[str, str]:
        """Return what a write may call the options of a field, and what reads call each of them."""
        written, read = self._switches.option_written, self._switches.option_read
        return {
            option[name]: option[read]
            for option in field.options
            for name in (("value", "label") if written == "either" else (written,))
        }

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
        if id_ is None and property_name in system_names(self._kind):
            field = self._definitions.get(property_name) or system_field(self._kind, property_name)
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
        values = [getattr(field, name) for name in COLUMNS.split(", ")]
        self._connection.execute(
            f"INSERT OR REPLACE INTO octolane_fields(kind, {COLUMNS}) VALUES(?{', ?' * len(values)})",
            (self._kind, *values),
        )
        self._definitions[field.property_name] = field
        if not field.is_system:
            self._slugs[field.slug] = field


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
