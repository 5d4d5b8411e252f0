"""The append-only record of attempts: what was about to be sent, and what became of it.

One JSON object a line, one file a run, 0600. Records are named by keyed digests, never by their keys: the file may
outlive the reasons for knowing them. Intents reach the disk before the request leaves; a torn last line is harmless.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Iterable
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
    """The journal of one run; every method appends whole lines."""

    def __init__(self, folder: Path, run_id: str, redactor: Redactor) -> None:
        self.path = folder / f"{run_id}.jsonl"
        self.run_id = run_id
        self.redactor = redactor
        self.intended: dict[Address, str] = {}  # names of what is in flight: each is needed again for its outcome
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
        await asyncio.to_thread(os.fsync, self.stream.fileno())

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
        self.stream.close()

    def name(self, address: Address) -> str:
        """Return the keyed digest that stands for an address."""
        return self.redactor.digest("address", address.kind, address.key)[:32]

    def _write(self, entry: dict[str, Any], *, sync: bool) -> None:
        self.stream.write(json.dumps(entry, separators=(",", ":")) + "\n")
        self.stream.flush()
        if sync:
            os.fsync(self.stream.fileno())


def _keep_out_of_git(folder: Path) -> None:
    """Make git pass over a folder of ours: what is in it is about people, and about one machine."""
    if folder.name == ".crmctl" and not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
