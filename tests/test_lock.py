"""A lock per target: one writing run at a time, whoever has died in between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness import Clock, Crm, actions, crm, read, redactor, statuses
from project import Project

from crmctl.apply import Settings, apply
from crmctl.errors import CrmctlError, Locked, UsageError
from crmctl.journal import Journal
from crmctl.lock import HELD, SKEW, Holder, SharedClaim, TargetLock, myself, open_lock
from crmctl.outcome import Result
from crmctl.place import Place
from crmctl.reconcile import Loaded, make_plan

ELSEWHERE = Holder("other.example", 7, 1_800_000_000.0, "another machine", "run-1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared(tmp_path: Path) -> str:
    return (tmp_path / "shared" / "lock").as_uri()


@pytest.fixture
def opened() -> Iterator[list[SharedClaim]]:
    """Claims whose threads are ended with the test."""
    claims: list[SharedClaim] = []
    yield claims
    for claim in claims:
        claim.release()


def passing(clock: Clock) -> Callable[[float], None]:
    """Return what waits without any time passing but the clock's."""

    def wait(seconds: float) -> None:
        clock.slept.append(seconds)
        clock.now += seconds

    return wait


def claim(url: str, clock: Clock, opened: list[SharedClaim]) -> SharedClaim:
    opened.append(SharedClaim(url, clock))
    return opened[-1]


def test_of_two_runs_in_a_folder_one_waits(tmp_path: Path, clock: Clock) -> None:
    """And gives up when its time is over, naming who is at work; then the next one can have it."""
    first, second = (open_lock("t", tmp_path, None) for _ in range(2))
    first.take(0)
    first.tell_run("run-1")
    heard: list[str] = []
    with pytest.raises(Locked, match=rf"target t is locked by process {os.getpid()} on .+, run run-1, since 20"):
        second.take(5, clock=clock, sleep=passing(clock), waiting=heard.append)
    assert 1 == len(heard)
    assert pytest.approx(5) == sum(clock.slept)
    first.release()
    second.take(0)
    second.check()
    second.release()


def test_targets_are_locked_apart(tmp_path: Path) -> None:
    """Names are no paths."""
    locks = [open_lock(name, tmp_path, None) for name in ("a", "b", "../a/b")]
    for lock in locks:
        lock.take(0)
    assert ["..%2Fa%2Fb.lock", "a.lock", "b.lock"] == sorted(
        p.name for p in (tmp_path / ".crmctl/locks").glob("*.lock")
    )
    for lock in locks:
        lock.release()
    assert [] == list((tmp_path / ".crmctl/locks").glob("*.json"))


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The system lets go of its lock."""
    program = (
        "import sys, time; from pathlib import Path; from crmctl.lock import open_lock\n"
        "lock = open_lock('t', Path(sys.argv[1]), None); lock.take(0); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert b"held\n" == holder.stdout.readline()
        lock = open_lock("t", tmp_path, None)
        with pytest.raises(Locked, match=f"process {holder.pid} on"):
            lock.take(0)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lock.take(0)
        lock.release()


def test_no_link_leads_a_lock_out_of_the_tree(tmp_path: Path) -> None:
    """Nor is one written through."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".crmctl").symlink_to(tmp_path / "outside")
    with pytest.raises(CrmctlError, match="leads out of the configuration's folder"):
        open_lock("t", tree, None)


def test_a_lock_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """As a matter of the folder, and no bug."""
    (tmp_path / ".crmctl").write_text("a file")
    with pytest.raises(CrmctlError, match="no lock can be taken"):
        open_lock("t", tmp_path, None)
    (tmp_path / ".crmctl").unlink()
    lock = open_lock("t", tmp_path, None)
    (tmp_path / ".crmctl/locks/t.lock").mkdir()
    with pytest.raises(CrmctlError, match="no lock can be taken"):
        lock.take(0)


def test_a_holder_that_has_not_said_who_it_is_is_still_one(tmp_path: Path) -> None:
    """What it says is for people."""
    first, second = (open_lock("t", tmp_path, None) for _ in range(2))
    first.take(0)
    for text in ("{", '{"host": 1}', ""):
        (tmp_path / ".crmctl/locks/t.json").write_text(text)
        with pytest.raises(Locked, match="an unknown host"):
            second.take(0)
    first.release()


def test_at_a_url_one_holds_it(shared: str, clock: Clock, opened: list[SharedClaim]) -> None:
    """Others see who, and have it when it is let go of; one object stays."""
    first, second = claim(shared, clock, opened), claim(shared, clock, opened)
    assert first.take(ELSEWHERE) is None
    first.tell(ELSEWHERE._replace(run="run-2"))
    assert ELSEWHERE._replace(run="run-2", expires=clock() + HELD) == second.take(myself(clock))
    first.release()
    assert second.take(myself(clock)) is None
    second.check()
    assert ["000000000002"] == Place(shared, "lock").names()


