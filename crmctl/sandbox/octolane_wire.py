"""Read Octolane's requests and write its answers in the documented envelope."""

import json
from typing import Any, NamedTuple

from crmctl.sandbox import bodies
from crmctl.sandbox.contract import Operation
from crmctl.sandbox.exchange import Answer, Request


class Outcome(NamedTuple):
    """What became of one item that was written: the id of its record, and whether this request created it."""

    id: str
    created: bool


def succeed(status: int, message: str, data: str, **members: int) -> Answer:
    """Put JSON that is ready into the envelope."""
    more = "".join(f',"{name}":{value}' for name, value in members.items())
    return Answer(status, f'{{"success":true,"message":{json.dumps(message)},"data":{data}{more}}}'.encode())


def read_body(operation: Operation, request: Request) -> Any:
    """Read the JSON of a route without query parameters."""
    operation.read_parameters(bodies.read_query(request.query))
    return bodies.read_json(request.headers, request.body)
