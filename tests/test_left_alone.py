"""What an apply is to leave alone is in its report: totals add up to what is declared, and nothing is sent for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from project import Project, write

from crmctl.history import read_history
from crmctl.journal import read_lines

DECLARED = "accounts:\n" + "\n".join(f"  - {{domain: a{number}.example, name: A}}" for number in range(6))


def outcomes(project: Project, *arguments: str) -> tuple[int, Mapping[str, int], dict[str, str]]:
    """Apply; returns the exit code, the totals that are not 0, and why each record was skipped."""
    code, shown, _ = project(*arguments, "-o", "json")
    report: dict[str, Any] = json.loads(shown)
    totals = {status: number for status, number in report["totals"].items() if number}
    return code, totals, {one["key"]: one["error"] for one in report["outcomes"] if one["status"] == "skipped"}


def journals() -> list[Path]:
    return sorted(Path(".crmctl/runs").glob("*.jsonl"))


def test_what_a_stale_plan_names_is_skipped(project: Project) -> None:
    """With the reason: changed, or new since; what belongs to it is skipped as well, and that is no failure."""
    write(DECLARED)
    project("plan", "--out", "plan.json")
    notes = "    contacts: [{email: jane@new.example, first_name: Jane}]"
    write(DECLARED.replace("a0.example, name: A", "a0.example, name: B") + f"\n  - domain: new.example\n{notes}\n")
    code, totals, skipped = outcomes(project, "apply", "plan.json", "--apply-unchanged")
    assert (0, {"created": 5, "skipped": 3}) == (code, totals)
    assert {
        "a0.example": "left alone: planned to create, differs now",
        "new.example": "left alone: to create now, and not in the plan",
        "jane@new.example": "left alone: to create now, and not in the plan",
    } == skipped


def test_what_belongs_to_a_record_left_alone_is_skipped(project: Project) -> None:
    """An account that is not created as reviewed can't be what a contact was reviewed with."""
    contact = "\ncontacts: [{email: jane@home.example, account: a0.example, first_name: Jane}]"
    write(DECLARED + contact)
    project("plan", "--out", "plan.json")
    write(DECLARED.replace("a0.example, name: A", "a0.example, name: B") + contact)
    code, totals, skipped = outcomes(project, "apply", "plan.json", "--apply-unchanged")
    assert (0, {"created": 5, "skipped": 2}) == (code, totals)
    assert {"a0.example", "jane@home.example"} == skipped.keys()


def test_what_can_not_be_put_back_is_skipped(project: Project) -> None:
    """As with any plan file that is stale."""
    write(DECLARED)
    project("apply", "--auto-approve")
    write(DECLARED.replace("name: A", "name: B"))
    project("apply", "--auto-approve", "--undo-out", "undo.json")
    write(DECLARED.replace("name: A", "name: B").replace("a0.example, name: B", "a0.example, name: C"))
    project("apply", "--auto-approve")
    code, totals, skipped = outcomes(project, "apply", "undo.json", "--apply-unchanged")
    assert (0, {"updated": 5, "skipped": 1}) == (code, totals)
    assert {"a0.example": "left alone: has been changed since the run (name)"} == skipped


@pytest.mark.parametrize("resumed", [False, True])
def test_what_a_run_has_not_left_is_skipped_when_it_is_continued(project: Project, *, resumed: bool) -> None:
    """Of those that it was to leave alone itself none is done by continuing it, however often."""
    write(DECLARED)
    project("plan", "--out", "plan.json")
    write(DECLARED.replace("a0.example, name: A", "a0.example, name: B"))
    outcomes(project, "apply", "plan.json", "--apply-unchanged")
    if resumed:
        outcomes(project, "runs", "resume", journals()[-1].stem, "--auto-approve")
    run = journals()[-1].stem
    code, totals, skipped = outcomes(project, "runs", "resume", run, "--auto-approve")
    assert (0, {"unchanged": 5, "skipped": 1}) == (code, totals)
    assert {"a0.example": f"left alone: it is not among what run {run} has left"} == skipped


def test_a_run_has_not_left_what_it_could_only_report(project: Project) -> None:
    """Its journal has the outcome, and no plan to do it."""
    write(DECLARED)
    project("plan", "--out", "plan.json")
    write(DECLARED + "\n  - {domain: new.example}\n")
    project("apply", "plan.json", "--apply-unchanged")
    history = read_history("r", read_lines(journals()[-1]))
    assert {"created": 6, "skipped": 1} == history.totals()
    assert {} == history.left()
