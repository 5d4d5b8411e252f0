"""The folder of `apply --results`: a JSON Lines file per status, looked at before anything is sent."""

import json
from pathlib import Path

from crmctl.commands.files import check_writable, make_folder, write_private
from crmctl.outcome import STATUSES, Result, entry
from crmctl.redact import Redactor

LISTED = [status for status in STATUSES if status != "unchanged"]
"""Unchanged records are only counted, so they have no file."""


def open_results(folder: Path | None, target: str, *, several: bool) -> Path | None:
    """Return the folder for a target's results, of which each of several has one; raises CrmctlError if it is unfit."""
    if folder is None:
        return None
    own = folder / target if several else folder
    make_folder(own)
    for status in LISTED:
        check_writable(own / f"{status}.jsonl")
    return own


def write_results(folder: Path, result: Result, redactor: Redactor) -> None:
    """Write one file per status; an empty one says that no record came to it."""
    for status in LISTED:
        chosen = (outcome for outcome in result.outcomes if outcome.status == status)
        lines = (json.dumps(entry(outcome, redactor), ensure_ascii=True) + "\n" for outcome in chosen)
        write_private(folder / f"{status}.jsonl", lines)
