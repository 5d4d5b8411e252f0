"""Cursors: opaque, signed, and bound to their whole query."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.sandbox.cursors import CursorError, read_cursor, write_cursor

SECRET = b"secret"
QUERY: dict[str, Any] = {
    "q": "a",
    "filters": [{"field": "domain", "operator": "contains", "value": "a"}],
    "sort": "domain",
    "limit": 1,
}


@given(st.lists(st.text() | st.none()), st.text())
def test_a_cursor_gives_its_position_back(position: list[str | None], query: str) -> None:
    """What is written is read again, for the same query."""
    cursor = write_cursor(SECRET, query, position, now=5.0)
    assert position == read_cursor(SECRET, query, cursor, now=6.0, lifetime=None)


@given(st.text())
def test_any_other_text_is_no_cursor(text: str) -> None:
    """No text but a cursor of ours verifies."""
    with pytest.raises(CursorError):
        read_cursor(SECRET, "query", text, now=0.0, lifetime=None)


def test_an_altered_cursor_is_refused() -> None:
    """A cursor does not verify once any of its characters is another."""
    cursor = write_cursor(SECRET, "query", ["a"], now=0.0)
    for index, letter in enumerate(cursor[:-1]):
        altered = f"{cursor[:index]}{'A' if letter != 'A' else 'B'}{cursor[index + 1 :]}"
        with pytest.raises(CursorError):
            read_cursor(SECRET, "query", altered, now=0.0, lifetime=None)


def test_a_cursor_of_another_secret_is_refused() -> None:
    """A cursor belongs to the database that made it."""
    cursor = write_cursor(b"other", "query", ["a"], now=0.0)
    with pytest.raises(CursorError):
        read_cursor(SECRET, "query", cursor, now=0.0, lifetime=None)


@pytest.fixture
def filled(crm: Any) -> Any:
    """Hold three accounts that the query finds."""
    crm.create("accounts", *({"domain": f"a{n}.example"} for n in range(3)))
    return crm


@pytest.mark.parametrize(
    "change",
    [
        {"q": "a1"},
        {"q": None},
        {"filters": []},
        {"filters": [{"field": "domain", "operator": "contains", "value": "a2"}]},
        {"sort": "domain:desc"},
        {"sort": "id"},
        {"limit": 2},
    ],
)
def test_a_cursor_is_good_for_its_own_query_only(filled: Any, change: dict[str, Any]) -> None:
    """Text, filters, sort and limit have to stay the same."""
    cursor = filled.search("accounts", **QUERY)["next_cursor"]
    changed = {name: value for name, value in {**QUERY, **change}.items() if value is not None}
    answer = filled.send("POST", "/v1/accounts/search", json={**changed, "cursor": cursor})
    assert 400 == answer.status_code


def test_the_fields_may_change_between_pages(filled: Any) -> None:
    """The documentation does not bind a cursor to the fields."""
    cursor = filled.search("accounts", **QUERY)["next_cursor"]
    (record,) = filled.search("accounts", **QUERY, cursor=cursor, fields=["name"])["accounts"]
    assert {"id", "name"} == set(record)


def test_a_cursor_of_a_list_is_not_one_of_a_search_or_of_another_kind(filled: Any) -> None:
    """List and search of each kind have their own cursors."""
    cursor = filled.send("GET", "/v1/accounts?limit=1").json()["data"]["next_cursor"]
    assert 400 == filled.send("POST", "/v1/accounts/search", json={"limit": 1, "cursor": cursor}).status_code
    assert 400 == filled.send("GET", f"/v1/contacts?limit=1&cursor={cursor}").status_code


def test_the_same_sort_in_another_form_is_the_same_query(filled: Any) -> None:
    """A cursor does not mind how the sort is written."""
    cursor = filled.search("accounts", **QUERY)["next_cursor"]
    same = {**QUERY, "sort": [{"field": "domain", "direction": "asc"}], "cursor": cursor}
    assert ["a1.example"] == [record["domain"] for record in filled.search("accounts", **same)["accounts"]]
