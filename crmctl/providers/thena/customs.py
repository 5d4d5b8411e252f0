"""Thena's custom fields: what is defined, what is declared of it, and making what is missing.

In: definitions as lists show them, and declared fields such as `custom_fields.tier`. Out: `Learned` with the
definitions by slug, findings, and what is to be made. A slug is the definition's name in lower case, with underscores.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from crmctl.capability import Definition
from crmctl.client import Client
from crmctl.errors import Ambiguous, Rejected, Unsupported
from crmctl.provider import Finding, Resolution
from crmctl.providers.thena.learned import CustomField, Learned, Value
from crmctl.providers.thena.lists import Lists, Row, unwrap
from crmctl.providers.thena.names import find_value
from crmctl.resource import Resource

CUSTOM = "custom_fields."
CHOICES = frozenset({"single_choice", "multi_choice", "radio_button"})
SEVERAL = "multi_choice"
ALL_SOURCES = "/v1/custom-field"
CUSTOM_PATHS: Mapping[str, str] = MappingProxyType(
    {"account": "/v1/accounts/account-custom-fields", "contact": ALL_SOURCES}
)
SOURCES: Mapping[str, str] = MappingProxyType({"account": "account", "contact": "customer_contact"})
DEFINE_ROUTE = f"POST {ALL_SOURCES}"
"""Known by its title alone (vendor/thena.md §14, S44): path and body are assumed, after what lists show."""

TYPES: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("boolean", lambda value: isinstance(value, bool)),
    ("integer", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    ("decimal", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    ("single_line", lambda value: isinstance(value, str) and "\n" not in value),
    ("multi_line", lambda value: isinstance(value, str)),
)
"""Types of fields, each with the values that suggest it; the first that all values agree on is taken."""


def find_custom(fields: Mapping[str, CustomField], slug: str) -> CustomField | None:
    """Return the definition of that slug or id."""
    return fields.get(slug) or next((known for known in fields.values() if known.id == slug), None)


def name_option(custom: CustomField, value: Any) -> Any:
    """Return an option's label as it is defined, for a label in another case, or an id; other values as they are."""
    if isinstance(value, list):
        return [name_option(custom, item) for item in value]
    if not custom.options or not isinstance(value, str):
        return value
    options = [Value(option_id, label) for option_id, label in custom.options.items()]
    option = find_value(options, value)
    return value if option is None else option.name


async def resolve_customs(
    lists: Lists, learned: Learned, wanted: Mapping[str, Mapping[str, Resource]], *, define: bool, assumed: bool
) -> Resolution:
    """Read the definitions that are needed; what is missing is to be made, or a finding.

    `define` asks for the former; since no documentation shows that request, it takes `assumed` routes as well.
    """
    found = Resolution()
    for kind in CUSTOM_PATHS:
        users: dict[str, list[Resource]] = {}
        for resource in wanted.get(kind, {}).values():
            for field in resource.fields:
                if field.startswith(CUSTOM):
                    users.setdefault(field.removeprefix(CUSTOM), []).append(resource)
        if not users:
            continue
        try:
            if kind not in learned.customs:
                learned.customs[kind] = await _read_customs(lists, kind)
        except (Rejected, Unsupported) as error:
            problem = f"Thena's custom fields can't be read: {error}"
            findings = [Finding(resource, f"{CUSTOM}{slug}", problem) for slug in users for resource in users[slug]]
            found = Resolution([*found.findings, *findings], found.definitions)
            continue
        for slug, resources in users.items():
            one = _resolve_one(kind, slug, resources, learned.customs[kind], define=define, assumed=assumed)
            found = Resolution([*found.findings, *one.findings], [*found.definitions, *one.definitions])
    return found


