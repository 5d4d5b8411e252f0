"""Files that verbs read and write: private, whole or not at all, and checked before anything is sent."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from crmctl.errors import CrmctlError
from crmctl.saved import Content, recognise

# What may lead to a regular file and still must not be replaced by another: an open file's other name.
DESCRIPTOR = r"/dev/std(?:out|err)|/(?:dev|proc/[^/]+)/fd/[0-9]+"

LOSSES: Mapping[Content, str] = {
    "plan": "a plan is there, and would be lost",
    "undo": "what an earlier run has overwritten stands there alone, and would be lost",
    "other": "something else than a plan is there, and would be lost",
}
"""What to say of a file that is not to be replaced; an undo plan with nothing in it always may be."""


def check_writable(path: Path) -> None:
    """Raise CrmctlError if a file can't be written: better before the work than after it."""
    reason = _obstacle(path)
    if reason:
        raise CrmctlError(f"{path}: can't be written ({reason}): name another file")


def check_replaced(path: Path, allowed: Collection[Content]) -> None:
    """Raise CrmctlError if a file is there that a plan must not replace: one slip would cost a manifest."""
    if not path.is_file() or _stays(path):
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CrmctlError(f"{path}: can't be read ({error.strerror}), so it is kept: name another file") from error
    content = recognise(data)
    if data and content not in allowed:
        raise CrmctlError(f"{path}: {LOSSES[content]}: move it away, or name another; nothing was sent")


def _obstacle(path: Path) -> str:
    """Say what keeps a file from being written; nothing if all is well."""
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where this says no
        return "it is a folder"
    if _stays(path):
        return "" if os.access(path, os.W_OK) else "it may not be written to"
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return "its name is too long"
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        return "its folder is missing, or may not be written to"
    return ""


def _stays(path: Path) -> bool:
    """Tell whether a path names what is written to as it is: a device, a pipe, a standard stream."""
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
    return not regular or re.fullmatch(DESCRIPTOR, os.path.abspath(path)) is not None  # noqa: PTH100 - links are kept


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there; raise CrmctlError if files can't be written in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrmctlError(f"{path}: can't be made ({error.strerror}): name another folder") from error
    check_writable(path / "any")


def write_pieces(write: Callable[[str], Any], pieces: Iterable[str]) -> None:
    """Write many small pieces in larger ones."""
    block: list[str] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size > 1 << 16:
            write("".join(block))
            block, size = [], 0
    write("".join(block))


def read_file(path: Path) -> bytes:
    """Read a plan file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CrmctlError(f"{path}: {error.strerror}: name a file written by `crmctl plan --out FILE`") from error


def write_private(path: Path, pieces: Iterable[str]) -> None:
    """Write a file that only its owner may read, whole or not at all; a device or a pipe just takes the text."""
    try:
        if _stays(path):
            _write_to(os.open(path, os.O_WRONLY | os.O_APPEND), pieces)
        else:
            _replace(path, pieces)
    except OSError as error:
        raise CrmctlError(f"{path}: can't be written ({error.strerror}): name another file") from error


def _replace(path: Path, pieces: Iterable[str]) -> None:
    """Put a file in the place of another."""
    beside = path.with_name(f".crmctl-{secrets.token_hex(8)}")  # the file's own name may be as long as names can be
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _write_to(descriptor, pieces)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write_to(descriptor: int, pieces: Iterable[str]) -> None:
    """Write text to an open file and close it."""
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
        write_pieces(stream.write, pieces)
