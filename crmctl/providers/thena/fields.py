"""What a record is to Thena, and what Thena's is to us: fields both ways, by one table per kind at the end.

In: fields by their names in manifests, or a row of an answer. Out: the members of a request's body, or fields.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from crmctl.identity import normalise
from crmctl.providers.thena.customs import CHOICES, CUSTOM, SEVERAL, find_custom, name_option
from crmctl.providers.thena.learned import CustomField, Learned, Value, Ways
from crmctl.providers.thena.lists import Row
from crmctl.providers.thena.names import find_value, name_value

MARK = "crmctl"
"""The member of a note's metadata that holds its address."""
WRITTEN = "customFieldValues"
NUMERIC = frozenset({"integer", "decimal", "currency", "rating"})
STRICT = frozenset({*NUMERIC, *CHOICES, "boolean", "toggle", "checkbox"})
"""Types of custom fields that an empty text is no value of."""
TRUTHS = {"true": True, "false": False}


class Field(NamedTuple):
    """One field: the member that has it, what values it has, and which attribute they are of."""

    member: str
    form: Literal["text", "number", "lower", "metadata", "links", "unread"] = "text"
    attribute: str = ""


def to_native(
    kind: str, fields: Mapping[str, Any], learned: Learned, ways: Ways, held: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the body of a write, but for links: nulls clear; what a table has not stays behind.

    `held` is the record as it may be written back, as far as it is known: whether metadata and custom values in a PUT
    replace what is there is not documented, so all of them are sent.
    """
    body: dict[str, Any] = {name: _repeat(value, ways) for name, value in held.items()} if ways.whole else {}
    customs: dict[str, Any] = {}
    for name, value in fields.items():
        field = FIELDS[kind].get(name)
        if name.startswith(CUSTOM):
            custom = find_custom(learned.customs.get(kind, {}), name.removeprefix(CUSTOM))
            if custom is not None:
                customs[custom.id] = ways.clear if value is None and custom.type not in STRICT else value
        elif field is None or field.form == "links" or (kind, name) in BULK_ONLY:
            continue
        elif field.form == "metadata":
            kept = held.get(field.member, {})
            body[field.member] = {**kept, **(value or {item: None for item in kept if item != MARK})}
        elif value is None or value == "":
            body[field.member] = ways.clear if empties(field) else None
        elif field.attribute:
            body[field.member] = write_value(learned, field.attribute, value, ways)
        else:
            body[field.member] = value
    if customs or body.get(WRITTEN):
        body[WRITTEN] = [_write_custom(*pair, ways) for pair in {**held.get(WRITTEN, {}), **customs}.items()]
    return body


def empties(field: Field) -> bool:
    """Tell whether an empty text may stand for nothing; where a value of an attribute is meant it names none."""
    return field.form in {"text", "lower"} and not field.attribute


def write_value(learned: Learned, attribute: str, written: Any, ways: Ways) -> Any:
    """Return what names an attribute's value in a write."""
    values = learned.attributes.get(attribute, ())
    value = find_value(values, str(written))
    if value is None:
        return written
    return _repeat(value, ways if attribute != CONTACT_TYPE else Ways())


def _repeat(value: Any, ways: Ways) -> Any:
    """Return what a PUT says of a member that it only repeats."""
    if not isinstance(value, Value):
        return value
    return value.name if ways.attribute == "name" and value.name else value.id


def _write_custom(field_id: str, value: Any, ways: Ways) -> dict[str, Any]:
    if ways.custom == "field":
        return {"fieldId": field_id, "value": value}
    return {"customFieldId": field_id, "data": value if ways.custom == "data" else [{"value": value}]}


def from_native(
    kind: str, row: Row, fields: tuple[str, ...], learned: Learned, declared: Mapping[str, Any]
) -> tuple[dict[str, Any], set[str]]:
    """Return the asked fields of a row, but for links, and the names of those that it carries.

    Of metadata only what is `declared` of it is compared; the rest is not ours.
    """
    plain, special, custom_names = _sort(kind, fields)
    found = {name: row[member] for name, member in plain if member in row}
    for name, field in special:
        if field.member in row:
            found[name] = _read_value(field, row, learned, declared.get(name))
    carried = set(found)
    customs = _read_customs(row) if custom_names or not learned.custom_read.get(kind) else {}
    if customs is not None and row.get(WRITTEN):
        learned.custom_read[kind] = True
    elif customs is None and WRITTEN in row:
        learned.custom_read.setdefault(kind, False)
    for name in custom_names:
        custom = find_custom(learned.customs.get(kind, {}), name.removeprefix(CUSTOM))
        if custom is not None and customs is not None:
            found[name] = _read_custom(custom, customs.get(custom.id))
            carried |= {name} if learned.custom_read.get(kind) else set()
    return found, carried


@lru_cache(maxsize=64)  # once per read, not per record
def _sort(
    kind: str, fields: tuple[str, ...]
) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, Field]], Sequence[str]]:
    """Return the fields that are taken as they are, with their members; the others; and the custom fields."""
    known = [(name, FIELDS[kind][name]) for name in fields if name in FIELDS[kind]]
    shown = [(name, field) for name, field in known if field.form not in {"links", "unread"}]
    plain = [(name, field.member) for name, field in shown if name in PLAIN[kind] and field.member not in DOMAINS]
    special = [(name, field) for name, field in shown if (name, field.member) not in plain]
    return plain, special, [name for name in fields if name.startswith(CUSTOM)]


