"""Make and check the opaque cursors of a paged read.

A cursor carries where the next page starts and when it was made, signed together with the query it belongs to: a
cursor that was altered, or is sent with another query, does not verify (docs/octolane.md).
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

_SIGNATURE_BYTES = 16


class CursorError(ValueError):
    """The cursor is damaged, expired or of another query."""


def write_cursor(secret: bytes, query: object, position: Sequence[Any], now: float) -> str:
    """Write the cursor that goes on after `position` (the sort values of the last record)."""
    content = json.dumps([round(now, 3), *position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sign(secret, query, content) + content).decode().rstrip("=")


def read_cursor(secret: bytes, query: object, cursor: str, *, now: float, lifetime: float | None) -> list[Any]:
    """Return the position, or raise `CursorError`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CursorError("the cursor is damaged") from error
    signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(secret, query, content)):
        raise CursorError("the cursor is damaged or belongs to another query")
    made_at, *position = json.loads(content)
    if lifetime is not None and now - made_at > lifetime:
        raise CursorError("the cursor has expired")
    return list(position)


def _sign(secret: bytes, query: object, content: bytes) -> bytes:
    bound = json.dumps(query, sort_keys=True, separators=(",", ":")).encode() + b"\n" + content
    return hmac.new(secret, bound, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
