"""Create many of Thena's contacts at once (docs/thena.md): the one bulk route, and the least documented.

In: a body that the contract has passed but for its items. Out: how many were given, created and skipped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Row
from crmctl.sandbox.thena_tables import TABLES
from crmctl.sandbox.thena_writes import Writer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a bulk create came to; `missing` is the 404 that comes after contacts were written."""

    total: int
    created: Sequence[Row]
    existing: Sequence[Row]
    missing: RequestError | None = None

    def count(self) -> dict[str, int]:
        """Return the documented answer."""
        return {"total": self.total, "created": len(self.created), "skipped": self.total - len(self.created)}


def create_contacts(writer: Writer, body: Mapping[str, Any], check: Callable[[Any], Mapping[str, Any]]) -> Outcome:
    """Create the contacts whose addresses are new; `check` returns an item that fits or raises `RequestError`."""
    given, switches = body["contacts"], writer.switches
    if switches.bulk_limit is not None and len(given) > switches.bulk_limit:
        raise RequestError(400, f"contacts: more than {switches.bulk_limit}")
    rows = _drop_repeated(writer, _make_rows(writer, given, check))
    if not rows:
        raise RequestError(400, "No contacts to create")
    shared, missing = _read_shared(writer, body)
    if missing is not None and switches.bulk_not_found == "before":
        raise missing
    found = writer.find_emails(row["email"] for row in rows.values())
    created = [row | shared for key, row in rows.items() if key not in found]
    writer.store.insert(writer.connection, TABLES["contacts"], created)
    existing = [found[key] for key in rows if key in found]
    if switches.link_skipped == "yes":
        _link(writer, existing, json.loads(shared.get("accountIds", "[]")))
    if not created and switches.all_duplicates == "400":
        raise RequestError(400, "No contacts to create")
    return Outcome(len(given), created, existing, missing)


def _make_rows(writer: Writer, given: Sequence[Any], check: Callable[[Any], Mapping[str, Any]]) -> list[Row]:
    rows: list[Row] = []
    for position, one in enumerate(given):
        try:
            rows.append(writer.make("contacts", check(one)))
        except RequestError as error:
            if writer.switches.bulk_bad_item == "reject":
                raise RequestError(400, f"contacts/{position}: {error}") from error
    return rows


def _drop_repeated(writer: Writer, rows: Sequence[Row]) -> dict[str, Row]:
    """Return the rows by what identifies them, the first of each address."""
    kept: dict[str, Row] = {}
    for row in rows:
        key = writer.identify(row["email"])
        if key in kept and writer.switches.bulk_repeated == "reject":
            raise RequestError(400, f"{row['email']}: stands twice in this request")
        kept.setdefault(key, row)
    return kept


def _read_shared(writer: Writer, body: Mapping[str, Any]) -> tuple[Row, RequestError | None]:
    """Return the columns that all contacts of the request get, of what exists, and the 404 for what doesn't."""
    if writer.switches.put_null == "rejected" and None in (body.get("accountIds", []), body.get("contactType", "")):
        raise RequestError(400, "accountIds and contactType must not be null")
    ids, named = body.get("accountIds") or [], body.get("contactType")
    accounts = writer.find_accounts(ids)
    missing = RequestError(404, "Account not found") if len(accounts) < len(set(ids)) else None
    shared: Row = {"accountIds": dump_json(accounts)}
    if named:
        try:
            shared["contactType"] = writer.attributes.resolve("contacts", "contactType", named)
        except RequestError as error:
            missing = missing or error
    return shared, missing


def _link(writer: Writer, rows: Sequence[Row], ids: Sequence[str]) -> None:
    """Add accounts to contacts that exist."""
    changed: list[Row] = []
    for row in rows:
        before = json.loads(row["accountIds"])
        after = list(dict.fromkeys([*before, *ids]))
        if after != before:
            row |= {"accountIds": dump_json(after), "updated_at": writer.stamps()}
            changed.append(row)
    writer.store.update(writer.connection, TABLES["contacts"], changed)
