"""Stand in for a CRM vendor: its HTTP API over SQLite, in process or on a local port.

It imports nothing of the reconciler and is written from the vendors' documents, so that it stays an honest other side.
`open_sandbox` makes an ASGI application; `server.running` and `server.serve` put one on a port. Import this package
where it is used: it brings SQLite and a schema compiler along.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from crmctl.sandbox.asgi import Sandbox
from crmctl.sandbox.faults import Interfere
from crmctl.sandbox.octolane import OctolaneGateway
from crmctl.sandbox.octolane_definitions import STATEMENTS
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import TABLES
from crmctl.sandbox.store import Store
from crmctl.sandbox.switches import read_switches

__all__ = ["PROVIDERS", "open_sandbox"]

PROVIDERS: Mapping[str, type[OctolaneSwitches]] = {"octolane": OctolaneSwitches}
"""The vendors that can be played, and the table of each one's switches."""


def open_sandbox(
    provider: str,
    database: Path,
    *,
    api_key: str | None = None,
    switches: Mapping[str, str] | None = None,
    latency: float = 0.0,
    rate_limit: float = 0.0,
    check_responses: bool = False,
    interfere: Interfere | None = None,
    clock: Callable[[], float] = time.time,
    make_id: Callable[[], uuid.UUID] = uuid.uuid4,
) -> Sandbox:
    """Open a vendor's API over a database file, made if missing.

    Without `api_key` any non-empty key is accepted. `latency` is seconds per request, `rate_limit` requests per second
    and route (0: none). `clock` gives seconds since 1970 to the records, the search lag, cursors and the rate limit.
    Raises `SwitchError` for a wrong switch, `StoreError` for a file that is no such database, `KeyError` for a
    provider that is not in `PROVIDERS`.
    """
    chosen = read_switches(PROVIDERS[provider], switches or {})
    store = Store(
        database,
        provider,
        list(TABLES.values()),
        statements=STATEMENTS,
        lag=chosen.search_lag,
        clock=clock,
        make_id=make_id,
    )
    api = OctolaneGateway(store, api_key=api_key, switches=chosen)
    return Sandbox(
        api,
        store,
        latency=latency,
        rate_limit=rate_limit,
        check_responses=check_responses,
        interfere=interfere,
        clock=clock,
    )
