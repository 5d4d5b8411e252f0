"""The keys of Octolane's accounts and contacts: which spellings mean the same record (docs/octolane.md)."""

import re

from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import KEY_FIELD
from crmctl.sandbox.problems import RequestError

_HOST = re.compile(r"[^\s/@:]+\.[^\s/@:.]+")
_FREE_MAIL = re.compile(r"(.*\.)?freemail\.(example|test)")


def normalise_key(kind: str, spelling: str, switches: OctolaneSwitches) -> tuple[str, str]:
    """Return what deduplicates and what is stored; raise `RequestError` for a key that the server does not take."""
    bare = bare_domain(spelling) if kind == "accounts" else spelling.strip().lower()
    domain = bare.rpartition("@")[2]
    if not _HOST.fullmatch(domain):
        raise RequestError(400, f"{KEY_FIELD[kind]}: not a domain name")
    if domain.endswith(".invalid"):
        raise RequestError(400, f"{KEY_FIELD[kind]}: the domain does not exist")
    if switches.key_normalisation == "case":
        spelling = spelling.lower()
    elif switches.key_normalisation == "full":
        spelling = bare
    return bare if switches.key_normalisation == "dedupe_only" else spelling, spelling


def bare_domain(text: str) -> str:
    """Strip scheme, path, port, `www.`, the last dot and case off a domain."""
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip().lower())
    host = re.split(r"[/?#:]", host, maxsplit=1)[0].rstrip(".")
    return host.removeprefix("www.")


def is_free_mail(domain: str) -> bool:
    """Tell whether anybody can have an address there."""
    return _FREE_MAIL.fullmatch(domain) is not None
