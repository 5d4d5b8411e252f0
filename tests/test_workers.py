"""Work that is shared out: results, exceptions and their order are those of a plain loop, whatever happens."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from mmap import mmap
from multiprocessing import active_children
from pathlib import Path

import pytest

from crmctl import manifest, schema, workers
from crmctl.workers import work_off

HERE = os.getpid()
TREE = {
    "a.yaml": "accounts: [{domain: a.example, contacts: [&jane {email: jane@a.example}]}]\ncontacts: [*jane]\n",
    "b.yaml": "defaults: {contact: {seniority: lead}}\n---\ncontacts:\n  - email: 'j@b.example'\n    phone: 030\n",
    "c.yaml": "contacts: [{email: x}, {email: 1, email: 2}]\n",
    "d.yaml": "contacts: [\n",
    "e.yaml": "\ufeffcontacts: []\n",
}


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every machine seem to have three cores."""
    monkeypatch.setattr(workers, "usable_cores", lambda: 3)


class Meeting:
    """So many jobs that all are under way at once, each in a process of its own."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.there = mmap(-1, size)  # memory that all processes share

    def come(self, number: int) -> None:
        """Wait for the others, if this job is one of them."""
        if number < self.size:
            self.there[number] = 1
            deadline = time.monotonic() + 60
            while sum(self.there[:]) < self.size:
                assert time.monotonic() < deadline, "the others never came"
                time.sleep(0.001)


def square_where(number: int, meeting: Meeting | None = None) -> tuple[int, int]:
    if meeting is not None:
        meeting.come(number)
    return number * number, os.getpid()


def much_where(number: int, meeting: Meeting) -> tuple[int, int, bytes]:
    """Return more than fits into a pipe, so that the process has to wait until it is taken."""
    meeting.come(number)
    return number, os.getpid(), bytes(workers.PIPE_BYTES)


def die_elsewhere(number: int) -> int:
    """Kill the process, if it is a worker, at the fifth job."""
    if number == 4 and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail_at(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(number)
    return number


def test_results_come_in_order_from_as_many_processes_as_there_are_cores() -> None:
    """Job after job, whichever process has done it; this one is one of them."""
    meeting = Meeting(3)
    before = [*Path("/proc/self/fd").iterdir()]
    results = list(work_off([partial(square_where, number, meeting) for number in range(20)], 8))
    assert len(before) == len([*Path("/proc/self/fd").iterdir()])
    assert [number * number for number in range(20)] == [square for square, _ in results]
    processes = {process for _, process in results}
    assert 3 == len(processes)
    assert HERE in processes
    assert [] == active_children()


@pytest.mark.parametrize(("most", "cores", "jobs"), [(1, 3, 5), (4, 1, 5), (4, 3, 1)])
def test_one_process_needs_no_other(monkeypatch: pytest.MonkeyPatch, most: int, cores: int, jobs: int) -> None:
    """Nothing is started where there is nothing to share, nobody to share with, or no wish to."""
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    assert [(0, HERE)] * jobs == list(work_off([partial(square_where, 0)] * jobs, most))


def test_each_job_is_done_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However many there are, and however little each is: more than the queue holds, too."""
    monkeypatch.setattr(workers, "usable_cores", lambda: 8)
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    jobs = [partial(os.write, log, b"%d\n" % number) for number in range(20_000)]
    list(work_off(jobs, 8))
    os.close(log)
    done = (tmp_path / "log").read_text().split()
    assert list(range(20_000)) == sorted(map(int, done))


def test_a_killed_process_changes_nothing() -> None:
    """What it has not handed back is done here."""
    assert list(range(20)) == list(work_off([partial(die_elsewhere, number) for number in range(20)], 3))
    assert [] == active_children()


@pytest.mark.parametrize("started", [0, 1])
def test_a_process_that_can_not_be_started_changes_nothing(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    """A machine may have too many processes already: those that there are do the work."""
    fork, left = os.fork, [None] * started

    def refuse() -> int:
        if not left:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        left.pop()
        return fork()

    monkeypatch.setattr("os.fork", refuse)
    results = list(work_off([partial(square_where, number) for number in range(20)], 3))
    assert [number * number for number in range(20)] == [square for square, _ in results]
    assert not left
    assert [] == active_children()


def test_a_queue_that_can_not_be_made_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have too many open files: then all is done here."""

    def refuse() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.pipe", refuse)
    assert [(0, HERE)] * 5 == list(work_off([partial(square_where, 0)] * 5, 3))


@pytest.mark.parametrize("bad", [0, 7])
def test_an_exception_is_raised_in_its_turn(capfd: pytest.CaptureFixture[str], bad: int) -> None:
    """It is raised here, after the results before it; the process it came up in says nothing."""
    results: list[int] = []
    with pytest.raises(ValueError, match=str(bad)):
        results.extend(work_off([partial(fail_at, number, bad) for number in range(10)], 3))
    assert [] == active_children()
    assert ("", "") == capfd.readouterr()


def test_what_can_not_be_handed_over_is_done_here() -> None:
    """A result that can't be packed is no error either."""
    made: list[Callable[[], int]] = list(work_off([partial(lambda number: lambda: number, n) for n in range(3)], 3))
    assert [0, 1, 2] == [function() for function in made]


def test_nothing_is_left_behind_when_nobody_wants_the_rest() -> None:
    """Processes end with the loop that asked, also when it is left early; interrupts are not their business."""
    meeting = Meeting(3)
    results = work_off([partial(much_where, number, meeting) for number in range(100)], 3)
    first = [next(results)[:2] for _ in range(3)]
    for process in {process for _, process in first} - {HERE}:
        os.kill(process, signal.SIGINT)
    assert [0, 1, 2, 3, 4, 5] == [*(number for number, _ in first), *(next(results)[0] for _ in range(3))]
    results.close()  # type: ignore[attr-defined]
    assert [] == active_children()


def test_a_shared_tree_reads_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Values, places, diagnostics and digests are those of one process; aliases still stand for one thing."""
    for name, text in TREE.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def read() -> list[object]:
        files = list(manifest.read(["."], tmp_path, schema.shape(), max_bytes=1000))
        roots = [document.root for file in files for document in file.documents if document.root is not None]
        jane = roots[0]["contacts"][0]
        assert jane is roots[0]["accounts"][0]["contacts"][0]
        places = [str(root["contacts"].source_of(0)) for root in roots if root.get("contacts")]
        return [files, places, [str(found.source) for root in roots for found in schema.check("manifest", root)]]

    alone = read()
    monkeypatch.setattr(manifest, "WORTH_SHARING", 0)
    shared = read()
    assert alone == shared