def canonical(kind: str, name: str, value: Any, learned: Learned) -> Any:
    """Return a declared value as reads will show it."""
    if name.startswith(CUSTOM):
        custom = find_custom(learned.customs.get(kind, {}), name.removeprefix(CUSTOM))
        return value if custom is None else name_option(custom, value)
    field = FIELDS[kind][name]
    if not isinstance(value, str) or not value:
        return value
    if field.attribute:
        values = learned.attributes.get(field.attribute, ())
        known = find_value(values, value)
        return value if known is None else name_value(values, known)
    return value.lower() if field.form == "lower" else value


def read_key(kind: str, row: Row) -> str:
    """Return a row's key, empty where it has none; a domain may be kept with a leading @ (§5)."""
    written = row.get("email" if kind == "contact" else "primaryDomain")
    return (normalise(kind, written.lstrip("@ ")) or "") if isinstance(written, str) else ""


def read_mark(row: Row) -> str:
    """Return the address that a note's metadata holds."""
    metadata = row.get("metadata")
    mark = metadata.get(MARK) if isinstance(metadata, dict) else None
    return mark if isinstance(mark, str) else ""


def to_write_back(kind: str, row: Row, accounts: Sequence[str] | None) -> dict[str, Any]:
    """Return what a row has that a PUT may name, so that it can be sent along; custom values by their fields' ids."""
    held: dict[str, Any] = {}
    for name, field in FIELDS[kind].items():
        value = row.get(f"{field.member}Id" if field.attribute else field.member)
        if value in (None, "", [], {}) or field.form in {"links", "unread"} or (kind, name) in BULK_ONLY:
            continue
        if field.attribute:
            value = Value(value, row.get(field.member) or "" if field.attribute != CONTACT_TYPE else "")
        held[field.member] = _read_number(value) if field.form == "number" else value
    if not isinstance(held.get("metadata", {}), dict):
        del held["metadata"]
    if accounts:
        held["accountIds"] = list(accounts)
    if customs := _read_customs(row):
        held[WRITTEN] = customs
    return held


def _read_value(field: Field, row: Row, learned: Learned, declared: Any) -> Any:
    value = row[field.member]
    if field.attribute:
        values = learned.attributes.get(field.attribute, ())
        value_id = row.get(f"{field.member}Id")
        known = next((known for known in values if known.id in (value_id, value)), None)
        return value if known is None or not (value or value_id) else name_value(values, known)
    if field.form == "number":
        return _read_number(value)
    if field.form == "metadata":
        kept = value if isinstance(value, dict) else {}
        wanted = declared if isinstance(declared, Mapping) else kept.keys() - {MARK}
        return {name: kept[name] for name in wanted if name in kept}
    if isinstance(value, str):
        return value.lower() if field.form == "lower" else value.lstrip("@") if field.member in DOMAINS else value
    return value


