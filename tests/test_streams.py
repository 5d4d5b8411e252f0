"""Standard streams that are closed, full or broken: they never cost a run its result, nor its user a traceback."""

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

from crmctl import cli

PROGRAM = f"{sys.executable} -m crmctl"


def shell(command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("apply --auto-approve -v 2>&-", 0),
        ("apply --auto-approve -v 2>/dev/full", 0),
        ("apply --auto-approve <&-", 0),
        ("apply --auto-approve <&- >&- 2>&-", 0),
        ("apply <&-", 64),
        ("apply 2>&-", 64),
        ("frob 2>/dev/full", 64),
        ("plan --config none.yaml 2>/dev/full", 1),
        ("plan -v >&-", 0),
        ("plan >/dev/full 2>&1", 1),
        ("validate -f - <&-", 0),
        ("--version >&-", 0),
        ("--help >&- 2>&-", 0),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_stream_that_is_closed_or_full_changes_nothing(command: str, expected: int) -> None:
    """Neither the exit code nor what is done depends on who listens."""
    finished = shell(f"{PROGRAM} {command}")
    assert (expected, False) == (finished.returncode, "Traceback" in finished.stderr), finished.stderr
    if "--auto-approve" in command:
        assert 0 == shell(f"{PROGRAM} plan --detailed-exitcode").returncode


@pytest.mark.parametrize(("arguments", "expected"), [(["apply", "--auto-approve", "-v"], 0), (["frob"], 64)])
@pytest.mark.usefixtures("project")
def test_a_standard_error_that_nobody_reads_changes_nothing(arguments: list[str], expected: int) -> None:
    """A log's reader may end before the run does."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "crmctl", *arguments]
    finished = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=writing, check=False, timeout=60)
    os.close(writing)
    assert expected == finished.returncode


@pytest.mark.usefixtures("project")
def test_no_file_takes_the_descriptor_of_a_closed_stream() -> None:
    """What is said to a closed stream must not end up in a journal or a database."""
    program = (
        "import os; from crmctl import cli; cli._prepare_streams(); "
        "os._exit(0 if os.open('crmctl.yaml', os.O_RDONLY) > 2 else 1)"
    )
    assert 0 == shell(f'{sys.executable} -c "{program}" <&- >&- 2>&-').returncode


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (PermissionError(errno.EACCES, "no"), 70, "this is a bug in crmctl"),
        (OSError("odd"), 70, "this is a bug in crmctl"),
        (OSError(errno.ENOSPC, "No space"), 1, "crmctl: output can't be written: No space\n"),
        (OSError(errno.EDQUOT, "Quota"), 1, "crmctl: output can't be written: Quota\n"),
        (OSError(errno.EFBIG, "Large"), 1, "crmctl: output can't be written: Large\n"),
        (BrokenPipeError(), 1, ""),
        (asyncio.CancelledError(), 130, "crmctl: interrupted\n"),
        (KeyboardInterrupt(), 130, "crmctl: interrupted\n"),
    ],
)
def test_every_end_of_a_run_has_its_exit_code(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: BaseException, expected: int, words: str
) -> None:
    """What no verb expected is a bug, with a traceback; a full disk, ^C and being cancelled are none."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("crmctl.commands.validate.Run.load", fail)
    code, _, said = project("validate")
    assert (expected, expected == 70) == (code, "Traceback" in said)
    assert words in said


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.usefixtures("project")
def test_a_report_that_does_not_fit_is_no_success(output: str, unbuffered: str) -> None:
    """Python's unbuffered streams drop what a full disk takes no more of; ours don't, and no traceback comes of it."""
    Path("broken.yaml").write_text(
        "accounts:\n" + "".join(f"  - {{domain: a{n}.example, nam: A}}\n" for n in range(99))
    )
    limited = f"ulimit -f 1; COVERAGE_PROCESS_CONFIG= PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED={unbuffered}"
    finished = shell(f"{limited} {PROGRAM} validate -f broken.yaml -o {output} >report")
    assert (1, False) == (finished.returncode, "Traceback" in finished.stderr), finished.stderr
    assert "output can't be written" in finished.stderr


@pytest.mark.usefixtures("project")
def test_what_is_said_before_a_stream_closes_arrives() -> None:
    """Standard output of a run whose standard error is closed is complete."""
    assert "Plan: 2 to create" in shell(f"{PROGRAM} plan 2>&-").stdout
    assert "valid: 1 account" in shell(f"{PROGRAM} validate >&-").stderr


def test_a_bug_is_told_even_if_nobody_hears_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is what is left then."""
    del project
    monkeypatch.setattr("crmctl.commands.validate.Run.load", lambda *_: 1 // 0)
    with Path("/dev/full").open("w", buffering=1, encoding="utf-8") as full:
        monkeypatch.setattr("sys.stderr", full)
        assert 70 == cli.run(["validate"])
