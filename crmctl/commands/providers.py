"""`crmctl providers`: what each provider can do with each kind, as a table; no configuration, no key, no request."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from crmctl.capability import Capability
from crmctl.commands.options import OUTPUT, Common
from crmctl.commands.run import Run
from crmctl.kinds import KINDS


@click.command()
@OUTPUT
def providers(output: tuple[str, ...]) -> int:
    """Print what each provider can do with each kind of record, and what that is known from.

    Needs no configuration and no key. What a target's `assumed_routes` adds is marked.
    """
    run = Run(Common(Path("crmctl.yaml"), (), output, no_color=False, verbose=False, quiet=False, redact=None))
    rows = list(matrix())
    run.report(lambda report: report.capabilities, rows)
    return 0


def matrix() -> Iterator[Mapping[str, Any]]:
    """Yield a row per provider and kind: what it can do with `assumed_routes`, and what of that it can't without."""
    from crmctl.client import Client  # noqa: PLC0415 - a slow import, which --help can do without
    from crmctl.providers import PROVIDERS, Options, find_endpoint, open_provider  # noqa: PLC0415 - likewise

    for name in PROVIDERS:
        client = Client([], base_url=find_endpoint(name).base_url)  # never sent anything
        plain = open_provider(name, client).capabilities
        more = open_provider(name, client, Options(assumed_routes=True)).capabilities
        for kind in KINDS:
            yield _row(name, kind, plain.get(kind, Capability()), more.get(kind, Capability()))


def _row(provider: str, kind: str, plain: Capability, more: Capability) -> Mapping[str, Any]:
    can, surely = _powers(more), _powers(plain)
    return {
        "provider": provider,
        "kind": kind,
        **can,
        "page_size": more.page_size,
        "look_up_batch": more.look_up_batch,
        "create_batch": more.create_batch,
        "update_batch": more.update_batch,
        "batch_by": list(more.batch_by),
        "needs": list(more.needs),
        "dedupes": more.dedupes,
        "evidence": more.evidence if any(can.values()) else None,
        "assumed": [power for power, has in can.items() if has and not surely[power]],
    }


def _powers(can: Capability) -> Mapping[str, bool]:
    """Return what can be done at all; to `define` is to make custom fields."""
    return {"read": can.read, "create": can.create, "update": can.update, "define": bool(can.define_route)}
