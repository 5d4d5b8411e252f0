"""What many tests need: manifests from text, and a whole CRM in process whose clock is moved by whoever waits."""

import asyncio
import contextlib
import errno
import io
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import httpx

from crmctl import schema
from crmctl.apply import Settings, apply
from crmctl.client import Client, ReadOnly
from crmctl.config import Environment, Target
from crmctl.desired import Collector, Desired
from crmctl.diff import Rules
from crmctl.journal import Journal
from crmctl.outcome import Result
from crmctl.parser import parse
from crmctl.plan import Plan
from crmctl.provider import Provider
from crmctl.providers import DEFAULTS, Options, find_endpoint, open_provider
from crmctl.reconcile import Loaded, Session, make_plan
from crmctl.redact import Redactor
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.faults import Interfere

KEY = {"x-api-key": "test"}


def read(text: str, file: str = "manifests/test.yaml") -> Desired:
    """Return the desired state that one manifest declares; it has to be valid."""
    documents, diagnostics = parse(text.encode(), file, schema.shape())
    for document in documents:
        diagnostics += schema.check("manifest", document.root) if document.root is not None else []
    collector = Collector()
    if not diagnostics:
        collector.add(documents)
    assert [] == diagnostics + collector.diagnostics
    return collector.finish()


def redactor(*, on: bool = False) -> Redactor:
    """Return a redactor with a fixed key."""
    return Redactor(b"test", schema.rules().personal, on)


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the seconds since 1970."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(slots=True, eq=False)
class InProcess(Session):
    """A session whose requests go straight into a sandbox application."""

    app: Any = None
    options: Options = DEFAULTS

    @contextlib.asynccontextmanager
    async def connect(self, *, read_only: bool) -> AsyncIterator[Provider]:
        """Open the provider over the application."""
        transport: httpx.AsyncBaseTransport = httpx.ASGITransport(app=self.app)
        if read_only:
            transport = ReadOnly(transport, find_endpoint(self.target.provider).reads)
        connection = Client(
            [transport], base_url="http://127.0.0.1", headers=KEY, sleep=self.sleep, clock=self.clock,
            wall_clock=self.clock, random=lambda: 1.0, pace=self.pace,
        )  # fmt: skip
        try:
            yield open_provider(self.target.provider, connection, self.options, self.learned)
        finally:
            self.counts.update(connection.counts)
            await connection.aclose()


class _Full(io.TextIOWrapper):
    """A file on a disk that is soon full."""

    def __init__(self, stream: TextIO, room: int) -> None:
        super().__init__(stream.buffer, encoding="utf-8")
        self.kept = stream
        self.room = room

    def write(self, text: str) -> int:
        """Write as long as there is room."""
        self.room -= len(text)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


class Crm:
    """A CRM with its switches, and crmctl pointed at it."""

    def __init__(
        self,
        folder: Path,
        switches: Mapping[str, str] | None = None,
        *,
        policies: Mapping[str, Mapping[str, Any]] | None = None,
        interfere: Interfere | None = None,
        provider: str = "octolane",
        options: Options = DEFAULTS,
        journal: bool = False,
        strict: bool = False,
        skew: float = 0.0,
    ) -> None:
        self.folder = folder
        self.clock = Clock()
        self.options = options
        self.learned: dict[str, Any] = {}
        self.target = Target("test", provider, journal=folder / "runs" if journal else None, strict=strict)
        self.app = open_sandbox(
            provider,
            folder / "crm.db",
            switches=switches or {},
            check_responses=True,
            clock=lambda: self.clock() + skew,
            sleep=self.clock.sleep,
            interfere=interfere,
        )
        self.policies = policies or {}
        self.runs = 0

    def session(self) -> InProcess:
        """Return a new session."""
        rules = Rules(schema.rules().compare, self.policies)
        return InProcess(
            self.target, rules, redactor(), 4, Environment({}), lambda *_: None, folder=self.folder / "runs",
            settle=30.0, clock=self.clock, sleep=self.clock.sleep, app=self.app, options=self.options,
            learned=self.learned,
        )  # fmt: skip

    def plan(self, manifest: str | Desired) -> Plan:
        """Plan, over a connection that can't write."""
        desired = read(manifest) if isinstance(manifest, str) else manifest
        self.learned = {}  # what one run finds out no other knows
        return asyncio.run(make_plan(self.session(), Loaded(desired, {}), lambda _: None, partial=False))

    def apply(self, manifest: str | Desired, *, plan: Plan | None = None, settings: Settings | None = None) -> Result:
        """Plan and apply."""
        return asyncio.run(self.carry_out(plan or self.plan(manifest), settings or Settings()))

    async def carry_out(
        self,
        plan: Plan,
        settings: Settings,
        *,
        progress: Callable[[int, int], object] = lambda *_: None,
        journal_room: int | None = None,
    ) -> Result:
        """Apply a plan; `journal_room` is how many bytes the disk takes."""
        self.runs += 1
        journal = Journal(self.folder / "runs", f"run-{self.runs:04}", redactor(), target="test", clock=self.clock)
        if journal_room is not None:
            journal.stream = _Full(journal.stream, journal_room)
        session = replace(self.session(), pace=settings.pace)
        with contextlib.closing(journal):
            async with session.connect(read_only=False) as provider:
                result = await apply(plan, provider, journal, settings, sleep=self.clock.sleep, progress=progress)
            self.sent = session.counts
            journal.end()
        return result

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Speak to the API as somebody else."""
        return asyncio.run(self._request(method, path, body))

    async def _request(self, method: str, path: str, body: Any) -> dict[str, Any]:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=KEY) as other:
            answer = await other.request(method, path, json=body)
            answer.raise_for_status()
            return dict(answer.json())

    def records(self, plural: str) -> list[dict[str, Any]]:
        """Return every live record of a kind, once everything is searchable."""
        self.clock.now += 3600
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            body = {"limit": 500, "sort": "id", **({"cursor": cursor} if cursor else {})}
            data = self.request("POST", f"/v1/{plural}/search", body)["data"]
            found += data[plural]
            cursor = data["next_cursor"]
            if not data["has_more"]:
                return found


@contextlib.contextmanager
def crm(switches: Mapping[str, str] | None = None, **options: Any) -> Iterator[Crm]:
    """Open a CRM in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Crm(Path(folder), switches, **options)


def statuses(result: Result) -> dict[str, str]:
    """Return the status of every address."""
    return {str(outcome.change.address): outcome.status for outcome in result.outcomes}


def actions(plan: Plan) -> dict[str, str]:
    """Return the action of every address."""
    return {str(change.address): change.action for change in plan.changes}


def check_golden(text: str, path: Path) -> None:
    """Compare a text with a file; CRMCTL_UPDATE_GOLDEN=1 writes the file anew."""
    if os.environ.get("CRMCTL_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text
