"""The members of Octolane's records (docs/octolane.md), and how a value of each is stored.

`store_value` turns a JSON value that the contract has passed into what the SQL column holds; `project` turns columns
back into JSON, inside SQLite, because that is where it is cheapest.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.store import Column, Table, stamp_of

_TIMES = (
    "first_email_interaction",
    "last_email_interaction",
    "first_meeting_interaction",
    "last_meeting_interaction",
    "last_interaction",
    "next_meeting",
)
_TYPES = {
    **dict.fromkeys(_TIMES, "time"),
    **dict.fromkeys(("close_date", "next_action_date"), "milliseconds"),
    **dict.fromkeys(("twitter_followers", "founded", "estimated_revenue", "total_fund_raised", "deal_size"), "number"),
    **dict.fromkeys(("tags", "other_emails", "additional_contacts"), "list"),
    "email_verified": "boolean",
}
_MILLISECONDS_FROM = 1e11
"""A smaller number is seconds: as milliseconds it would be before 1973-03-03, as seconds after the year 5138."""


def _columns(names: str, *more: str) -> tuple[Column, ...]:
    return tuple(Column(name, _TYPES.get(name, "text")) for name in (*names.split(), *more))


ACCOUNTS = Table(
    "octolane_accounts",
    "accounts",
    _columns(
        "domain name industry logo linkedin twitter twitter_followers description primary_location founded "
        "estimated_revenue total_fund_raised employee_range type tags",
        *_TIMES,
    ),
    indexed=("domain",),
)
CONTACTS = Table(
    "octolane_contacts",
    "contacts",
    _columns(
        "email name account_id first_name last_name full_name job_title phone seniority linkedin twitter "
        "twitter_followers current_company other_emails type avatar_url email_verified",
        *_TIMES,
    ),
    indexed=("email",),
)
OPPORTUNITIES = Table(
    "octolane_opportunities",
    "opportunities",
    _columns(
        "name pipeline_id stage_id stage_name account_id contact_id additional_contacts deal_size close_date "
        "next_action_date next_steps owner_id owner_email"
    ),
    indexed=("name", "account_id"),
)
NOTES = Table("octolane_notes", "notes", _columns("text account_id contact_id"))
TABLES = {table.kind: table for table in (ACCOUNTS, CONTACTS, OPPORTUNITIES, NOTES)}
KEY_FIELD = {"accounts": "domain", "contacts": "email"}
"""What deduplicates; every opportunity and every note is a new one."""

LOOKED_UP = {**KEY_FIELD, "opportunities": "name"}
"""What a client finds a record by."""

SORTABLE = {
    "accounts": ("updated_at", "created_at", "name", "domain", "id"),
    "contacts": ("updated_at", "created_at", "name", "first_name", "last_name", "email", "account_id", "id"),
    "opportunities": ("updated_at", "created_at", "name", "id"),
}
SEARCHED_BY_TEXT = {"accounts": ("name", "domain"), "contacts": ("name", "email"), "opportunities": ("name",)}
DOCUMENTED_MEMBERS = {
    "accounts": ("id", "name", "domain", "custom_fields"),
    "contacts": ("id", "first_name", "last_name", "email", "custom_fields"),
    "opportunities": (
        *("id", "name", "pipeline_id", "stage_id", "stage_name", "account_id", "contact_id", "additional_contacts"),
        "custom_fields",
    ),
    "notes": ("id",),
}
_SERVER_SETS = ("id", "created_at", "updated_at", "custom_fields")
READ_ONLY = {
    "accounts": _SERVER_SETS,
    "contacts": (*_SERVER_SETS, "name", "account_id"),
    "opportunities": (*_SERVER_SETS, "pipeline_id", "account_id", "contact_id", "additional_contacts"),
    "notes": _SERVER_SETS,
}
"""Members that only the server sets; a create or a patch cannot name them."""

READABLE = {
    kind: {
        "id": "text",
        **{column.name: column.type for column in table.columns},
        "created_at": "time",
        "updated_at": "time",
        "custom_fields": "custom",
    }
    for kind, table in TABLES.items()
}
"""Every member of a record that can be asked for, and its type."""

WRITABLE = {
    kind: {name: type_ for name, type_ in members.items() if name not in READ_ONLY[kind]}
    for kind, members in READABLE.items()
}
"""Every system field that a create or a patch may carry, and its type."""


_ADDITIONAL_CONTACTS = f"""json((
  SELECT json_group_array(json_object(
    'contact_id', c.id, 'contact_first_name', c.first_name, 'contact_last_name', c.last_name, 'contact_email', c.email
  )) FROM json_each(additional_contacts) AS one JOIN {CONTACTS.name} AS c ON c.id = one.value
))"""  # noqa: S608  a constant


class BadValueError(ValueError):
    """A value that the contract let through but the server cannot store."""


def store_value(type_: str, value: Any) -> Any:
    """Turn a JSON value of a system field into what its column holds; None stays None."""
    if value is None:
        return None
    if type_ == "list":
        return dump_json([value] if isinstance(value, str) else value)
    if type_ == "time":
        return read_time(value)
    if type_ == "milliseconds":
        return read_milliseconds(value)
    if type_ == "number":
        return float(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value
    return value


def read_time(value: Any) -> str:
    """Normalise an RFC 3339 text, a date, or Unix seconds or milliseconds."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.upper())
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
            return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return stamp_of(round(seconds * 1_000_000))
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise BadValueError(f"{value!r} is no time") from error


def read_milliseconds(value: Any) -> str:
    """Normalise a time whose numbers are Unix milliseconds, however small."""
    try:
        return read_time(value) if isinstance(value, str) else stamp_of(round(value * 1000))
    except (ValueError, OverflowError) as error:
        raise BadValueError(f"{value!r} is no time") from error


def project(kind: str, names: Iterable[str], *, blanks: bool, milliseconds: bool) -> str:
    """Return the SQL expression that makes one record's JSON; without `blanks` members that are null are left out."""
    return _project(kind, tuple(dict.fromkeys(("id", *names))), blanks, milliseconds)


@lru_cache(maxsize=256)
def _project(kind: str, names: tuple[str, ...], blanks: bool, milliseconds: bool) -> str:  # noqa: FBT001  lru_cache keys by position
    parts = (f"'{name}', {_render(name, READABLE[kind][name], milliseconds=milliseconds)}" for name in names)
    record = f"json_object({', '.join(parts)})"
    return record if blanks else f"json_patch('{{}}', {record})"


def _render(name: str, type_: str, *, milliseconds: bool) -> str:
    if type_ == "custom":
        return "json(custom)"
    if name == "additional_contacts":
        return _ADDITIONAL_CONTACTS
    if type_ == "list":
        return f"json({name})"
    if type_ == "boolean":
        return f"json(CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    if type_ in ("time", "milliseconds") and milliseconds and not name.endswith("_at"):
        return f"CAST(strftime('%s', {name}) AS INTEGER) * 1000 + CAST(substr({name}, 21, 3) AS INTEGER)"
    return name
