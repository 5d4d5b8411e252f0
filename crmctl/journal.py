"""The append-only record of attempts: what was about to be sent, and what became of it.

One JSON object a line, one file a run, 0600. Records are named by keyed digests, never by their keys: the file may
outlive the reasons for knowing them. Intents reach the disk before the request leaves; a torn last line is harmless.
docs/journal.md describes the format.
"""

import asyncio
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from crmctl import __version__
from crmctl.errors import CrmctlError
from crmctl.kinds import NOTHING
from crmctl.memory import Memory, recall
from crmctl.mirror import Mirror
from crmctl.redact import Redactor
from crmctl.resource import Address, Resource

FORMAT = 1
TIME = "%Y%m%dT%H%M%S.%fZ"
LAST = datetime(9999, 1, 1, tzinfo=UTC)
NAMES_A_LINE = 500
"""How many records one line about what is planned names."""


def remember(
    folder: Path,
    redactor: Redactor,
    target: str,
    *,
    mirror: Mirror | None,
    durable: bool,
    formerly: Collection[str] = (),
) -> Memory:
    """Return what the journals of earlier runs say about records that are created once.

    Raises CrmctlError for journals that are there and can't be read: what they say must not be passed over.
    """

    def lines() -> Iterator[str]:
        for path in sorted(folder.glob("*.jsonl")):
            yield from read_lines(path)
        if mirror is not None:
            yield from mirror.read()

    found = recall(lines(), target, key_check(redactor), formerly)
    return Memory(
        name=lambda address: name_of(redactor, address),
        seal=lambda resource: seal(redactor, resource),
        durable=durable,
        traces=found.traces,
        foreign=found.foreign,
        doubts=found.doubts,
    )


def name_of(redactor: Redactor, address: Address) -> str:
    """Return the keyed digest that stands for an address."""
    return redactor.digest("address", address.kind, address.key)[:32]


