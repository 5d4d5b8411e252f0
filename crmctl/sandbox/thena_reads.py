"""List and show Thena's accounts, contacts and notes (docs/thena.md).

In: conditions on columns, and a page. Out: records as the API shows them. Pages are found by offset, as page numbers
are: a list that changes while it is read may show a record twice, or never.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Row, Store
from crmctl.sandbox.thena_attributes import Attributes, Value, render_time
from crmctl.sandbox.thena_fields import SOURCES, CustomFields
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_tables import TABLES

_ORDERS = {"oldest": "seq", "newest": "seq DESC", "changed": "updated_at DESC"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One SQL condition with its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """How many records, after how many."""

    limit: int
    offset: int


def read_page(given: Mapping[str, Any], switches: ThenaSwitches, *, first: str | None = None) -> Page:
    """Read `page` and `limit`; `first` is the number of the first page where that is documented."""
    base, limit = first or switches.first_page, given.get("limit", switches.default_limit)
    page = given.get("page", int(base[0]))
    if limit > switches.limit_cap and switches.over_limit == "reject":
        raise RequestError(400, f"limit: more than {switches.limit_cap}")
    if base == "1_strict" and page == 0:
        raise RequestError(400, "page: less than 1")
    size = min(limit, switches.limit_cap)
    # SQLite counts in 64 bits; no list is that long.
    return Page(size, min(max(page - int(base[0]), 0) * size, (1 << 63) - 1))


def match_attribute(
    connection: sqlite3.Connection, kind: str, member: str, text: str, switches: ThenaSwitches
) -> Condition:
    """Make the condition of a filter by an attribute value; a value that does not exist finds nothing."""
    return Condition(f"{member} = ?", (Attributes(connection, switches).find(kind, member, text),))


def match_account(id_: str) -> Condition:
    """Make the condition that a contact belongs to an account."""
    return Condition("instr(accountIds, json_quote(?)) > 0", (id_,))


def match_email(email: str, switches: ThenaSwitches) -> Condition:
    """Make the condition of contacts/search."""
    folds = switches.search_case == "insensitive"
    column, wanted = ("foldedEmail", email.lower()) if folds else ("email", email)
    return Condition(f"instr({column}, ?) > 0" if switches.search_match == "partial" else f"{column} = ?", (wanted,))


class Reader:
    """Reads and renders records; lives for one transaction."""

    def __init__(self, store: Store, connection: sqlite3.Connection, switches: ThenaSwitches) -> None:
        """Take the connection; attribute values are read at once, since every record has some."""
        self._store, self._connection, self._switches = store, connection, switches
        self._attributes = Attributes(connection, switches)

    def read_list(self, kind: str, found: Sequence[Condition], page: Page | None = None) -> list[dict[str, Any]]:
        """Read a page of records, or all, as lists and search see them."""
        table = TABLES[kind]
        conditions = [*found, *([] if self._switches.list_deleted == "yes" else [Condition("deletedAt IS NULL")])]
        where = f" WHERE {' AND '.join(condition.sql for condition in conditions)}" if conditions else ""
        parameters = [value for condition in conditions for value in condition.parameters]
        rows = self._connection.execute(
            f"SELECT {', '.join(table.names)} FROM {self._store.searched(table)}{where} "  # noqa: S608  names come from the fixed tables, values are parameters
            f"ORDER BY {_ORDERS[self._switches.list_order]} LIMIT ? OFFSET ?",
            (*parameters, page.limit if page else -1, page.offset if page else 0),
        )
        return self.render(kind, [dict(zip(table.names, row, strict=True)) for row in rows])

    def read_ids(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Read records by id, as they are now, in the order asked for; what is not there is left out."""
        rows = {row["id"]: row for row in self._store.find(self._connection, TABLES[kind], "id", ids)}
        found = [rows[id_] for id_ in dict.fromkeys(ids) if id_ in rows and rows[id_]["deletedAt"] is None]
        return self.render(kind, found)

    def render(self, kind: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Show rows as the API does."""
        if kind == "accounts":
            custom = CustomFields(self._connection, SOURCES[kind], self._switches)
            return [self._render_account(row, custom) for row in rows]
        if kind == "contacts":
            custom = CustomFields(self._connection, SOURCES[kind], self._switches)
            names = self._name_accounts({id_ for row in rows for id_ in json.loads(row["accountIds"])})
            return [self._render_contact(row, custom, names) for row in rows]
        names = self._name_accounts({row["accountId"] for row in rows}, deleted=True)
        return [self._render_note(row, names) for row in rows]

    def _render_account(self, row: Row, custom: CustomFields) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": row["id"], "name": row["name"]}
        shown |= self._texts(row, "description", "source", "logo")
        for member in ("status", "classification", "health", "industry"):
            shown |= self._show_attribute(member, row[member])
        shown |= {"primaryDomain": row["primaryDomain"], **self._texts(row, "secondaryDomain")}
        shown |= {"accountOwner": None, **self._texts(row, "accountOwnerId")}
        shown |= {"accountOwnerEmail": None, "accountOwnerAvatarUrl": None}
        shown |= {name: self._show_number(row[name]) for name in ("annualRevenue", "employees")}
        shown |= self._texts(row, "website", "billingAddress", "shippingAddress")
        return {**shown, "customFieldValues": custom.read(row["custom"]), **_show_end(row)}

    def _render_contact(self, row: Row, custom: CustomFields, names: Mapping[str, str]) -> dict[str, Any]:
        accounts = [id_ for id_ in json.loads(row["accountIds"]) if id_ in names]
        objects = self._switches.contact_accounts == "objects"
        type_ = self._show_attribute("contactType", row["contactType"])
        return {
            "id": row["id"],
            "firstName": row["firstName"],
            **self._texts(row, "lastName"),
            "email": row["email"],
            **self._texts(row, "phoneNumber", "avatarUrl"),
            "accounts": [{"id": id_, "name": names[id_]} if objects else names[id_] for id_ in accounts],
            "contactTypeId": type_["contactTypeId"],
            "contactType": type_["contactType"],
            "customFieldValues": custom.read(row["custom"]),
            **_show_end(row),
        }

    def _render_note(self, row: Row, names: Mapping[str, str]) -> dict[str, Any]:
        return {
            "id": row["id"],
            "accountId": row["accountId"],
            "account": names[row["accountId"]],
            "content": row["content"],
            **self._show_attribute("type", row["type"]),
            **self._texts(row, "visibility"),
            "attachments": json.loads(row["attachmentUrls"]),
            **dict.fromkeys(("author", "authorId", "authorEmail")),
            **_show_end(row),
        }

    def _texts(self, row: Row, *names: str) -> dict[str, Any]:
        blank = "" if self._switches.read_blank == "empty" else None
        return {name: blank if row[name] is None else row[name] for name in names}

    def _show_attribute(self, member: str, id_: str | None) -> dict[str, Any]:
        value: Value | None = self._attributes.get(id_)
        return {
            f"{member}Id": value.id if value else None,
            member: value.value if value else None,
            f"{member}Configuration": value.configure() if value else None,
        }

    def _show_number(self, value: float | None) -> Any:
        return value if value is None or self._switches.read_numbers == "number" else json.dumps(value)

    def _name_accounts(self, ids: set[str], *, deleted: bool = False) -> dict[str, str]:
        rows = self._store.find(self._connection, TABLES["accounts"], "id", sorted(ids))
        return {row["id"]: row["name"] for row in rows if deleted or row["deletedAt"] is None}


def _show_end(row: Row) -> dict[str, Any]:
    return {
        "metadata": json.loads(row["metadata"]),
        "createdAt": render_time(row["created_at"]),
        "updatedAt": render_time(row["updated_at"]),
    }
