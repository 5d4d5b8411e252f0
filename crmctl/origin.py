"""Where requests may go: the target's address, the proxy on the way there, and headers that can be sent; pure.

In: what crmctl.yaml (from pull requests) and the environment (from whoever runs crmctl) say. Out: an `Origin` made of
checked parts, so that whoever parses it again finds the same host, or a UsageError with what to write instead.
"""

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from crmctl.errors import Auth, UsageError

_host_name = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
SHAPE = "write https://host or https://host:port"


class Origin(NamedTuple):
    """Scheme, host and port: all that a `base_url` may have. `port` is None for the scheme's own."""

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port is None else f"{self.scheme}://{host}:{self.port}"

    @property
    def local(self) -> bool:
        """Tell whether it is on this machine."""
        address = _read_ip(self.host)
        return self.host == "localhost" if address is None else address.is_loopback


def parse_origin(url: str) -> Origin:
    """Return the parts of a `base_url`; raises UsageError for anything more, and for plain http to other machines."""
    parts, port = _split("base_url", url, SHAPE)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not (_host_name.fullmatch(host) or _read_ip(host)):
        raise UsageError(f"base_url: {SHAPE}")
    origin = Origin(parts.scheme, host, port)
    if "@" in parts.netloc or parts.path not in {"", "/"} or "?" in url or "#" in url:
        raise UsageError(f"base_url: only scheme, host and port belong there; write {origin}")
    if origin.scheme == "http" and not origin.local:
        raise UsageError(f"base_url: plain http is only for this machine; write https://{host}")
    return origin


def check_base_url(url: str, vendor_hosts: Collection[str], allowed_hosts: Collection[str]) -> None:
    """Raise UsageError unless the address is the vendor's, this machine's, or allowed by the environment.

    crmctl.yaml comes from pull requests: an address in it decides who gets the key.
    """
    origin = parse_origin(url)
    if not (origin.local or origin.host in {*vendor_hosts, *(host.lower() for host in allowed_hosts)}):
        raise UsageError(
            f"base_url: {origin.host} is neither the vendor's ({', '.join(sorted(vendor_hosts))}) nor this machine; "
            f"if the API key may go there, set CRMCTL_ALLOW_HOSTS={origin.host} in the environment"
        )


def find_proxy(origin: Origin, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that HTTPS_PROXY or ALL_PROXY names for the address, unless it is local or in NO_PROXY.

    The proxy's address may hold a password: it is never part of a message.
    """
    settings = {name.lower(): value for name, value in sorted(environment.items()) if value}  # lower case wins
    address = settings.get("https_proxy") or settings.get("all_proxy")
    exempt = [host.strip().lower().removeprefix(".") for host in settings.get("no_proxy", "").split(",")]
    if not address or origin.local:
        return None
    if any(host and (host == "*" or f".{origin.host}".endswith(f".{host}")) for host in exempt):
        return None
    address = address if "://" in address else f"http://{address}"
    advice = "write http://host:port; other kinds of proxy are not supported"
    parts, _ = _split("HTTPS_PROXY or ALL_PROXY", address, advice)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"HTTPS_PROXY or ALL_PROXY: {advice}")
    return address


def check_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers; a key that no header can carry is refused here, before an error of httpx would show it."""
    for name, value in headers.items():
        if not (value and value.isascii() and value.isprintable() and value == value.strip()):
            raise Auth(
                f"the API key ({name}) is empty or has blanks, line ends or other characters no key has; set it anew"
            )
    return headers


def _split(name: str, url: str, advice: str) -> tuple[SplitResult, int | None]:
    """Return an address's parts and port; urlsplit would drop control characters silently."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port, parts = None, SplitResult("", "", "", "", "")
    if not parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{name}: {advice}")
    return parts, port


def _read_ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
