"""Read Thena's requests and write its answers (docs/thena.md): bodies, the envelope, and the error body.

In: a request and the operation that serves it. Out: what it carries, held to `thena.openapi.json`; and answers.
"""

import http
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from crmctl.sandbox.bodies import dump_json, read_json, read_query
from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store, stamp_of
from crmctl.sandbox.thena_attributes import render_time
from crmctl.sandbox.thena_switches import ThenaSwitches

DOCUMENT = Path(__file__).with_name("thena.openapi.json")
_BAD_REQUEST = 400
_SCHEMAS = {
    "createAccount": "CreateAccountDto",
    "updateAccount": "UpdateAccountDto",
    "createCustomerContact": "CreateCustomerContactDto",
    "updateCustomerContact": "UpdateCustomerContactDto",
    "filterCustomerContactsByIds": "FilterContactsByIdsRequest",
    "bulkCreateCustomerContacts": "BulkCreateCustomerContactsDto",
    "createAccountNote": "CreateAccountNoteDto",
    "updateAccountNote": "UpdateAccountNoteDto",
    "createAccountAttributeValue": "CreateAccountAttributeValueDto",
    "updateAccountAttributeValue": "UpdateAccountAttributeValueDto",
    "createCustomField": "CreateCustomFieldRequest",
}
"""What the bodies of the operations are."""


@cache
def read_contract() -> Contract:
    """Read the OpenAPI document, once per process: compiled validators are shared by all sandboxes in it."""
    return Contract(DOCUMENT)


class Wire:
    """How the API reads and writes, under the switches."""

    def __init__(self, store: Store, switches: ThenaSwitches) -> None:
        """Take the store for its clock."""
        self._store, self._switches = store, switches

    def refuse(self, status: int, message: str) -> Answer:
        """Make the documented error body."""
        listed = status == _BAD_REQUEST and self._switches.error_message == "list"
        shown = [message] if listed else message
        body = {"statusCode": status, "message": shown, "error": http.HTTPStatus(status).phrase}
        return Answer(status, dump_json(body).encode())

    def succeed(self, status: int, payload: Mapping[str, Any] | Sequence[Any]) -> Answer:
        """Answer in the envelope or bare, as the switch says."""
        if self._switches.envelope == "wrapped":
            return self.wrap(status, payload)
        return Answer(status, dump_json(payload).encode())

    def read_body(self, operation: Operation, request: Request) -> Any:
        """Read the JSON of a route without query parameters."""
        operation.read_parameters(read_query(request.query))
        body = read_json(request.headers, request.body)
        return self.check(body, _SCHEMAS[operation.id])

    def check(self, body: Any, schema: str) -> Any:
        """Hold a body to a component of the document, unknown members dropped if the switch says so."""
        if self._switches.unknown_field == "ignore" and isinstance(body, dict):
            known = read_contract().list_members(schema)
            body = {name: value for name, value in body.items() if name in known}
        read_contract().check(schema, body, "body")
        return body

    def wrap(self, status: int, payload: Any) -> Answer:
        """Answer in the documented envelope."""
        body = {"data": payload, "status": True, "message": "Success", "timestamp": render_time(self.now())}
        return Answer(status, dump_json(body).encode())

    def confirm_deletion(self, record: Mapping[str, Any]) -> Answer:
        """Answer a DELETE."""
        if self._switches.delete_answer == "nothing":
            return Answer(204, b"")
        return self.succeed(200, record if self._switches.delete_answer == "record" else {"message": "Deleted"})

    def now(self) -> str:
        """Tell the time as it is stored."""
        return stamp_of(int(self._store.clock() * 1_000_000))


def read_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    """Read the query string of a route without a body."""
    if request.body:
        raise RequestError(400, f"a {request.method} takes no body")
    return operation.read_parameters(read_query(request.query))


def read_id(operation: Operation, request: Request) -> str:
    """Return the one parameter of a path."""
    [id_] = operation.read_path(request.path).values()
    return id_
