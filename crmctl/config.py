"""crmctl.yaml and the environment -> `Config`; the only reader of os.environ.

The file comes from pull requests, the environment from whoever runs crmctl: so the file names things (paths in its own
folder, a variable that holds a key), and the environment decides what the file may name.
"""

import errno
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crmctl.errors import Auth, CrmctlError, Diagnostic, Findings, InvalidInput, UsageError
from crmctl.kinds import NOTHING
from crmctl.parser import parse
from crmctl.resource import Fields, Source
from crmctl.schema import check, shape
from crmctl.verification import Verify

MAX_CONFIG_BYTES = 1 << 20
DEFAULT_MAX_FILE_BYTES = 8 << 20
DEFAULT_SETTLE = 30.0
DEFAULT_TIMEOUT = 30.0
DEFAULT_MAX_BODY_BYTES = 1_000_000
URL = "://"  # what tells a URL from a path


class Environment:
    """What the environment says. `variables` holds secrets, so it is never shown."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    @property
    def ci(self) -> bool:
        """Tell whether this runs in CI, where output is read by more people than the CRM."""
        return self.variables.get("CI", "").lower() not in {"", "0", "false"}

    @property
    def no_color(self) -> bool:
        """Tell whether colour is unwanted (NO_COLOR, any value)."""
        return bool(self.variables.get("NO_COLOR"))

    @property
    def allowed_hosts(self) -> list[str]:
        """Return the hosts besides the vendor's that may be given a key (CRMCTL_ALLOW_HOSTS, comma-separated)."""
        return _list(self.variables.get("CRMCTL_ALLOW_HOSTS", ""))

    @property
    def allowed_journals(self) -> list[str]:
        """Return the URLs that a journal may be kept below (CRMCTL_ALLOW_JOURNALS, comma-separated)."""
        return _list(self.variables.get("CRMCTL_ALLOW_JOURNALS", ""))

    @property
    def allowed_locks(self) -> list[str]:
        """Return the URLs that a lock may be kept below (CRMCTL_ALLOW_LOCKS, comma-separated)."""
        return _list(self.variables.get("CRMCTL_ALLOW_LOCKS", ""))

    @property
    def pseudonym_key(self) -> bytes | None:
        """Return the key that digests and pseudonyms are made with, if one is set."""
        value = self.variables.get("CRMCTL_PSEUDONYM_KEY")
        return os.fsencode(value) if value else None  # random bytes are a good key, and need be no text

    def api_key(self, variable: str) -> str:
        """Return the key in a variable; CRMCTL_KEY_VARIABLES, if set, lists the variables that may be named."""
        restriction = self.variables.get("CRMCTL_KEY_VARIABLES", "").strip()
        if restriction and variable not in _list(restriction):
            named = ", ".join(_list(restriction)) or "none"
            raise UsageError(f"api_key_env: CRMCTL_KEY_VARIABLES does not allow {variable}: name one it does ({named})")
        key = self.variables.get(variable, "").strip()
        if not key:
            raise Auth(f"no API key: set {variable} in the environment")
        return key


class Target(NamedTuple):
    """One CRM organisation: a vendor's, or an embedded sandbox (`sandbox` is its database).

    `pipelines` gives ids to the names that manifests use. `custom_fields` says what becomes of a field that the
    organisation doesn't have ("refuse", "create"), `items` how contacts are sent in bulk ("objects", "emails").
    `journal` is a folder in the tree, or a URL as it is written; `lock` is a URL; `formerly` has the names under which
    journals may know of it, too. `verify` says how much of what was sent is read back, `canary` how many go first.
    """

    name: str
    provider: str
    base_url: str | None = None
    api_key_env: str | None = None
    sandbox: Path | None = None
    policies: Mapping[str, Mapping[str, Any]] = NOTHING
    limits: Mapping[str, Any] = NOTHING
    settle: float = DEFAULT_SETTLE
    timeout: float = DEFAULT_TIMEOUT
    rate: float | None = None
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    pipelines: Mapping[str, str] = NOTHING
    assumed_routes: bool = False
    strict: bool = False
    custom_fields: str = "refuse"
    items: str = "objects"
    journal: Path | str | None = None
    lock: str | None = None
    formerly: tuple[str, ...] = ()
    verify: Verify = "all"
    canary: int = 0

    @property
    def key_variable(self) -> str:
        """Return the name of the variable that holds the API key."""
        return self.api_key_env or f"{self.provider.upper()}_API_KEY"


