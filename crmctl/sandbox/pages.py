"""What the lists of both vendors have in common: a place to go on from, in the body or in the query."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from crmctl.sandbox.exchange import Answer, Request


def has_place(request: Request) -> bool:
    """Tell whether a request asks for a further page."""
    query, body = _query(request), _object(request.body)
    return bool(query.get("cursor") or body.get("cursor")) or query.get("page", "0") not in ("", "0")


def same_page(request: Request) -> bytes:
    """Return what all pages of a list have in common."""
    query = {name: value for name, value in _query(request).items() if name not in ("cursor", "page")}
    body = {name: value for name, value in _object(request.body).items() if name != "cursor"}
    return json.dumps([request.method, request.path, query, body], sort_keys=True).encode()


def next_page(request: Request, answer: Answer) -> Request | None:
    """Return the request for the page after this one; None where there is none, or it is no list."""
    query = _query(request)
    if "page" in query and query["page"].isdigit():
        return request._replace(query=urlencode({**query, "page": int(query["page"]) + 1}).encode())
    data = _object(answer.body).get("data")
    cursor = data.get("next_cursor") if isinstance(data, dict) else None
    if not isinstance(cursor, str):
        return None
    if request.method == "GET":
        return request._replace(query=urlencode({**query, "cursor": cursor}).encode())
    return request._replace(body=json.dumps({**_object(request.body), "cursor": cursor}).encode())


def has_rows(answer: Answer) -> bool:
    """Tell whether a page has anything on it."""
    found = _decode(answer.body)
    while isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, dict | list)), None)
    return bool(found)


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))


def _object(body: bytes) -> dict[str, Any]:
    found = _decode(body)
    return found if isinstance(found, dict) else {}


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body or b"null")
    except ValueError:
        return None
