"""The kinds of record, as a table: what identifies one, what it refers to, and in which order they are written."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""An empty mapping that nobody can fill: what fields of values default to."""


class Kind(NamedTuple):
    """One kind of record.

    `key_field` holds its identity, `plural` is its member in a manifest and in most APIs, `refs` names the fields that
    refer to another kind, `children` the kinds that may be nested in it. What has a lower `rank` is written first.
    A key that is `spelled_freely` may be stored in more spellings than upper and lower case: as a URL, or with www.
    A `composed` key is ours alone: the record it belongs to and a name in it, which no CRM knows as one.
    """

    name: str
    plural: str
    key_field: str
    rank: int
    spelled_freely: bool = False
    composed: bool = False
    refs: Mapping[str, str] = NOTHING
    children: tuple[str, ...] = ()


FORMER_KEY = "was"
"""The member of a record that names the key it had before: no field, but another way to find it."""

OWN_KEY = "key"
"""The member of a record with a composed key that names it among its siblings: ours, and never sent as it is."""

ACCOUNT = Kind(
    "account",
    "accounts",
    key_field="domain",
    rank=0,
    spelled_freely=True,
    children=("contact", "opportunity", "note"),
)
CONTACT = Kind("contact", "contacts", key_field="email", rank=1, refs={"account": "account"}, children=("note",))
OPPORTUNITY = Kind("opportunity", "opportunities", key_field="name", rank=2, composed=True, refs={"account": "account"})
NOTE = Kind(
    "note", "notes", key_field=OWN_KEY, rank=3, composed=True, refs={"account": "account", "contact": "contact"}
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (ACCOUNT, CONTACT, OPPORTUNITY, NOTE)})

COMPOSED = frozenset(kind.name for kind in KINDS.values() if kind.composed)

LEVELS: tuple[tuple[str, ...], ...] = tuple(
    tuple(kind.name for kind in KINDS.values() if kind.rank == rank)
    for rank in sorted({kind.rank for kind in KINDS.values()})
)
"""Kinds that may be written together, level after level: a record comes after everything it can refer to."""

VENDORS = ("octolane", "thena")
"""The vendors that a record may have a section of its own for: fields that no other vendor knows."""

SECTIONS = ("custom_fields", *VENDORS)
"""The members of a record that hold fields of their own: `custom_fields: {tier: 1}` is the field custom_fields.tier."""
