"""Read what an HTTP answer says, by status, headers and body alone: an object, or which of our errors it is; pure.

In: an answer as plain values. Out: the decoded JSON object, or the `ProviderError` to raise. The server's words go into
the message shortened, on one line, and with the key taken out in case the server sends it back.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from crmctl.errors import (
    Ambiguous,
    Auth,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)

LONGEST_TEXT = 300
SHORTEST_SECRET = 4
DEEPEST = 100  # levels of lists and objects; the code that walks through them is recursive
BRACKETS = bytes.maketrans(b"{}", b"[]")
NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
STRING = re.compile(rb'"[^"]*+"')
LONG = 60.0  # seconds to wait that a message names
EPOCH = 1e9  # a reset "in" more than 31 years is a point in time, in seconds ...
EPOCH_MILLISECONDS = 1e12  # ... or in milliseconds


class Wording:
    """Make text from outside fit for a message: `secrets` and what they are made of never show.

    `discreet`: what a server says in its own words is left out, since it may repeat personal data.
    """

    def __init__(self, secrets: Collection[str], *, discreet: bool = False) -> None:
        self.discreet = discreet
        parts = {part for secret in secrets for part in (secret.strip(), *secret.split())}
        parts |= {quote(part, safe="") for part in parts}
        # What is shorter is no secret worth the name, and would be found inside words.
        self._secrets = sorted((part for part in parts if len(part) >= SHORTEST_SECRET), key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return the text on one line, without unprintable characters and secrets, cut to a readable length."""
        text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


class Answer(NamedTuple):
    """One HTTP answer. `headers` are found in any case; `body` is decompressed, empty if it could not be had."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_object(route: str, answer: Answer, *, lists: bool = False) -> Any:
    """Return the JSON object of a 2xx answer, or the list where `lists` may come.

    Anything else is Ambiguous, because the server may have acted.
    """
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise Ambiguous(f"{route}: {answer.status}, but the answer is no JSON", status=answer.status)
    try:
        decoded = _decode(answer.body)
    except (ValueError, RecursionError) as error:
        raise Ambiguous(f"{route}: {answer.status}, but the answer's JSON is broken", status=answer.status) from error
    if not isinstance(decoded, dict) and not (lists and isinstance(decoded, list)):
        raise Ambiguous(f"{route}: {answer.status}, but the answer is no JSON object", status=answer.status)
    return decoded


def judge(
    route: str, answer: Answer, *, repeatable: bool, refusal: type[Auth | Unsupported], wording: Wording, now: float
) -> ProviderError:
    """Return the error that an answer outside 2xx is.

    `refusal` is what 401 and 403 mean at this point of the run; `now` is the time for hints that are dates, in seconds
    since 1970, unless the server tells its own.
    """
    status = answer.status
    said = _name_status(status) if wording.discreet else wording.clean(_explain(answer))
    message = f"{route}: {status}: {said}"
    if status in {401, 403}:
        return refusal(f"{message}; check the API key and what it may do", status=status)
    if status in {405, 501}:
        return Unsupported(message, status=status)
    limited = status == HTTPStatus.TOO_MANY_REQUESTS
    wait = read_wait(answer.headers, now) if limited else _read_retry_after(answer.headers, now)
    if wait is not None and wait >= LONG:
        message = f"{message}; the server says to come back in {wait:.0f} s"
    if limited:
        return RateLimited(message, status=status, wait=wait)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and repeatable:
        return Unavailable(message, status=status, wait=wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.OK:
        return Ambiguous(message, status=status, wait=wait)
    return Rejected(message, status=status)


def read_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a 429 asks to wait, by `Retry-After` (seconds, date) or `X-RateLimit-Reset`.

    The latter is seconds from now, or a point in time in seconds or milliseconds: vendors differ, so its size decides.
    """
    wait = _read_retry_after(headers, now)
    return _read_reset(headers, _read_now(headers, now)) if wait is None else wait


def _read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    hint = headers.get("retry-after", "")
    seconds = _read_number(hint)
    if seconds is not None:
        return seconds
    date = _read_date(hint)
    return None if date is None else max(0, date - _read_now(headers, now))


def read_allowance(headers: Mapping[str, str], now: float) -> tuple[int, float] | None:
    """Return how many requests are still welcome, and for how many seconds that holds; None unless both are told.

    `X-RateLimit-Remaining` and `X-RateLimit-Reset` come with every answer, or with none; the latter is read as above.
    """
    remaining = _read_number(headers.get("x-ratelimit-remaining", ""))
    seconds = _read_reset(headers, _read_now(headers, now))
    return None if remaining is None or seconds is None else (int(remaining), seconds)


def _read_now(headers: Mapping[str, str], now: float) -> float:
    """Return the time as the server tells it, else as we know it."""
    server_now = _read_date(headers.get("date", ""))
    return now if server_now is None else server_now


def _read_reset(headers: Mapping[str, str], now: float) -> float | None:
    reset = _read_number(headers.get("x-ratelimit-reset", ""))
    if reset is None or reset < EPOCH:
        return reset
    return max(0, (reset / 1000 if reset >= EPOCH_MILLISECONDS else reset) - now)


def _decode(body: bytes) -> Any:
    if _is_deep(body):
        raise ValueError("nested too deeply")
    return json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_read_float)


def _is_deep(body: bytes) -> bool:
    """Tell whether JSON is nested deeper than anybody needs, in linear time and long before it is decoded.

    Only brackets and quotes count; what stands in strings goes, then innermost pairs, a level at a time. Anything else
    than JSON may be called deep as well.
    """
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    left = body.translate(BRACKETS, NO_MARKS).replace(b'""', b"")  # most strings have no brackets
    if b'"' in left:
        left = STRING.sub(b"", left)
    for _ in range(DEEPEST):
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return bool(left)


def _read_float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no number that can be kept")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _explain(answer: Answer) -> str:
    """Return the server's own words: `message` and `errors` of a JSON body, else what the status is called."""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return f"redirects to {_read_host(answer.headers.get('location', ''))}, which is never followed; check base_url"
    try:
        decoded = _decode(answer.body)
    except (ValueError, RecursionError):
        decoded = None
    words = [text for name in ("message", "errors") for text in _list_texts(decoded, name)]
    if words:
        return "; ".join(words)
    return _name_status(answer.status)


def _name_status(status: int) -> str:
    return next((known.phrase for known in HTTPStatus if known == status), "no reason given")


def _list_texts(decoded: Any, name: str) -> list[str]:
    value = decoded.get(name) if isinstance(decoded, dict) else None
    if isinstance(value, dict):
        return [f"{key}: {text}" for key, text in value.items() if isinstance(text, str)]
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]


def _read_host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "itself"
    except ValueError:
        return "an address that is none"


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None


def _read_date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
