"""Several applies of one manifest at once, as processes of their own, against one served CRM.

Without a shared lock, as on machines apart: what dedupes is there once, whoever comes first. With one, in turn.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import KEY

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.server import running

RECORDS = 120
MANIFEST = "accounts:\n" + "".join(
    f"  - domain: c{number}.example\n    name: Company {number}\n    tags: [a]\n    contacts:\n"
    f"      - {{email: jane@c{number}.example, first_name: Jane}}\n"
    for number in range(RECORDS)
)


def machine(folder: Path, url: str, others: str = "") -> list[str]:
    """Make a checkout of its own; returns the command that applies it."""
    (folder / "manifests").mkdir(parents=True)
    (folder / "manifests" / "all.yaml").write_text(MANIFEST)
    target = f"{{provider: octolane, base_url: '{url}', settle: 5{others}}}"
    (folder / "crmctl.yaml").write_text(f"version: 1\ntargets:\n  served: {target}\n")
    return [sys.executable, "-m", "crmctl", "apply", "--auto-approve", "-o", "json"]


def run_at_once(folders: list[Path], url: str, *flags: str, others: str = "", **variables: str) -> list[Any]:
    """Apply in every folder at once; returns each one's exit code and report."""
    environment = {**os.environ, "OCTOLANE_API_KEY": "made-up", **variables}
    commands = [machine(folder, url, others) for folder in folders]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, *flags], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for command, folder in zip(commands, folders, strict=True)
        ]  # fmt: skip
        ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    return [(code, json.loads(shown) if shown else None, said) for (shown, said), code in ended]


def held(url: str) -> Counter[str]:
    """How often each key is in the CRM."""
    found: Counter[str] = Counter()
    for plural, key in (("accounts", "domain"), ("contacts", "email")):
        body = {"limit": 500, "sort": "id"}
        data = httpx.post(f"{url}/v1/{plural}/search", json=body, headers=KEY, trust_env=False).json()["data"]
        assert not data["has_more"]
        found.update(record[key] for record in data[plural])
    return found


@pytest.mark.parametrize("number", [2, 4])
def test_applies_at_once_end_right_without_a_shared_lock(tmp_path: Path, number: int) -> None:
    """Each record is there once, as declared, and every run says so."""
    folders = [tmp_path / str(index) for index in range(number)]
    with running(open_sandbox("octolane", tmp_path / "served.db", latency=0.02)) as url:
        ended = run_at_once(folders, url)
        assert [0] * number == [code for code, _, _ in ended], [said for _, _, said in ended]
        assert {1} == set(held(url).values())
        assert 2 * RECORDS == len(held(url))
        again = run_at_once([tmp_path / "again"], url)
    assert (0, 2 * RECORDS) == (again[0][0], again[0][1]["totals"]["unchanged"])
    for _, report, _ in ended:
        totals = report["totals"]
        assert 2 * RECORDS == totals["created"] + totals["existed"] + totals["updated"] + totals["unchanged"]


def test_applies_with_a_shared_lock_come_in_turn(tmp_path: Path) -> None:
    """The first creates everything, and whoever waited for it finds everything done."""
    folders = [tmp_path / str(index) for index in range(2)]
    place = (tmp_path / "locks").as_uri()
    with running(open_sandbox("octolane", tmp_path / "served.db")) as url:
        ended = run_at_once(folders, url, "--lock-timeout", "60", others=f", lock: '{place}'", CRMCTL_ALLOW_LOCKS=place)
        assert [0, 0] == [code for code, _, _ in ended], [said for _, _, said in ended]
    totals = [report["totals"] for _, report, _ in ended]
    assert [0, 2 * RECORDS] == sorted(total["created"] for total in totals)
    assert [0, 2 * RECORDS] == sorted(total["unchanged"] for total in totals)
