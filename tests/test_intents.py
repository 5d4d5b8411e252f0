"""Intents: durable before a request leaves, several by one fsync, and ahead of their turn where that does no harm."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from harness import crm, redactor

from crmctl.apply import Settings
from crmctl.errors import CrmctlError
from crmctl.journal import Journal
from crmctl.mirror import Mirror
from crmctl.providers import Options
from crmctl.resource import Address, Resource
from crmctl.sandbox.faults import Interference

A, B, C, D = (Address("account", f"{letter}.example") for letter in "abcd")
NOTES = [Resource(Address("note", f"a.example/{number}"), {"text": f"Hello {number}"}) for number in range(3)]
PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Disk:
    """Finishes an fsync once it is let; `seen` has how many lines there were when each began, `fails` which do."""

    def __init__(self, path: Path, fails: int = 0) -> None:
        self.path = path
        self.fails = fails
        self.seen: list[int] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def __call__(self, _: int) -> None:
        self.seen.append(len(read(self.path)))
        self.begun.release()
        self.gate.acquire(timeout=5)  # or a test that fails would have no end
        if len(self.seen) == self.fails:
            raise OSError(5, "Input/output error")

    async def begins(self) -> None:
        """Wait until the next fsync has begun."""
        await asyncio.to_thread(self.begun.acquire, timeout=5)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "runs", "1", redactor())) as journal:
        yield journal


def slow(journal: Journal, monkeypatch: pytest.MonkeyPatch, fails: int = 0) -> Disk:
    """Let the journal be on a disk that waits to be let."""
    disk = Disk(journal.path, fails)
    monkeypatch.setattr("os.fsync", disk)
    return disk


async def begin(journal: Journal, disk: Disk) -> list[asyncio.Task[None]]:
    """Begin four intents: the first has the disk, the others wait for it."""
    first = asyncio.create_task(journal.intend("create", [A]))
    await disk.begins()
    rest = [asyncio.create_task(journal.intend("create", [address])) for address in (B, C, D)]
    await asyncio.sleep(0)
    assert 4 == len(read(journal.path))
    return [first, *rest]


def test_intents_that_wait_for_the_disk_share_the_next_fsync(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that is under way: that has begun before they were written."""
    disk = slow(journal, monkeypatch)

    async def work() -> None:
        tasks = await begin(journal, disk)
        disk.gate.release()
        await disk.begins()
        await tasks[0]
        assert not any(task.done() for task in tasks[1:])
        disk.gate.release()
        await asyncio.gather(*tasks)

    asyncio.run(work())
    assert [1, 4] == disk.seen


@pytest.mark.parametrize(("fails", "refused"), [(1, 4), (2, 3)])
def test_an_fsync_that_fails_refuses_all_that_wait(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, fails: int, refused: int
) -> None:
    """Those that shared it, and those that came after it: a disk tells of lost data once."""
    disk = slow(journal, monkeypatch, fails)

    async def work() -> list[object]:
        tasks = await begin(journal, disk)
        disk.gate.release(2)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    came = asyncio.run(work())
    assert [None] * (4 - refused) + [CrmctlError] * refused == [one if one is None else type(one) for one in came]


