"""Every value of every switch about reads and about requests as such, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

import pytest

Open = Callable[..., Any]


def look_up(crm: Any, count: int, operator: str = "in") -> int:
    value = [f"a{number}.example" for number in range(count)]
    body = {"filters": [{"field": "domain", "operator": operator, "value": value}]}
    return int(crm.send("POST", "/v1/accounts/search", json=body).status_code)


def test_in_limit_none(open_crm: Open) -> None:
    """`in` takes any number of values."""
    assert 200 == look_up(open_crm(), 3000)


def test_in_limit_number(open_crm: Open) -> None:
    """`in` with more values than the limit is 400, under each of its names."""
    crm = open_crm(in_limit="2")
    assert [200, 400, 400, 400] == [
        look_up(crm, 2), look_up(crm, 3), look_up(crm, 3, "is_any_of"), look_up(crm, 3, "not_in")
    ]  # fmt: skip


def find_by_case(crm: Any) -> list[list[str]]:
    crm.create("accounts", {"domain": "acme.example"})
    return [
        crm.find("accounts", "domain", "eq", "ACME.example"),
        crm.find("accounts", "domain", "in", ["ACME.example"]),
        crm.find("accounts", "domain", "neq", "ACME.example"),
        crm.find("accounts", "domain", "not_in", ["ACME.example"]),
    ]


def test_in_case_sensitive(open_crm: Open) -> None:
    """A key in another case is another key."""
    assert [[], [], ["acme.example"], ["acme.example"]] == find_by_case(open_crm())


def test_in_case_insensitive(open_crm: Open) -> None:
    """A key in another case is the same key."""
    assert [["acme.example"], ["acme.example"], [], []] == find_by_case(open_crm(in_case="insensitive"))


def test_key_filter_yes(open_crm: Open) -> None:
    """The key can be filtered."""
    assert 200 == look_up(open_crm(), 1)


def test_key_filter_no(open_crm: Open) -> None:
    """A filter on the key is 400, one on another field is not."""
    crm = open_crm(key_filter="no")
    assert 400 == look_up(crm, 1)
    assert [] == crm.find("accounts", "name", "eq", "A")


def unknown_name_statuses(crm: Any) -> list[int]:
    crm.create("accounts", {"domain": "a.example"})
    bodies: list[dict[str, Any]] = [
        {"filters": [{"field": "nope", "operator": "eq", "value": "x"}]},
        {"sort": "nope:asc"},
        {"fields": ["domain", "nope"]},
    ]
    answers = [crm.send("POST", "/v1/accounts/search", json=body) for body in bodies]
    answers.append(crm.send("GET", "/v1/accounts", params={"fields": "domain,nope"}))
    return [answer.status_code for answer in answers]


def test_unknown_name_reject(open_crm: Open) -> None:
    """A name that no field has is 400 in filters, sort and fields."""
    assert [400, 400, 400, 400] == unknown_name_statuses(open_crm())


def test_unknown_name_ignore(open_crm: Open) -> None:
    """A name that no field has is as good as not there, even in a filter."""
    crm = open_crm(unknown_name="ignore")
    assert [200, 200, 200, 200] == unknown_name_statuses(crm)
    assert ["a.example"] == crm.find("accounts", "nope", "eq", "x")
    assert [{"id", "domain"}] == [set(record) for record in crm.records("accounts", fields=["nope", "domain"])]


def over_limit_answers(crm: Any) -> list[Any]:
    return [
        crm.send("POST", "/v1/accounts/search", json={"limit": 501}),
        crm.send("GET", "/v1/accounts", params={"limit": "501"}),
    ]


def test_over_limit_reject(open_crm: Open) -> None:
    """A limit above 500 is 400."""
    assert [400, 400] == [answer.status_code for answer in over_limit_answers(open_crm())]


def test_over_limit_clamp(open_crm: Open) -> None:
    """A limit above 500 is read as 500; one below 1 is still 400."""
    crm = open_crm(over_limit="clamp")
    assert [500, 500] == [answer.json()["data"]["limit"] for answer in over_limit_answers(crm)]
    assert 400 == crm.send("GET", "/v1/accounts", params={"limit": "0"}).status_code


def send_bad_cursor(crm: Any) -> Any:
    crm.create("accounts", {"domain": "a.example"}, {"domain": "b.example"})
    return crm.send("POST", "/v1/accounts/search", json={"cursor": "damaged", "limit": 1})


def test_invalid_cursor_400(open_crm: Open) -> None:
    """An invalid cursor is 400."""
    assert 400 == send_bad_cursor(open_crm()).status_code


def test_invalid_cursor_restart(open_crm: Open) -> None:
    """An invalid cursor starts again at the first page."""
    answer = send_bad_cursor(open_crm(invalid_cursor="restart"))
    assert ["b.example"] == [record["domain"] for record in answer.json()["data"]["accounts"]]


def follow_late(crm: Any) -> int:
    crm.create("accounts", {"domain": "a.example"}, {"domain": "b.example"})
    cursor = crm.search("accounts", limit=1)["next_cursor"]
    crm.clock.now += 3600
    return int(crm.send("POST", "/v1/accounts/search", json={"cursor": cursor, "limit": 1}).status_code)


def test_cursor_lifetime_none(open_crm: Open) -> None:
    """A cursor never expires."""
    assert 200 == follow_late(open_crm())


def test_cursor_lifetime_number(open_crm: Open) -> None:
    """A cursor expires after so many seconds."""
    assert (200, 400) == (
        follow_late(open_crm(cursor_lifetime="3600")),
        follow_late(open_crm(cursor_lifetime="3599.5", database="other.db")),
    )


def test_search_lag_number(open_crm: Open) -> None:
    """Writes are seen by list and search only after the lag, while deduplication knows them at once."""
    crm = open_crm(search_lag="10")
    (first,) = crm.create("accounts", {"domain": "a.example", "name": "A"})["accounts"]
    assert [] == crm.records("accounts")
    crm.clock.now += 5
    (again,) = crm.create("accounts", {"domain": "a.example", "name": "B"})["accounts"]
    assert first["id"] == again["id"]
    crm.clock.now += 5
    assert ["A"] == [record["name"] for record in crm.records("accounts")]
    crm.clock.now += 5
    listed = crm.send("GET", "/v1/accounts").json()["data"]["accounts"]
    assert ["B"] == [record["name"] for record in listed]


def read_one(crm: Any, *fields: str) -> Any:
    crm.create("contacts", {"email": "jane@a.example", "job_title": "CTO", "tier": "gold", "email_verified": False})
    return crm.records("contacts", **({"fields": list(fields)} if fields else {}))[0]


def test_read_fields_all(open_crm: Open) -> None:
    """A record has every member asked for, null where it has no value."""
    record = read_one(open_crm(), "email", "phone")
    assert record == {"id": record["id"], "email": "jane@a.example", "phone": None}


def test_read_fields_set(open_crm: Open) -> None:
    """A record has no members without a value."""
    crm = open_crm(read_fields="set")
    record = read_one(crm, "email", "phone", "email_verified")
    assert record == {"id": record["id"], "email": "jane@a.example", "email_verified": False}


def test_read_fields_documented(open_crm: Open) -> None:
    """A record has only members that the documentation shows, whatever is asked for."""
    crm = open_crm(read_fields="documented")
    assert ["id", "email"] == list(read_one(crm, "email", "job_title"))
    (record,) = crm.records("contacts")
    assert {"id", "first_name", "last_name", "email", "custom_fields"} == set(record)
    assert {"id", "name", "domain", "custom_fields"} == set(crm.records("accounts")[0])


def read_time(crm: Any) -> Any:
    crm.create("accounts", {"domain": "a.example", "last_interaction": "2026-02-17T01:00:00.250+01:00"})
    return crm.records("accounts")[0]["last_interaction"]


def test_read_timestamps_rfc3339(open_crm: Open) -> None:
    """A timestamp is read as text in UTC."""
    assert "2026-02-17T00:00:00.250000Z" == read_time(open_crm())


def test_read_timestamps_milliseconds(open_crm: Open) -> None:
    """A timestamp is read as Unix milliseconds; created_at stays text."""
    crm = open_crm(read_timestamps="milliseconds")
    assert 1771286400250 == read_time(crm)
    assert "2026-05-28T20:26:40.000000Z" == crm.records("accounts")[0]["created_at"]


def exceed(crm: Any) -> Any:
    crm.send("GET", "/v1/accounts")
    answer = crm.send("GET", "/v1/accounts")
    assert 429 == answer.status_code
    return answer.headers.get("retry-after")


SLOW = {"rate_limit": 0.5}


def test_retry_after_none(open_crm: Open) -> None:
    """A 429 says nothing about when to come back."""
    assert exceed(open_crm(options=SLOW)) is None


def test_retry_after_seconds(open_crm: Open) -> None:
    """A 429 says in how many seconds to come back."""
    assert "2" == exceed(open_crm(options=SLOW, retry_after="seconds"))


def test_retry_after_date(open_crm: Open) -> None:
    """A 429 says at what time to come back."""
    assert "Thu, 28 May 2026 20:26:42 GMT" == exceed(open_crm(options=SLOW, retry_after="date"))


@pytest.mark.parametrize("announced", [True, False])
def test_body_limit_number(open_crm: Open, *, announced: bool) -> None:
    """A larger body is 413, whether its length is announced or not."""
    crm = open_crm(body_limit="40")
    small, large = b'[{"domain": "a.example"}]', b'[{"domain": "a.example", "name": "Acme"}]'

    async def stream(body: bytes) -> Any:
        yield body

    statuses = [
        crm.send(
            "POST",
            "/v1/accounts/bulk",
            content=body if announced else stream(body),
            headers={"content-type": "application/json"},
        ).status_code
        for body in (small, large)
    ]
    assert [200, 413] == statuses