class Config(NamedTuple):
    """What crmctl.yaml says, checked. `tree` is its folder, which nothing leads out of."""

    tree: Path
    manifests: tuple[str, ...] = ("manifests",)
    targets: Mapping[str, Target] = NOTHING
    default_target: str | None = None
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES

    def target(self, name: str | None) -> Target:
        """Return the target of a name, the default one for None."""
        chosen = name or self.default_target or (next(iter(self.targets)) if len(self.targets) == 1 else None)
        known = ", ".join(sorted(self.targets)) or "none is configured"
        if chosen is None:
            raise UsageError(f"no target: pass --target NAME, or set default_target (targets: {known})")
        if chosen not in self.targets:
            raise UsageError(f"target {chosen!r} is not configured (targets: {known})")
        return self.targets[chosen]


def read_environment() -> Environment:
    """Take what the environment says now."""
    return Environment(dict(os.environ))


def read_config(path: Path) -> Config:
    """Read and check crmctl.yaml; raises InvalidInput with every finding, or CrmctlError when it can't be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise CrmctlError(f"{path}: no such file: create it, or name another one with --config") from error
    except OSError as error:
        message = f"{path}: can't be read ({error.strerror}): correct that, or name another file with --config"
        raise CrmctlError(message) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise CrmctlError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes: is this the configuration?")
    documents, broken = parse(data, path.name, shape("config"))
    diagnostics = Findings(broken)
    roots = [document.root for document in documents if document.root is not None]
    for root in roots[1:]:
        diagnostics.append(Diagnostic(root.source(), "a second document: join the two, without `---` between them"))
    if roots:
        known = {diagnostic.source for diagnostic in diagnostics}
        wrong = check("config", roots[0])
        diagnostics += Findings((found for found in wrong if found.source not in known), wrong.more)
    elif not diagnostics:
        diagnostics.append(Diagnostic(Source(path.name, 1, 1), "the file is empty: write at least `version: 1`"))
    if not diagnostics:
        diagnostics += _contradictions(roots[0], path.parent)
    if diagnostics:
        diagnostics.sort(key=lambda diagnostic: (diagnostic.source, diagnostic.message))
        raise InvalidInput(diagnostics)
    root, tree = roots[0], path.parent
    return Config(
        tree=tree,
        manifests=tuple(root.get("manifests", ["manifests"])),
        targets={name: _target(name, values, root, tree) for name, values in root.get("targets", {}).items()},
        default_target=root.get("default_target"),
        max_file_bytes=int(root.get("max_file_bytes", DEFAULT_MAX_FILE_BYTES)),
    )


def _contradictions(root: Fields, tree: Path) -> Iterator[Diagnostic]:
    """Find what no schema can see: targets that there are not or are still, and what is kept outside the tree."""
    targets, default = root.get("targets", {}), root.get("default_target")
    if default is not None and default not in targets:
        known = ", ".join(sorted(targets)) or "there are none"
        message = f"{{value}} is not configured: name one of `targets` ({known})"
        yield Diagnostic(root.source_of("default_target"), message, field="default_target", value=default)
    home = os.path.realpath(tree)
    taken = set(targets)
    for name, values in targets.items():
        for index, former in enumerate(values.get("formerly", ())):
            if former in taken:
                wrong = "{value} is a target, or was another one: name what this one alone was called"
                yield Diagnostic(
                    values["formerly"].source_of(index), wrong, field=f"targets.{name}.formerly", value=former
                )
            taken.add(former)
        for member, explain in (("sandbox", _wrong_database), ("journal", _wrong_journal)):
            if member not in values:
                continue
            written = values[member]
            found = explain(tree, home, written)
            if found is not None:
                yield Diagnostic(values.source_of(member), found, field=f"targets.{name}.{member}", value=written)


def _wrong_database(tree: Path, home: str, written: str) -> str | None:
    """Tell what is wrong with the name of a database, if anything is."""
    if str(Path(written)).startswith((":", "file:")):
        return "{value} is more than a name to SQLite: name a file, such as .crmctl/sandbox.db"
    database = os.path.realpath(tree / written)
    if _is_too_long(f"{database}-journal"):  # the longest name that SQLite makes of it
        return "{value} is longer than the system allows: name a file, such as .crmctl/sandbox.db"
    if os.path.commonpath((database, home)) != home:
        return "{value} leads out of the configuration's folder: name a file in it"
    if os.path.isdir(database):  # noqa: PTH112 - Path.is_dir raises where this says no
        return "{value} is a folder: name a file, such as .crmctl/sandbox.db"
    return None


def _wrong_journal(tree: Path, home: str, written: str) -> str | None:
    """Tell what is wrong with where a journal is to be kept, if anything is."""
    if URL in written:
        return None  # the environment decides when it is used
    folder = os.path.realpath(tree / written)
    if _is_too_long(folder):
        return "{value} is longer than the system allows: name a folder, such as .crmctl/journal"
    if os.path.commonpath((folder, home)) != home:
        return "{value} leads out of the configuration's folder: name a folder in it, or a URL, such as file:///volume"
    if os.path.isfile(folder):  # noqa: PTH113 - Path.is_file raises where this says no
        return "{value} is a file: name a folder, such as .crmctl/journal"
    return None


def _is_too_long(path: str) -> bool:
    """Tell whether the system takes no path as long as this."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def pseudonym_key(environment: Environment, api_key: str | None, embedded: bytes | None) -> bytes:
    """Return the key of digests and pseudonyms: set, or derived from the API key, or the sandbox's own.

    A sandbox's counts beside one that is set, too: once it is made anew, journals of the former one are about nothing.
    Without any of them it is made up: then pseudonyms are stable within one run only.
    """
    if environment.pseudonym_key is not None:
        chosen = environment.pseudonym_key
        return chosen if embedded is None else hmac.new(chosen, embedded, hashlib.sha256).digest()
    if api_key is not None:
        # Bytes that are no text come from the environment as lone surrogates.
        return hmac.new(api_key.encode("utf-8", "surrogatepass"), b"crmctl pseudonyms", hashlib.sha256).digest()
    return embedded or secrets.token_bytes(32)