def test_who_stops_waiting_stops_no_other(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the one that began an fsync, nor the one that would have begun the next.

    The former waits until its line is there: what it notes next of the same record is to come after it.
    """
    disk = slow(journal, monkeypatch)

    async def work() -> list[object]:
        tasks = await begin(journal, disk)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks[1:2])
        assert not tasks[0].done()
        assert [1] == disk.seen  # the next one still waits for the first
        disk.gate.release(2)
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    came = asyncio.run(work())
    assert [asyncio.CancelledError, asyncio.CancelledError] == [type(one) for one in came[:2]]
    assert [None, None] == came[2:]
    assert [1, 4] == disk.seen


async def note_all(journal: Journal, disk: Disk) -> list[object]:
    """Intend three notes that no CRM tells apart, the last two while the first has the disk."""
    intents = [journal.intend("create", [note.address], {note.address: note}) for note in NOTES]
    first = asyncio.create_task(intents[0])
    await disk.begins()
    tasks = [first, *map(asyncio.create_task, intents[1:])]
    await asyncio.sleep(0)
    disk.gate.release(2)
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def test_lines_that_wait_together_are_mirrored_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are at the URL before any of their requests may leave."""
    mirror = Mirror((tmp_path / "there").as_uri())
    with closing(Journal(tmp_path / "runs", "1", redactor(), mirror=mirror)) as journal:
        assert [None] * 3 == asyncio.run(note_all(journal, slow(journal, monkeypatch)))
    objects = sorted((tmp_path / "there" / "1").iterdir())
    assert [1, 2] == [len(read(path)) for path in objects]
    told = [record[0] for path in objects for entry in read(path) for record in entry["records"]]
    assert told == [journal.name(note.address) for note in NOTES]


def test_a_mirror_that_fails_refuses_all_that_it_was_to_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told."""
    (tmp_path / "there").write_text("a file")
    mirror = Mirror((tmp_path / "there").as_uri())
    with closing(Journal(tmp_path / "runs", "1", redactor(), mirror=mirror)) as journal:
        came = asyncio.run(note_all(journal, slow(journal, monkeypatch)))
    assert [CrmctlError] * 3 == list(map(type, came))


def test_what_was_intended_ahead_is_noted_once(journal: Journal) -> None:
    """Sent again, it is noted again; and so is what has had an outcome instead of being sent."""

    async def work() -> None:
        await journal.intend("create", [A, B], ahead=True)
        await journal.intend("create", [A])
        await journal.intend("create", [A])
        journal.note([(B, "skipped", None)])
        await journal.intend("create", [B])

    asyncio.run(work())
    assert [2, 1, 1] == [len(entry["records"]) for entry in read(journal.path) if entry["event"] == "intent"]


def test_what_was_intended_ahead_is_asked_for_again(tmp_path: Path) -> None:
    """A lock may be lost meanwhile."""
    lost: list[str] = []

    def guard() -> None:
        if lost:
            raise CrmctlError("the lock is lost")

    with closing(Journal(tmp_path / "runs", "1", redactor(), guard=guard)) as journal:
        asyncio.run(journal.intend("create", [A], ahead=True))
        lost.append("lock")
        with pytest.raises(CrmctlError, match="the lock is lost"):
            asyncio.run(journal.intend("create", [A]))


def test_what_was_intended_ahead_is_not_sent_once_the_journal_fails(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes of it could not be noted."""
    asyncio.run(journal.intend("create", [A], ahead=True))
    disk = slow(journal, monkeypatch, fails=1)
    disk.gate.release()
    for address in (B, A):
        with pytest.raises(CrmctlError, match="the journal can't be written"):
            asyncio.run(journal.intend("create", [address]))


def accounts(count: int) -> str:
    return "accounts:\n" + "\n".join(f"  - {{domain: c{n:03}.example, name: C}}" for n in range(count))


def deals(count: int) -> str:
    items = ", ".join(f"{{name: Deal {n:03}, pipeline: sales}}" for n in range(count))
    return f"accounts: [{{domain: a.example, opportunities: [{items}]}}]"


def count_intents(manifest: str, path: str, parallelism: int) -> list[int]:
    """Apply 300 records or more in batches; returns how many of their intents were noted when each create arrived."""
    noted: list[int] = []

    def interfere(method: str, asked: str, nth: int) -> Interference | None:
        del nth
        if (method, asked) == ("POST", path):
            entries = read(there.folder / "runs" / "run-0001.jsonl")
            noted.append(sum(entry["event"] == "intent" and len(entry["records"]) > 1 for entry in entries))
        return None

    with crm(interfere=interfere, options=Options(pipelines={"sales": PIPELINE}), journal=True) as there:
        result = there.apply(manifest, settings=Settings(parallelism=parallelism))
        assert len(result.outcomes) == result.count("created")
    return noted


def test_the_next_batch_is_intended_while_others_are_on_their_way() -> None:
    """So that it need not wait for the disk; every batch once."""
    noted = count_intents(accounts(500), "/v1/accounts/bulk", 2)
    assert 3 == noted[0]
    assert 5 == noted[-1] == len(noted)


def test_at_parallelism_1_nothing_is_intended_ahead() -> None:
    """There everything happens in the order of the plan."""
    assert [1, 2, 3, 4, 5] == count_intents(accounts(500), "/v1/accounts/bulk", 1)


def test_what_may_be_there_twice_is_not_intended_ahead() -> None:
    """An intent that a killed run has left open would be a question about a record that was never sent."""
    noted = count_intents(deals(500), "/v1/opportunities/bulk", 2)
    assert noted[0] <= 2
    assert 5 == noted[-1] == len(noted)


@pytest.mark.parametrize("room", [48_000, 52_000, 56_000, 60_000])
def test_a_disk_that_fills_up_ahead_stops_the_run_with_true_outcomes(room: int) -> None:
    """Whichever batch it is: what was created is there, and nothing else."""
    with crm() as there:
        plan = there.plan(accounts(1000))
        result = asyncio.run(there.carry_out(plan, Settings(parallelism=3), journal_room=room))
        assert isinstance(result.stopped, CrmctlError)
        assert 1000 == sum(result.count(status) for status in ("created", "unknown", "skipped"))
        assert 0 < result.count("skipped")
        found = there.request("POST", "/v1/accounts/search", {"limit": 500})["data"]["accounts"]
        sent = {outcome.change.address.key for outcome in result.outcomes if outcome.status != "skipped"}
        assert {account["domain"] for account in found} <= sent
