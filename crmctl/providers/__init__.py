"""The vendors crmctl speaks to: a literal table of names, and what must be known of one before it is connected to.

In: a name, as crmctl.yaml has it. Out: its `Endpoint`, or the provider itself over a `Client`. A vendor's code
is imported only when its name is asked for; one vendor's code never imports another's.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from crmctl.client import Client
from crmctl.errors import UsageError
from crmctl.kinds import NOTHING
from crmctl.provider import Provider

PROVIDERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "octolane": ("crmctl.providers.octolane.gateway", "Gateway"),
        "octolane_inbound": ("crmctl.providers.octolane.inbound", "Inbound"),
        "thena": ("crmctl.providers.thena", "Thena"),
    }
)
"""Provider name -> module and class."""


class Endpoint(NamedTuple):
    """Where a vendor's API is and what one sends there.

    `hosts` may be given the key; `key_header` carries it, after `key_prefix`; `reads` are the routes a read-only
    connection may use.
    """

    base_url: str
    hosts: frozenset[str]
    key_header: str
    reads: frozenset[str]
    key_prefix: str = ""

    def headers(self, key: str) -> dict[str, str]:
        """Return the headers that carry a key."""
        return {self.key_header: f"{self.key_prefix}{key}"}


class Options(NamedTuple):
    """What a target's configuration tells its provider.

    `pipelines` gives ids to the names that manifests use. `assumed_routes` allows routes that no documentation shows,
    `define` making the custom fields that are declared and missing. `items` is how a bulk create sends its records,
    where the documentation contradicts itself: "objects", or "emails" alone.
    """

    pipelines: Mapping[str, str] = NOTHING
    assumed_routes: bool = False
    define: bool = False
    items: str = "objects"


DEFAULTS = Options()


class ProviderClass(Protocol):
    """What a provider's class offers besides its instances."""

    endpoint: Endpoint

    def __call__(self, client: Client, options: Options = DEFAULTS, learned: dict[str, Any] | None = None) -> Provider:
        """Return the provider over a client; `learned` is what earlier ones of the same target found out."""
        ...


def find_endpoint(name: str) -> Endpoint:
    """Return where a provider is found; raise UsageError for a name that is none."""
    return _load(name).endpoint


def find_vendor(name: str) -> str:
    """Return whose API a provider speaks: one vendor may have several, with the same records behind them."""
    return PROVIDERS[name][0].split(".")[2]


def open_provider(
    name: str, client: Client, options: Options = DEFAULTS, learned: dict[str, Any] | None = None
) -> Provider:
    """Return a provider over a client made for its endpoint; raise UsageError for a name that is none.

    What the provider finds out about its target is kept in `learned`.
    """
    return _load(name)(client, options, learned)


def _load(name: str) -> ProviderClass:
    if name not in PROVIDERS:
        raise UsageError(f"provider: {name!r} is unknown; there is {', '.join(sorted(PROVIDERS))}")
    module, class_name = PROVIDERS[name]
    provider_class: ProviderClass = getattr(import_module(module), class_name)
    return provider_class
