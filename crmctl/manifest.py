"""Stage 1: find the manifest files and read them, large trees in several processes.

In: paths and the tree they may not lead out of. Out: one `File` per file, in sorted order, with its documents, its
diagnostics and the digest of its bytes. Nothing is followed out of the tree, and nothing but regular files is opened.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from crmctl.errors import Diagnostic
from crmctl.parser import Document, Shape, parse
from crmctl.resource import Source

SUFFIXES = (".yaml", ".yml")
STANDARD_INPUT = "-"
WORTH_SHARING = 1 << 20
"""Bytes in all from which on several processes read them: below, it would gain less than starting them costs."""
LARGEST_SHARED = 2 << 20
"""Bytes of a file beyond which one process reads them all: several such files at once would take too much memory."""
MOST_PROCESSES = 4
"""More would wait for this one, which takes a quarter of the time to collect what they have read."""
_OUTSIDE = "leads out of the tree: keep manifests below the folder of the configuration file"


class File(NamedTuple):
    """One manifest file, read: `digest` is the SHA-256 of its bytes, `name` is relative to the tree where it can be."""

    name: str
    documents: list[Document]
    diagnostics: list[Diagnostic]
    digest: bytes = b""


def read(
    paths: Sequence[str],
    tree: Path,
    shape: Shape,
    *,
    max_bytes: int,
    trusted: bool = False,
    standard_input: BinaryIO | None = None,
) -> Iterator[File]:
    """Read every file below the paths (relative to `tree`, or `-`), folders in sorted order, each file once.

    `trusted` paths were named by whoever runs this, and may be outside the tree; then nothing leads out of them.
    """
    seen: set[str] = set()
    jobs: list[Callable[[], File]] = []
    sizes: list[int] = []
    root = os.path.realpath(tree)
    for path in dict.fromkeys(paths):
        if path == STANDARD_INPUT:
            if standard_input is not None:
                jobs.append(partial(_parse, standard_input.read(max_bytes + 1), "<stdin>", shape, max_bytes))
            continue
        start = tree / path
        fence = os.path.realpath(start if os.path.isdir(start) else start.parent)  # noqa: PTH112 - see `_find`
        for found, problem in _find(start, fence if trusted and not _inside(start, root) else root):
            real, name = os.path.realpath(found), _name(found, tree)
            if problem:
                jobs.append(partial(_failed, name, problem))
            elif real not in seen:
                seen.add(real)
                sizes.append(_size(real))
                jobs.append(partial(_read, Path(real), name, shape, max_bytes))
    if sum(sizes) < WORTH_SHARING or max(sizes) > LARGEST_SHARED:
        yield from (job() for job in jobs)
        return
    from crmctl.workers import work_off  # noqa: PLC0415 - brings pickle along, only for large inputs

    yield from work_off(jobs, MOST_PROCESSES)


def _size(path: str) -> int:
    """Return the size of a file, 0 if that can't be told."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - the name is no Path yet
    except OSError:
        return 0


def _find(start: Path, root: str) -> Iterator[tuple[Path, str]]:
    """Yield what there is to read, and what is wrong with it, if anything is.

    That is a file itself, or the manifest files of a folder and the folders below it. Hidden names are passed over.
    """
    if not _inside(start, root):
        yield start, _OUTSIDE
    elif not os.path.isdir(start):  # noqa: PTH112 - is_dir() raises for names that are too long
        yield start, "" if os.path.lexists(start) else "no such file or folder: correct its name, or create it"
    else:
        folders, home = [start], os.path.realpath(start)
        while folders:
            folder = folders.pop()
            inner = []
            for path, problem in _list(folder, root, home):
                if problem is None:
                    inner.append(path)
                else:
                    yield path, problem
            folders += reversed(inner)


def _list(folder: Path, root: str, home: str) -> Iterator[tuple[Path, str | None]]:
    """Yield the manifest files of a folder likewise, and with None the folders in it, by name."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except OSError as error:
        yield folder, _unreadable(error)
        return
    for name in names:
        path = folder / name
        if name.startswith("."):
            continue
        if not os.path.isdir(path):  # noqa: PTH112 - likewise
            if name.endswith(SUFFIXES):
                yield path, "" if _inside(path, root) else _OUTSIDE
        elif not path.is_symlink():
            yield path, None
        elif not _inside(path, root):
            yield path, _OUTSIDE
        elif not _inside(path, home):
            # A folder that is linked within what is read is found where it is.
            yield path, "a linked folder: name it in `manifests` of the configuration instead"


def _read(path: Path, name: str, shape: Shape, max_bytes: int) -> File:
    """Read one file, if it is a regular one of acceptable size."""
    try:
        # Opening a named pipe would wait for somebody to write to it.
        if not stat.S_ISREG(path.stat().st_mode):
            return _failed(name, "not a regular file: remove it from the manifests")
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        return _failed(name, _unreadable(error))
    return _parse(data, name, shape, max_bytes)


def _inside(path: Path, root: str) -> bool:
    """Tell whether a path, all links followed, is below a folder (or is it)."""
    return os.path.commonpath((os.path.realpath(path), root)) == root


def _unreadable(error: OSError) -> str:
    """Say why something can't be read."""
    return f"can't be read ({error.strerror}): correct its permissions, or where it links to"


def _parse(data: bytes, name: str, shape: Shape, max_bytes: int) -> File:
    """Parse the bytes of one file."""
    if len(data) > max_bytes:
        return _failed(name, f"larger than {max_bytes} bytes: split it, or raise `max_file_bytes`")
    documents, diagnostics = parse(data, name, shape)
    return File(name, documents, diagnostics, hashlib.sha256(data).digest())


def _failed(name: str, message: str) -> File:
    """Return a file that could not be read."""
    return File(name, [], [Diagnostic(Source(name, 1, 1), message)])


def _name(path: Path, tree: Path) -> str:
    """Name a file as a person would from the folder of the configuration; bytes that are no text are escaped."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and lose the name as written
    root = Path(os.path.abspath(tree))  # noqa: PTH100 - likewise
    name = absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)
    return os.fsencode(name).decode(errors="backslashreplace")
