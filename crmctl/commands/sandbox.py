"""`crmctl sandbox`: serve the embedded CRM over HTTP, empty it, and show what it has seen.

Needs no configuration file. Only the result goes to stdout: the url of `serve`, the table of `stats`. The sandbox is
imported inside the functions, since it brings SQLite and a schema compiler along and `--help` has to stay fast.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import click

from crmctl.commands.options import FiniteRange
from crmctl.errors import CrmctlError

_database = click.option(
    "--db",
    "database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".crmctl/sandbox.db"),
    show_default=True,
    envvar="CRMCTL_DB",
    help="The database file.",
)


@click.group()
def sandbox() -> None:
    """Run the embedded CRM, for trying things out and for tests."""


@sandbox.command()
@click.option(
    "--provider",
    default="octolane",
    show_default=True,
    envvar="CRMCTL_PROVIDER",
    help="The vendor whose API is played.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    envvar="CRMCTL_PORT",
    help="The port on 127.0.0.1; 0 takes a free one.",
)
@_database
@click.option("--api-key", envvar="CRMCTL_API_KEY", help="The only key to accept; by default any that is not empty.")
@click.option(
    "--rate-limit",
    type=FiniteRange(min=0),
    default=0.0,
    envvar="CRMCTL_RATE_LIMIT",
    help="Requests per second and route; more are answered 429. By default there is no limit.",
)
@click.option(
    "--latency",
    type=FiniteRange(min=0),
    default=0.0,
    envvar="CRMCTL_LATENCY",
    help="Seconds that every request waits.",
)
@click.option(
    "--switch",
    "assignments",
    metavar="NAME=VALUE",
    multiple=True,
    envvar="CRMCTL_SWITCH",
    help="Choose what the vendor leaves undocumented; repeatable. docs/sandbox.md lists the switches.",
)
@click.option(
    "--faults",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="CRMCTL_FAULTS",
    help="A file that lists what is to go wrong; docs/sandbox.md says how.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, envvar="CRMCTL_SEED", help="What the faults' chances hang on."
)
def serve(
    provider: str,
    port: int,
    database: Path,
    api_key: str | None,
    rate_limit: float,
    latency: float,
    assignments: Sequence[str],
    faults: Path | None,
    seed: int,
) -> None:
    """Serve the embedded CRM on 127.0.0.1 until Ctrl-C."""
    from crmctl.sandbox import PROVIDERS, open_sandbox, server  # noqa: PLC0415  only who serves pays for it
    from crmctl.sandbox.chaos import Chaos, lasting  # noqa: PLC0415  as above
    from crmctl.sandbox.fault_file import FaultFileError, read_faults  # noqa: PLC0415  as above
    from crmctl.sandbox.store import StoreError  # noqa: PLC0415  as above
    from crmctl.sandbox.switches import SwitchError, split_assignment  # noqa: PLC0415  as above

    if provider not in PROVIDERS:
        raise click.UsageError(f"there is no provider {provider!r} to play; there are: {', '.join(sorted(PROVIDERS))}")
    if api_key == "":
        raise click.UsageError("--api-key is empty: leave it out to accept any key")
    try:
        listed = read_faults(faults) if faults is not None else []
        whole = lasting(listed)
        switches = dict(split_assignment(assignment) for assignment in assignments)
        if whole["search_lag"]:
            switches["search_lag"] = f"{whole['search_lag']:g}"

        def clock() -> float:
            return time.time() + whole["clock_skew"]

        app = open_sandbox(
            provider,
            database,
            api_key=api_key,
            switches=switches,
            latency=latency,
            rate_limit=rate_limit,
            interfere=Chaos(listed, seed, clock) if listed else None,
            clock=clock,
        )
    except (SwitchError, FaultFileError) as error:
        raise click.UsageError(str(error)) from error
    except StoreError as error:
        raise CrmctlError(str(error)) from error

    def announce(url: str) -> None:
        click.echo(url)
        click.echo(f"Serving {provider} from {database}. A target of crmctl.yaml for it:", err=True)
        click.echo(f"  local: {{provider: {provider}, base_url: {url}, api_key_env: SANDBOX_API_KEY}}", err=True)
        accepted = "any text will do" if api_key is None else "the key given to serve"
        click.echo(f"with SANDBOX_API_KEY set in the environment ({accepted}). Ctrl-C stops.", err=True)

    try:
        server.serve(app, port=port, announce=announce)
    except OSError as error:
        raise CrmctlError(f"127.0.0.1:{port}: {error.strerror}; choose another --port, or 0 for a free one") from error
    finally:
        app.close()


@sandbox.command()
@_database
def reset(database: Path) -> None:
    """Delete the database, and the key beside it."""
    from crmctl.sandbox.store import StoreError  # noqa: PLC0415  only who resets pays for it
    from crmctl.sandbox.store import reset as delete  # noqa: PLC0415  likewise

    try:
        delete(database)
    except StoreError as error:
        raise CrmctlError(str(error)) from error
    except OSError as error:
        raise CrmctlError(f"{database}: {error.strerror}") from error


@sandbox.command()
@_database
@click.option("--json", "as_json", is_flag=True, envvar="CRMCTL_JSON", help="Print JSON.")
def stats(database: Path, *, as_json: bool) -> None:
    """Print requests by route, and records by kind."""
    from crmctl.sandbox.store import StoreError, read_stats  # noqa: PLC0415  only who asks pays for it

    if not os.path.exists(database):  # noqa: PTH110 - Path.exists raises where a name is too long
        raise CrmctlError(f"{database}: no such database: serve or plan with it first, or name another with --db")
    try:
        seen = read_stats(database)
    except StoreError as error:
        raise CrmctlError(str(error)) from error
    if as_json:
        requests = [{"route": route, "status": status, "count": count} for route, status, count in seen.requests]
        click.echo(json.dumps({"requests": requests, "records": dict(seen.records)}, indent=2))
        return
    rows = [(f"{route} {status}", count) for route, status, count in seen.requests]
    click.echo("requests")
    _print_table(rows)
    click.echo("records")
    _print_table(seen.records)


def _print_table(rows: Sequence[tuple[str, int]]) -> None:
    if not rows:
        click.echo("  none")
        return
    left = max(len(name) for name, _ in rows)
    right = max(len(str(count)) for _, count in rows)
    for name, count in rows:
        click.echo(f"  {name:<{left}}  {count:>{right}}")
