"""Files that verbs read and write: private, whole or not at all, and checked before anything is sent."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crmctl.errors import CrmctlError


def check_writable(path: Path) -> None:
    """Raise CrmctlError if a file can't be written: better before the work than after it."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if path.is_dir() else "its folder is missing, or may not be written to"
        raise CrmctlError(f"{path}: can't be written ({reason}): name another file")


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
    """Write a file that only its owner may read, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
                write_pieces(stream.write, pieces)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise CrmctlError(f"{path}: can't be written ({error.strerror}): name another file") from error
