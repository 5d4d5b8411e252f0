"""Notes, which are written and never read."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

NOTE = {"text": "The kick-off went well.", "account_domain": "acme.example"}


def create_notes(crm: Any, *items: dict[str, Any]) -> int:
    return int(crm.send("POST", "/v1/notes/bulk", json=list(items)).status_code)


def read_notes(folder: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "crm.db")
    rows = connection.execute("SELECT text, account_id, contact_id FROM octolane_notes ORDER BY seq").fetchall()
    connection.close()
    return rows


@pytest.fixture
def filled(crm: Any) -> Any:
    """Hold an account and a contact to write notes about."""
    crm.create("contacts", {"email": "jane@acme.example"})
    return crm


def test_a_note_belongs_to_an_account_a_contact_or_both(filled: Any, tmp_path: Path) -> None:
    """A note refers to what its domain and its address stand for."""
    account, contact = filled.records("accounts")[0]["id"], filled.records("contacts")[0]["id"]
    about_jane = {"text": "Calls back.", "contact_email": "Jane@acme.example"}
    both = {**about_jane, "account_domain": "https://acme.example"}
    assert 200 == create_notes(filled, NOTE, about_jane, both)
    assert read_notes(tmp_path) == [
        (NOTE["text"], account, None),
        ("Calls back.", None, contact),
        ("Calls back.", account, contact),
    ]


def test_every_note_is_another_one(filled: Any, tmp_path: Path) -> None:
    """The same note sent again is there twice."""
    create_notes(filled, NOTE, NOTE)
    create_notes(filled, NOTE)
    assert 3 == len(read_notes(tmp_path))


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([], 400),
        ([NOTE] * 101, 400),
        ([{"text": "A"}], 400),
        ([{**NOTE, "text": ""}], 400),
        ([{**NOTE, "title": "A"}], 400),
        ([{**NOTE, "contact_email": "jane"}], 400),
        ([{**NOTE, "account_domain": "nowhere"}], 400),
        ([NOTE, {**NOTE, "account_domain": "other.example"}], 404),
        ([NOTE, {**NOTE, "contact_email": "sam@acme.example"}], 404),
    ],
)
def test_bad_notes_are_refused(filled: Any, tmp_path: Path, items: list[dict[str, Any]], status: int) -> None:
    """Notes that do not fit are 400, those about nobody known 404, and none is written."""
    assert (status, []) == (create_notes(filled, *items), read_notes(tmp_path))


def test_notes_are_not_read(filled: Any) -> None:
    """There is no route that lists notes."""
    assert [404, 405] == [filled.send("GET", path).status_code for path in ("/v1/notes", "/v1/notes/bulk")]


def test_a_bad_note_may_be_left_out(open_crm: Any, tmp_path: Path) -> None:
    """Where bulk writes succeed in part, the good notes are written."""
    crm = open_crm(bad_item="partial")
    crm.create("accounts", {"domain": "acme.example"})
    assert 200 == create_notes(crm, NOTE, {"text": "A"}, {**NOTE, "account_domain": "other.example"})
    assert 1 == len(read_notes(tmp_path))
