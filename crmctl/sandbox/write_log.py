"""Tell, write by write, what a sandbox committed: the other side of a client's own report.

The gateway notes each record that a request created, updated or resolved (found, and left as it was) inside the
request's own transaction, so that what was rolled back is not in the log.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Write(NamedTuple):
    """One record that one request wrote: `outcome` is created, updated or resolved."""

    route: str
    kind: str
    id: str
    outcome: str


def log_writes(connection: sqlite3.Connection, writes: Iterable[tuple[str, str, str, str]]) -> None:
    """Add writes (in the order of `Write`) to the log; call inside the transaction that makes them."""
    connection.executemany("INSERT INTO writes(route, kind, id, outcome) VALUES(?, ?, ?, ?)", writes)


def read_writes(database: Path, after: int = 0) -> list[Write]:
    """Read the log of a database, oldest write first, without so many of the first."""
    with contextlib.closing(sqlite3.connect(database, timeout=15)) as connection:
        query = "SELECT route, kind, id, outcome FROM writes ORDER BY seq LIMIT -1 OFFSET ?"
        rows = connection.execute(query, (after,)).fetchall()
    return [Write(*row) for row in rows]