@pytest.mark.parametrize(("seconds", "free"), [(HELD + SKEW - 1, False), (HELD + SKEW + 1, True)])
def test_a_holder_that_is_not_heard_of_is_dead(
    shared: str,
    clock: Clock,
    opened: list[SharedClaim],
    seconds: float,
    free: bool,  # noqa: FBT001 - a table
) -> None:
    """After the time it has given itself, and a minute for clocks that differ; not before."""
    first, second = claim(shared, clock, opened), claim(shared, clock, opened)
    first.take(ELSEWHERE)
    clock.now += seconds
    assert free == (second.take(myself(clock)) is None)
    with pytest.raises(Locked, match="nothing more is sent"):
        first.check()
    first.beat()
    if free:
        with pytest.raises(Locked, match="another run has taken it"):
            first.check()
        first.release()
        second.check()
    else:
        first.check()  # nobody came: it holds on


def test_a_dead_process_on_this_machine_is_known_at_once(shared: str, clock: Clock, opened: list[SharedClaim]) -> None:
    """A living one is waited for, and so is one of a machine that nothing is known of."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    for holder, free in ((myself(clock)._replace(pid=gone.pid), True), (myself(clock), False), (ELSEWHERE, False)):
        first, second = claim(f"{shared}{holder.pid}", clock, opened), claim(f"{shared}{holder.pid}", clock, opened)
        assert first.take(holder) is None
        assert free == (second.take(myself(clock)) is None)


def test_a_lock_that_was_only_half_written_expires(shared: str, clock: Clock, opened: list[SharedClaim]) -> None:
    """Whoever began to write it may be about to hold it, or be dead."""
    Place(shared, "lock").create("000000000001", '{"host')
    clock.now = time.time()
    assert claim(shared, clock, opened).take(myself(clock)) is not None
    clock.now += HELD + SKEW + 60
    assert claim(shared, clock, opened).take(myself(clock)) is None


def test_of_those_who_find_a_dead_one_one_takes_over(
    shared: str, clock: Clock, opened: list[SharedClaim], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow another is: what it had seen before counts for nothing."""
    claim(shared, clock, opened).take(ELSEWHERE)
    clock.now += HELD + SKEW + 1
    seen = Place(shared, "lock").names()
    quick, slow = claim(shared, clock, opened), claim(shared, clock, opened)
    assert quick.take(ELSEWHERE) is None
    answers = iter([seen])
    names = slow.place.names
    monkeypatch.setattr(slow.place, "names", lambda: next(answers, None) or names())
    assert ELSEWHERE.host == getattr(slow.take(myself(clock)), "host", None)
    # And were it slower than two others, its number would be free again.
    quick.release()
    third = claim(shared, clock, opened)
    assert third.take(ELSEWHERE) is None
    answers = iter([seen])
    assert ELSEWHERE.host == getattr(slow.take(myself(clock)), "host", None)
    third.beat()
    third.check()
    assert ["000000000003"] == Place(shared, "lock").names()


