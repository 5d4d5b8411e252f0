"""A storm in which each run is watched: what it has changed is held against the model of tests/world.py.

And the ways in which a run is over before it is through.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from chaos import NAMES, PLURALS, Storm
from crashing import Crash
from world import Place, Record, Row, World, same

from crmctl.apply import Settings
from crmctl.desired import Desired
from crmctl.diff import Change
from crmctl.errors import CrmctlError
from crmctl.outcome import Result
from crmctl.pace import Pace
from crmctl.plan import Plan
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.faults import Interfere, Interference, Process, Refuse

ENDS = ("killed before", "killed after", "interrupted")
"""How a run may be over at one of its requests: the process is gone before or after it, or told to end."""


class Cut:
    """Weather in which one request is the last of a run, as one of `ENDS` says."""

    def __init__(self, weather: Interfere | None, left: int, end: str) -> None:
        self.weather = weather
        self.left = left
        self.end = end
        self.stop: Callable[[], object] = lambda: None

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        self.left -= 1
        if self.end == "interrupted" and self.left == 0:
            self.stop()
        elif self.end != "interrupted" and (self.left < 0 or (self.left == 0 and self.end == "killed before")):
            raise Crash
        elif self.end == "killed after" and self.left == 0:
            return Interference("after", twist=_die)
        return self.weather(method, path, nth) if self.weather is not None else None


def _die(request: Request, process: Process, _refuse: Refuse) -> Answer:
    process(request)
    raise Crash


class Watched(Storm):
    """A storm in which what each run changes is held against the model; `world` says what is declared."""

    world: World

    def __init__(self, folder: Path, provider: str, **others: Any) -> None:
        super().__init__(folder, provider, used=False, **others)
        # One example, one story: the same ids each time, and nobody waits for the disk while others go on.
        chance = random.Random(0)  # noqa: S311 - repeatable, and nobody's secret
        self.make_id = lambda: UUID(int=chance.getrandbits(128), version=4)
        self.sandbox._store._make_id = self.make_id
        self.ours: dict[tuple[str, int], set[str]] = defaultdict(set)

    def table(self) -> dict[Place, Row]:
        """Return all records there are, without their times."""
        found: dict[Place, Row] = {}
        for plural in NAMES[self.vendor]:
            names = [column[1] for column in self.rows(f"PRAGMA table_info({self.vendor}_{plural})")]
            for values in self.rows(f"SELECT * FROM {self.vendor}_{plural}"):  # noqa: S608 - ours
                row = dict(zip(names, values, strict=True))
                found[plural, row["id"]] = {name: row[name] for name in row if name not in {"created_at", "updated_at"}}
        return found

    def named(self, record: Record, turn: int | None = None) -> list[Place]:
        """Return where the records of a name are."""
        return self.world.named(self.table(), record.plural, record.name(turn))

    def attempt(self, manifest: str | Desired) -> Result | None:
        """Plan, apply, and see what that has changed; None if it did not come to writing."""
        return self.go(manifest, Settings())

    def go(
        self,
        manifest: str | Desired,
        chosen: Settings,
        *,
        meanwhile: Callable[[Plan], object] = lambda _: None,
        cut: Cut | None = None,
        room: int | None = None,
        reviewed: Callable[[Plan], Plan | None] = lambda plan: plan,
    ) -> Result | None:
        """Plan and apply, with what happens between the two; `cut` ends the run, `room` the disk."""
        planned = self.table()
        chosen = chosen._replace(pace=chosen.pace or Pace(self.clock, parallelism=4))
        try:
            plan = reviewed(self.plan(manifest))
        except CrmctlError:
            return None
        if plan is None:
            return None
        meanwhile(plan)
        with self.watched([plan], planned) as before:
            written = len(self.writes())
            result = self.carry(plan, chosen, cut, room)
            if result is not None and room is None:
                self.compare(plan, result, self.writes()[written:])
        if result is not None:
            self.check_report(result, before, self.table())
        return result

    def check_report(self, result: Result, before: Mapping[Place, Row], after: Mapping[Place, Row]) -> None:
        """See that what is called done reads so, and that what is not done is as it was."""
        for change, status, remote_id, *_ in result.outcomes:
            kind = change.address.kind
            if status in {"created", "updated", "existed"}:
                row = after[PLURALS[kind], str(remote_id)]
                wanted = self.world.wanted(self.declared(change)).items()
                assert all(same(row[column], value) for column, (value, policy) in wanted if policy == "overwrite")
            elif change.before is not None and (status == "skipped" or (status == "failed" and remote_id is None)):
                place = PLURALS[kind], str(change.before.remote_id)
                assert before[place] == after[place], (change, status)

    def declared(self, change: Change) -> Record:
        """Return the record that a change is about."""
        of_kind = [one for one in self.world.current() if one.kind == change.address.kind]
        return next(one for one in of_kind if one.name() in map(str, change.after.fields.values()))

    def carry(self, plan: Plan, chosen: Settings, cut: Cut | None, room: int | None) -> Result | None:
        """Apply a plan; None where the process was gone before it could tell."""

        async def run() -> Result:
            task = asyncio.current_task()
            if cut is not None and task is not None:
                cut.stop = task.cancel
            return await self.carry_out(plan, chosen, journal_room=room)

        weather, self.weather.chaos = self.weather.chaos, self.weather.chaos if cut is None else cut
        try:
            with patch("asyncio.to_thread", at_once):
                return asyncio.run(run())
        except CrmctlError:
            if room is None:
                raise
            return None  # even the last line has no room
        except BaseExceptionGroup as group:
            # Asyncio hands on what happened in a task of a group in a group.
            if group.subgroup(Crash) is None:
                raise
            return None
        except (Crash, asyncio.CancelledError):
            # All may be done already when a run is told to end.
            if cut is None:
                raise
            return None
        finally:
            self.weather.chaos = weather

    @contextlib.contextmanager
    def watched(self, plans: Sequence[Plan], planned: Mapping[Place, Row]) -> Iterator[Mapping[Place, Row]]:
        """Hold what is changed meanwhile against what is declared; hands over what was there before."""
        before = self.table()
        yield before
        after = self.table()
        created = {str(one.address) for plan in plans for one in plan.changes if one.action == "create"}
        self.world.check_step(planned, before, after, created)
        for place in after.keys() - before.keys():
            for record in self.world.records:
                if place[0] == record.plural and record.name() == self.world.name(place, after[place]):
                    self.ours[place[0], record.number].add(place[1])
        assert {} == {record: ids for record, ids in self.ours.items() if len(ids) > 1}
        names = [(place[0], self.world.name(place, row)) for place, row in after.items()]
        assert len(names) == len({*names})

    def seek(self, change: Change) -> tuple[bool, str | None]:
        """Look for a record as a person does, who knows it under the name that it had before, too."""
        there, _ = super().seek(change)
        record = self.declared(change)
        found = self.ours[record.plural, record.number]
        assert there <= bool(found)
        return bool(found), min(found) if found and not there else None


async def at_once(job: Callable[..., object], *given: object) -> None:
    """Do what a thread would do, without one: which of two comes first is then no matter of chance."""
    job(*given)
    await asyncio.sleep(0)
