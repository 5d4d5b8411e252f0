"""Play Octolane's older inbound host over the gateway's records (docs/octolane.md).

In: a request and the operation of `octolane_inbound.openapi.json` that serves it. Out: the documented answer. Writes
take one record, and answer with its id under another name; reads are the gateway's, with the status in the body too.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.octolane_host import OctolaneHost
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import TABLES
from crmctl.sandbox.octolane_wire import Outcome, read_body, succeed
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store

DOCUMENT = Path(__file__).with_name("octolane_inbound.openapi.json")
_MESSAGES = {400: "Validation error", 404: "Resource not found"}
_PLACE = re.compile(r"(?:body: )?/?(\w*)[^:]*: (.*)")
_MISSING = re.compile(r'"(\w+)" is a required property')


class _Write(NamedTuple):
    """How records of a kind are written: their name, what is answered beside the id, and what is taken, if not all."""

    noun: str
    id_member: str
    members: tuple[str, ...]
    takes: tuple[str, ...] | None = None


_WRITES = {
    "accounts": _Write("Account", "company_id", ("domain", "name"), ("domain",)),
    "contacts": _Write(
        "Contact", "people_id", ("email", "first_name", "last_name"), ("email", "first_name", "last_name")
    ),
    "opportunities": _Write("Opportunity", "opportunity_id", ("name",)),
    "notes": _Write("Note", "note_id", ("text",)),
}


class OctolaneInbound(OctolaneHost):
    """The inbound host over one store."""

    def __init__(self, store: Store, *, api_key: str | None, switches: OctolaneSwitches) -> None:
        """Take the only key that is accepted; None accepts any that is not empty."""
        super().__init__(store, read_contract(), api_key=api_key, switches=switches)
        self.handlers = {
            "inboundCreateAccount": partial(self._write, "accounts"),
            "inboundCreateContact": partial(self._write, "contacts"),
            "inboundCreateOpportunity": partial(self._write, "opportunities"),
            "inboundCreateNote": partial(self._write, "notes"),
            "inboundV2ListAccounts": partial(self.list_page, "accounts"),
            "inboundV2SearchAccounts": partial(self.search_page, "accounts"),
            "inboundV2ListContacts": partial(self.list_page, "contacts"),
            "inboundV2SearchContacts": partial(self.search_page, "contacts"),
            "inboundV2ListOpportunities": partial(self.list_page, "opportunities"),
            "inboundV2SearchOpportunities": partial(self.search_page, "opportunities"),
        }

    def refuse(self, status: int, message: str) -> Answer:
        """Make the documented error body: what is wrong stands by member in `errors`."""
        errors = _list_errors(message) if status in (400, 404) else {}
        body = {"success": False, "statusCode": status, "message": _MESSAGES.get(status, message), "errors": errors}
        return Answer(status, dump_json(body).encode())

    def show_page(self, kind: str, page: str) -> Answer:
        """Put a page into the envelope, which says the status as well."""
        return succeed(200, f"{kind.capitalize()} fetched successfully", page, statusCode=200)

    def _write(self, kind: str, operation: Operation, request: Request) -> Answer:
        """Create or resolve one record."""
        way, item = _WRITES[kind], read_body(operation, request)
        operation.check_body(item)
        if way.takes is not None:
            item = self._keep(item, way.takes)
        with self.store.writing() as connection:
            outcome = self._create(self.open_writer(connection, kind, operation), item)
            row = connection.execute(
                f"SELECT id, {', '.join(way.members)} FROM {TABLES[kind].name} WHERE id = ?",  # noqa: S608  names come from the fixed tables
                (outcome.id,),
            ).fetchone()
        found = not outcome.created and self.switches.inbound_message == "distinct"
        message = f"{way.noun} {'already exists' if found else 'created successfully'}"
        return succeed(200, message, dump_json(dict(zip((way.id_member, *way.members), row, strict=True))))

    def _create(self, writer: Any, item: Mapping[str, Any]) -> Outcome:
        try:
            outcomes: Sequence[Outcome] = writer.create([item])
        except RequestError as error:
            # A bulk says which record is bad; here there is one, and what counts is the member.
            raise RequestError(error.status, str(error.__cause__ or error)) from error
        if not outcomes:
            raise RequestError(400, "body: cannot be stored")
        return outcomes[0]

    def _keep(self, item: Mapping[str, Any], documented: Collection[str]) -> dict[str, Any]:
        unknown = [name for name in item if name not in documented]
        if unknown and self.switches.inbound_unknown_member == "reject":
            raise RequestError(400, f"{unknown[0]}: there is no such field")
        return {name: value for name, value in item.items() if name in documented}


@cache
def read_contract() -> Contract:
    """Read the OpenAPI document, once per process."""
    return Contract(DOCUMENT)


def _list_errors(message: str) -> dict[str, str]:
    """Sort a message by the member that each part of it is about."""
    errors = {}
    for part in message.split("; "):
        missing, place = _MISSING.search(part), _PLACE.fullmatch(part)
        if missing is not None:
            errors[missing[1]] = "is required"
        elif place is not None:
            errors[place[1] or "body"] = place[2]
        else:
            errors["request"] = part
    return errors
