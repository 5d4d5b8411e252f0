"""A CRM in bad weather: faults at the HTTP seam, runs until they come through, and the sandbox's log held against them.

What a run reports, what its journal says and what the sandbox committed are three stories of one event: `Storm.apply`
compares them after every run. `calm` ends the faults, runs again, and has a person settle what only a person can see.
"""

import contextlib
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from harness import Crm, actions, redactor
from test_matrix import OPTIONS, doubled, seed

from crmctl.desired import Desired
from crmctl.diff import Change
from crmctl.errors import CrmctlError
from crmctl.journal import Journal, name_of
from crmctl.outcome import Outcome, Result
from crmctl.plan import Plan
from crmctl.resource import Address
from crmctl.sandbox.chaos import Chaos, Fault
from crmctl.sandbox.faults import Interfere, Interference
from crmctl.sandbox.write_log import Write, read_writes

MORE = 3
"""After the faults so many further runs have to be enough."""
NAMES = {
    "octolane": {
        "accounts": "domain",
        "contacts": "email",
        "opportunities": "name",
        "notes": "text",
    },
    "thena": {"accounts": "primaryDomain", "contacts": "email", "notes": "content"},
}
"""By which column a record of a table is known here; nothing in the manifests of these tests has a name twice."""
CONTENT = {
    "octolane_accounts": "domain, name, tags",
    "octolane_contacts": "email, first_name, phone",
    "octolane_opportunities": "name, deal_size, next_steps",
    "octolane_notes": "text",
    "thena_accounts": "primaryDomain, name, description",
    "thena_contacts": "email, firstName, lastName, phoneNumber",
    "thena_notes": "content",
}
PLURALS = {"account": "accounts", "contact": "contacts", "opportunity": "opportunities", "note": "notes"}
ONCE = {
    "octolane": {"opportunity", "note"},
    "octolane_inbound": {"opportunity", "note"},
    "thena": {"account", "note"},
}
"""What a CRM would have twice if it were sent twice."""


class Weather:
    """The faults of the moment; none until there are some."""

    def __init__(self) -> None:
        self.chaos: Interfere | None = None

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        return self.chaos(method, path, nth) if self.chaos is not None else None


