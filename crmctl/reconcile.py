"""The whole pipeline on one screen: manifests -> desired, provider -> live, diff, plan; and apply on top of it."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from crmctl import client, live, manifest, schema
from crmctl.capability import Capability
from crmctl.config import DEFAULT_SETTLE, Environment, Target, pseudonym_key
from crmctl.desired import Collector, Desired, select
from crmctl.diff import Rules, diff
from crmctl.errors import Auth, CrmctlError, Diagnostic, Findings, InvalidInput, ProviderError
from crmctl.fit import fit
from crmctl.journal import Journal, new_run_id, remember
from crmctl.kinds import KINDS, NOTHING
from crmctl.lock import SharedClaim, TargetLock, open_lock
from crmctl.memory import Memory
from crmctl.mirror import Mirror
from crmctl.pace import Pace
from crmctl.parser import Document
from crmctl.place import check_url
from crmctl.plan import Plan, build
from crmctl.provider import Provider
from crmctl.providers import Options, find_endpoint, open_provider
from crmctl.redact import Redactor
from crmctl.resource import Address, Fields, Resource, Source

RUNS = Path(".crmctl", "runs")
"""Where journals are, below crmctl.yaml, unless the target says otherwise."""


class Loaded(NamedTuple):
    """What the manifests say: the desired state, and the digest of every file they were read from.

    `restores`: an undo plan says it instead, whatever the field policies say, and has the `ids` of unkeyed records.
    """

    desired: Desired
    digests: Mapping[str, bytes]
    restores: bool = False
    ids: Mapping[Address, str] = NOTHING


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
    diagnostics = Findings()
    # Nothing here makes reference cycles, and the collector would walk a million records again and again for nothing.
    gc.disable()
    try:
        found = manifest.read(
            paths, tree, schema.shape(), max_bytes=max_bytes, trusted=trusted, standard_input=standard_input
        )
        for file in found:
            wrong = _findings(file, diagnostics.room)
            digests[file.name] = file.digest
            diagnostics += wrong
            if diagnostics.room > 0:  # what else is wrong would not be told
                collector.add([_sound(document) for document in file.documents] if wrong else file.documents)
    finally:
        gc.freeze()
        gc.enable()
    desired = collector.finish()
    diagnostics += collector.diagnostics
    if diagnostics:
        diagnostics.sort(key=_place)
        raise InvalidInput(diagnostics)
    if not digests:
        places = ", ".join(paths)
        raise CrmctlError(f"no manifests: no .yaml or .yml file below {places}: create one, or name another place")
    return Loaded(select(desired, only, exclude), digests)


@dataclass(slots=True, eq=False, repr=False)  # not frozen: that would triple what it takes to define it
class Session:
    """A target, ready to be spoken to. `counts` has the requests sent so far, by route.

    `pace` says how fast and how much may be sent, `worked` are the routes its key has opened, `learned` is what the
    provider has found out: planning and applying are two connections, and the second need not find out again. `lock` is
    held by a verb that writes, `facts` are what its journal tells of the run.
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
    folder: Path = RUNS
    lock: TargetLock | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    settle: float = DEFAULT_SETTLE
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    pace: Pace | None = None

    def mirror(self) -> Mirror | None:
        """Return where the journal is mirrored, if its place is a URL."""
        return Mirror(self.target.journal) if isinstance(self.target.journal, str) else None

    def memory(self) -> Memory:
        """Return what earlier runs have noted of records that are created once."""
        mirror, durable = self.mirror(), self.target.journal is not None
        name, formerly = self.target.name, self.target.formerly
        found = remember(self.folder, self.redactor, name, mirror=mirror, durable=durable, formerly=formerly)
        # A sandbox that was made anew has a new key: what another one was told is nobody's business.
        return found if self.target.sandbox is None else found._replace(foreign=())

    def journal(self, started: datetime, tree: Path) -> Journal:
        """Begin the journal of a run, which then is seen to hold the lock; without it nothing more is sent."""
        mirror = self.mirror()
        earlier = [path.stem for path in self.folder.glob("*.jsonl")]
        run_id = new_run_id(started, earlier if mirror is None else [*earlier, *mirror.names()])
        if self.lock is not None:
            self.lock.tell_run(run_id)
        return Journal(
            self.folder,
            run_id,
            self.redactor,
            target=self.target.name,
            tree=tree,
            mirror=mirror,
            facts=self.facts,
            guard=self.lock.check if self.lock is not None else lambda: None,
        )

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
            pace=self.pace,
            on_wait=self.on_wait,
            environment=self.environment.variables,
        )
        provider = open_provider(self.target.provider, connection, _options(self.target), self.learned)
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
    tree: Path,
    settle: float | None = None,
    max_requests: int | None = None,
) -> Session:
    """Prepare a target: its key is looked up and its address checked before anything is sent."""
    facts = schema.rules()
    _address(target, environment)
    sandbox = _sandbox(target)
    embedded = client.embedded_key(sandbox) if sandbox else None
    key = pseudonym_key(environment, _key(target, environment), embedded)
    rules = Rules(facts.compare, target.policies)
    return Session(
        target,
        rules,
        Redactor(key, facts.personal, redact),
        parallelism,
        environment,
        on_wait,
        folder=find_runs(target, environment, tree),
        settle=target.settle if settle is None else settle,
        pace=Pace(time.monotonic, parallelism=parallelism, rate=target.rate, max_requests=max_requests),
    )


