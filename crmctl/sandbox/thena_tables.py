"""The records of Thena that the sandbox keeps (docs/thena.md), their ids, and what an organisation begins with.

Columns are named as the API's members; status, type and their like hold ids of attribute values, `accountIds` and
`attachmentUrls` JSON lists, `metadata` a JSON object, `custom` a JSON object by id of the custom field.
"""

from collections.abc import Mapping
from uuid import UUID

from crmctl.sandbox.store import Column, Store, Table

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NUMBERS = ("annualRevenue", "employees")


def _columns(names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "number" if name in _NUMBERS else "text") for name in names.split())


ACCOUNTS = Table(
    "thena_accounts",
    "accounts",
    _columns(
        "name primaryDomain secondaryDomain description source logo status classification health industry "
        "accountOwnerId annualRevenue employees website billingAddress shippingAddress metadata bareDomain deletedAt"
    ),
    indexed=("bareDomain",),
)
CONTACTS = Table(
    "thena_contacts",
    "contacts",
    _columns("email firstName lastName phoneNumber avatarUrl contactType accountIds metadata foldedEmail deletedAt"),
    indexed=("email", "foldedEmail"),
)
NOTES = Table(
    "thena_notes",
    "notes",
    _columns("accountId content type visibility attachmentUrls metadata deletedAt"),
    indexed=("accountId",),
)
TABLES = {table.kind: table for table in (ACCOUNTS, CONTACTS, NOTES)}

ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "accounts": {
        "status": "account_status",
        "classification": "account_classification",
        "health": "account_health",
        "industry": "account_industry",
    },
    "contacts": {"contactType": "contact_type"},
    "notes": {"type": "note_type"},
}
"""Members that hold an attribute value, and which attribute it is of."""

VALUES: Mapping[str, tuple[str, ...]] = {
    "account_status": ("PROSPECT", "TRIAL", "ACTIVE", "CHURNED", "ACQUIRED"),
    "account_classification": ("ENTERPRISE", "MID_MARKET", "SMB", "STRATEGIC"),
    "account_health": ("RED", "YELLOW", "GREEN"),
    "account_industry": ("TECHNOLOGY", "FINANCE", "HEALTHCARE", "RETAIL", "OTHER"),
    "contact_type": ("PRIMARY", "BILLING", "LEGAL", "EXECUTIVE", "OTHER"),
    "note_type": ("GENERAL", "MEETING", "CALL"),
}
"""What an organisation begins with: the documented values, and invented ones of industries and types of notes."""

_DEFAULTS = {"account_status": "PROSPECT", "contact_type": "PRIMARY", "note_type": "GENERAL"}
_BEGINNING = "2026-01-01T00:00:00.000000Z"


def write_ulid(milliseconds: int, random: int) -> str:
    """Write a ULID: 48 bits of time and 80 others, in Crockford's base 32."""
    number = (milliseconds << 80) | (random & ((1 << 80) - 1))
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def make_ulid(store: Store) -> str:
    """Make the id of a new record."""
    return write_ulid(int(store.clock() * 1000), UUID(store.make_id()).int)


def _list_values() -> str:
    rows = [(attribute, value) for attribute, values in VALUES.items() for value in values]
    return ", ".join(
        f"('{write_ulid(0, position)}', '{attribute}', '{value}', {int(_DEFAULTS.get(attribute) == value)})"
        for position, (attribute, value) in enumerate(rows, 1)
    )


STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS thena_attributes(
      position INTEGER PRIMARY KEY, id TEXT UNIQUE, attribute TEXT, value TEXT, is_default INTEGER, icon TEXT,
      color TEXT, is_closed INTEGER, created_at TEXT, updated_at TEXT, UNIQUE(attribute, value)
    )
    """,
    # Only an organisation that has none yet: what somebody deleted stays away.
    f"""
    INSERT INTO thena_attributes(id, attribute, value, is_default, created_at, updated_at)
      SELECT column1, column2, column3, column4, '{_BEGINNING}', '{_BEGINNING}' FROM (VALUES {_list_values()})
      WHERE NOT EXISTS (SELECT 1 FROM thena_attributes)
    """,  # noqa: S608  constants
    """
    CREATE TABLE IF NOT EXISTS thena_fields(
      position INTEGER PRIMARY KEY, uid TEXT UNIQUE, source TEXT, name TEXT, definition TEXT, UNIQUE(source, name)
    )
    """,
)
