"""The whole pipeline on one screen: manifests -> desired, provider -> live, diff, plan; and apply on top of it."""

import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from crmctl import client, live, manifest, schema
from crmctl.config import Environment, Target, pseudonym_key
from crmctl.desired import Collector, Desired, Notice, select
from crmctl.diff import Rules, diff
from crmctl.errors import CrmctlError, Diagnostic, InvalidInput, ProviderError
from crmctl.kinds import KINDS
from crmctl.parser import Document
from crmctl.plan import Plan, build
from crmctl.provider import Provider
from crmctl.providers import find_endpoint, open_provider
from crmctl.redact import Redactor
from crmctl.resource import Fields, Source


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the manifests say: the desired state, and the digest of every file they were read from."""

    desired: Desired
    digests: Mapping[str, bytes]


def load(
    paths: Sequence[str],
    tree: Path,
    *,
    max_bytes: int,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    trusted: bool = False,
    standard_input: BinaryIO | None = None,
) -> Loaded:
    """Read, check and collect all manifests; raises InvalidInput with every finding of every file.

    `trusted`: the paths were named by whoever runs this, and may be outside the tree.
    """
    collector = Collector()
    digests: dict[str, bytes] = {}
    diagnostics: list[Diagnostic] = []
    # Nothing here makes reference cycles, and the collector would walk a million records again and again for nothing.
    gc.disable()
    try:
        found = manifest.read(
            paths, tree, schema.shape(), max_bytes=max_bytes, trusted=trusted, standard_input=standard_input
        )
        for file in found:
            wrong = _findings(file)
            digests[file.name] = file.digest
            diagnostics += wrong
            collector.add([_sound(document) for document in file.documents] if wrong else file.documents)
    finally:
        gc.freeze()
        gc.enable()
    desired = collector.finish()
    diagnostics += collector.diagnostics
    if diagnostics:
        raise InvalidInput(sorted(diagnostics, key=_place))
    if not digests:
        places = ", ".join(paths)
        raise CrmctlError(f"no manifests: no .yaml or .yml file below {places}: create one, or name another place")
    return Loaded(select(desired, only, exclude), digests)


@dataclass(frozen=True, slots=True)
class Session:
    """A target, ready to be spoken to. `counts` has the requests sent so far, by route.

    `worked` are the routes its key has opened, `learned` is what the provider has found out: planning and applying are
    two connections, and the second need not find out again.
    """

    target: Target
    rules: Rules
    redactor: Redactor
    parallelism: int
    environment: Environment
    on_wait: Callable[[str, float, ProviderError], None]
    counts: Counter[str] = field(default_factory=Counter)
    worked: set[str] = field(default_factory=set)
    learned: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def connect(self, *, read_only: bool) -> AsyncIterator[Provider]:
        """Open the provider; a read-only connection can't write, whatever the code above it does."""
        endpoint = find_endpoint(self.target.provider)
        connection = client.connect(
            base_url=_address(self.target, self.environment),
            headers=endpoint.headers(_key(self.target, self.environment) or "embedded-crm-no-key"),
            reads=endpoint.reads,
            read_only=read_only,
            sandbox=_sandbox(self.target),
            timeout=self.target.timeout,
            parallelism=self.parallelism,
            discreet=self.redactor.on,
            worked=self.worked,
            on_wait=self.on_wait,
            environment=self.environment.variables,
        )
        provider = open_provider(self.target.provider, connection, self.learned)
        try:
            yield provider
        finally:
            self.counts.update(connection.counts)
            await provider.aclose()
            await connection.aclose()


def open_session(
    target: Target,
    environment: Environment,
    *,
    redact: bool,
    parallelism: int,
    on_wait: Callable[[str, float, ProviderError], None],
) -> Session:
    """Prepare a target: its key is looked up and its address checked before anything is sent."""
    facts = schema.rules()
    _address(target, environment)
    sandbox = _sandbox(target)
    embedded = client.embedded_key(sandbox) if sandbox else None
    key = pseudonym_key(environment, _key(target, environment), embedded)
    rules = Rules(facts.compare, target.policies)
    return Session(target, rules, Redactor(key, facts.personal, redact), parallelism, environment, on_wait)


async def make_plan(session: Session, loaded: Loaded, explain: Callable[[str], None], *, partial: bool) -> Plan:
    """Read the CRM and compare; nothing can be written. `partial`: --only or --exclude left something out."""
    desired = loaded.desired
    ignored = {
        kind: frozenset(name for name, policy in policies.items() if policy == "ignore")
        for kind, policies in session.rules.policies.items()
    }
    async with session.connect(read_only=True) as provider:
        found = await live.read(provider, desired, ignored, explain)
    if partial:
        # What was left out would count as unmanaged.
        found = replace(found, unmanaged=dict.fromkeys(found.unmanaged))
    unheld = [
        Notice(resource.source_of(field), resource.address, f"{field}: {reason}")
        for resources in desired.resources.values()
        for resource in resources.values()
        for field, reason in provider.cannot_hold(resource)
    ]
    digest = session.redactor.digest(
        "manifests", *(f"{name} {digest.hex()}" for name, digest in sorted(loaded.digests.items()))
    )
    return build(
        diff(desired, found, session.rules),
        found,
        provider.capabilities,
        target=session.target.name,
        provider=session.target.provider,
        notices=[*desired.notices, *unheld],
        reads=session.counts,
        manifest_digest=digest,
        rules=session.rules,
        now=datetime.now(UTC),
    )


def _findings(file: manifest.File) -> list[Diagnostic]:
    """Return what is wrong with a file: what parsing found, and what the schema finds elsewhere in it."""
    seen = {diagnostic.source for diagnostic in file.diagnostics}
    return file.diagnostics + [
        finding
        for document in file.documents
        if document.root is not None
        for finding in schema.check("manifest", document.root)
        if finding.source not in seen
    ]


def _sound(document: Document) -> Document:
    """Return the valid records of a wrong document, so that their keys are checked in the same run."""
    root = Fields()
    for kind in KINDS.values():
        records = document.root.get(kind.plural) if document.root is not None else None
        if isinstance(records, list):
            root[kind.plural] = [record for record in records if not schema.check(kind.name, record)]
    return Document(document.file, root)


def _place(diagnostic: Diagnostic) -> tuple[Source, str]:
    """Sort diagnostics by where they are."""
    return diagnostic.source or Source("", 0, 0), diagnostic.message


def _sandbox(target: Target) -> client.SandboxOptions | None:
    """Return how to embed the CRM, if the target is a sandbox."""
    return None if target.sandbox is None else client.SandboxOptions(target.provider, target.sandbox)


def _address(target: Target, environment: Environment) -> str:
    """Return where the target is; a place that may not be given the key is refused."""
    endpoint = find_endpoint(target.provider)
    address = target.base_url or endpoint.base_url
    if target.sandbox is None:
        client.check_base_url(address, endpoint.hosts, environment.allowed_hosts)
    return address


def _key(target: Target, environment: Environment) -> str | None:
    """Return the API key; a sandbox has none."""
    if target.sandbox is not None:
        return None
    return environment.api_key(target.api_key_env or f"{target.provider.upper()}_API_KEY")
