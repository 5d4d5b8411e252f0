"""No input below the size limits takes a gigabyte, whatever it holds.

Each is read by a process of its own, whose peak is measured. `make test` tries a few small ones, which may take as much
a byte as the largest; `make fuzz` tries the largest of all.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

import pytest
from sampling import ALL, some

from crmctl.client import LONGEST_BODY
from crmctl.config import DEFAULT_MAX_FILE_BYTES
from crmctl.errors import MOST_EXPLAINED

GIGABYTE = 1_000_000_000
ITSELF = 100_000_000
"""What crmctl may take for itself, before it has read anything."""
MEASURED = Path(__file__).with_name("measured.py")
Make = Callable[[int], str]


def repeated(start: str, piece: str, end: str = "") -> Make:
    """Return what makes a text of some size from one piece, again and again."""
    return lambda size: start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def numbered(start: str, piece: str) -> Make:
    """Return what makes a text of some size from pieces with a number each."""

    def make(size: int) -> str:
        pieces, left = [start], size - len(start)
        for number in count():
            pieces.append(piece.replace("#", str(number)))
            left -= len(pieces[-1])
            if left < 0:
                return "".join(pieces[:-1])
        raise AssertionError

    return make


ACCOUNT = "accounts:\n- domain: a.example\n"
MANIFESTS: Mapping[str, Make] = {
    "empty mappings": repeated("accounts: [", "{},", "{}]"),
    "empty lists": repeated("accounts: [", "[],", "[]]"),
    "deep lists": repeated("accounts: [", "[" * 60 + "]" * 60 + ",", "1]"),
    "numbers for records": repeated("accounts: [", "1,", "1]"),
    "mappings for tags": repeated("accounts: [{domain: a.example, tags: [", "{},", "a]}]"),
    "anchors": numbered("accounts: [{domain: a.example, tags: [", "&# a,"),
    "documents": repeated("", "---\n{}\n"),
    "wrong documents": repeated("", "---\n{a: 1}\n"),
    "unknown members": numbered("accounts: []\n", "x#: 1\n"),
    "unknown fields": numbered(ACCOUNT, "  x#: 1\n"),
    "a long word": repeated(f"{ACCOUNT}  ? ", "abc", "\n  : 1\n"),
    "wrong custom fields": numbered(f"{ACCOUNT}  custom_fields:\n", "    x#: {}\n"),
    "misspelt fields": numbered("contacts:\n", "- {email: c#@a.example, fist_name: a}\n"),
    "misspelt fields, nested": numbered(f"{ACCOUNT}  contacts:\n", "  - {email: c#@a.example, fist_name: a}\n"),
    "duplicates": repeated("accounts:\n", "- {domain: a.example}\n"),
    "records": numbered("contacts:\n", "- {email: c#@a.example}\n"),
    "notes": numbered("contacts:\n- email: a@b.example\n  notes:\n", "  - {key: k#, text: a}\n"),
    "domains to correct": numbered("accounts:\n", "- domain: https://a#.example\n"),
    "a long text": repeated('accounts: [{domain: a.example, name: "', "a", '"}]'),
    "wide characters": repeated('accounts: [{domain: a.example, name: "\U0001f600', "a", '"}]   '),
    "aliases of a long text": lambda size: repeated(
        f"contacts:\n- email: &x {'a' * (size // 2)}@a.example\n", "- email: *x\n"
    )(size),
    "aliases of a record": repeated("contacts:\n- &x {email: a@b.example, first_name: a}\n", "- *x\n"),
    "merged mappings": repeated("accounts:\n- &x {domain: a.example, name: a, industry: b}\n", "- {<<: *x}\n"),
    "tags and control characters": repeated("accounts: [", '!a "\\x01",', "1]"),
}
ANSWERS: Mapping[str, Make] = {
    "empty mappings": repeated('{"data":[', "{},", "{}]}"),
    "deep lists": repeated('{"data":[', "[" * 90 + "]" * 90 + ",", "1]}"),
    "mappings": repeated('{"data":[', '{"a":{"a":{}}},', "1]}"),
    "names": numbered('{"data":0', ',"#":{}'),
    "short texts": repeated('{"data":[', '"ab",', "1]}"),
    "brackets": repeated("", "["),
    "quotes": repeated('{"a":', '"', "}"),
}


def measure(what: str, file: Path, largest: int) -> tuple[float, str]:
    """Read a file in a process of its own; returns what it took as a share of what it may take, and what was printed.

    The largest input may take a gigabyte, a smaller one accordingly less.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CRMCTL_", "COV"))}
    done = subprocess.run(
        [sys.executable, MEASURED, what, file.name],
        cwd=file.parent, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return int(done.stderr.split()[-1]) / ((GIGABYTE - ITSELF) * file.stat().st_size / largest), done.stdout


@pytest.mark.parametrize("name", some(sorted(MANIFESTS), 9))
def test_no_manifest_takes_a_gigabyte(tmp_path: Path, name: str) -> None:
    """What is wrong is told up to a point and counted beyond it, so that errors cost no more than what is right."""
    file, largest = tmp_path / "m.yaml", DEFAULT_MAX_FILE_BYTES
    file.write_text(MANIFESTS[name](largest if ALL else largest // 20), encoding="utf-8")
    share, told = measure("manifest", file, largest)
    assert share < 1
    assert told.count("\nm.yaml:") <= MOST_EXPLAINED


@pytest.mark.parametrize("name", some(sorted(ANSWERS), 3))
def test_no_answer_takes_a_gigabyte(tmp_path: Path, name: str) -> None:
    """An answer is decoded as a whole, or refused."""
    file = tmp_path / "answer.json"
    file.write_text(ANSWERS[name](LONGEST_BODY if ALL else LONGEST_BODY // 20))
    assert measure("answer", file, LONGEST_BODY)[0] < 1
