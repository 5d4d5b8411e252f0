"""Play Thena's platform API for accounts, contacts, notes and what describes them (docs/thena.md).

In: a request and the operation of `thena.openapi.json` that serves it. Out: the documented answer, in an envelope or
bare; errors as `{"statusCode", "message", "error"}`: 401 without a key, 404 for other routes, 400 for whatever the
document does not allow.
"""

import math
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from crmctl.sandbox.contract import Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Row, Store
from crmctl.sandbox.thena_bulk import create_contacts
from crmctl.sandbox.thena_describing import Describing
from crmctl.sandbox.thena_reads import Condition, Reader, match_account, match_attribute, match_email, read_page
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_wire import Wire, read_contract, read_id, read_parameters
from crmctl.sandbox.thena_writes import Writer, refuse_email
from crmctl.sandbox.write_log import Write, log_writes

_FILTERS = {"accounts": ("status", "classification", "health", "industry"), "contacts": ("contactType",)}


class Thena:
    """The API over one store."""

    def __init__(self, store: Store, *, api_key: str | None, switches: ThenaSwitches) -> None:
        """Take the only key that is accepted; None accepts any that is not empty."""
        self.contract, self.body_limit = read_contract(), switches.body_limit
        self._store, self._api_key, self._switches = store, api_key, switches
        self._wire = Wire(store, switches)
        self._handlers: Mapping[str, Callable[[Operation, Request], Answer]] = {
            "getAllAccounts": partial(self._list, "accounts"),
            "createAccount": self._create_account,
            "getAccountDetails": self._read_account,
            "updateAccount": partial(self._change, "accounts"),
            "deleteAccount": partial(self._delete, "accounts"),
            "getAllCustomerContacts": partial(self._list, "contacts"),
            "createCustomerContact": self._create_contact,
            "filterCustomerContactsByIds": self._filter_contacts,
            "searchCustomerContacts": self._search_contacts,
            "bulkCreateCustomerContacts": self._create_contacts,
            "updateCustomerContact": partial(self._change, "contacts"),
            "deleteCustomerContact": partial(self._delete, "contacts"),
            "getAccountNotes": partial(self._list, "notes"),
            "createAccountNote": self._create_note,
            "updateAccountNote": partial(self._change, "notes"),
            "deleteAccountNote": partial(self._delete, "notes"),
            **Describing(store, switches, self._wire).handlers,
        }

    def answer(self, request: Request, operation: Operation | None) -> Answer:
        """Answer one request."""
        try:
            self._check_key(request.headers.get("x-api-key", ""))
            if operation is None:
                raise RequestError(404, f"Cannot {request.method} {request.path}")  # noqa: TRY301  one way to refuse
            return self._handlers[operation.id](operation, request)
        except RequestError as error:
            return self.refuse(error.status, str(error))

    def refuse(self, status: int, message: str) -> Answer:
        """Make the documented error body."""
        return self._wire.refuse(status, message)

    def refuse_for(self, wait: float) -> Answer:
        """Answer 429, with the Retry-After header if the switch asks for it."""
        refusal = self.refuse(429, "Too many requests")
        headers = {"retry-after": str(math.ceil(wait))} if self._switches.retry_after == "seconds" else {}
        return Answer(refusal.status, refusal.body, headers)

    def describe_limit(self, limit: int, remaining: int, seconds: float) -> Mapping[str, str]:
        """Return the documented headers: the reset is a Unix time in whole seconds."""
        if self._switches.limit_headers == "no":
            return {}
        reset = math.ceil(self._store.clock() + seconds)
        values = {"limit": limit, "remaining": remaining, "reset": reset}
        return {f"x-ratelimit-{name}": str(value) for name, value in values.items()}

    def _check_key(self, given: str) -> None:
        accepted = (
            bool(given) if self._api_key is None else secrets.compare_digest(given.encode(), self._api_key.encode())
        )
        if not accepted:
            raise RequestError(401, "API key is missing or invalid")

    def _list(self, kind: str, operation: Operation, request: Request) -> Answer:
        given = read_parameters(operation, request)
        page = read_page(given, self._switches)
        with self._store.reading() as connection:
            found = [
                match_attribute(connection, kind, name, given[name], self._switches)
                for name in _FILTERS.get(kind, ("type",))
                if name in given
            ]
            if "accountId" in given:
                one = Condition("accountId = ?", (given["accountId"],))
                found.append(one if kind == "notes" else match_account(given["accountId"]))
            found += [
                Condition(f"{name} = ?", (given[name],)) for name in ("source", "accountOwnerId") if name in given
            ]
            records = self._reader(connection).read_list(kind, found, page)
        return self._wire.succeed(200, records)

    def _read_account(self, operation: Operation, request: Request) -> Answer:
        read_parameters(operation, request)
        if self._switches.account_read == "forbidden":
            raise RequestError(403, "This endpoint is not part of the organization's tier")
        with self._store.reading() as connection:
            records = self._reader(connection).read_ids("accounts", [read_id(operation, request)])
        if not records:
            raise RequestError(404, "Account not found!")
        return self._wire.succeed(200, records[0])

    def _create_account(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            writer = self._writer(connection)
            existing = None
            if self._switches.taken_domain == "existing":
                existing = writer.find_domain(body["primaryDomain"])
            writer.refuse_domain(body["primaryDomain"])
            row = existing or writer.create("accounts", body)
            return self._show(connection, operation, "accounts", row, "resolved" if existing else "created")

    def _create_contact(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            writer = self._writer(connection)
            existing = writer.find_emails([body["email"]]).get(writer.identify(body["email"]))
            if existing and (existing["deletedAt"] is not None or self._switches.taken_email != "existing"):
                raise refuse_email(self._switches)
            row = existing or writer.create("contacts", body)
            return self._show(connection, operation, "contacts", row, "resolved" if existing else "created")

    def _create_note(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            row = self._writer(connection).create("notes", body)
            return self._show(connection, operation, "notes", row, "created")

    def _change(self, kind: str, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            row, changed = self._writer(connection).change(kind, read_id(operation, request), body)
            return self._show(connection, operation, kind, row, "updated" if changed else "resolved")

    def _delete(self, kind: str, operation: Operation, request: Request) -> Answer:
        read_parameters(operation, request)
        with self._store.writing() as connection:
            row = self._writer(connection).delete(kind, read_id(operation, request))
            [record] = self._reader(connection).render(kind, [row])
        return self._wire.confirm_deletion(record)

    def _create_contacts(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            outcome = create_contacts(self._writer(connection), body, self._check_item)
            made = [Write(operation.route, "contacts", row["id"], "created") for row in outcome.created]
            kept = [Write(operation.route, "contacts", row["id"], "resolved") for row in outcome.existing]
            log_writes(connection, [*made, *kept])
        if outcome.missing is not None:
            raise outcome.missing
        status = self._switches.bulk_status if outcome.created else self._switches.all_duplicates
        return self._wire.succeed(int(status), outcome.count())

    def _check_item(self, item: Any) -> Mapping[str, Any]:
        """Return one contact of a bulk create as a body of its own, or raise `RequestError`."""
        if isinstance(item, str) != (self._switches.bulk_items == "emails"):
            raise RequestError(400, f"expected {self._switches.bulk_items}")
        if isinstance(item, str):
            item = {"email": item, "firstName": item.partition("@")[0]}
        checked: Mapping[str, Any] = self._wire.check(item, "BulkContactItem")
        return checked

    def _filter_contacts(self, operation: Operation, request: Request) -> Answer:
        ids = self._wire.read_body(operation, request)["ids"]
        with self._store.reading() as connection:
            records = self._reader(connection).read_ids("contacts", ids)
        if len(records) < len(set(ids)) and self._switches.unknown_ids == "404":
            raise RequestError(404, "Contact not found")
        return self._wire.succeed(int(self._switches.filter_status), records)

    def _search_contacts(self, operation: Operation, request: Request) -> Answer:
        email = read_parameters(operation, request)["email"]
        with self._store.reading() as connection:
            records = self._reader(connection).read_list("contacts", [match_email(email, self._switches)])
        return self._wire.succeed(200, records)

    def _show(self, connection: sqlite3.Connection, operation: Operation, kind: str, row: Row, outcome: str) -> Answer:
        """Log a write and answer with its record."""
        log_writes(connection, [Write(operation.route, kind, row["id"], outcome)])
        [record] = self._reader(connection).render(kind, [row])
        created = "201" if kind == "contacts" else self._switches.created_status
        return self._wire.succeed(int(created) if outcome == "created" else 200, record)

    def _reader(self, connection: sqlite3.Connection) -> Reader:
        return Reader(self._store, connection, self._switches)

    def _writer(self, connection: sqlite3.Connection) -> Writer:
        return Writer(self._store, connection, self._switches, self._store.stamps(connection).__next__)
