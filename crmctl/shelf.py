"""The journals of one target, wherever they are kept: in a folder, at a URL, or both; to be read again, and cleaned up.

In: a folder and a mirror. Out: `Shelf`. What `prune` drops, nothing else needs: what only an old journal knows of
records that are created once is written into a journal that is kept, before any is deleted.
"""

import json
import math
import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crmctl.errors import CrmctlError, UsageError
from crmctl.history import KEPT, History, read_history
from crmctl.journal import read_lines, read_time, sync_folder
from crmctl.memory import ONCE, Trace, recall
from crmctl.mirror import Mirror

STATUS = {"open": "open", "unknown": "unknown", "known": "created", "settled": "settled"}
"""What a kept line says for each state of a trace, so that it is read as the same."""


class Shelf(NamedTuple):
    """Where the journals of a target are; `formerly` are names that it had before."""

    target: str
    folder: Path
    mirror: Mirror | None = None
    formerly: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names under which journals know the target, today's first."""
        return (self.target, *self.formerly)

    def read(self) -> list[History]:
        """Return every run against the target, in the order they began; what a mirror knows of one is less."""
        found: dict[str, History] = {}
        sources = [*([self.mirror.runs()] if self.mirror is not None else ()), _Folder(self.folder).runs()]
        for runs in sources:
            for run, lines in runs.items():
                history = read_history(run, lines)
                if run != KEPT and history.target in self.names:
                    history.target = self.target
                    found[run] = history
        return [found[run] for run in sorted(found)]

    def find(self, named: str) -> History | None:
        """Return the run of that id, or the only one whose id begins or ends so; None if there is none."""
        runs = self.read()
        exact = [history for history in runs if history.run == named]
        alike = exact or [history for history in runs if history.run.startswith(named) or history.run.endswith(named)]
        if len(alike) > 1:
            names = ", ".join(history.run for history in alike[:3])
            raise UsageError(f"{named} is the beginning or the end of {len(alike)} runs ({names}, …): write more of it")
        return alike[0] if alike else None

    def prune(self, doomed: Collection[str]) -> int:
        """Delete the journals of some runs, the oldest of the target; returns how many records are kept in mind."""
        places = [_Folder(self.folder), *([self.mirror] if self.mirror is not None else ())]
        return max(_prune(place, self.names, doomed) for place in places)

    def sweep(self, before: float) -> int:
        """Delete journals in the folder that tell nothing, and that nobody has written to since; returns their number.

        A run that is killed while it writes its first line leaves such a one, and no target has it among its runs.
        """
        place = _Folder(self.folder)
        empty = [run for run, lines in place.runs().items() if run != KEPT and _tells_nothing(run, lines)]
        old = [run for run in empty if place.written(run) < before]
        for run in old:
            place.forget(run)
        return len(old)


class _Folder:
    """Journals in a folder, with the words of a mirror."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def runs(self) -> dict[str, list[str]]:
        """Return the lines of each run."""
        return {path.stem: list(read_lines(path)) for path in sorted(self.folder.glob("*.jsonl"))}

    def written(self, run: str) -> float:
        """Return when a journal was last written to, in seconds since 1970."""
        try:
            return (self.folder / f"{run}.jsonl").lstat().st_mtime
        except FileNotFoundError:  # somebody else has deleted it meanwhile
            return math.inf

    def keep(self, run: str, text: str) -> None:
        """Write a journal whole, or not at all, in the place of one that is there."""
        path = self.folder / f"{run}.jsonl"
        beside = self.folder / f".kept-{secrets.token_hex(8)}"
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
            sync_folder(self.folder)
        except OSError as error:
            raise CrmctlError(f"{path}: can't be written ({error.strerror}): nothing was deleted") from error

    def forget(self, run: str) -> None:
        """Delete the journal of a run."""
        path = self.folder / f"{run}.jsonl"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CrmctlError(f"{path}: can't be deleted ({error.strerror}): correct that, and prune again") from error


def _prune(place: _Folder | Mirror, names: Sequence[str], doomed: Collection[str]) -> int:
    """Delete journals in one place; first what is to be kept in mind is written, and only then is anything deleted."""
    runs = place.runs()
    dropped = [run for run in runs if run in doomed and read_history(run, runs[run]).target in names]
    if not dropped:
        return 0
    old = [line for run in sorted({KEPT, *dropped}) for line in runs.get(run, ())]
    kept = list(carry(old, *names))
    others = [line.rstrip("\n") for line in runs.get(KEPT, ()) if _target(line) not in {*names, None}]
    head = json.dumps({"event": "kept"}, separators=(",", ":"))
    if kept or KEPT in runs:
        place.keep(KEPT, "".join(f"{line}\n" for line in (head, *others, *kept)))
    for run in dropped:
        place.forget(run)
    return len(kept)


def _tells_nothing(run: str, lines: Sequence[str]) -> bool:
    """Tell whether a journal says neither whose it is nor anything of a record, not even in a line that is torn.

    What has not the name of a run may be anybody's file.
    """
    history = read_history(run, lines)
    told = history.began or history.target or history.records or any(ONCE in line for line in lines)
    return read_time(run) is not None and not told


def carry(lines: Iterable[str], target: str, *formerly: str) -> Iterator[str]:
    """Yield lines that say of a target's records what all of these say, each record's in one; a key check each."""
    told = [line for line in lines if ONCE in line]
    for check in dict.fromkeys(map(_key_check, told)):
        if check is not None:
            for name, trace in recall(told, target, check, formerly).traces.items():
                yield _say(target, check, name, trace)


def _say(target: str, check: str, name: str, trace: Trace) -> str:
    entry: Mapping[str, Any] = {
        "event": "once",
        "once": True,
        "run": trace.run,
        "target": target,
        "key_check": check,
        "at": trace.at,
        "records": [[name, STATUS[trace.state], trace.remote_id, trace.content]],
    }
    return json.dumps(entry, separators=(",", ":"))


def _member(line: str, name: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    found = entry.get(name) if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def _target(line: str) -> str | None:
    return _member(line, "target")


def _key_check(line: str) -> str | None:
    return _member(line, "key_check")