class Wire:
    """A connection that breaks as a real one does, where the sandbox in process can only raise."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error)) from error
        except ConnectionResetError as error:
            raise httpx.ReadError(str(error)) from error


class Storm(Crm):
    """A CRM that faults can be let loose on, with somebody else's records in it."""

    def __init__(self, folder: Path, provider: str, *, used: bool = True, **others: Any) -> None:
        self.weather = Weather()
        super().__init__(
            folder, others.pop("switches", None), provider=provider, options=OPTIONS, journal=True,
            interfere=self.weather, **others,
        )  # fmt: skip
        sandbox, self.app = self.app, Wire(self.app)  # type: ignore[assignment]  # all that is asked of it is to be called
        self.sandbox = sandbox
        self.provider = provider
        self.vendor = provider.partition("_")[0]
        self.asked: list[Address] = []  # what a person was asked about
        self.seen = 0  # so much of the log has been read
        self.done: set[tuple[str, str]] = set()
        if used:
            seed(self, provider)

    def let_loose(self, faults: Sequence[Fault], number: int = 0) -> Chaos:
        """Begin with faults; `number` seeds their chances."""
        chaos = Chaos(faults, number, self.clock)
        self.weather.chaos = chaos
        return chaos

    def catch_up(self) -> list[Write]:
        """Return what the sandbox has committed since this was asked last; the log grows with every run."""
        new = read_writes(self.folder / "crm.db", self.seen)
        self.seen += len(new)
        self.done.update((write.kind, write.id) for write in new)
        return new

    def writes(self) -> list[Write]:
        """Return what the sandbox has committed."""
        return read_writes(self.folder / "crm.db")

    def attempt(self, manifest: str | Desired) -> Result | None:
        """Plan and apply, and compare the three stories; None if it did not come to writing."""
        try:
            plan = self.plan(manifest)
        except CrmctlError:
            return None
        self.catch_up()
        result = self.apply(manifest, plan=plan)
        self.compare(plan, result, self.catch_up())
        return result

    def compare(self, plan: Plan, result: Result, written: Sequence[Write]) -> None:
        """Hold report, journal and the sandbox's log of one run against each other."""
        assert [change.address for change in plan.changes] == [outcome.change.address for outcome in result.outcomes]
        assert len(plan.changes) + plan.unchanged == sum(result.totals().values())
        journal = self.folder / "runs" / f"run-{self.runs:04}.jsonl"
        assert {name_of(redactor(), o.change.address): (o.status, o.remote_id) for o in result.outcomes} == closed(
            journal, result
        )
        by_id: dict[str, Outcome] = {o.remote_id: o for o in result.outcomes if o.remote_id}
        by_name = {(PLURALS[o.change.address.kind], self.name(o)): o for o in result.outcomes}
        names = self.names()
        for write in written:
            told = by_id.get(write.id) or by_name.get((write.kind, names[write.kind, write.id]))
            if told is None or told.status in {"failed", "skipped"}:
                # What is written without being reported: the CRM made it along with another record.
                wrong = told is None or (told.remote_id is None and told.change.action == "create")
                along = write.kind == "accounts" and not write.route.endswith(("/accounts/bulk", "/accounts"))
                assert along or not wrong, (write, told)
        self.catch_up()
        for outcome in result.outcomes:
            if outcome.status in {"created", "updated"} and outcome.remote_id:
                assert (PLURALS[outcome.change.address.kind], outcome.remote_id) in self.done, outcome

    def calm(self, manifest: str | Desired) -> dict[str, str]:
        """End the faults, and run until nothing is to be done; returns what a plan still says."""
        self.weather.chaos = None
        self.clock.now += 3600
        for _ in range(MORE):
            self.attempt(manifest)
            self.settle_doubts(manifest)
            if {*actions(self.plan(manifest)).values()} <= {"report"} and not self.doubts(manifest):
                break
        assert [] == doubled(self, self.provider)
        assert [] == self.sandbox.violations
        return actions(self.plan(manifest))

    def doubts(self, manifest: str | Desired) -> list[Any]:
        """Return the changes that a person is asked about."""
        return [change for change in self.plan(manifest).changes if "crmctl runs settle" in change.reason]

    def settle_doubts(self, manifest: str | Desired) -> None:
        """Do as a person does who is asked: look into the CRM, and say what is there.

        Nobody is asked about what can be read and is there, nor about what may be sent twice.
        """
        for change in self.doubts(manifest):
            address = change.address
            there, remote_id = self.seek(change)
            assert address.kind in ONCE[self.provider]
            self.asked.append(address)
            self.runs += 1
            folder = self.folder / "runs"
            journal = Journal(folder, f"run-{self.runs:04}", redactor(), target="test", clock=self.clock)
            former = Address(address.kind, change.after.was or "")
            named = former if f"'{former}'" in change.reason else address  # as the command in the plan has it
            journal.settle(named, "settled" if there else "not-created", remote_id, change.after if there else None)
            journal.close()

    def seek(self, change: Change) -> tuple[bool, str | None]:
        """Look for a record as a person does: whether it is there, and its id where crmctl has to be told."""
        kind = change.address.kind
        there = change.after.fields[_known_by(kind)] in self.held()[PLURALS[kind]]
        assert not (there and self.session_reads(kind)), f"{change.address} is there, and could be found"
        return there, None

    def session_reads(self, kind: str) -> bool:
        """Tell whether a kind can be read."""
        return (self.provider, kind) not in {
            ("octolane", "note"), ("octolane_inbound", "note"), ("octolane_inbound", "opportunity"),
        }  # fmt: skip

    def rows(self, query: str) -> list[Any]:
        """Ask the database."""
        with contextlib.closing(sqlite3.connect(self.folder / "crm.db")) as connection:
            return connection.execute(query).fetchall()

    def names(self) -> dict[tuple[str, str], str]:
        """Return what every record there is known by."""
        return {
            (plural, id_): str(name).lower()
            for plural, column in NAMES[self.vendor].items()
            for id_, name in self.rows(f"SELECT id, {column} FROM {self.vendor}_{plural}")  # noqa: S608 - ours
        }

    def held(self) -> dict[str, set[str]]:
        """Return the names of what is there, as they are spelled."""
        return {
            plural: {name for (name,) in self.rows(f"SELECT {column} FROM {self.vendor}_{plural}")}  # noqa: S608 - ours
            for plural, column in NAMES[self.vendor].items()
        }

    def content(self) -> dict[str, list[str]]:
        """Return everything there is but ids and times."""
        return {
            table: sorted(map(str, self.rows(f"SELECT {columns} FROM {table}")))  # noqa: S608 - ours
            for table, columns in CONTENT.items()
            if table.startswith(self.vendor)
        }

    def name(self, outcome: Outcome) -> str:
        """Return what a record of ours is known by."""
        fields = outcome.change.after.fields
        return str(fields.get(_known_by(outcome.change.address.kind), outcome.change.address.key)).lower()


def closed(journal: Path, result: Result) -> dict[str, tuple[str, str | None]]:
    """Return what a journal says at last of each record; every intent in it has an outcome."""
    said: dict[str, tuple[str, str | None]] = {}
    intended: set[str] = set()
    unsure = {name_of(redactor(), o.change.address) for o in result.outcomes if o.status == "unknown"}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry: Mapping[str, Any] = json.loads(line)
        if entry["event"] == "intent" and entry["action"] != "define":
            intended.update(entry["records"])
        elif entry["event"] == "outcome":
            for name, status, remote_id, *_ in entry["records"]:
                # What was in flight when a run ended is left open there, for the next one to look.
                said[name] = ("unknown" if status == "open" and name in unsure else status, remote_id)
    assert intended <= said.keys()
    return said


def _known_by(kind: str) -> str:
    return {"account": "domain", "contact": "email", "opportunity": "name", "note": "text"}[kind]


@contextlib.contextmanager
def storm(provider: str, **others: Any) -> Iterator[Storm]:
    """Open a CRM in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        there = Storm(Path(folder), provider, **others)
        try:
            yield there
        finally:
            there.sandbox.close()
