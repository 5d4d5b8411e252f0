"""One writing run per target at a time: a lock file on this machine, and a lock at a URL for all of them.

In: where the locks are, and who asks. Out: `TargetLock`. On one machine the system lets go of a dead holder's lock. At
a URL nobody does, so a holder says until when it holds and says so again and again; once that is over, and a minute
more for clocks that differ, it counts as dead.

At the URL each holding is an object with a number, the highest counts, and the next one is taken by creating it where
there is none: of all who try only one can. It is never deleted before there is a higher one.
"""

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from crmctl.errors import CrmctlError, Locked, UsageError
from crmctl.journal import make_private, stay_inside
from crmctl.place import Place

LOCKS = Path(".crmctl", "locks")
"""Where the lock files are, below crmctl.yaml."""
HELD = 180.0
"""Seconds for which a holder at a URL says that it holds; it says so again three times as often."""
SKEW = 60.0
"""Seconds by which the clocks of two machines may differ."""
LONGEST_PAUSE = 2.0
"""Seconds between two tries for a lock."""


class Holder(NamedTuple):
    """Who holds a lock. `machine` tells whether a process id means anything here; no person is named."""

    host: str
    pid: int
    since: float
    machine: str = ""
    run: str = ""
    expires: float | None = None
    released: bool = False

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        run = f", run {self.run}" if self.run else ""
        return f"process {self.pid} on {self.host}{run}, since {since}"


UNKNOWN = Holder("an unknown host", 0, 0.0)


def myself(clock: Callable[[], float] = time.time) -> Holder:
    """Return who asks."""
    return Holder(socket.gethostname(), os.getpid(), clock(), _machine())


class Claim(Protocol):
    """A lock in one place."""

    def take(self, me: Holder) -> Holder | None:
        """Take the lock; returns None, or who holds it."""

    def tell(self, me: Holder) -> None:
        """Let others see what has become known of the holder."""

    def check(self) -> None:
        """Raise Locked if the lock, once taken, may be held by another by now."""

    def release(self) -> None:
        """Let go of the lock."""


