"""What an HTTP answer is to us: an object or one of the errors, in the server's words but for the key."""

import json
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.answers import DEEPEST, Answer, Wording, judge, read_allowance, read_object, read_wait
from crmctl.errors import (
    Ambiguous,
    Auth,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)

BULK = "POST /v1/accounts/bulk"
KEY = "oct_live_0123456789abcdef"
NOW = 1_800_000_000


def judged(
    status: int, body: Any = None, *, repeatable: bool = True, key: str = KEY, headers: dict[str, str] | None = None
) -> ProviderError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status, httpx.Headers(headers), content)
    return judge(BULK, answer, repeatable=repeatable, refusal=Auth, wording=Wording([key]), now=NOW)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, Auth), (403, Auth),
        (400, Rejected), (404, Rejected), (409, Rejected), (413, Rejected), (422, Rejected), (418, Rejected),
        (304, Rejected),
        (405, Unsupported), (501, Unsupported),
        (429, RateLimited),
        (503, Unavailable),
        (500, Ambiguous), (502, Ambiguous), (504, Ambiguous), (599, Ambiguous), (199, Ambiguous),
    ],
)  # fmt: skip
def test_statuses(status: int, expected: type[ProviderError]) -> None:
    """Every status is one class of error."""
    error = judged(status, {"message": "No"})
    assert (expected, status) == (type(error), error.status)


def test_unavailable_not_repeatable() -> None:
    """A 503 for what must not be sent twice is ambiguous: it may have been processed."""
    error = judged(503, repeatable=False)
    assert (Ambiguous, 503, f"{BULK}: 503: Service Unavailable") == (type(error), error.status, str(error))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Validation failed"}, "Validation failed"),
        ({"message": "Validation error", "errors": {"domain": "is odd", "x": 1}}, "Validation error; domain: is odd"),
        ({"message": ["a is odd", "b is odd"]}, "a is odd; b is odd"),
        ({"errors": ["a", 1, None]}, "a"),
        ({"message": "two\nlines \x1b[31m\u202e!"}, "two lines [31m !"),
        ({"message": 5}, "Bad Request"),
        (["no object"], "Bad Request"),
        ({"message": "x" * 1000}, "x" * 299 + "…"),
    ],
)
def test_messages(body: Any, words: str) -> None:
    """The server's own words are told, on one line and not without end."""
    assert str(judged(400, body)) == f"{BULK}: 400: {words}"


@pytest.mark.parametrize("content", [b"<html>secret</html>", b"", b"[" * 100_000, b"\xff"])
def test_messages_without_json(content: bytes) -> None:
    """What is no JSON is not told, only what the status is called."""
    assert str(judged(404, content)) == f"{BULK}: 404: Not Found"
    assert str(judged(499, content)) == f"{BULK}: 499: no reason given"


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("application/json", b'{"success": tr'),
        ("application/json", b""),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b'{"a": 1e999}'),
        ("application/json", b'{"a": [-1e999]}'),
        ("application/json", b'{"a": "\xff"}'),
        ("application/json", b'{"a": 1' + b"0" * 5000 + b"}"),
        ("application/json", b'{"a":' + b"[" * 200_000),
        ("application/json", b"[1, 2]"),
        ("application/json", b"null"),
        ("text/html", b"{}"),
        ("", b"{}"),
    ],
)
def test_broken_success(content_type: str, content: bytes) -> None:
    """A 2xx that is not a JSON object is ambiguous, never a traceback."""
    with pytest.raises(Ambiguous, match="POST /v1/accounts/bulk: 202, but the answer") as caught:
        read_object(BULK, Answer(202, {"content-type": content_type}, content))
    assert caught.value.status == 202


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/x+json"]
)
def test_json_types(content_type: str) -> None:
    """JSON with a character set or of a special type is JSON."""
    assert read_object(BULK, Answer(200, {"content-type": content_type}, b'{"a": 1}')) == {"a": 1}


def nested(levels: int, inner: Any = 1) -> Any:
    """Return lists and objects in turn, each within another."""
    for level in range(levels):
        inner = [inner] if level % 2 == 0 else {'"]}\\': "]", "a\\": inner, "b": "[{"}
    return inner


@pytest.mark.parametrize("levels", [1, 2, DEEPEST, DEEPEST + 1, DEEPEST + 100])
def test_deep_json_is_broken(levels: int) -> None:
    """100 levels are read, one more is ambiguous; brackets in strings count for nothing."""
    answer = Answer(200, {"content-type": "application/json"}, json.dumps({"a": nested(levels - 1)}).encode())
    if levels <= DEEPEST:
        assert {"a": nested(levels - 1)} == read_object(BULK, answer)
    else:
        with pytest.raises(Ambiguous, match="200, but the answer's JSON is broken"):
            read_object(BULK, answer)