def test_a_store_that_creates_again_what_is_there_locks_nothing(
    shared: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is found out, and said, before anything is sent."""
    careless = SharedClaim(shared, clock)
    monkeypatch.setattr(careless.place, "create", lambda *_: True)
    with pytest.raises(UsageError, match="creates an object again that is there"):
        careless.take(myself(clock))


def test_who_waits_in_vain_at_the_url_lets_go_of_the_folder(
    tmp_path: Path, shared: str, clock: Clock, opened: list[SharedClaim]
) -> None:
    """Both are needed, and nobody keeps one without the other."""
    other = claim(shared, Clock(time.time()), opened)
    other.take(ELSEWHERE)
    with pytest.raises(Locked, match=r"other\.example, run run-1"):
        open_lock("t", tmp_path, shared).take(1, clock=clock, sleep=passing(clock))
    free = open_lock("t", tmp_path, None)
    free.take(0)
    free.release()


def test_a_thread_says_that_it_is_held(shared: str, opened: list[SharedClaim]) -> None:
    """Again and again, until it is let go of."""
    opened.append(SharedClaim(shared, held=0.03))
    opened[0].take(ELSEWHERE)
    before = Place(shared, "lock").read("000000000001")
    while Place(shared, "lock").read("000000000001") in {before, ""}:
        assert opened[0].name
    opened[0].release()
    opened[0].release()
    assert opened[0]._keeper is not None
    opened[0]._keeper.join()
    opened[0].beat()
    assert '"released": true' in str(Place(shared, "lock").read("000000000001"))


def test_an_error_while_waiting_leaves_nothing_locked(tmp_path: Path) -> None:
    """Such as ^C."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    class Busy:
        def take(self, me: Holder) -> Holder:
            return me

        def tell(self, me: Holder) -> None: ...

        def check(self) -> None: ...

        def release(self) -> None: ...

    inner = open_lock("t", tmp_path, None)
    with pytest.raises(KeyboardInterrupt):
        TargetLock("t", [*inner.claims, Busy()], myself()).take(1, sleep=interrupt)
    inner.take(0)
    inner.release()


def test_whoever_has_lost_the_lock_sends_nothing_more() -> None:
    """The run stops before its next request, and that is exit 8; what was done has its outcome."""
    manifest = "accounts: [{domain: a.example, contacts: [{email: jane@a.example}]}]"
    answers = iter([False, True])

    def check() -> None:
        if next(answers):
            raise Locked("lost")

    async def carry_out(there: Crm) -> Result:
        plan = await make_plan(there.session(), Loaded(read(manifest), {}), lambda _: None, partial=False)
        session = there.session()
        journal = Journal(session.folder, "run-1", redactor(), target="test", guard=check)
        with closing(journal):
            async with session.connect(read_only=False) as provider:
                return await apply(plan, provider, journal, Settings(), sleep=there.clock.sleep)

    with crm() as there:
        result = asyncio.run(carry_out(there))
        assert {"account/a.example": "created", "contact/jane@a.example": "skipped"} == statuses(result)
        assert [0, 8] == result.exit_codes()
        assert ["create"] == list(actions(there.plan(manifest)).values())


LOCKED = """
version: 1
default_target: sandbox
targets:
  sandbox: {{provider: octolane, sandbox: .crmctl/sandbox.db, lock: "{}"}}
  other: {{provider: octolane, sandbox: .crmctl/other.db}}
"""


def test_an_apply_beside_another_is_exit_8(project: Project) -> None:
    """Before anything is read; what doesn't write goes on."""
    lock = open_lock("sandbox", Path(), None)
    lock.take(0)
    lock.tell_run("run-1")
    for verb in (["apply", "--auto-approve"], ["runs", "prune", "--keep", "1"]):
        code, shown, said = project(*verb)
        assert (8, "") == (code, shown)
        assert ", run run-1, since" in said
        assert "nothing was sent; wait for it with --lock-timeout SECONDS" in said
    assert 0 == project("plan")[0]
    assert 0 == project("runs")[0]
    lock.release()
    assert 0 == project("apply", "--auto-approve", "--lock-timeout", "1")[0]


def test_a_locked_target_is_reported_in_every_format(project: Project) -> None:
    """Like a plan that goes beyond a limit, and like one target among several."""
    lock = open_lock("sandbox", Path(), None)
    lock.take(0)
    code, shown, _ = project("apply", "--auto-approve", "-o", "json", "-o", "markdown=run.md")
    [failure] = json.loads(shown)["failed"]
    assert (8, "sandbox", 8) == (code, failure["target"], failure["exit_code"])
    assert "is locked by process" in failure["error"]
    assert "**Not applied:** target sandbox is locked by process" in Path("run.md").read_text()
    lock.release()


def test_of_several_targets_those_that_are_free_go_on(project: Project, tmp_path: Path) -> None:
    """The locked one has failed with the code that it would have alone."""
    Path("crmctl.yaml").write_text(LOCKED.format("file:///nowhere"))
    lock = open_lock("other", Path(), None)
    lock.take(0)
    code, shown, said = project("apply", "--auto-approve", "--all-targets")
    assert (64, True) == (code, "file:///nowhere is not allowed" in said)
    Path("crmctl.yaml").write_text(LOCKED.format(tmp_path.as_uri()).replace(f', lock: "{tmp_path.as_uri()}"', ""))
    code, shown, said = project("apply", "--auto-approve", "--all-targets")
    assert (8, True) == (code, "Applied: 2 created" in shown)
    assert "other: target other is locked by process" in said
    lock.release()


def test_targets_may_share_a_lock(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names for one organisation: one command holds it for both, another can have neither."""
    url = (tmp_path / "locks").as_uri()
    monkeypatch.setenv("CRMCTL_ALLOW_LOCKS", url)
    Path("crmctl.yaml").write_text(LOCKED.format(url).replace("other.db", f'other.db, lock: "{url}"'))
    prune = ("runs", "prune", "--keep", "1", "--all-targets")
    assert 0 == project(*prune)[0]
    other = SharedClaim(url)
    other.take(ELSEWHERE._replace(since=time.time()))
    code, _, said = project(*prune)
    assert (8, 2) == (code, said.count("is locked by process 7 on other.example, run run-1"))
    other.release()


def test_a_lock_at_a_url_has_to_be_allowed(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration comes from pull requests."""
    url = (tmp_path / "locks").as_uri()
    Path("crmctl.yaml").write_text(LOCKED.format(url))
    code, _, said = project("apply", "--auto-approve")
    assert (64, True) == (code, "list it, or what it begins with, in CRMCTL_ALLOW_LOCKS" in said)
    monkeypatch.setenv("CRMCTL_ALLOW_LOCKS", tmp_path.as_uri())
    assert 0 == project("apply", "--auto-approve")[0]
    assert 0 == project("apply", "--auto-approve")[0]
    assert ["000000000002"] == Place(url, "lock").names()
