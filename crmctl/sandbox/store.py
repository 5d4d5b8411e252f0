"""Keep the sandbox's records in one SQLite file that several processes may share.

In: the tables that an API declares. Out: a `Store`, which hands out connections inside transactions, strictly
increasing timestamps and random ids, and knows what list and search may see yet (`lag`). Beside the database lies
`<database>.key`, the secret from which pseudonyms and digests of a sandbox are made.
"""

import contextlib
import json
import os
import secrets
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]
"""One stored record: every column of its table by name, but `seq`."""

LAYOUT = 2
"""Goes up whenever the tables change; a file of another layout is refused rather than misread."""

_SIDE_FILES = ("", "-wal", "-shm", "-journal")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_OWN_TABLES = """
CREATE TABLE IF NOT EXISTS settings(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kinds(provider TEXT, kind TEXT, name TEXT, PRIMARY KEY(provider, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests(
  provider TEXT, route TEXT, status INTEGER, count INTEGER, PRIMARY KEY(provider, route, status)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS writes(seq INTEGER PRIMARY KEY, route TEXT, kind TEXT, id TEXT, outcome TEXT)
"""


_MAGIC = b"SQLite format 3\0"


class StoreError(Exception):
    """The file cannot be opened, or is not a database of this sandbox."""


class Column(NamedTuple):
    """One member of a record; `type` is text, number, boolean, time (RFC 3339, UTC, microseconds) or list (JSON)."""

    name: str
    type: str = "text"


