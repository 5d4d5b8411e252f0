"""The custom fields that an organisation has: whichever of its names a manifest uses, the field that is meant.

In: definitions as reads and lists bring them, and declared fields. Out: values in the words of manifests, or as
Octolane takes them.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any

from crmctl.providers.octolane.custom_fields import PREFIX, SECTION, CustomField, Place, Way, declared, join


class Catalogue:
    """All definitions seen so far, by place and slug; `planned` are those that are still to be made."""

    def __init__(self) -> None:
        self.fields: dict[Place, dict[str, CustomField]] = {}
        self.planned: dict[Place, dict[str, CustomField]] = {}

    def learn(self, place: Place, definitions: Any) -> None:
        """Take the `custom_field_definitions` of an answer, as far as they are what is documented."""
        if not isinstance(definitions, Mapping) or not definitions:
            return
        known = self.fields.setdefault(place, {})
        for slug, definition in definitions.items():
            if isinstance(definition, Mapping):
                known[slug] = _read_definition(slug, definition)

    def learn_list(self, place: Place, data: Any, system: Container[str]) -> None:
        """Take a list of fields, whose shape is not documented: everything in it that has a property name.

        Those of the `system` are no custom fields. One that reads have told of stays as it is; another one's slug is
        taken from its property name.
        """
        known = self.fields.setdefault(place, {})
        told = {custom.property_name for custom in known.values()}
        for definition in _find_definitions(data):
            property_name = definition["property_name"]
            slug = definition.get("slug")
            slug = slug if isinstance(slug, str) and slug else property_name.removeprefix("custom__")
            if property_name not in told and property_name not in system and slug not in known:
                known[slug] = _read_definition(slug, definition)

    def find(self, place: Place, path: str) -> CustomField | None:
        """Return the definition that a declared field means, by its slug, property name or label."""
        section, _, name = path.partition(".")
        if section != SECTION:
            return None
        known = self.fields.get(place, {})
        if name in known:
            return known[name]
        for custom in known.values():
            if name in (custom.property_name, custom.name):
                return custom
        return self.planned.get(place, {}).get(name)

    def say(self, place: Place, path: str, value: Any) -> Any:
        """Return a value in the form in which declared and live values compare."""
        custom = self.find(place, path)
        return value if custom is None else custom.say(value)

    def spread(self, place: Place, paths: Iterable[str], values: Any) -> dict[str, Any]:
        """Return the asked fields that a live record's `custom_fields` has, under the names asked for."""
        found: dict[str, Any] = {}
        if isinstance(values, Mapping):
            for path in paths:
                custom = self.find(place, path)
                slug = path.partition(".")[2] if custom is None else custom.slug
                if slug in values:
                    found[path] = values[slug] if custom is None else custom.say(values[slug])
        return found

    def write(self, place: Place, fields: Mapping[str, Any], way: Way) -> dict[str, Any]:
        """Return the declared custom fields as Octolane takes them; what has no definition goes by its own name."""
        native: dict[str, Any] = {}
        for path in declared(fields):
            custom, value = self.find(place, path), fields[path]
            if custom is None:
                native[path.removeprefix(PREFIX)] = value
            else:
                name = custom.slug if way.by_slug else custom.property_name
                native[name] = custom.encode(value, by_label=way.by_label)
        return native

    def miss(self, place: Place, path: str, noun: str) -> str:
        """Say that there is no such field, and which one may have been meant."""
        name = path.partition(".")[2]
        slugs = sorted(self.fields.get(place, {}))
        from difflib import get_close_matches  # noqa: PLC0415 - nobody needs it who spells right

        close = get_close_matches(name, slugs, n=3)
        if close:
            return f"{noun} have no custom field {name!r}; did you mean {' or '.join(close)}?"
        there = f"there is {join(slugs)}" if slugs else "there is none at all"
        return f"{noun} have no custom field {name!r}; {there}"


def _read_definition(slug: str, definition: Mapping[str, Any]) -> CustomField:
    property_name = definition.get("property_name")
    name = definition.get("current_name", definition.get("name"))
    kind = definition.get("attribute_type")
    metadata = definition.get("metadata")
    options: dict[str, str] = {}
    if isinstance(metadata, Mapping):
        choices = metadata.get("options") or metadata.get("select_options")
        for option in choices if isinstance(choices, list) else ():
            if isinstance(option, Mapping) and isinstance(option.get("label"), str):
                value = option.get("value")
                options[value if isinstance(value, str) else option["label"]] = option["label"]
    return CustomField(
        slug,
        property_name if isinstance(property_name, str) and property_name else slug,
        name if isinstance(name, str) else "",
        kind if isinstance(kind, str) else "",
        options,
    )


def _find_definitions(data: Any) -> list[Mapping[str, Any]]:
    """Return everything in a nested answer that has a property name."""
    if isinstance(data, Mapping):
        if isinstance(data.get("property_name"), str):
            return [data]
        return [found for value in data.values() for found in _find_definitions(value)]
    return [found for value in data for found in _find_definitions(value)] if isinstance(data, list) else []
