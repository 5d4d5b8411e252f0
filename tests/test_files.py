"""Files that are written: whole and private, or as they are where they are no files at all.

Devices are named by links in a temporary folder alone: as root, code that is wrong would replace the machine's own.
"""

import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from project import Project

from crmctl.commands.files import DESCRIPTOR, check_writable, make_folder, read_file, write_private
from crmctl.errors import CrmctlError

LONG = "x" * 255


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    """Whatever was there before, and nothing is left beside it."""
    path = tmp_path / "a.json"
    path.write_text("before")
    path.chmod(0o644)
    check_writable(path)
    write_private(path, ["after", "wards"])
    assert ("afterwards", 0o600) == (path.read_text(), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(tmp_path.iterdir())


def test_what_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    """Half a report is worse than yesterday's."""
    path = tmp_path / "a.json"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError):
        write_private(path, (str(1 // left) for left in (1, 0)))
    assert ("before", [path]) == (path.read_text(), list(tmp_path.iterdir()))


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    """It takes the text and is what it was."""
    path = tmp_path / "null"
    path.symlink_to(os.devnull)
    check_writable(path)
    write_private(path, ["gone"])
    assert (True, [path]) == (path.is_symlink(), list(tmp_path.iterdir()))


def test_a_device_that_is_full_is_told(tmp_path: Path) -> None:
    """As a file that can't be written is."""
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(CrmctlError, match=r"full: can't be written \(No space left on device\)"):
        write_private(tmp_path / "full", ["a"])


def test_a_pipe_gets_the_text(tmp_path: Path) -> None:
    """Its reader gets all of it, and the pipe stays one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    check_writable(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write_private(path, ["a", "b"])
    reader.join()
    assert (["ab"], True) == (read, path.is_fifo())


@pytest.mark.parametrize("name", ["/dev/fd/1", "/proc/self/fd/1"])  # in which nobody can replace anything
def test_standard_output_by_its_name_is_standard_output(project: Project, tmp_path: Path, name: str) -> None:
    """Also where it is a file: what was written to it before stays."""
    del project
    out = tmp_path / "out"
    command = f"(echo first; {sys.executable} -m crmctl plan -q -o json={name}; echo last) >>{out}"
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=60)
    lines = out.read_text().splitlines()
    assert ("first", "{", "last") == (lines[0], lines[1][:1], lines[-1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("/dev/stdout", "/dev/stderr", "/dev/fd/63", "/proc/self/fd/1", "/proc/9/fd/1")),
        *((name, False) for name in ("/dev/net/a", "/dev/stdout/a", "/home/dev/stdout", "/dev/fd/a", "/dev/fd")),
    ],
)
def test_names_of_open_files_are_known(name: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Other things in /dev are not, nor is what only looks alike."""
    assert expected is (re.fullmatch(DESCRIPTOR, name) is not None)


@pytest.mark.parametrize("name", [f"{LONG}y", f"{LONG}y/a", "ä" * 128])
def test_a_name_longer_than_the_system_allows_is_told(tmp_path: Path, name: str) -> None:
    """Before the work as after it, and for folders and files that are read."""
    for function in (check_writable, make_folder, read_file):
        with pytest.raises(CrmctlError, match="too long"):
            function(tmp_path / name)
    with pytest.raises(CrmctlError, match="too long"):
        write_private(tmp_path / name, ["a"])


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    """The name of what is written beside it does not grow with it."""
    check_writable(tmp_path / LONG)
    write_private(tmp_path / LONG, ["a"])
    assert "a" == (tmp_path / LONG).read_text()


def test_folders_and_missing_folders_are_told_apart(tmp_path: Path) -> None:
    """Both before anything is sent."""
    with pytest.raises(CrmctlError, match="it is a folder"):
        check_writable(tmp_path)
    with pytest.raises(CrmctlError, match="its folder is missing"):
        check_writable(tmp_path / "a" / "b")
    with pytest.raises(CrmctlError, match="Is a directory"):
        write_private(tmp_path, ["a"])
