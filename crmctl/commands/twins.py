"""Targets of one command that are one organisation: apply refuses them together.

All are planned before any is applied, so each plan would create what nothing dedupes: opportunities, notes, Thena's
accounts. In: the targets, and the environment with their keys. Out: UsageError, or nothing.
"""

import os
from collections.abc import Iterator, Sequence

from crmctl.config import Environment, Target
from crmctl.errors import Auth, UsageError
from crmctl.origin import parse_origin
from crmctl.providers import find_endpoint, find_vendor

OWN_PORTS = {"https": 443, "http": 80}


def refuse_twins(targets: Sequence[Target], environment: Environment) -> None:
    """Raise UsageError for the first two targets that are one organisation, as far as that can be told unasked."""
    seen: dict[tuple[str, ...], str] = {}
    for target in targets:
        for reason, *marks in _marks(target, environment):
            other = seen.setdefault((reason, *marks), target.name)
            if other != target.name:
                both = f"targets {other} and {target.name} are one organisation ({reason})"
                raise UsageError(f"{both}, and nothing was sent: apply one after the other, with --target")


def _marks(target: Target, environment: Environment) -> Iterator[tuple[str, ...]]:
    """Yield what no other organisation has, each behind the reason that is told; the key is compared, never told."""
    vendor = find_vendor(target.provider)
    if target.lock is not None:
        yield "they share a lock", vendor, target.lock.rstrip("/")
    if target.sandbox is not None:
        yield "they share a database", vendor, os.path.realpath(target.sandbox)
        return
    try:
        key = environment.api_key(target.key_variable)
        yield "they share server and API key", vendor, _server(target), key
    except (Auth, UsageError):
        return  # the target fails by itself, and with its own message


def _server(target: Target) -> str:
    """Return where a target is; a vendor's own hosts are one place, and so are all names of this machine."""
    endpoint = find_endpoint(target.provider)
    origin = parse_origin(target.base_url or endpoint.base_url)
    if origin.host in endpoint.hosts:
        return ""
    return f"{'localhost' if origin.local else origin.host}:{origin.port or OWN_PORTS[origin.scheme]}"