def _target(name: str, values: Mapping[str, Any], root: Mapping[str, Any], tree: Path) -> Target:
    """Return one target; what it doesn't say, the file says for all."""
    database, journal = values.get("sandbox"), values.get("journal")
    shared, own = root.get("policies", {}), values.get("policies", {})
    return Target(
        name=name,
        provider=values["provider"],
        base_url=values.get("base_url"),
        api_key_env=values.get("api_key_env"),
        sandbox=None if database is None else tree / database,
        policies={kind: {**shared.get(kind, {}), **own.get(kind, {})} for kind in {**shared, **own}},
        limits={**root.get("limits", {}), **values.get("limits", {})},
        settle=float(values.get("settle", DEFAULT_SETTLE)),
        timeout=float(values.get("timeout", DEFAULT_TIMEOUT)),
        rate=None if values.get("rate") is None else float(values["rate"]),
        max_body_bytes=int(values.get("max_body_bytes", DEFAULT_MAX_BODY_BYTES)),
        pipelines=dict(values.get("pipelines", {})),
        assumed_routes=values.get("assumed_routes", False),
        strict=values.get("strict", False),
        custom_fields=values.get("custom_fields", "refuse"),
        items=values.get("items", "objects"),
        journal=journal if journal is None or URL in journal else tree / journal,
        lock=values.get("lock"),
        formerly=tuple(values.get("formerly", ())),
        verify=values.get("verify", "all"),
        canary=values.get("canary", 0),
    )


def _list(text: str) -> list[str]:
    """Return the items of a comma-separated list."""
    return [item.strip() for item in text.split(",") if item.strip()]
