"""--rate, --max-requests, --timeout and --max-failures as a person or a pipeline meets them."""

import json
from pathlib import Path
from typing import Any

import pytest
from project import CONFIG, Project

from crmctl.commands.sending import Sending
from crmctl.config import Target, read_config
from crmctl.reports import text


def sent(project: Project) -> int:
    """How many requests the sandbox has counted."""
    return sum(entry["count"] for entry in json.loads(project("sandbox", "stats", "--json")[1])["requests"])


def test_a_budget_ends_a_run_and_the_next_ones_finish_it(project: Project) -> None:
    """Exit 7, with what was not sent skipped; in the end nothing is left to do."""
    codes = []
    for _ in range(9):
        code, shown, said = project("apply", "--auto-approve", "--max-requests", "6")
        codes.append(code)
        if code == 0:
            break
        assert 7 == code
        assert "--max-requests" in shown + said
    assert 0 == codes[-1]
    assert 7 in codes
    assert 0 == project("plan", "--detailed-exitcode")[0]


def test_a_budget_counts_planning_too(project: Project) -> None:
    """One request is not enough to read anything, and not one more is sent."""
    code, _, said = project("plan", "--max-requests", "1")
    assert 7 == code
    assert "the budget (--max-requests 1) is spent" in said
    assert 1 == sent(project)


def test_a_plan_says_what_a_budget_will_not_do(project: Project) -> None:
    """Before anything is written."""
    _, shown, said = project("plan", "--max-requests", "5")
    assert "Plan: 2 to create" in shown
    assert "may send 5: it will stop in the middle" in said
    assert "stop in the middle" not in project("plan", "--max-requests", "50")[2]


def test_a_rate_tells_how_long_it_takes(project: Project) -> None:
    """At least; the flag comes before the target's."""
    assert "or more at the rate asked for" not in project("plan")[1]
    assert "s or more at the rate asked for" in project("plan", "--rate", "500")[1]
    Path("crmctl.yaml").write_text(CONFIG.replace("octolane, sandbox", "octolane, rate: 400, sandbox"))
    slow = json.loads(project("plan", "-o", "json")[1])
    fast = json.loads(project("plan", "-o", "json", "--rate", "800")[1])
    assert slow["seconds"] == 2 * fast["seconds"] > 0
    assert (sum(slow["requests"].values()) - 1) / 400 == slow["seconds"]


@pytest.mark.parametrize(
    ("flag", "value"), [("--rate", "0"), ("--max-requests", "0"), ("--timeout", "nan"), ("--rate", "inf")]
)
def test_impossible_values_are_usage_errors(project: Project, flag: str, value: str) -> None:
    """Before any request."""
    assert 64 == project("plan", flag, value)[0]
    assert 64 == project("apply", "--auto-approve", flag, value)[0]


def test_flags_come_before_the_target() -> None:
    """What is not flagged stays as it is."""
    target = Target("t", "octolane", rate=5, timeout=9)
    assert target == Sending().override(target)
    assert (7, 3) == (Sending(rate=7).override(target).rate, Sending(timeout=3).override(target).timeout)


def test_what_a_target_says(tmp_path: Path) -> None:
    """Its rate and its largest body; without them no rate, and a megabyte."""
    file = tmp_path / "crmctl.yaml"
    file.write_text(
        "version: 1\ntargets: {a: {provider: thena, rate: 2.5, max_body_bytes: 5000}, b: {provider: thena}}"
    )
    targets = read_config(file).targets
    assert (2.5, 5000) == (targets["a"].rate, targets["a"].max_body_bytes)
    assert (None, 1_000_000) == (targets["b"].rate, targets["b"].max_body_bytes)


@pytest.mark.parametrize(
    ("head", "promise", "duration"),
    [
        ({}, "Apply will send", ""),
        ({"requests_at_least": True, "seconds": None}, "Apply will send at least", ""),
        ({"requests_at_least": False, "seconds": 0.2}, "Apply will send", ", in 1 s or more at the rate asked for"),
        ({"seconds": 125}, "Apply will send", ", in 2 min 5 s or more at the rate asked for"),
        ({"seconds": 7320}, "Apply will send", ", in 2 h 2 min or more at the rate asked for"),
    ],
)
def test_what_a_plan_promises(head: dict[str, Any], promise: str, duration: str) -> None:
    """How many requests, and how long they take."""
    assert (promise, duration) == (text.promise(head), text.duration(head))
