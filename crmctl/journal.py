"""The append-only record of attempts: what was about to be sent, and what became of it.

One JSON object a line, one file a run, 0600. Records are named by keyed digests, never by their keys: the file may
outlive the reasons for knowing them. Intents reach the disk before the request leaves; a torn last line is harmless.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from crmctl.errors import CrmctlError
from crmctl.redact import Redactor
from crmctl.resource import Address


def new_run_id(now: datetime) -> str:
    """Return an id that sorts by time and is unique enough for one folder."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class Journal:
    """The journal of one run; every method appends whole lines.

    With a `tree`, its folder must not lead out of that: whoever writes the tree could let it lead anywhere. Once
    something can't be written, only intents are still refused, so that nothing is sent and the run can be closed.
    """

    def __init__(self, folder: Path, run_id: str, redactor: Redactor, *, tree: Path | None = None) -> None:
        self.path = folder / f"{run_id}.jsonl"
        self.run_id = run_id
        self.redactor = redactor
        self.intended: dict[Address, str] = {}  # names of what is in flight: each is needed again for its outcome
        self.broken = ""  # why nothing can be written any more
        if tree is not None:
            _stay_inside(folder, tree)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep_out_of_git(folder.parent)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            message = f"{self.path}: no journal can be written ({error.strerror}), so nothing was sent"
            raise CrmctlError(message) from error
        self.stream: TextIO = os.fdopen(descriptor, "w", encoding="utf-8")

    def begin(self, **facts: Any) -> None:
        """Note that a run begins, and against what."""
        self._write({"event": "run", "run": self.run_id, **facts}, sync=True)

    async def intend(self, action: str, addresses: Iterable[Address]) -> None:
        """Note, durably, what is about to be sent; other requests go on while the disk is waited for."""
        named = {address: self.name(address) for address in addresses}
        self.intended.update(named)
        self._write({"event": "intent", "action": action, "records": list(named.values())}, sync=False)
        await asyncio.to_thread(self._sync)
        # A disk tells of lost data once: of two that wait for it, the other hears that all is well.
        if self.broken:
            raise CrmctlError(self.broken)

    def note(self, outcomes: Iterable[tuple[Address, str, str | None]]) -> None:
        """Note what became of records: status and remote id."""
        rows = [
            [self.intended.pop(address, None) or self.name(address), status, remote_id]
            for address, status, remote_id in outcomes
        ]
        self._write({"event": "outcome", "records": rows}, sync=False)

    def end(self, **facts: Any) -> None:
        """Note how the run ended."""
        self._write({"event": "end", **facts}, sync=True)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # what could not be written before still can't; the first failure has been told
            self.stream.close()

    def name(self, address: Address) -> str:
        """Return the keyed digest that stands for an address."""
        return self.redactor.digest("address", address.kind, address.key)[:32]

    def _write(self, entry: dict[str, Any], *, sync: bool) -> None:
        if self.broken:
            return
        with self._watched():
            self.stream.write(json.dumps(entry, separators=(",", ":")) + "\n")
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


def _stay_inside(folder: Path, tree: Path) -> None:
    """Refuse a folder that a link in the tree leads out of it."""
    home, target = os.path.realpath(tree), os.path.realpath(folder)
    if os.path.commonpath((home, target)) != home:
        message = (
            f"{folder}: no journal can be written, so nothing was sent: it leads out of the configuration's folder"
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