class FileClaim:
    """A lock file on this machine; beside it, for others to read, who holds it."""

    def __init__(self, path: Path) -> None:
        from filelock import FileLock  # noqa: PLC0415 - a tenth of a second, for verbs that write

        self.path = path
        self.told = path.with_suffix(".json")
        self.lock = FileLock(path, mode=0o600, thread_local=False, is_singleton=False)

    def take(self, me: Holder) -> Holder | None:
        """Take the lock, or tell who holds it."""
        from filelock import Timeout  # noqa: PLC0415 - as above

        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            return self._holder()
        except OSError as error:
            raise self._failed(error) from error
        self.tell(me)
        return None

    def tell(self, me: Holder) -> None:
        """Write down who holds it; readers may meet a file that is half written."""
        try:
            descriptor = os.open(self.told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(_encode(me))
        except OSError as error:
            raise self._failed(error) from error

    def check(self) -> None:
        """Nothing can take it from a living process."""

    def release(self) -> None:
        """Let go, and leave no word of it; the lock file itself stays."""
        if self.lock.is_locked:
            with contextlib.suppress(OSError):
                self.told.unlink(missing_ok=True)
            self.lock.release()

    def _holder(self) -> Holder:
        try:
            return _decode(self.told.read_text(encoding="utf-8")) or UNKNOWN
        except OSError:
            return UNKNOWN

    def _failed(self, error: OSError) -> CrmctlError:
        return CrmctlError(f"{self.path}: no lock can be taken ({error.strerror}), so nothing was sent")


class SharedClaim:
    """A lock at a URL, kept by a thread that says again and again that it is held."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time, held: float = HELD) -> None:
        self.place = Place(url, "lock")
        self.clock = clock
        self.held = held
        self.name = ""
        self.me = UNKNOWN
        self.lost = ""
        self._ends = threading.Event()
        self._writing = threading.Lock()
        self._keeper: threading.Thread | None = None

    def take(self, me: Holder) -> Holder | None:
        """Take the lock, or tell who holds it; one that this claim holds stays its own."""
        if self.name:
            return None
        names = self.place.names()
        last = names[-1] if names else ""
        holder = self._alive(last) if last else None
        if holder is not None:
            return holder
        name = f"{int(last or 0) + 1:012}"
        self.me = me._replace(expires=self.clock() + self.held)
        if not self.place.create(name, _encode(self.me)):
            return self._alive(name) or UNKNOWN
        if self.place.create(name, _encode(self.me)):
            message = f"lock: {self.place.url}: this store creates an object again that is there, so nothing is locked"
            raise UsageError(f"{message}: name another")
        # Whoever was slow may have made a number that others are past already.
        if (highest := self.place.names()[-1]) != name:
            self.place.delete([name])
            return self._alive(highest) or UNKNOWN
        self.place.delete(other for other in names if other < name)
        self.name = name
        self._keeper = threading.Thread(target=self._keep, name="crmctl-lock", daemon=True)
        self._keeper.start()
        return None

    def tell(self, me: Holder) -> None:
        """Let others see the run, and that it is still there."""
        self.me = me
        self.beat()

    def beat(self) -> None:
        """Say once more that the lock is held, unless another has it."""
        with self._writing:
            if self._ends.is_set():
                return
            until = self.clock() + self.held
            if self.place.names()[-1:] != [self.name]:
                self.lost = "another run has taken it, as this one had not been heard of for too long"
                return
            self.place.write(self.name, _encode(self.me._replace(expires=until)))
            self.me = self.me._replace(expires=until)

    def check(self) -> None:
        """Raise Locked if another may hold it by now: nothing must be sent any more."""
        late = self.me.expires is not None and self.clock() >= self.me.expires
        reason = self.lost or ("it could not be renewed in time" if late else "")
        if reason:
            raise Locked(f"lock: {self.place.url}: lost: {reason}; nothing more is sent: apply again to go on")

    def release(self) -> None:
        """Let go: the object stays, and says so."""
        if not self.name:
            return
        self._ends.set()
        with self._writing, contextlib.suppress(CrmctlError):  # what can't be written expires
            if not self.lost:
                self.place.write(self.name, _encode(self.me._replace(released=True)))
        self.name = ""

    def _keep(self) -> None:
        while not self._ends.wait(self.held / 3):
            with contextlib.suppress(CrmctlError):  # tried again; in the end `check` says that it is lost
                self.beat()

    def _alive(self, name: str) -> Holder | None:
        """Return the holder that an object tells of; None if it has let go, or is dead."""
        text = self.place.read(name)
        if text is None:  # a later one has deleted it
            later = self.place.names()[-1:]
            return self._alive(later[0]) or UNKNOWN if later and later[0] > name else UNKNOWN
        holder = _decode(text)
        if holder is None:  # half written, by whoever is about to hold it or has died over it
            written = self.place.modified(name)
            return None if written is not None and self.clock() > written + self.held + SKEW else UNKNOWN
        if holder.released or (holder.expires is not None and self.clock() > holder.expires + SKEW):
            return None
        return None if holder.machine and holder.machine == _machine() and _is_gone(holder.pid) else holder


def open_lock(target: str, tree: Path, url: str | None, shared: dict[str, "SharedClaim"] | None = None) -> "TargetLock":
    """Return the lock of a target: a file below the configuration's folder, and an object at a URL if there is one.

    `shared` has the locks at URLs that this command has opened: two targets may name the same one.
    """
    folder = tree / LOCKS
    stay_inside(folder, tree)
    try:
        make_private(folder)
    except OSError as error:
        raise CrmctlError(f"{folder}: no lock can be taken ({error.strerror}), so nothing was sent") from error
    claims: list[Claim] = [FileClaim(folder / f"{quote(target, safe='')}.lock")]
    if url is not None:
        known = {} if shared is None else shared
        claims.append(known.setdefault(url, known.get(url) or SharedClaim(url)))
    return TargetLock(target, claims, myself())


class TargetLock:
    """The lock of one target, in one place or two. `name` is what a message calls the target."""

    def __init__(self, name: str, claims: Sequence[Claim], me: Holder) -> None:
        self.name = name
        self.claims = claims
        self.me = me
        self.taken: list[Claim] = []

    def take(
        self,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        waiting: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Take the lock, waiting up to `timeout` seconds; raises Locked with the holder. `waiting` hears of it once."""
        deadline = clock() + timeout
        pause, told = 0.05, False
        try:
            while (holder := self._next()) is not None and (left := deadline - clock()) > 0:
                if not told:
                    waiting(f"target {self.name} is locked by {holder}: waiting")
                    told = True
                sleep(min(pause, left))
                pause = min(2 * pause, LONGEST_PAUSE)
        except BaseException:
            self.release()
            raise
        if holder is not None:
            self.release()
            advice = "wait for it with --lock-timeout SECONDS, or apply later"
            raise Locked(f"target {self.name} is locked by {holder}: nothing was sent; {advice}")

    def tell_run(self, run_id: str) -> None:
        """Let others see which run holds the lock."""
        self.me = self.me._replace(run=run_id)
        for claim in self.taken:
            claim.tell(self.me)

    def check(self) -> None:
        """Raise Locked if another may be at work by now."""
        for claim in self.taken:
            claim.check()

    def release(self) -> None:
        """Let go of it, everywhere."""
        while self.taken:
            self.taken.pop().release()

    def _next(self) -> Holder | None:
        """Take what is not taken yet; returns who keeps it from that."""
        for claim in self.claims[len(self.taken) :]:
            holder = claim.take(self.me)
            if holder is not None:
                return holder
            self.taken.append(claim)
        return None


def _machine() -> str:
    """Return what processes that see each other have in common; empty where that can't be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:16]


def _is_gone(pid: int) -> bool:
    """Tell whether there is no such process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _encode(holder: Holder) -> str:
    return json.dumps(holder._asdict())


def _decode(text: str) -> Holder | None:
    """Read what a holder has written; None for what is not whole."""
    try:
        values: dict[str, Any] = json.loads(text)
        found = Holder(**{name: values[name] for name in Holder._fields if name in values})
        str(found)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
    return found
