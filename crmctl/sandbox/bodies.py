"""Read what a request carries, query string and JSON, as strictly as a database needs it, and write JSON.

Refused are: half a surrogate pair (no text), the null character (no database takes it), NaN and the infinities, and
values nested too deep.
"""

import json
import math
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from crmctl.sandbox.problems import RequestError

NESTING = 50
"""Levels of lists and objects a free-form value may have."""

_NESTED = (dict, list)
_SAFE_DIGITS = 300
"""No number of so many digits is beyond the range of a double."""

_NULL_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_query(query: bytes) -> list[tuple[str, str]]:
    """Split a query string into names and values."""
    try:
        return urllib.parse.parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError as error:
        raise RequestError(400, "the query string cannot be read") from error


def read_json(headers: Mapping[str, str], raw: bytes) -> Any:
    """Read a body: JSON in UTF-8 that a database can hold."""
    media_type, _, parameter = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json" or parameter.strip().lower() not in ("", "charset=utf-8"):
        raise RequestError(400, "the content type has to be application/json")
    try:
        text = raw.decode("utf-8")
        body = json.loads(text, parse_constant=_refuse_constant, parse_float=_read_float, parse_int=_read_integer)
        if "\\u" in text:
            dump_json(body).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if "\\u0000" in text and _NULL_CHARACTER.search(text):
        raise RequestError(400, "a text holds the null character")
    if is_deep(body, NESTING):
        raise RequestError(400, "the body is nested too deep")
    return body


def dump_json(value: Any) -> str:
    """Write JSON as it is stored and sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def is_deep(value: Any, levels: int) -> bool:
    """Tell whether a value has more levels of lists and objects than that."""
    if not isinstance(value, _NESTED):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deep(one, levels - 1) for one in inner if isinstance(one, _NESTED))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _read_integer(text: str) -> int:
    if len(text) > _SAFE_DIGITS:
        _read_float(text)
    return int(text)
