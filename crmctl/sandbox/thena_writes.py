"""Create, change and delete Thena's accounts, contacts and notes (docs/thena.md).

In: bodies that the contract has passed. Out: rows, saved inside the caller's transaction. What the documentation
leaves open is asked of the switches.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Row, Store
from crmctl.sandbox.thena_attributes import Attributes
from crmctl.sandbox.thena_fields import SOURCES, CustomFields
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_tables import ATTRIBUTES, TABLES, make_ulid

NAMES = {"accounts": "Account", "contacts": "Contact", "notes": "Account note"}
_HOST = re.compile(r"[^\s/@:]+\.[^\s/@:.]+")
_KEPT = {"id", "key", "created_at", "updated_at", "deletedAt", "name", "primaryDomain", "bareDomain", "firstName"} | {
    *("email", "foldedEmail", "content", "accountId")
}
"""Columns that no null and no silence of a PUT clears."""


@dataclass
class Writer:
    """One write: builds, changes and saves rows within one transaction."""

    store: Store
    connection: sqlite3.Connection
    switches: ThenaSwitches
    stamps: Callable[[], str]
    found: dict[str, CustomFields] = field(default_factory=dict, init=False)

    @cached_property
    def attributes(self) -> Attributes:
        """Return the attribute values, read when the first write needs them."""
        return Attributes(self.connection, self.switches)

    def create(self, kind: str, body: Mapping[str, Any]) -> Row:
        """Create a record; the caller has seen to it that its key is free."""
        row = self.make(kind, body)
        self.store.insert(self.connection, TABLES[kind], [row])
        return row

    def make(self, kind: str, body: Mapping[str, Any]) -> Row:
        """Return a new row, not saved yet."""
        row: Row = dict.fromkeys(TABLES[kind].names)
        row["id"] = row["key"] = make_ulid(self.store)
        for name in row:
            self._clear(kind, row, name)
        self._put(kind, row, body, creating=True)
        row["created_at"] = row["updated_at"] = self.stamps()
        return row

    def change(self, kind: str, id_: str, body: Mapping[str, Any]) -> tuple[Row, bool]:
        """Change a record; return it, and whether that changed anything."""
        row = self.find(kind, id_)
        before = dict(row)
        if self.switches.put_absent == "cleared":
            absent = {"custom": "customFieldValues"}
            for name in row:
                if name not in _KEPT and absent.get(name, name) not in body:
                    self._clear(kind, row, name)
        self._put(kind, row, body, creating=False)
        self._refuse_taken(kind, row, before)
        if row == before:
            return row, False
        row["updated_at"] = self.stamps()
        self.store.update(self.connection, TABLES[kind], [row])
        return row, True

    def delete(self, kind: str, id_: str) -> Row:
        """Mark a record as deleted."""
        row = self.find(kind, id_)
        row["deletedAt"] = row["updated_at"] = self.stamps()
        self.store.update(self.connection, TABLES[kind], [row])
        return row

    def find(self, kind: str, id_: str) -> Row:
        """Return a record that is not deleted, or raise `RequestError`."""
        rows = [row for row in self.store.find(self.connection, TABLES[kind], "id", [id_]) if row["deletedAt"] is None]
        if not rows:
            raise RequestError(404, f"{NAMES[kind]} not found")
        return rows[0]

    def find_emails(self, emails: Iterable[str]) -> dict[str, Row]:
        """Return the contacts that have these addresses, by `identify`; deleted ones if they block theirs."""
        column = "foldedEmail" if self.switches.email_identity == "insensitive" else "email"
        wanted = [self.identify(email) for email in emails]
        rows = self.store.find(self.connection, TABLES["contacts"], column, wanted)
        found = [row for row in rows if row["deletedAt"] is None or self.switches.deleted_email == "blocks"]
        # Where a living contact and a deleted one have the address, the living one has it.
        found.sort(key=lambda row: row["deletedAt"] is None)
        return {self.identify(row["email"]): row for row in found}

    def identify(self, email: str) -> str:
        """Return that by which an address is the same as another."""
        return email.lower() if self.switches.email_identity == "insensitive" else self.keep_email(email)

    def keep_email(self, email: str) -> str:
        """Return an address as it is stored."""
        return email.lower() if self.switches.email_kept == "lower" else email

    def find_domain(self, domain: str) -> Row | None:
        """Return the oldest account that has a domain, however it is spelled."""
        rows = self.store.find(self.connection, TABLES["accounts"], "bareDomain", [_bare(domain)])
        return min(
            (row for row in rows if row["deletedAt"] is None), key=lambda row: str(row["created_at"]), default=None
        )

    def refuse_domain(self, domain: str) -> None:
        """Raise `RequestError` for a domain that an account has, if that matters."""
        if self.switches.taken_domain == "409" and self.find_domain(domain) is not None:
            raise RequestError(409, "An account with this primary domain exists")

    def find_accounts(self, ids: Sequence[str]) -> list[str]:
        """Return those of the accounts that exist, each once."""
        rows = self.store.find(self.connection, TABLES["accounts"], "id", ids)
        alive = {row["id"] for row in rows if row["deletedAt"] is None}
        return [id_ for id_ in dict.fromkeys(ids) if id_ in alive]

    def check_email(self, email: str) -> None:
        """Raise `RequestError` for an address that the server does not take."""
        _check_host(email.rpartition("@")[2], "email")

    def _put(self, kind: str, row: Row, body: Mapping[str, Any], *, creating: bool) -> None:
        for name, given in body.items():
            column = "custom" if name == "customFieldValues" else name
            clears = given == "" and self.switches.put_empty == "clears" and column not in _KEPT
            value = None if clears else given
            if given is None and self.switches.put_null == "rejected":
                raise RequestError(400, f"{name}: must not be null")
            if given is None and self.switches.put_null == "ignored":
                continue
            if column not in row:
                continue  # addExistingUsersToAccountContacts: there are no users here
            if value is None:
                self._clear(kind, row, column)
            else:
                self._set(kind, row, column, value, creating=creating)

    def _set(self, kind: str, row: Row, column: str, value: Any, *, creating: bool) -> None:
        """Put one value, which is not null, into its column."""
        if column in ATTRIBUTES[kind]:
            row[column] = self.attributes.resolve(kind, column, value)
        elif column == "custom":
            replace = self.switches.custom_update == "replace"
            row[column] = self._fields(kind).write(row[column], value, replace=replace)
        elif column == "metadata":
            self._set_metadata(kind, row, value, creating=creating)
        elif column == "accountIds":
            row[column] = dump_json(self._require_accounts(value))
        elif column == "accountId":
            row[column] = self._require_accounts([value])[0]
        elif column == "attachmentUrls":
            row[column] = dump_json(value)
        elif column == "email":
            self.check_email(value)
            row[column], row["foldedEmail"] = self.keep_email(value), value.lower()
        elif column in ("primaryDomain", "secondaryDomain"):
            _check_host(_bare(value), column)
            row[column] = self._keep_domain(value)
            if column == "primaryDomain":
                row["bareDomain"] = _bare(value)
        else:
            row[column] = _read_number(value) if column in ("annualRevenue", "employees") else value

    def _set_metadata(self, kind: str, row: Row, value: Mapping[str, Any], *, creating: bool) -> None:
        kept = self.switches.note_metadata if kind == "notes" else self.switches.metadata
        if kept == "kept":
            merged = not creating and self.switches.metadata_update == "merge"
            row["metadata"] = dump_json({**json.loads(row["metadata"]), **value} if merged else value)

    def _clear(self, kind: str, row: Row, column: str) -> None:
        """Set a column to what it has when nothing was ever said."""
        if column in ATTRIBUTES[kind]:
            row[column] = self.attributes.default(ATTRIBUTES[kind][column])
        elif column in ("accountIds", "attachmentUrls"):
            row[column] = "[]"
        elif column in ("metadata", "custom"):
            row[column] = "{}"
        elif column not in _KEPT:
            row[column] = None

    def _require_accounts(self, ids: Sequence[str]) -> list[str]:
        found = self.find_accounts(ids)
        if len(found) < len(set(ids)):
            raise RequestError(404, "Account not found")
        return found

    def _refuse_taken(self, kind: str, row: Row, before: Row) -> None:
        """Refuse a PUT that takes another record's key."""
        if kind == "contacts" and row["email"] != before["email"]:
            owner = self.find_emails([row["email"]]).get(self.identify(row["email"]))
            if owner is not None and owner["id"] != row["id"]:
                raise refuse_email(self.switches)
        if kind == "accounts" and row["bareDomain"] != before["bareDomain"]:
            self.refuse_domain(row["primaryDomain"])

    def _keep_domain(self, domain: str) -> str:
        if self.switches.domain_kept == "bare":
            return _bare(domain)
        return domain.removeprefix("@") if self.switches.domain_kept == "stripped" else domain

    def _fields(self, kind: str) -> CustomFields:
        if kind not in self.found:
            self.found[kind] = CustomFields(self.connection, SOURCES[kind], self.switches)
        return self.found[kind]


def refuse_email(switches: ThenaSwitches) -> RequestError:
    """Make the refusal of an address that another contact has."""
    return RequestError(400 if switches.taken_email == "400" else 409, "A contact with this email exists")


def _bare(domain: str) -> str:
    return domain.strip().removeprefix("@").rstrip(".").lower()


def _check_host(host: str, member: str) -> None:
    if not _HOST.fullmatch(host):
        raise RequestError(400, f"{member}: not a domain name")
    if host.lower().endswith(".invalid"):
        raise RequestError(400, f"{member}: the domain does not exist")


def _read_number(value: float) -> float:
    """Return a number that a column holds; beyond 64 bits that is a double."""
    return value if isinstance(value, int) and abs(value) < 1 << 63 else float(value)
