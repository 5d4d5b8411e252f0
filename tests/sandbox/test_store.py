"""The database file: private, shared between processes, and reset."""

import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.octolane_tables import TABLES
from crmctl.sandbox.store import (
    Store,
    StoreError,
    microseconds_of,
    pseudonym_key,
    read_stats,
    reset,
    stamp_of,
)


def test_the_files_are_readable_by_their_owner_only(open_crm: Any, tmp_path: Path) -> None:
    """Database, its side files and the key hold personal data or a secret: 0600."""
    crm = open_crm(database="folder/crm.db")
    crm.create("accounts", {"domain": "acme.example"})
    pseudonym_key(tmp_path / "folder" / "crm.db")
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "folder").iterdir()}
    assert files == dict.fromkeys(("crm.db", "crm.db-wal", "crm.db-shm", "crm.db.key"), 0o600)


def test_a_file_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    """An existing file becomes private when it is opened."""
    database = tmp_path / "crm.db"
    database.touch(0o644)
    open_sandbox("octolane", database).close()
    assert 0o600 == stat.S_IMODE(database.stat().st_mode)


def test_the_pseudonym_key_is_that_of_one_database(tmp_path: Path) -> None:
    """The key is 32 bytes, the same every time, another one for another database, and after a reset."""
    one, other = tmp_path / "a" / "one.db", tmp_path / "a" / "other.db"
    key = pseudonym_key(one)
    assert 32 == len(key)
    assert pseudonym_key(other) != key
    assert key == pseudonym_key(one)
    reset(one)
    assert key != pseudonym_key(one)
    assert ["one.db.key", "other.db.key"] == sorted(path.name for path in one.parent.iterdir())


def test_two_applications_share_one_file(open_crm: Any) -> None:
    """What one writes the other reads, and cursors are good for both."""
    one, other = open_crm(), open_crm()
    one.create("accounts", {"domain": "a.example"}, {"domain": "b.example"})
    cursor = one.search("accounts", limit=1)["next_cursor"]
    assert ["a.example"] == [r["domain"] for r in other.search("accounts", limit=1, cursor=cursor)["accounts"]]


def test_a_second_opening_finds_everything(open_crm: Any) -> None:
    """Records outlive the application."""
    first = open_crm()
    first.create("accounts", {"domain": "a.example", "tier": "gold"})
    first.app.close()
    assert {"tier": "gold"} == open_crm().records("accounts")[0]["custom_fields"]


def test_what_was_written_without_lag_is_seen_at_once(open_crm: Any) -> None:
    """A lag counts for writes made under it, and ends with it."""
    open_crm().create("accounts", {"domain": "a.example"})
    lagging = open_crm(search_lag="10")
    lagging.create("accounts", {"domain": "b.example"})
    assert ["a.example"] == [record["domain"] for record in lagging.records("accounts")]
    assert ["a.example", "b.example"] == [record["domain"] for record in open_crm().records("accounts")]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of another kind is named, and left alone."""
    file = tmp_path / "notes.txt"
    file.write_text("no database, but long enough to have a header " * 20, encoding="utf-8")
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"notes\.txt: file is not a database"):
        open_sandbox("octolane", file)
    with pytest.raises(StoreError, match=r"notes\.txt: file is not a database"):
        read_stats(file)
    assert before == file.read_bytes()


def test_a_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    """A database of another version is not misread."""
    store = Store(tmp_path / "crm.db", "octolane", list(TABLES.values()))
    with store.writing() as connection:
        connection.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="written by another version"):
        open_sandbox("octolane", tmp_path / "crm.db")


def test_a_failed_write_is_undone(tmp_path: Path) -> None:
    """An exception inside `writing` leaves nothing behind."""
    store = Store(tmp_path / "crm.db", "octolane", list(TABLES.values()))

    def fail() -> None:
        with store.writing() as connection:
            connection.execute("INSERT INTO settings VALUES('a', 'b')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "made" == store.setting("a", lambda: "made")
    store.close()


def test_requests_and_records_are_counted(open_crm: Any, tmp_path: Path) -> None:
    """The statistics count requests by route and status, and records by kind."""
    crm = open_crm()
    crm.create("contacts", {"email": "a@x.example"}, {"email": "b@x.example"})
    crm.records("contacts")
    crm.records("contacts")
    crm.send("GET", "/v1/nope/123")
    crm.send("GET", "/v1/accounts", key=None)
    stats = read_stats(tmp_path / "crm.db")
    assert (("accounts", 1), ("contacts", 2), ("notes", 0), ("opportunities", 0)) == stats.records
    assert (
        ("GET (no such route)", 404, 1),
        ("GET /v1/accounts", 401, 1),
        ("POST /v1/contacts/bulk", 200, 1),
        ("POST /v1/contacts/search", 200, 2),
    ) == stats.requests


def test_a_missing_file_has_no_statistics_and_is_not_made(tmp_path: Path) -> None:
    """Asking for statistics makes no file."""
    stats = read_stats(tmp_path / "crm.db")
    assert ((), ()) == (stats.requests, stats.records)
    assert [] == list(tmp_path.iterdir())


def test_a_reset_deletes_the_database_and_nothing_else(tmp_path: Path) -> None:
    """A reset removes the file and its side files; a second one finds nothing to do."""
    for name in ("crm.db", "crm.db-wal", "crm.db-shm", "crm.db.key", "other.db"):
        (tmp_path / name).touch()
    for _ in range(2):
        reset(tmp_path / "crm.db")
        assert ["other.db"] == sorted(path.name for path in tmp_path.iterdir())


def test_ids_are_random_by_default(tmp_path: Path) -> None:
    """Without a source of ids, each is a random UUID."""
    store = Store(tmp_path / "crm.db", "octolane", list(TABLES.values()))
    assert {4} == {uuid.UUID(store.make_id()).version for _ in range(3)}
    store.close()


@pytest.mark.parametrize("moment", [0, 1, -1, 1_779_999_999_999_999, 4_102_444_800_000_000])
def test_a_stamp_is_read_back(moment: int) -> None:
    """Microseconds survive being written as text."""
    assert moment == microseconds_of(stamp_of(moment))


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A folder in the place of the file is refused."""
    with pytest.raises(StoreError, match="Is a directory"):
        open_sandbox("octolane", tmp_path)


def test_a_database_that_stays_locked_is_503(open_crm: Any) -> None:
    """While another process writes for too long, requests are refused and have no effect."""
    crm, other = open_crm(), open_crm()
    crm.app._store._connection.execute("PRAGMA busy_timeout = 0")
    with other.app._store.writing():
        assert 503 == crm.send("POST", "/v1/accounts/bulk", json=[{"domain": "a.example"}]).status_code
    assert [] == crm.records("accounts")
