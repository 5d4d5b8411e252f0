"""Stand in for a CRM vendor: its HTTP API over SQLite, in process or on a local port.

It imports nothing of the reconciler and is written from the vendors' documents, so that it stays an honest other side.
`open_sandbox` makes an ASGI application; `server.running` and `server.serve` put one on a port. Import this package
where it is used: it brings SQLite and a schema compiler along; a vendor's own code comes with the first opening.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from crmctl.sandbox.asgi import Sandbox
from crmctl.sandbox.faults import Interfere
from crmctl.sandbox.store import Store
from crmctl.sandbox.switches import Switches, read_switches

__all__ = ["PROVIDERS", "Surface", "open_sandbox", "switches_of"]


class Surface(NamedTuple):
    """One API that can be played: `module:name` of its class, its switches, its tables by kind, and further SQL.

    `vendor` is whose records these are: surfaces of one vendor share them.
    """

    vendor: str
    api: str
    switches: str
    tables: str
    statements: str


def _octolane(api: str) -> Surface:
    return Surface(
        "octolane",
        api,
        switches="crmctl.sandbox.octolane_switches:OctolaneSwitches",
        tables="crmctl.sandbox.octolane_tables:TABLES",
        statements="crmctl.sandbox.octolane_definitions:STATEMENTS",
    )


PROVIDERS: Mapping[str, Surface] = MappingProxyType(
    {
        "octolane": _octolane("crmctl.sandbox.octolane:OctolaneGateway"),
        "octolane_inbound": _octolane("crmctl.sandbox.octolane_inbound:OctolaneInbound"),
        "thena": Surface(
            "thena",
            "crmctl.sandbox.thena:Thena",
            switches="crmctl.sandbox.thena_switches:ThenaSwitches",
            tables="crmctl.sandbox.thena_tables:TABLES",
            statements="crmctl.sandbox.thena_tables:STATEMENTS",
        ),
    }
)
"""Provider name -> what is played."""


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
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Sandbox:
    """Open a vendor's API over a database file, made if missing.

    Without `api_key` any non-empty key is accepted. `latency` is seconds per request, `rate_limit` requests per second
    and route (0: none). `clock` gives seconds since 1970 to the records, the search lag, cursors and the rate limit;
    `sleep` is how latency and delays pass.
    Raises `SwitchError` for a wrong switch, `StoreError` for a file that is no such database, `KeyError` for a
    provider that is not in `PROVIDERS`.
    """
    surface = PROVIDERS[provider]
    chosen: Any = read_switches(switches_of(provider), switches or {})
    api_class = _load(surface.api)
    store = Store(
        database,
        surface.vendor,
        list(_load(surface.tables).values()),
        statements=_load(surface.statements),
        lag=chosen.search_lag,
        clock=clock,
        make_id=make_id,
    )
    return Sandbox(
        api_class(store, api_key=api_key, switches=chosen),
        store,
        latency=latency,
        rate_limit=rate_limit,
        check_responses=check_responses,
        interfere=interfere,
        clock=clock,
        sleep=sleep,
    )


def switches_of(provider: str) -> type[Switches]:
    """Return the table of a provider's switches."""
    table: type[Switches] = _load(PROVIDERS[provider].switches)
    return table


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