VALUES = st.recursive(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text('[]{}"\\,: a\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\a'), inner),
)


@given(st.dictionaries(st.text(), VALUES), st.booleans())
def test_all_json_that_is_not_deep_is_read(value: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever strings hold, and however they are escaped."""
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert value == read_object(BULK, Answer(200, {"content-type": "application/json"}, content))


@given(st.text('[]{}"\\,: a'), st.integers(DEEPEST, DEEPEST + 9))
def test_no_string_hides_depth(text: str, levels: int) -> None:
    """A server can't make lists look shallow by brackets in strings beside them."""
    inner: Any = 0
    for _ in range(levels):
        inner = [text, inner, text]
    answer = Answer(200, {"content-type": "application/json"}, json.dumps({text: inner}).encode())
    with pytest.raises(Ambiguous):
        read_object(BULK, answer)


@pytest.mark.parametrize("text", [f"key {KEY} is bad", f"[{KEY[:-1]}{KEY[-1]}]", f"x{KEY}y" * 50, "y" * 290 + KEY])
def test_echoed_key(text: str) -> None:
    """A key that the server sends back is taken out, wherever it stands."""
    for body in ({"message": text}, {"errors": {text: text}}, {"errors": [text]}):
        message = str(judged(400, body))
        assert KEY[:12] not in message


def test_echoed_encoded_key() -> None:
    """A key is also found percent-encoded, and without the word before it."""
    error = judged(400, {"message": "bad: a%2Fb%3D a/b="}, key="Bearer a/b=")
    assert str(error) == f"{BULK}: 400: bad: [key] [key]"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 15 Jan 99999999999999999999 08:00:30 GMT"}, None),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 +99999999999999999999"}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, 251_602_387_139),
        ({"retry-after": "12", "date": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 12),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": "Mon, 1 Jan 0001 00:00:00 +9999999999"}, 30),
        ({"retry-after": formatdate(1_800_000_030, usegmt=True)}, 30),
        ({"retry-after": formatdate(1_799_999_000, usegmt=True)}, 0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 -0000"}, 30),
        ({"retry-after": formatdate(130, usegmt=True), "date": formatdate(100, usegmt=True)}, 30),
        ({"x-ratelimit-reset": "20"}, 20),
        ({"x-ratelimit-reset": "1800000009"}, 9),
        ({"x-ratelimit-reset": "1800000009500"}, 9.5),
        ({"x-ratelimit-reset": "1700000000"}, 0),
        ({"x-ratelimit-reset": "later"}, None),
        ({"retry-after": "3", "x-ratelimit-reset": "20"}, 3),
    ],
)
def test_hints(headers: dict[str, str], wait: float | None) -> None:
    """The server's hint is read as seconds, date or reset time; nonsense is no hint."""
    assert read_wait(httpx.Headers(headers), NOW) == wait
    assert judged(429, headers=headers).wait == wait
    said = wait if "retry-after" in headers or wait is None else None  # when a window ends says nothing of a failure
    assert [judged(status, headers=headers).wait for status in (500, 502, 503, 504)] == [said] * 4


def test_a_long_wait_is_told() -> None:
    """Whoever has to wait for an hour is told so, as the request is given up at once."""
    assert "come back in 3600 s" in str(judged(429, headers={"retry-after": "3600"}))
    assert "come back" not in str(judged(429, headers={"retry-after": "59"}))


@pytest.mark.parametrize(
    ("headers", "allowance"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "3"}, None),
        ({"x-ratelimit-reset": "20"}, None),
        ({"x-ratelimit-remaining": "many", "x-ratelimit-reset": "20"}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "20"}, (3, 20)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000009"}, (0, 9)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000000"}, (0, 0)),
    ],
)
def test_allowances(headers: dict[str, str], allowance: tuple[int, float] | None) -> None:
    """How many more requests are welcome, and until when, is told by two headers together."""
    assert read_allowance(httpx.Headers(headers), NOW) == allowance


def test_lists() -> None:
    """A JSON list is an answer where lists may come, and is none elsewhere."""
    answer = Answer(200, {"content-type": "application/json"}, b'[{"id": "1"}]')
    assert read_object(BULK, answer, lists=True) == [{"id": "1"}]
    with pytest.raises(Ambiguous, match="is no JSON object"):
        read_object(BULK, answer)
