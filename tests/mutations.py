"""Switch off one guard at a time, in a copy of the tree, and see whether the suite notices: `make mutants`.

`python tests/mutations.py [WORD...]` takes the mutants whose names hold one of the words. Prints a table; exits 1 if
one went unnoticed, or does not apply any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
NEEDED = ("crmctl", "tests", "schemas", "docs", "manifests", "examples", "benchmarks")
LONGEST = 300.0


def copy(folder: Path) -> None:
    """Copy what the suite needs; the real tree is never touched."""
    leave = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis")
    for name in NEEDED:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name, ignore=leave)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, folder / path.name)
    shutil.copy(ROOT / "Makefile", folder / "Makefile")


def failures(folder: Path, tests: Sequence[str], *more: str) -> list[str]:
    """Run some tests on a copy; returns those that fail."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRMCTL_", "CHAOS"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more, *tests]
    environment = {**kept, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return ["no end"]
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    found = [line.partition(" - ")[0].partition(" ")[2] for line in lines]
    return found or ([] if done.returncode == 0 else [f"exit code {done.returncode}"])


def try_out(mutant: Mutant, folder: Path, leave: Sequence[str]) -> str:
    """Switch a guard off; returns the test that notices, or what is wrong. `leave` are tests that fail anyway."""
    path = folder / "crmctl" / mutant.file
    sound = path.read_text(encoding="utf-8")
    if mutant.old not in sound:
        return "?? there is no such code any more"
    path.write_text(sound.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        noticed = failures(folder, mutant.tests, "-x", *(f"--deselect={test}" for test in leave))
    finally:
        path.write_text(sound, encoding="utf-8")
    return noticed[0] if noticed else "?? nobody noticed"


def main(words: list[str]) -> int:
    """Try all mutants; returns how many were not noticed."""
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)

        @cache
        def anyway(tests: str) -> list[str]:
            return failures(folder, [tests])

        for mutant in MUTANTS:
            if words and not any(word in mutant.guard for word in words):
                continue
            leave = [test for tests in mutant.tests for test in anyway(tests)]
            began = time.monotonic()
            said = try_out(mutant, folder, leave)
            wrong += said.startswith("??")
            beside = f"  ({len(leave)} fail anyway)" if leave else ""
            print(f"{mutant.guard:<45} {time.monotonic() - began:5.1f} s  {said}{beside}", flush=True)  # noqa: T201
    return wrong


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
