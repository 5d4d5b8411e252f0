"""Any sequence of edits, faults, ends and other people: each run harms nothing, and one more finishes the job.

A machine takes steps at random: manifests change, others write to the CRM, faults come and go, runs are killed,
interrupted, out of budget, doubled. After each run what it has changed is held against the model (`world.py`), its
report and its journal against the sandbox's log; in the end the CRM is as declared.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
from chaos import PLURALS
from harness import read, redactor
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from others import Others
from sampling import ALL, SEED
from watched import ENDS, Cut, Watched, at_once
from world import DEDUPED, NUMBERS, OTHERS, RENAMED, Policies, Record, World, same

from crmctl.apply import Settings, apply
from crmctl.describe import document
from crmctl.desired import select
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.journal import Journal
from crmctl.outcome import Result
from crmctl.pace import Pace
from crmctl.plan import Plan
from crmctl.providers.octolane import search
from crmctl.reports import json as json_report
from crmctl.sandbox.chaos import FAULTS, Fault
from crmctl.saved import match, read_plans

EXAMPLES = 300 if ALL else 6
STEPS = 15 if ALL else 12
LIES = {"duplicate_page", "missing_page"}
"""Lists that say that they are complete, and are not: what nobody can tell is left out with them, below."""
STRANGER = "firm.example"
"""An account that no manifest ever declares."""
Flavour = Literal["stormy", "lying", "forgetful"]
Edit = tuple[str, int, Sequence[str | None], bool]
EDIT = st.tuples(
    st.sampled_from(["declare", "declare", "rename", "withdraw", "forget"]),
    st.integers(0, 19),
    st.tuples(*[st.sampled_from(["-", None, "red", "green"])] * 2),
    st.booleans(),
)
EDITS = st.lists(EDIT, max_size=3)
Ending = tuple[str, int]
ENDING = st.tuples(st.sampled_from(["through", "through", "spent", "disk full", *ENDS]), st.integers(1, 8))
"""How a run ends: with its work, its budget, its disk, or at one of its requests."""
FAULT_LISTS = st.lists(
    st.builds(
        Fault,
        fault=st.sampled_from(sorted(FAULTS)),
        routes=st.sampled_from(["*", "*", "POST *", "GET *", "* /v1/accounts*", "*bulk*", "*search*", "P*notes*"]),
        nth=st.just(frozenset[int]()) | st.frozensets(st.integers(1, 30), min_size=1, max_size=4),
        probability=st.sampled_from([0.02, 0.1, 0.3, 0.6]),
        seconds=st.sampled_from([None, 0.1, 3.0, 45.0]),
    ),
    max_size=3,
)


class Machine(RuleBasedStateMachine):
    """One provider, and everything that may happen."""

    provider: str

    def __init__(self) -> None:
        super().__init__()
        self.vendor = self.provider.partition("_")[0]
        self.stack = contextlib.ExitStack()

    @initialize(
        flavour=st.sampled_from(["stormy", "stormy", "lying", "forgetful"]),
        lag=st.sampled_from([0, 0, 3]),
        skew=st.sampled_from([0.0, 0.0, 3600.0, -7200.0]),
        policy=st.sampled_from(["overwrite", "overwrite", "fill_empty", "create_only", "ignore"]),
        absent=st.sets(st.integers(0, 9), max_size=4),
        faults=FAULT_LISTS,
    )
    def begin(
        self, flavour: Flavour, lag: int, skew: float, policy: str, absent: set[int], faults: Sequence[Fault]
    ) -> None:
        """Open a CRM in which others have something already."""
        self.flavour, self.lag = flavour, lag
        lying = flavour == "lying"
        kinds = DEDUPED[self.provider] if flavour == "forgetful" else NUMBERS
        policies: Policies = {"account": {"description": policy}, "contact": {"last_name": policy}}
        self.world = World(self.provider, [kind for kind in NUMBERS if kind in kinds], policies)
        capped = {"limit_cap": "1"} if lying and self.vendor == "thena" else {}
        pages = search.PAGE_SIZE
        search.PAGE_SIZE = 1 if lying else pages
        self.stack.callback(setattr, search, "PAGE_SIZE", pages)
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.there = Watched(
            folder, self.provider, skew=skew, policies=policies, switches={"search_lag": str(lag), **capped}
        )
        self.stack.callback(self.there.sandbox.close)
        self.there.world = self.world
        self.elsewhere = 0
        self.saved: Document | None = None
        self.others = Others(self.there, lag=lag, lied_to=lying)
        self.stack.callback(self.others.close)
        self.others.write("accounts", STRANGER, "red")
        for number, record in enumerate(self.world.records):
            if number not in absent:
                self.world.say(record, {name: _value(name, "red") for name in self.world.columns[record.kind]})
        self.turn(faults, 0)

    def pick(self, where: int, kinds: Sequence[str] = tuple(NUMBERS)) -> Record | None:
        """Return one of the records that may be declared."""
        found = [record for record in self.world.records if record.kind in kinds]
        return found[where % len(found)] if found else None

    # What is declared

    def edit(self, edits: Sequence[Edit]) -> None:
        """Change the manifests: declare, leave out, rename, forget what was renamed."""
        for step, where, values, nested in edits:
            record = self.pick(where)
            if record is not None:
                getattr(self, step)(record, values, nested)

    def declare(self, record: Record, values: Sequence[str | None], nested: bool) -> None:  # noqa: FBT001 - by place
        """Declare a record, or declare it otherwise."""
        names = zip(self.world.columns[record.kind], values, strict=False)
        record.nested = nested
        self.world.say(record, {name: _value(name, value) for name, value in names if value != "-"})

    def withdraw(self, record: Record, *_: object) -> None:
        """Leave a record out: it stays in the CRM, and is nobody's business."""
        record.declared = False

    def rename(self, record: Record, *_: object) -> None:
        """Give a record another key with `was`, or another name; once an earlier renaming is through."""
        if record.kind not in RENAMED[self.provider]:
            return
        if record.kind in {"opportunity", "note"}:
            record.turn += 1
        elif record.was is None or self.there.named(record):
            record.turn, record.was = 1 - record.turn, record.turn

    def forget(self, record: Record, *_: object) -> None:
        """Drop a `was` that has done its work."""
        if record.was is not None and self.there.named(record):
            record.was = None

    # What others do

    @rule(where=st.integers(0, 30), own=st.booleans(), value=st.sampled_from(["red", "blue", ""]))
    def meddle(self, where: int, own: bool, value: str) -> None:  # noqa: FBT001 - by name
        """Change a record in the CRM: what may be declared, or a field of their own."""
        rows = {place: row for place, row in self.there.table().items() if place[0] in OTHERS[self.vendor]}
        plural, id_ = sorted(rows)[where % len(rows)]
        columns = [*self.world.columns[_kind(plural)].values()]
        column = OTHERS[self.vendor][plural] if own or not columns else columns[where % len(columns)]
        needed = self.vendor == "thena" and column in {"name", "firstName"}
        values: dict[str, Any] = {column: _value(column, value or "red" if needed else value)}
        if "accountIds" in rows[plural, id_] and own:
            # A contact of one more account: links are only ever added to.
            [(_, stranger)] = self.world.named(rows, "accounts", STRANGER)
            values = {"accountIds": sorted({*json.loads(rows[plural, id_]["accountIds"]), stranger})}
        self.others.change(plural, id_, values)

    @rule(where=st.integers(0, 9), value=st.sampled_from(["red", "blue"]))
    def forestall(self, where: int, value: str) -> None:
        """Make a record that is, or might be, declared; or rename one where crmctl can't, as a plan says."""
        record = self.pick(where)
        assert record is not None
        former = [] if record.was is None else self.there.named(record, record.was)
        if former and self.vendor == "octolane" and not self.there.named(record):
            self.others.change("contacts", former[0][1], {"email": record.name()})
        else:
            self.others.make(record, value)

    # What goes wrong

    @rule(faults=FAULT_LISTS, number=st.integers(0, 999))
    def turn(self, faults: Sequence[Fault], number: int) -> None:
        """Let the weather turn, for better or worse."""
        self.there.let_loose([one for one in faults if self.flavour == "lying" or one.fault not in LIES], number)

    @rule(seconds=st.sampled_from([1, 10, 40, 3600]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.there.clock.now += seconds

    # Runs

    @rule(edits=EDITS, ending=ENDING, moves=st.booleans())
    def apply(self, edits: Sequence[Edit], ending: Ending, moves: bool) -> None:  # noqa: FBT001 - by name
        """Plan and apply, to the end or not; what the CRM dedupes as well from a machine that has no journals."""
        self.edit(edits)
        there, (how, number) = self.there, ending
        for journal in (there.folder / "runs").glob("*.jsonl") if moves and self.flavour == "forgetful" else ():
            journal.unlink()
        chosen, cut, room = Settings(), None, None
        if how == "spent":
            chosen = Settings(pace=Pace(there.clock, parallelism=4, max_requests=number))
        elif how in ENDS and not (self.flavour == "lying" and how != "interrupted"):
            cut = Cut(there.weather.chaos, number, how)
        elif how == "disk full" and self.flavour != "lying":
            room = 300 * number
        there.go(self.world.manifest(), chosen, cut=cut, room=room)

    @rule(
        edits=EDITS, where=st.integers(0, 30), value=st.sampled_from(["red", "blue"]), unchanged=st.booleans(),
        makes=st.booleans(),
    )  # fmt: skip
    def apply_late(self, edits: Sequence[Edit], where: int, value: str, unchanged: bool, makes: bool) -> None:  # noqa: FBT001 - by name
        """Others write between plan and apply; what nothing dedupes they don't make at that very moment."""
        self.edit(edits)

        def meanwhile(plan: Plan) -> None:
            record = self.pick(where, tuple(DEDUPED[self.provider]))
            updates = [change for change in plan.changes if change.action == "update"]
            change = updates[where % len(updates)] if updates else None
            column = self.world.columns[change.address.kind].get(change.fields[0].path) if change else None
            if makes and record is not None:
                self.others.make(record, value)
            elif change is not None and change.before is not None and column is not None:
                self.others.change(
                    PLURALS[change.address.kind], str(change.before.remote_id), {column: _value(column, value)}
                )
            else:
                self.meddle(where, own=False, value=value)

        self.there.go(self.world.manifest(), Settings(apply_unchanged=unchanged), meanwhile=meanwhile)

    @rule()
    def save(self) -> None:
        """Write a plan file."""
        with contextlib.suppress(CrmctlError):
            plan = self.there.plan(self.world.manifest())
            text = "".join(json_report.plan(document(plan, redactor())))
            saved = read_plans(text.encode(), "plan.json")
            assert isinstance(saved, Document)
            self.saved = saved

    @precondition(lambda self: self.saved is not None)
    @rule(edits=EDITS, unchanged=st.booleans())
    def apply_saved(self, edits: Sequence[Edit], unchanged: bool) -> None:  # noqa: FBT001 - by name
        """Apply a plan file: whole if it still holds, else what of it still does, or nothing."""
        self.edit(edits)
        saved = self.saved
        assert saved is not None

        def reviewed(plan: Plan) -> Plan | None:
            matched = match(saved, plan, redactor())
            return None if matched.stale and not unchanged else matched.plan

        result = self.there.go(
            self.world.manifest(), Settings(reviewed=True, apply_unchanged=unchanged), reviewed=reviewed
        )
        if result is not None:
            listed = {(entry["kind"], entry["key"]) for entry in saved.entries()}
            sent = [one.change.address for one in result.outcomes if one.change.action != "report"]
            assert {(address.kind, address.key) for address in sent} <= listed

    @rule(edits=EDITS, number=st.integers(2, 3))
    def apply_at_once(self, edits: Sequence[Edit], number: int) -> None:
        """Several machines apply what the CRM dedupes, each with a plan of its own, and without a lock."""
        self.edit(edits)
        there = self.there
        desired = select(read(self.world.manifest()), sorted(DEDUPED[self.provider]), [])
        planned = there.table()
        try:
            plans = [there.plan(desired) for _ in range(number)]
        except CrmctlError:
            return

        async def one(plan: Plan) -> Result:
            self.elsewhere += 1
            session = there.session()
            folder, name = there.folder / "elsewhere", f"run-{self.elsewhere}"
            journal = Journal(folder, name, session.redactor, target="test", clock=there.clock)
            chosen = Settings(pace=Pace(there.clock, parallelism=4))
            with contextlib.closing(journal):
                async with session.connect(read_only=False) as provider:
                    return await apply(plan, provider, journal, chosen, sleep=there.clock.sleep)

        async def together() -> Sequence[Result]:
            return await asyncio.gather(*map(one, plans))

        with there.watched(plans, planned), patch("asyncio.to_thread", at_once):
            for plan, result in zip(plans, asyncio.run(together()), strict=True):
                assert len(plan.changes) + plan.unchanged == sum(result.totals().values())

    def teardown(self) -> None:
        """End the faults: a few more runs, and all is as declared."""
        with self.stack:
            if sys.exc_info()[0] is None:
                self.finish()

    def finish(self) -> None:
        """Hold the end against the model."""
        there, manifest = self.there, self.world.manifest()
        expected, reported = self.world.expect(there.table())
        left = there.calm(manifest)
        assert dict.fromkeys(reported, "report") == left, (reported, left)
        rows = there.table()
        for (plural, name), values in expected.items():
            found = self.world.named(rows, plural, name)
            assert 1 == len(found), (plural, name, found)
            row = rows[found[0]]
            assert {} == {column: value for column, value in values.items() if not same(row[column], value)}, (
                name,
                row,
            )
        for record in self.world.current():
            if found := self.world.named(rows, record.plural, record.name()):
                row = rows[found[0]]
                assert self.world.links(record, rows) <= {*json.loads(row.get("accountIds", "[]"))}


def _kind(plural: str) -> str:
    return {"accounts": "account", "contacts": "contact", "opportunities": "opportunity", "notes": "note"}[plural]


def _value(name: str, value: str | None) -> Any:
    """Return a value as a field takes it."""
    return {None: None, "": None, "red": 1, "green": 2, "blue": 3}[value] if name == "deal_size" else value


class OnOctolane(Machine):
    """Octolane's gateway."""

    provider = "octolane"


class OnInbound(Machine):
    """Octolane's Inbound API, which updates nothing."""

    provider = "octolane_inbound"


class OnThena(Machine):
    """Thena."""

    provider = "thena"


@pytest.mark.parametrize("machine", [OnOctolane, OnInbound, OnThena])
def test_whatever_happens_the_crm_ends_as_declared(machine: type[Machine]) -> None:
    """Nothing is lost, nothing is there twice, nobody else's record is harmed, and the report is true."""
    limits = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(seed(SEED)(machine), settings=limits)
