"""Create or resolve, and patch, Octolane's accounts and contacts (docs/octolane.md).

In: items that the contract has passed. Out: which record each item came to and whether it was created, everything
inside the caller's transaction. What the documentation leaves open is asked of the switches. Opportunities and notes
build on the same `Writer`.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.octolane_custom_fields import CustomFields
from crmctl.sandbox.octolane_keys import bare_domain, is_free_mail, normalise_key
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import (
    ACCOUNTS,
    KEY_FIELD,
    READ_ONLY,
    TABLES,
    WRITABLE,
    BadValueError,
    store_value,
)
from crmctl.sandbox.octolane_wire import Outcome
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store, Table
from crmctl.sandbox.write_log import log_writes

Row = dict[str, Any]


@dataclass(slots=True, eq=False, repr=False)
class Writer:
    """One bulk write: finds, merges and saves rows of one kind within one transaction."""

    store: Store
    connection: sqlite3.Connection
    kind: str
    switches: OctolaneSwitches
    stamps: Callable[[], str]
    route: str
    _fields: CustomFields | None = field(default=None, init=False)

    @property
    def table(self) -> Table:
        """Return the table of the kind."""
        return TABLES[self.kind]

    @property
    def fields(self) -> CustomFields:
        """Return the custom fields, read when the first item needs them."""
        if self._fields is None:
            self._fields = CustomFields(self.connection, self.kind, self.switches, self.store.make_id)
        return self._fields

    def create(self, items: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Create the items whose key is new, resolve the others."""
        keys = self._read_keys(items)
        existing = self._find("key", [key for key, _ in filter(None, keys)])
        rows = {row["key"]: row for row in existing}
        new: dict[str, Row] = {}
        changed: dict[str, Row] = {}
        outcomes: list[Outcome] = []
        for item, names in zip(items, keys, strict=True):
            if names is None:
                continue
            key, spelling = names
            row = rows.get(key) or self._find_by_other_email(key, rows)
            try:
                if row is None:
                    row = rows[key] = new[key] = self._make(item, key, spelling)
                    outcomes.append(Outcome(row["id"], created=True))
                    continue
                if self._merge(row, item, creating=True):
                    changed[row["id"]] = row
                outcomes.append(Outcome(row["id"], created=False))
            except (RequestError, BadValueError) as error:
                self._bad(f"{item.get(KEY_FIELD[self.kind])}: {error}", error)
        self._link_accounts(list(new.values()))
        self._insert(self.table, list(new.values()))
        self._update([row for row in changed.values() if row["key"] not in new])
        written = {*changed, *(row["id"] for row in new.values())}
        self._log("resolved", self.table, [outcome.id for outcome in outcomes if outcome.id not in written])
        return outcomes

    def look_up(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the ids of the records that have these keys."""
        return {row["key"]: row["id"] for row in self._find("key", keys)}

    def read_rows(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows that have these ids, by id."""
        return {row["id"]: row for row in self._find("id", ids)}

    def relate(self, wanted: Mapping[str, str], *, create: bool) -> dict[str, str]:
        """Return the ids of records that others refer to, by key, perhaps made for that; `wanted` has spellings."""
        ids = self.look_up(list(wanted))
        missing = [key for key in wanted if key not in ids]
        if create and missing:
            made = self.create([{KEY_FIELD[self.kind]: wanted[key]} for key in missing])
            ids |= {key: outcome.id for key, outcome in zip(missing, made, strict=True)}
        return ids

    def patch(self, patches: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
        """Change records by id."""
        rows = self.read_rows([id_.lower() for id_ in patches])
        changed: list[Row] = []
        outcomes: list[Outcome] = []
        for id_, item in patches.items():
            row = rows.get(id_.lower())
            if row is None:
                if self.switches.unknown_patch_id == "reject_all":
                    raise RequestError(400, f"{id_}: there is no such record")
                continue
            before = dict(row)
            try:
                rest = self._read_patch(row, item, others=rows)
                if self._merge(row, rest, creating=False) or row != before:
                    changed.append(row)
                outcomes.append(Outcome(row["id"], created=False))
            except (RequestError, BadValueError) as error:
                row.update(before)
                self._bad(f"{id_}: {error}", error)
        self._update(changed)
        ids = {row["id"] for row in changed}
        self._log("resolved", self.table, [outcome.id for outcome in outcomes if outcome.id not in ids])
        return outcomes

    def _read_patch(self, row: Row, item: Mapping[str, Any], *, others: Mapping[str, Row]) -> Mapping[str, Any]:
        """Do what a patch says beyond plain fields, and return those; `others` are the rows of the same request."""
        self._patch_key(row, item, others=others)
        return item

    def _read_keys(self, items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str] | None]:
        """Return each item's key and what is stored for it; None for an item that is left out."""
        keys: list[tuple[str, str] | None] = []
        seen: set[str] = set()
        for item in items:
            spelling = item[KEY_FIELD[self.kind]]
            try:
                key, stored = normalise_key(self.kind, spelling, self.switches)
                if self.switches.same_key_twice == "reject" and key in seen:
                    raise RequestError(400, "the key stands twice in this request")  # noqa: TRY301  one bad item, handled as the others
                seen.add(key)
                keys.append((key, stored))
            except RequestError as error:
                self._bad(f"{spelling}: {error}", error)
                keys.append(None)
        return keys

    def _bad(self, message: str, error: Exception) -> None:
        """Refuse the request for one bad item, or let the item be left out."""
        if self.switches.bad_item == "reject_all":
            raise RequestError(error.status if isinstance(error, RequestError) else 400, message) from error

    def _make(self, item: Mapping[str, Any], key: str, spelling: str) -> Row:
        row: Row = dict.fromkeys(self.table.names)
        row["id"], row["key"], row["custom"] = self.store.make_id(), key, "{}"
        row[KEY_FIELD[self.kind]] = spelling
        self._merge(row, item, creating=True, fresh=True)
        row["created_at"] = row["updated_at"] = self.stamps()
        return row

    def _merge(self, row: Row, item: Mapping[str, Any], *, creating: bool, fresh: bool = False) -> bool:
        """Put an item's values into a row as the switches say; return whether that changed anything."""
        if creating and not fresh and self.switches.existing == "untouched":
            return False
        only_blank = creating and not fresh and self.switches.existing == "fill_blank"
        drop_null = not fresh and self.switches.patch_null == "ignored"
        writable, key_field = WRITABLE[self.kind], KEY_FIELD.get(self.kind)
        changes: Row = {}
        custom: Row = {}
        for name, value in item.items():
            if name == key_field or (drop_null and value is None):
                continue
            type_ = writable.get(name)
            if type_ is None:
                custom[name] = value
                continue
            stored = store_value(type_, value)
            if type_ == "list" and stored is not None and self.switches.patch_arrays == "append":
                stored = _append(row[name], stored)
            if stored != row[name] and not (only_blank and row[name] not in (None, "", "[]")):
                changes[name] = stored
        if custom:
            changes |= self._merge_custom(row["custom"], custom, only_blank=only_blank)
        row.update(changes)
        if self.kind == "contacts" and (changes or fresh):
            row["name"] = row["full_name"] or " ".join(filter(None, (row["first_name"], row["last_name"]))) or None
        return bool(changes)

    def _merge_custom(self, stored: str, given: Mapping[str, Any], *, only_blank: bool) -> Row:
        custom = json.loads(stored)
        for name, value in given.items():
            if name not in READ_ONLY[self.kind]:
                self._place(custom, name, value, only_blank=only_blank)
            elif self.switches.unknown_field != "ignore":
                raise RequestError(400, f"{name}: only the server sets this")
        text = dump_json(custom)
        return {} if text == stored else {"custom": text}

    def _place(self, custom: Row, name: str, value: Any, *, only_blank: bool) -> None:
        placed = self.fields.place(name, value)
        if placed is None:
            return
        slug, value = placed
        if only_blank and custom.get(slug) not in (None, "", []):
            return
        if value is None:
            custom.pop(slug, None)
        elif isinstance(value, list) and isinstance(custom.get(slug), list) and self.switches.patch_arrays == "append":
            custom[slug] += [one for one in value if one not in custom[slug]]
        else:
            custom[slug] = value

    def _patch_key(self, row: Row, item: Mapping[str, Any], *, others: Mapping[str, Row]) -> None:
        name = KEY_FIELD[self.kind]
        if name not in item or self.switches.patch_key == "ignored":
            return
        if self.switches.patch_key == "rejected":
            raise RequestError(400, f"{name}: cannot be changed")
        key, spelling = normalise_key(self.kind, item[name], self.switches)
        # The same request may have moved a key before: its rows are newer than the stored ones.
        owners = [*others.values(), *(owner for owner in self._find("key", [key]) if owner["id"] not in others)]
        if any(owner["key"] == key and owner["id"] != row["id"] for owner in owners):
            raise RequestError(400, f"{name}: another record has it")
        row["key"], row[name] = key, spelling

    def _find(self, column: str, values: Sequence[str]) -> list[Row]:
        names = self.table.names
        rows = self.connection.execute(
            f"SELECT {', '.join(names)} FROM {self.table.name} WHERE {column} IN (SELECT value FROM json_each(?))",  # noqa: S608  names come from the fixed tables
            (json.dumps(values),),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _find_by_other_email(self, key: str, rows: dict[str, Row]) -> Row | None:
        """Find a contact by a further address; the `rows` at hand may have changed since they were read."""
        if self.kind != "contacts" or self.switches.other_emails == "plain":
            return None
        found = self.connection.execute(
            f"SELECT key FROM {self.table.name} WHERE EXISTS("  # noqa: S608  as above
            "SELECT 1 FROM json_each(other_emails) WHERE lower(value) = ?) LIMIT 1",
            (key.lower(),),
        ).fetchone()
        return (rows.get(found[0]) or rows.setdefault(found[0], self._find("key", [found[0]])[0])) if found else None

    def _link_accounts(self, contacts: Sequence[Row]) -> None:
        """Give new contacts the account of their e-mail domain, made if need be."""
        if self.kind != "contacts" or not contacts:
            return
        domains = {id(contact): bare_domain(contact["key"].rpartition("@")[2]) for contact in contacts}
        wanted = list(dict.fromkeys(domains.values()))
        found = dict(
            self.connection.execute(
                f"SELECT key, id FROM {ACCOUNTS.name} WHERE key IN (SELECT value FROM json_each(?))",  # noqa: S608  as above
                (json.dumps(wanted),),
            ).fetchall()
        )
        made: list[Row] = []
        for domain in wanted:
            free = is_free_mail(domain) and self.switches.free_mail_account == "no"
            if domain not in found and not free and self.switches.contact_makes_account == "yes":
                row: Row = dict.fromkeys(ACCOUNTS.names)
                row["id"], row["key"], row["domain"], row["custom"] = self.store.make_id(), domain, domain, "{}"
                row["created_at"] = row["updated_at"] = self.stamps()
                found[domain] = row["id"]
                made.append(row)
        self._insert(ACCOUNTS, made)
        for contact in contacts:
            contact["account_id"] = found.get(domains[id(contact)])

    def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        slots = ", ".join("?" * len(table.names))
        self.connection.executemany(
            f"INSERT INTO {table.name}({', '.join(table.names)}) VALUES({slots})",
            [tuple(row.values()) for row in rows],
        )
        self._log("created", table, [row["id"] for row in rows])
        self.store.put_off(self.connection, table, [row["id"] for row in rows])

    def _update(self, rows: Sequence[Row]) -> None:
        for row in rows:
            row["updated_at"] = self.stamps()
        names = self.table.names[1:]
        self.connection.executemany(
            f"UPDATE {self.table.name} SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?",  # noqa: S608  as above
            [(*list(row.values())[1:], row["id"]) for row in rows],
        )
        self._log("updated", self.table, [row["id"] for row in rows])
        self.store.put_off(self.connection, self.table, [row["id"] for row in rows])

    def _log(self, outcome: str, table: Table, ids: Iterable[str]) -> None:
        log_writes(self.connection, zip(repeat(self.route), repeat(table.kind), ids, repeat(outcome)))


def _append(stored: str | None, more: str) -> str:
    held = json.loads(stored or "[]")
    return dump_json(held + [one for one in json.loads(more) if one not in held])