def find_runs(target: Target, environment: Environment, tree: Path) -> Path:
    """Return the folder of a target's journals; a URL has to be one that the environment allows."""
    if isinstance(target.journal, str):
        check_url("journal", target.journal, environment.allowed_journals, "CRMCTL_ALLOW_JOURNALS")
    return target.journal if isinstance(target.journal, Path) else tree / RUNS


def open_redactor(target: Target, environment: Environment, *, redact: bool) -> Redactor | None:
    """Return what makes the digests of a target's journals; None without the key that they were made with."""
    sandbox = _sandbox(target)
    try:
        api_key = None if environment.pseudonym_key is not None else _key(target, environment)
    except Auth:
        return None
    embedded = client.embedded_key(sandbox) if sandbox else None
    return Redactor(pseudonym_key(environment, api_key, embedded), schema.rules().personal, redact)


def take_lock(
    target: Target,
    environment: Environment,
    tree: Path,
    shared: dict[str, SharedClaim],
    *,
    timeout: float,
    waiting: Callable[[str], None],
) -> TargetLock:
    """Take the lock of a target; raises Locked with the name of who holds it."""
    if target.lock is not None:
        check_url("lock", target.lock, environment.allowed_locks, "CRMCTL_ALLOW_LOCKS")
    lock = open_lock(target.name, tree, target.lock, shared)
    lock.take(timeout, waiting=waiting)
    return lock


async def make_plan(session: Session, loaded: Loaded, explain: Callable[[str], None], *, partial: bool) -> Plan:
    """Read the CRM and compare; nothing can be written. `partial`: --only or --exclude left something out."""
    if loaded.restores:
        session = replace(session, rules=Rules(session.rules.compare))
    ignored = {
        kind: frozenset(name for name, policy in policies.items() if policy == "ignore")
        for kind, policies in session.rules.policies.items()
    }
    patience = live.Patience(session.settle, session.clock, session.sleep)
    async with session.connect(read_only=True) as provider:
        fitted = await fit(provider, loaded.desired, strict=session.target.strict, ignored=ignored)
        desired = fitted.desired
        found = await live.read(provider, desired, ignored, explain, session.memory().knowing(loaded.ids), patience)
    if partial:
        # What was left out would count as unmanaged.
        found = found._replace(unmanaged=dict.fromkeys(found.unmanaged))
    # A field that is still to be made can't be read yet; nothing has a value there.
    made = {(definition.kind, f"custom_fields.{definition.slug}") for definition in fitted.definitions}
    unreadable = {
        kind: frozenset(name for name in names if (kind, name) not in made) for kind, names in found.unreadable.items()
    }
    found = found._replace(blocked={**found.blocked, **fitted.blocked}, unreadable=unreadable)
    digest = session.redactor.digest(
        "manifests", *(f"{name} {digest.hex()}" for name, digest in sorted(loaded.digests.items()))
    )
    plan = build(
        diff(desired, found, session.rules),
        found,
        provider.capabilities,
        target=session.target.name,
        provider=session.target.provider,
        desired=desired,
        reads=session.counts,
        manifest_digest=digest,
        rules=session.rules,
        now=datetime.now(UTC),
        definitions=fitted.definitions,
        rate=session.target.rate,
        max_body_bytes=session.target.max_body_bytes,
    )
    return replace(plan, verify=session.target.verify, canary=session.target.canary)


async def journalled(session: Session, resource: Resource) -> Resource | None:
    """Return what the journal has to say of a record: all of it, where the CRM can't be asked; None where it can."""
    kind, key = resource.address.kind, resource.address.key
    async with session.connect(read_only=True) as provider:
        if provider.capabilities.get(kind, Capability()).read:
            return None
        fitted = await fit(provider, Desired({kind: {key: resource}}, ()), strict=False)
    return fitted.desired.resources[kind][key]


def _findings(file: manifest.File, room: int) -> Findings:
    """Return what is wrong with a file: what parsing found, and what the schema finds elsewhere in it.

    With no more than `room` findings left to tell, the schema's are counted.
    """
    seen = {diagnostic.source for diagnostic in file.diagnostics}
    found = Findings(file.diagnostics)
    for document in file.documents:
        if document.root is not None:
            wrong = schema.check("manifest", document.root, most=max(0, room - len(found)))
            found += Findings((finding for finding in wrong if finding.source not in seen), wrong.more)
    return found


def _sound(document: Document) -> Document:
    """Return the valid records of a wrong document, so that their keys are checked in the same run."""
    root = Fields()
    for kind in KINDS.values():
        records = document.root.get(kind.plural) if document.root is not None else None
        if isinstance(records, list):
            root[kind.plural] = [record for record in records if schema.passes(kind.name, record)]
    return Document(document.file, root)


def _place(diagnostic: Diagnostic) -> tuple[Source, str]:
    """Sort diagnostics by where they are."""
    return diagnostic.source or Source("", 0, 0), diagnostic.message


def _options(target: Target) -> Options:
    """Return what a target's provider is told."""
    define = target.custom_fields == "create"
    return Options(target.pipelines, assumed_routes=target.assumed_routes, define=define, items=target.items)


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
    return environment.api_key(target.key_variable)