def seal(redactor: Redactor, resource: Resource) -> str:
    """Return the keyed digest of what a record says."""
    values = json.dumps(dict(resource.fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return redactor.digest("content", values)[:32]


def key_check(redactor: Redactor) -> str:
    """Return the digest by which a key is known again."""
    return redactor.digest("key")[:32]


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a journal; raises CrmctlError for what can't be read.

    Links and pipes are not followed: whoever writes to the folder's repository could have them lead anywhere.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as stream:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield from stream
                return
    except OSError as error:
        raise CrmctlError(f"{path}: the journal can't be read ({error.strerror}): nothing was sent") from error
    raise CrmctlError(f"{path}: this is no file, so it can't be read: nothing was sent; remove it")


def new_run_id(now: datetime, earlier: Iterable[str] = ()) -> str:
    """Return an id that sorts after those of earlier runs, as journals are read, and is unique enough for one folder.

    It is the time, unless a clock was ahead of this one when an earlier run began.
    """
    latest = max((began for name in earlier if (began := read_time(name)) is not None), default=None)
    began = now if latest is None or latest < now else min(latest, LAST) + timedelta(microseconds=1)
    return f"{began:{TIME}}-{secrets.token_hex(3)}"


def read_time(run_id: str) -> datetime | None:
    """Return the time in the id of a run; None for what is no such id."""
    try:
        return datetime.strptime(run_id.partition("-")[0], TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


class Journal:
    """The journal of one run; every method appends whole lines.

    With a `tree`, its folder must not lead out of that: whoever writes the tree could let it lead anywhere. Once
    something can't be written, only intents are still refused, so that nothing is sent and the run can be closed.
    `facts` are told of the run at its begin; `guard` raises CrmctlError when nothing may be sent any more.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        redactor: Redactor,
        *,
        target: str = "",
        tree: Path | None = None,
        mirror: Mirror | None = None,
        clock: Callable[[], float] = time.time,
        facts: Mapping[str, str] = NOTHING,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.target = target
        self.facts = facts
        self.guard = guard
        self.mirror = mirror
        self.clock = clock
        self.once: dict[Address, str] = {}  # what is in flight and must not be sent again: what each record says
        self.ahead: set[Address] = set()  # intended, and not its turn yet
        self.unmirrored: list[str] = []
        self.step: asyncio.Future[Exception | None] | None = None  # the last one that made something durable
        self.path = folder / f"{run_id}.jsonl"
        self.run_id = run_id
        self.redactor = redactor
        self.named: dict[Address, str] = {}  # of what is planned: each name is needed again, up to its outcome
        self.broken = ""  # why nothing can be written any more
        if tree is not None:
            stay_inside(folder, tree)
        try:
            make_private(folder)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            sync_folder(folder)
        except OSError as error:
            message = f"{self.path}: no journal can be written ({error.strerror}), so nothing was sent"
            raise CrmctlError(message) from error
        self.stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8")

    def begin(self, **facts: Any) -> None:
        """Note that a run begins, and against what; where the journal is mirrored, there too."""
        entry = {
            "event": "run",
            "format": FORMAT,
            "run": self.run_id,
            "crmctl_version": __version__,
            "target": self.target,
            "key_check": key_check(self.redactor),
            "at": self.clock(),
            **self.facts,
            **facts,
        }
        self._write(entry, sync=True)
        self._mirror(_encode(entry))

    def plan(self, steps: Iterable[tuple[str, Address]]) -> None:
        """Note what the run is to do: the action for each record, so that what it leaves can be told.

        It reaches the disk with the first intent, since one file is written in order.
        """
        named: dict[str, list[str]] = {}
        for action, address in steps:
            self.named[address] = name = self.name(address)
            named.setdefault(action, []).append(name)
        entries: list[dict[str, Any]] = [
            {"event": "plan", "action": action, "records": names[start : start + NAMES_A_LINE]}
            for action, names in named.items()
            for start in range(0, len(names), NAMES_A_LINE)
        ]
        entries.append({"event": "planned", "count": sum(map(len, named.values()))})
        for entry in entries:
            self._write(entry, sync=False)
        self._mirror("\n".join(map(_encode, entries)))

    def plan_fields(self, names: Sequence[str]) -> None:
        """Note that custom fields are about to be made."""
        self._write({"event": "intent", "action": "define", "fields": list(names)}, sync=True)

    async def intend(
        self,
        action: str,
        addresses: Iterable[Address],
        once: Mapping[Address, Resource] | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        """Note, durably, what is about to be sent; other requests go on while the disk is waited for.

        `once` are those of which a second sending would make a second record. What was noted `ahead` of its turn is
        not noted again when that has come: it is only seen whether it still may be sent.
        """
        self.guard()
        intended = list(addresses)
        if not ahead and self.ahead.issuperset(intended):
            self.ahead.difference_update(intended)
        else:
            names = [self.named.get(address) or self.name(address) for address in intended]
            self._write({"event": "intent", "action": action, "records": names}, sync=False)
            if once:
                self.once.update({address: seal(self.redactor, resource) for address, resource in once.items()})
                self.unmirrored.append(self._witness([(address, "open", None) for address in once]))
            await self._make_durable()
            self.ahead.update(intended if ahead else ())
        # A disk tells of lost data once: of two that wait for it, the other hears that all is well.
        if self.broken:
            raise CrmctlError(self.broken)

    def note(self, outcomes: Iterable[tuple[Address, str, str | None]]) -> None:
        """Note what became of records: status and remote id."""
        told = list(outcomes)
        self.ahead.difference_update(address for address, _, _ in told)
        rows = [
            [self.named.pop(address, None) or self.name(address), status, remote_id]
            for address, status, remote_id in told
        ]
        self._write({"event": "outcome", "records": rows}, sync=False)
        if self.once and (witnessed := [outcome for outcome in told if outcome[0] in self.once]):
            line = self._witness(witnessed)
            if not self.broken:  # what became of these the journal alone may know
                self._sync()
            try:
                self._mirror(line)
            except CrmctlError as error:
                # The run goes on to its end, with a report; only nothing more is sent.
                self.broken = self.broken or str(error)
            for address, _, _ in witnessed:
                self.once.pop(address)

    def settle(
        self, address: Address, status: str, remote_id: str | None = None, resource: Resource | None = None
    ) -> None:
        """Note what somebody knows of a record whose fate was unknown: "settled" or "not-created".

        `resource` is what it says there, where only the journal can tell.
        """
        if resource is not None:
            self.once[address] = seal(self.redactor, resource)
        self._mirror(self._witness([(address, status, remote_id)]))
        self.once.pop(address, None)
        self._sync()

    def move(self, address: Address, remote_id: str | None, content: str) -> None:
        """Note under its new address what is known of a record that has been renamed."""
        self.once[address] = content
        self._mirror(self._witness([(address, "settled", remote_id)]))
        self.once.pop(address)

    def end(self, **facts: Any) -> None:
        """Note how the run ended."""
        entry = {"event": "end", "run": self.run_id, "at": self.clock(), **facts}
        self._write(entry, sync=True)
        with suppress(CrmctlError):  # all has been done by now, and its report must not be lost for this
            self._mirror(_encode(entry))

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # what could not be written before still can't; the first failure has been told
            self.stream.close()

    def name(self, address: Address) -> str:
        """Return the keyed digest that stands for an address."""
        return name_of(self.redactor, address)

    def _witness(self, rows: Iterable[tuple[Address, str, str | None]]) -> str:
        """Write a line that can be understood by itself; returns it."""
        entry = {
            "event": "once",
            "once": True,
            "run": self.run_id,
            "target": self.target,
            "key_check": key_check(self.redactor),
            "at": self.clock(),
            "records": [[self.name(address), status, id_, self.once.get(address, "")] for address, status, id_ in rows],
        }
        self._write(entry, sync=False)
        return _encode(entry)

    async def _make_durable(self) -> None:
        """Wait until all that was written stays, here and where the journal is mirrored.

        One step at a time: what is written during one waits for its end, and shares the next. A step goes on when who
        waits for it is cancelled, for the others; and who is cancelled waits for its end, so that what is noted next of
        the same records comes after.
        """
        earlier = self.step
        if earlier is not None and not earlier.done():
            await asyncio.wait([earlier])
        step = self.step
        if step is None or step is earlier:
            lines, self.unmirrored = self.unmirrored, []
            step = self.step = asyncio.get_running_loop().run_in_executor(None, self._secure, "\n".join(lines))
        try:
            await asyncio.wait([step])
        except asyncio.CancelledError:
            await asyncio.wait([step])
            raise
        if error := step.result():
            raise error

    def _secure(self, mirrored: str) -> Exception | None:
        """Make what was written durable; returns what is in the way: several may wait to be told, or nobody."""
        try:
            self._sync()
            self._mirror(mirrored)
        except (CrmctlError, ValueError) as error:  # the latter is about a closed file, once the run is over
            return error
        return None

    def _mirror(self, line: str) -> None:
        if self.mirror is not None and line:
            self.mirror.write(self.run_id, f"{line}\n")

    def _write(self, entry: dict[str, Any], *, sync: bool) -> None:
        if self.broken:
            return
        with self._watched():
            self.stream.write(f"{_encode(entry)}\n")
            self.stream.flush()
        if sync:
            self._sync()

    def _sync(self) -> None:
        with self._watched():
            os.fsync(self.stream.fileno())

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Make what the disk refuses the reason why a run stops."""
        try:
            yield
        except OSError as error:
            advice = "nothing more is sent; make room, and apply again to go on"
            self.broken = f"{self.path}: the journal can't be written ({error.strerror}): {advice}"
            raise CrmctlError(self.broken) from error


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter, and that git passes over; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _keep_out_of_git(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder stay: a new file's data may be on the disk, and its name not yet."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"))


def stay_inside(folder: Path, tree: Path) -> None:
    """Refuse a folder that a link in the tree leads out of it."""
    home, target = os.path.realpath(tree), os.path.realpath(folder)
    if os.path.commonpath((home, target)) != home:
        message = (
            f"{folder}: nothing can be written there, so nothing was sent: it leads out of the configuration's folder"
        )
        raise CrmctlError(f"{message}; remove the link")


def _keep_out_of_git(folder: Path) -> None:
    """Make git pass over a folder of ours: what is in it is about people, and about one machine.

    What is there stays, a link that leads nowhere included: writing through it would make a file somewhere else.
    """
    if folder.name != ".crmctl":
        return
    with suppress(FileExistsError):
        descriptor = os.open(folder / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write("*\n")