def _resolve_one(
    kind: str, slug: str, resources: list[Resource], fields: Mapping[str, CustomField], *, define: bool, assumed: bool
) -> Resolution:
    """Find one field, and what is wrong with its values."""
    field, custom = f"{CUSTOM}{slug}", find_custom(fields, slug)
    if custom is not None:
        problems = ((resource, _check(slug, custom, resource.fields[field])) for resource in resources)
        return Resolution(
            [Finding(resource, field, problem, resource.fields[field]) for resource, problem in problems if problem]
        )
    made = _suggest_type(resource.fields[field] for resource in resources) if define else ""
    if made and assumed:
        return Resolution(definitions=[Definition(kind, slug, made)])
    problem = _deny(slug, fields, define=define, made=made)
    return Resolution([Finding(resource, field, problem) for resource in resources])


async def define_custom(client: Client, learned: Learned, definition: Definition) -> None:
    """Make a custom field, named as it is written in manifests."""
    body = {"name": definition.slug, "source": SOURCES[definition.kind], "fieldType": definition.type}
    path = DEFINE_ROUTE.partition(" ")[2]
    answer = await client.request("POST", path, route=DEFINE_ROUTE, json=body, repeatable=False)
    row = unwrap(DEFINE_ROUTE, answer)
    made = _take(definition.kind, [row] if isinstance(row, dict) else [])
    if definition.slug not in made:
        raise Ambiguous(f"{DEFINE_ROUTE}: the answer has no custom field {definition.slug}")
    learned.customs[definition.kind] = {**learned.customs.get(definition.kind, {}), **made}


def _deny(slug: str, fields: Mapping[str, CustomField], *, define: bool, made: str) -> str:
    """Say that there is no such field, and what can be done."""
    near = get_close_matches(slug, fields)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(sorted(fields)) or 'none at all'}"
    if define and not made:
        advice = "its values suggest no type: make it in Thena's settings"
    elif define:
        advice = "no documentation shows how to make one: make it in Thena's settings, or set assumed_routes"
    return f"Thena has no custom field {slug!r}; {advice}"


def _check(slug: str, custom: CustomField, value: Any) -> str:
    """Return what is wrong with a custom field's value."""
    if custom.type not in CHOICES or not custom.options:
        return ""
    labels = set(custom.options.values())
    items = [item for item in (value if isinstance(value, list) else [value]) if item not in (None, "")]
    unknown = [item for item in items if name_option(custom, item) not in labels]
    return f"{{value}} is no option of {slug}: there is {', '.join(sorted(labels))}" if unknown else ""


def _suggest_type(values: Iterable[Any]) -> str:
    told = [value for value in values if value not in (None, "")]
    return next((name for name, fits in TYPES if told and all(map(fits, told))), "")


async def _read_customs(lists: Lists, kind: str) -> Mapping[str, CustomField]:
    """Return a kind's definitions by slug; those of accounts have no pages, those of contacts do (§11)."""
    path = CUSTOM_PATHS[kind]
    if path != ALL_SOURCES:
        return _take(kind, await lists.get(path, name="uid"))
    return _take(kind, [row async for page in lists.walk(path, {"source": SOURCES[kind]}, "uid") for row in page])


def _take(kind: str, rows: Iterable[Row]) -> dict[str, CustomField]:
    found: dict[str, CustomField] = {}
    for row in rows:
        uid, name, field_type = row.get("uid"), row.get("name"), row.get("fieldType")
        active = row.get("isActive") is not False and not row.get("deletedAt")
        if (
            isinstance(uid, str)
            and isinstance(name, str)
            and active
            and row.get("source", SOURCES[kind]) == SOURCES[kind]
        ):
            slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or uid
            options = _read_options(row.get("options"))
            custom = CustomField(uid, name, field_type if isinstance(field_type, str) else "", options)
            found[slug if slug not in found else uid] = custom
    return found


def _read_options(options: Any) -> Mapping[str, str]:
    """Return the labels of a choice by what a record may hold; published as texts, elsewhere objects are usual."""
    found: dict[str, str] = {}
    for option in options if isinstance(options, list) else ():
        if isinstance(option, str):
            found[option] = option
        elif isinstance(option, dict):
            texts = {name: text for name, text in option.items() if isinstance(text, str)}
            label = next((texts[name] for name in ("label", "value", "name") if name in texts), "")
            if label:
                found[texts.get("id", texts.get("uid", label))] = label
    return found
