"""The members of Octolane's accounts and contacts (docs/octolane.md), and how a value of each is stored.

`store_value` turns a JSON value that the contract has passed into what the SQL column holds; `project` turns columns
back into JSON, inside SQLite, because that is where it is cheapest.
"""

import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

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
    **dict.fromkeys(("twitter_followers", "founded", "estimated_revenue", "total_fund_raised"), "number"),
    **dict.fromkeys(("tags", "other_emails"), "list"),
    "email_verified": "boolean",
}
_MILLISECONDS_FROM = 1e11
"""A smaller number is seconds: as milliseconds it would be before 1973-03-03, as seconds after the year 5138."""


def _columns(names: str) -> tuple[Column, ...]:
    return tuple(Column(name, _TYPES.get(name, "text")) for name in (*names.split(), *_TIMES))


ACCOUNTS = Table(
    "octolane_accounts",
    "accounts",
    _columns(
        "domain name industry logo linkedin twitter twitter_followers description primary_location founded "
        "estimated_revenue total_fund_raised employee_range type tags"
    ),
    indexed=("domain",),
)
CONTACTS = Table(
    "octolane_contacts",
    "contacts",
    _columns(
        "email name account_id first_name last_name full_name job_title phone seniority linkedin twitter "
        "twitter_followers current_company other_emails type avatar_url email_verified"
    ),
    indexed=("email",),
)
TABLES = {table.kind: table for table in (ACCOUNTS, CONTACTS)}
KEY_FIELD = {"accounts": "domain", "contacts": "email"}
SORTABLE = {
    "accounts": ("updated_at", "created_at", "name", "domain", "id"),
    "contacts": ("updated_at", "created_at", "name", "first_name", "last_name", "email", "account_id", "id"),
}
SEARCHED_BY_TEXT = {"accounts": ("name", "domain"), "contacts": ("name", "email")}
DOCUMENTED_MEMBERS = {
    "accounts": ("id", "name", "domain", "custom_fields"),
    "contacts": ("id", "first_name", "last_name", "email", "custom_fields"),
}
READ_ONLY = {
    "accounts": ("id", "created_at", "updated_at", "custom_fields"),
    "contacts": ("id", "created_at", "updated_at", "custom_fields", "name", "account_id"),
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
    if type_ == "number":
        if isinstance(value, int) and abs(value) >= 1 << 63:
            return float(value)
        if not math.isfinite(value):
            raise BadValueError("the number is too large")
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


def bare_domain(text: str) -> str:
    """Strip scheme, path, port, `www.`, the last dot and case off a domain."""
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip().lower())
    host = re.split(r"[/?#:]", host, maxsplit=1)[0].rstrip(".")
    return host.removeprefix("www.")


def dump_json(value: Any) -> str:
    """Write JSON as it is stored."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise BadValueError("a number is too large") from error


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
    if type_ == "list":
        return f"json({name})"
    if type_ == "boolean":
        return f"json(CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    if type_ == "time" and milliseconds and not name.endswith("_at"):
        return f"CAST(strftime('%s', {name}) AS INTEGER) * 1000 + CAST(substr({name}, 21, 3) AS INTEGER)"
    return name