@dataclass(eq=False, repr=False)
class Table:
    """The records of one kind.

    Besides `columns` every table has `seq` (internal), `id` (unique), `key` (unique: what deduplicates), `custom`
    (JSON object), `created_at` and `updated_at`. Names are SQL identifiers and never come from a request.
    """

    name: str
    kind: str
    columns: tuple[Column, ...]
    indexed: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name all columns but `seq`, in storage order."""
        return ("id", "key", *(column.name for column in self.columns), "custom", "created_at", "updated_at")


class Store:
    """One open database. Used by one thread at a time: transactions take a lock."""

    def __init__(
        self,
        database: Path,
        provider: str,
        tables: Sequence[Table],
        *,
        statements: Sequence[str] = (),
        lag: float = 0.0,
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        """Open or make the file; `statements` are further tables and indexes of the API, each with IF NOT EXISTS.

        `provider` is the vendor whose records these are; several may share a file.
        """
        self.database, self.lag, self.clock = database, lag, clock
        self._provider, self._tables, self._make_id, self._lock = provider, tables, make_id, threading.Lock()
        _make_private_file(database)
        self._connection = sqlite3.connect(
            database, timeout=15, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._close = weakref.finalize(self, self._connection.close)
        try:
            self._prepare(statements)
        except sqlite3.DatabaseError as error:
            self.close()
            raise StoreError(f"{database}: {error}; name another, or delete it") from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the database throughout."""
        if self.lag:
            self._release()
        with self._lock, self._transaction("BEGIN"):
            yield self._connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that is the only writer; an exception undoes everything."""
        with self._lock, self._transaction("BEGIN IMMEDIATE"):
            yield self._connection

    def searched(self, table: Table) -> str:
        """Name the SQL table that list and search read."""
        return f"{table.name}_seen" if self.lag else table.name

    def make_id(self) -> str:
        """Make an id for a new record."""
        return str(self._make_id())

    def stamps(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Make timestamps, each later than all that are stored; call inside `writing`."""
        newest = " UNION ALL ".join(f"SELECT max(updated_at) AS at FROM {table.name}" for table in self._tables)  # noqa: S608  names come from the tables declared in code
        (latest,) = connection.execute(f"SELECT max(at) FROM ({newest})").fetchone()  # noqa: S608  as above
        now = int(self.clock() * 1_000_000)
        moment = max(now, microseconds_of(latest) + 1) if latest else now
        while True:
            yield stamp_of(moment)
            moment += 1

    def find(self, connection: sqlite3.Connection, table: Table, column: str, values: Sequence[str]) -> list[Row]:
        """Read the rows that have one of these values."""
        found = f"FROM {table.name} WHERE {column} IN (SELECT value FROM json_each(?))"  # noqa: S608  as above
        rows = connection.execute(f"SELECT {', '.join(table.names)} {found}", (json.dumps(values),))
        return [dict(zip(table.names, row, strict=True)) for row in rows]

    def insert(self, connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, which have every column of the table."""
        slots = ", ".join(f":{name}" for name in table.names)
        connection.executemany(f"INSERT INTO {table.name}({', '.join(table.names)}) VALUES({slots})", rows)
        self.put_off(connection, table, [row["id"] for row in rows])

    def update(self, connection: sqlite3.Connection, table: Table, rows: Sequence[Row]) -> None:
        """Save rows that are there already."""
        changes = ", ".join(f"{name} = :{name}" for name in table.names)
        connection.executemany(f"UPDATE {table.name} SET {changes} WHERE id = :id", rows)  # noqa: S608  as above
        self.put_off(connection, table, [row["id"] for row in rows])

    def put_off(self, connection: sqlite3.Connection, table: Table, ids: Sequence[str]) -> None:
        """Remember the state of these records for list and search, which see it once the lag is over."""
        if not self.lag or not ids:
            return
        columns = ", ".join(("seq", *table.names))
        connection.executemany(
            f"INSERT INTO {table.name}_late SELECT ?, {columns} FROM {table.name} WHERE id = ?",  # noqa: S608  as above
            [(self.clock() + self.lag, id_) for id_ in ids],
        )

    def count_request(self, route: str, status: int) -> None:
        """Add one to the request log."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO requests VALUES(?, ?, ?, 1) "
                "ON CONFLICT(provider, route, status) DO UPDATE SET count = count + 1",
                (self._provider, route, status),
            )

    def setting(self, name: str, make: Callable[[], str]) -> str:
        """Read a setting that is made once per database."""
        with self.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO settings VALUES(?, ?)", (name, make()))
            return str(connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._connection.execute(begin)
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _prepare(self, statements: Sequence[str]) -> None:
        run = self._connection.execute
        if run("PRAGMA journal_mode").fetchone()[0] != "wal":
            run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA cache_size = -16384")
        run("PRAGMA temp_store = MEMORY")
        with self.writing():
            layout = run("PRAGMA user_version").fetchone()[0]
            if layout not in (0, LAYOUT):
                raise StoreError(
                    f"{self.database}: written by another version of crmctl; `crmctl sandbox reset` starts afresh"
                )
            run(f"PRAGMA user_version = {LAYOUT}")
            for statement in (*_OWN_TABLES.split(";"), *statements):
                run(statement)
            for table in self._tables:
                for statement in _define(table, lag=self.lag > 0):
                    run(statement)
                run("INSERT OR IGNORE INTO kinds VALUES(?, ?, ?)", (self._provider, table.kind, table.name))

    def _release(self) -> None:
        now = self.clock()
        with self.writing() as connection:
            for table in self._tables:
                columns = ", ".join(("seq", *table.names))
                late = f"FROM {table.name}_late WHERE visible_at <= ?"
                connection.execute(
                    f"INSERT OR REPLACE INTO {table.name}_seen({columns}) SELECT {columns} {late} ORDER BY rowid",
                    (now,),
                )
                connection.execute(f"DELETE {late}", (now,))


def stamp_of(moment: int) -> str:
    """Write microseconds since 1970 as RFC 3339."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds") + "Z"


def microseconds_of(stamp: str) -> int:
    """Read what `stamp_of` wrote."""
    return (datetime.fromisoformat(stamp).replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)


def pseudonym_key(database: Path) -> bytes:
    """Return the 32 secret bytes of this sandbox, made at first use in `<database>.key` (0600)."""
    path = database.with_name(f"{database.name}.key")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
        # A link, unlike a rename, loses against a process that was faster: both then read the same key.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def reset(database: Path) -> None:
    """Delete the database, if there is one, and its key: what journals say of this one is not true of the next.

    Raises StoreError for a file that is no SQLite database: a slip of the hand must not cost anybody a file.
    """
    if database.is_file() and database.read_bytes()[: len(_MAGIC)] not in (_MAGIC, b""):
        raise StoreError(f"{database}: not a database, so it is not deleted")
    for suffix in (*_SIDE_FILES, ".key"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


class Stats(NamedTuple):
    """What a database has seen: (route, status, count) in order of route, and records by kind.

    Where several vendors share the file, the vendor stands before each route and kind.
    """

    requests: tuple[tuple[str, int, int], ...]
    records: tuple[tuple[str, int], ...]


def read_stats(database: Path) -> Stats:
    """Read the request log and count the records; a missing file has none."""
    if not database.exists():
        return Stats((), ())
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=15)) as connection:
            run = connection.execute
            kinds = run("SELECT provider, kind, name FROM kinds ORDER BY provider, kind").fetchall()
            requests = run("SELECT provider, route, status, count FROM requests ORDER BY provider, route, status")
            shared = len({vendor for vendor, _, _ in kinds}) > 1
            return Stats(
                tuple((f"{vendor} {route}" if shared else route, *rest) for vendor, route, *rest in requests),
                tuple(
                    (f"{vendor} {kind}" if shared else kind, run(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608  a name we stored
                    for vendor, kind, name in kinds
                ),
            )
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{database}: {error}; name another, or delete it") from error


def _make_private_file(database: Path) -> None:
    """Make the file before SQLite does, so that it and the files SQLite adds to it are readable by the owner only."""
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        database.chmod(0o600)
    except OSError as error:
        raise StoreError(f"{database}: {error.strerror}") from error


def _define(table: Table, *, lag: bool) -> Iterator[str]:
    types = {"number": "", "boolean": "INTEGER"}
    columns = ", ".join(f"{column.name} {types.get(column.type, 'TEXT')}" for column in table.columns)
    rest = f"{columns}, custom TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL"
    yield f"CREATE TABLE IF NOT EXISTS {table.name}(seq INTEGER PRIMARY KEY, id TEXT UNIQUE, key TEXT UNIQUE, {rest})"
    # Without a unique key: while a key moves from one record to another, search may see it in both.
    seen = f"{table.name}_seen"
    yield f"CREATE TABLE IF NOT EXISTS {seen}(seq INTEGER PRIMARY KEY, id TEXT UNIQUE, key TEXT, {rest})"
    late = f"{table.name}_late"
    yield f"CREATE TABLE IF NOT EXISTS {late}(visible_at REAL, seq INTEGER, id TEXT, key TEXT, {rest})"
    for name in (table.name, seen):
        for indexed in (*table.indexed, "created_at", "updated_at"):
            yield f"CREATE INDEX IF NOT EXISTS {name}_{indexed} ON {name}({indexed})"
    if not lag:
        yield f"DELETE FROM {late}"  # noqa: S608  as above
    else:
        # What was written without lag is visible at once.
        pending = f"SELECT id FROM {late}"  # noqa: S608  as above
        yield f"DELETE FROM {seen} WHERE id NOT IN ({pending})"  # noqa: S608  as above
        yield f"INSERT INTO {seen} SELECT * FROM {table.name} WHERE id NOT IN ({pending})"  # noqa: S608  as above