def _read_customs(row: Row) -> dict[str, Any] | None:
    """Return the custom values by their fields' ids; None where they are shown as texts, which say of what."""
    entries = row.get(WRITTEN)
    if entries is None or not isinstance(entries, list):
        return {} if entries is None else None
    found: dict[str, Any] = {}
    for entry in entries:
        field_id = entry.get("customFieldId", entry.get("fieldId")) if isinstance(entry, dict) else None
        if not isinstance(field_id, str):
            return None
        found[field_id] = _open(entry.get("data", entry.get("value")))
    return found


def _open(data: Any) -> Any:
    """Return the value in a custom value's `data`: itself, or in `{value}`, or in a list of those."""
    if isinstance(data, list):
        items = [_open(item) for item in data]
        return items[0] if len(items) == 1 and isinstance(data[0], dict) else items
    return _open(data["value"]) if isinstance(data, dict) and "value" in data else data


def _read_custom(custom: CustomField, value: Any) -> Any:
    """Return a custom value as its type has it: numbers and truths may come as texts."""
    if isinstance(value, str) and custom.type in NUMERIC:
        return _read_number(value)
    if isinstance(value, str) and custom.type in {"boolean", "toggle"}:
        return TRUTHS.get(value.lower(), value)
    if custom.type == SEVERAL and value not in (None, "") and not isinstance(value, list):
        value = [value]
    return name_option(custom, value)


def _read_number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    if not isfinite(number):  # "nan" and "inf", which no JSON has
        return value
    return int(number) if number.is_integer() else number


CONTACT_TYPE = "contact_type"
"""The attribute that is named by its id alone (§7); others by their values, too."""

DOMAINS = frozenset({"primaryDomain", "secondaryDomain"})

BULK_ONLY = frozenset({("contact", "thena.source")})
"""What only a bulk create takes, for all contacts of the request."""

FIELDS: Mapping[str, Mapping[str, Field]] = MappingProxyType(
    {
        "account": {
            "domain": Field("primaryDomain"),
            "name": Field("name"),
            "description": Field("description"),
            "logo": Field("logo"),
            "industry": Field("industry", attribute="account_industry"),
            "thena.status": Field("status", attribute="account_status"),
            "thena.classification": Field("classification", attribute="account_classification"),
            "thena.health": Field("health", attribute="account_health"),
            "thena.secondary_domain": Field("secondaryDomain"),
            "thena.website": Field("website"),
            "thena.billing_address": Field("billingAddress"),
            "thena.shipping_address": Field("shippingAddress"),
            "thena.annual_revenue": Field("annualRevenue", "number"),
            "thena.employees": Field("employees", "number"),
            "thena.account_owner_id": Field("accountOwnerId"),
            "thena.source": Field("source"),
            "thena.metadata": Field("metadata", "metadata"),
            "thena.add_existing_users": Field("addExistingUsersToAccountContacts", "unread"),
        },
        "contact": {
            "email": Field("email"),
            "first_name": Field("firstName"),
            "last_name": Field("lastName"),
            "phone": Field("phoneNumber"),
            "avatar_url": Field("avatarUrl"),
            "type": Field("contactType", attribute=CONTACT_TYPE),
            "accounts": Field("accountIds", "links"),
            "thena.source": Field("source", "unread"),
            "thena.metadata": Field("metadata", "metadata"),
        },
        "note": {
            "text": Field("content"),
            "thena.type": Field("type", attribute="note_type"),
            "thena.visibility": Field("visibility", "lower"),
            "thena.metadata": Field("metadata", "metadata"),
        },
    }
)
"""Every field that Thena has, by kind and by its name in manifests (vendor/thena.md §5, §7, §12)."""

ATTRIBUTES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        kind: {name: field.attribute for name, field in fields.items() if field.attribute}
        for kind, fields in FIELDS.items()
    }
)
"""The attribute whose values a field has, by kind and field."""

PLAIN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        kind: frozenset(name for name, field in fields.items() if field.form == "text" and not field.attribute)
        for kind, fields in FIELDS.items()
    }
)
"""The fields whose values are the same on both sides."""
