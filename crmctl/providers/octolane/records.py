"""Accounts, contacts and notes as Octolane holds them, and as it takes them (docs/octolane.md).

In: declared resources. Out: the same without what there is no place for, and bodies. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from crmctl.identity import normalise
from crmctl.providers.octolane import FIELDS, TIMESTAMPS
from crmctl.providers.octolane.catalogue import Catalogue
from crmctl.providers.octolane.custom_fields import PREFIX, Place, Way
from crmctl.resource import Address, Resource

NO_SUCH_FIELD = "Octolane documents no such field"
DERIVED = "Octolane derives a contact's account from the domain of its e-mail address"


def fit(resource: Resource, catalogue: Catalogue) -> tuple[Resource, Sequence[tuple[str, str]]]:
    """Return an account, contact or note as Octolane can hold it, and what there is no place for, with the reason.

    What another vendor's section holds goes without a word; links to accounts that the e-mail address does not lead to
    are told of.
    """
    kind = resource.address.kind
    known = FIELDS[kind]
    fitted, missing = resource, []
    if not resource.fields.keys() <= known:
        fields: dict[str, Any] = {}
        for name, value in resource.fields.items():
            if name in known:
                fields[name] = value
            elif name.startswith(PREFIX) and kind != "note":
                fields[name] = catalogue.say(Place(kind), name, value)
            elif name != "accounts" and not name.startswith("thena."):
                missing.append((name, NO_SUCH_FIELD))
        fitted = resource if fields == resource.fields else resource._replace(fields=fields)
    if kind == "contact" and (resource.refs or "accounts" in resource.fields):
        missing += _check_links(resource)
    return fitted, missing


def _check_links(resource: Resource) -> Sequence[tuple[str, str]]:
    """Return what links a contact to another account than its e-mail address does."""
    domain = resource.address.key.rpartition("@")[2]
    account, linked = resource.refs.get("account"), resource.fields.get("accounts")
    if linked is None and (account is None or account.key == domain):
        return ()  # nearly always
    missing = []
    if account is not None and not _leads_to(domain, account.key):
        missing.append(("account", DERIVED))
    if linked is not None:
        others = [key for key in linked if (account is None or key != account.key) and not _leads_to(domain, key)]
        if others or not linked:
            missing.append(("accounts", DERIVED))
    return missing


def _leads_to(domain: str, key: str) -> bool:
    """Tell whether an e-mail address's domain is an account's key, or is normalised to it."""
    return key == domain or key == normalise("account", domain)


def to_native(resource: Resource, catalogue: Catalogue, way: Way, *, creating: bool = False) -> dict[str, Any]:
    """Return a record as Octolane takes it: documented and custom fields, beside each other.

    A create has nothing to clear, so no nulls.
    """
    known = FIELDS[resource.address.kind]
    fields = resource.fields
    if creating and None in fields.values():
        fields = {name: value for name, value in fields.items() if value is not None}
    if fields.keys() <= known and TIMESTAMPS.isdisjoint(fields):
        return dict(fields)  # nearly always
    native = {name: _to_native_value(name, value) for name, value in fields.items() if name in known}
    native.update(catalogue.write(Place(resource.address.kind), fields, way))
    return native


def note_to_native(note: Resource, stored: Mapping[Address, str]) -> dict[str, Any]:
    """Return a note as Octolane may take it: no documentation shows what one consists of.

    `stored` has the keys that are stored in another spelling than the normalised one.
    """
    native: dict[str, Any] = {"text": note.fields.get("text")}
    for name, member in (("account", "account_domain"), ("contact", "contact_email")):
        if name in note.refs:
            native[member] = stored.get(note.refs[name], note.refs[name].key)
    return native


def _to_native_value(name: str, value: Any) -> Any:
    if name in TIMESTAMPS and isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        return f"{value}T00:00:00Z"
    return value
