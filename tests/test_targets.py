"""Several targets in one command: each with its plan, its journal and its exit code, and none in another's way."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from project import MANIFEST, Project, write

from crmctl import schema
from crmctl.commands import apply as applying
from crmctl.commands.apply import EXIT_INTERRUPTED
from crmctl.outcome import Result

CONFIG = """
version: 1
default_target: one
targets:
  one: {provider: octolane, sandbox: .crmctl/one.db}
  two: {provider: octolane, sandbox: .crmctl/two.db}
  three: {provider: thena, sandbox: .crmctl/three.db}
  keyless: {provider: octolane}
"""
FAILED = {"provider": "octolane", "exit_code": 1, "error": "no", "diagnostics": []}
BOTH = ("--target", "one", "--target", "two")
GOOD = (*BOTH, "--target", "three")


@pytest.fixture
def several(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project with four targets, of which the last has no key."""
    monkeypatch.delenv("THENA_API_KEY", raising=False)
    Path("crmctl.yaml").write_text(CONFIG)
    return project


def read(text: str) -> dict[str, Any]:
    """Read a report, which has to be what the schema says."""
    values: dict[str, Any] = json.loads(text)
    if "plans" in values:
        jsonschema.Draft202012Validator(schema.read_schema("plan")).validate(values)
    return values


def pending(project: Project, target: str) -> bool:
    """Whether a target needs something."""
    return project("plan", "--target", target, "--detailed-exitcode")[0] == 2


def test_each_target_has_its_own_plan(several: Project) -> None:
    """One after the other as text and as Markdown, in one document as JSON."""
    several("apply", "--target", "two", "--auto-approve")
    code, shown, said = several("plan", *BOTH)
    assert (0, "") == (code, said)
    first, second = shown.split("\n\nTarget ")
    assert first.startswith('Target "one" (octolane)\n+ account/a.example')
    assert second.startswith('"two" (octolane)\n\nNo changes. 2 records match')
    values = read(several("plan", *BOTH, "-o", "json")[1])
    assert ["one", "two"] == [plan["target"] for plan in values["plans"]]
    assert [] == values["failed"]
    headings = [line for line in several("plan", *BOTH, "-o", "markdown")[1].splitlines() if line.startswith("###")]
    assert ["### crmctl plan for `one`", "### crmctl plan for `two`"] == headings


def test_one_target_named_twice_is_one(several: Project) -> None:
    """And its report has the form that one target's has."""
    assert "changes" in read(several("plan", "--target", "one", "--target", "one", "-o", "json")[1])


def test_targets_may_come_from_the_environment(several: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names are separated by spaces, as click does it for every flag that may be repeated."""
    monkeypatch.setenv("CRMCTL_TARGET", "two one")
    assert ["two", "one"] == [plan["target"] for plan in read(several("plan", "-o", "json")[1])["plans"]]
    monkeypatch.delenv("CRMCTL_TARGET")
    monkeypatch.setenv("CRMCTL_ALL_TARGETS", "1")
    values = read(several("plan", "-o", "json")[1])
    assert ["one", "two", "three"] == [plan["target"] for plan in values["plans"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--all-targets", "--target", "one"],
        ["plan", "--target", "one", "--target", "nowhere"],
        ["validate", "--target", "nowhere"],
        ["runs", "settle", "note/a/b", "--created", *BOTH],
    ],
)
def test_targets_that_make_no_sense_are_exit_64(several: Project, arguments: list[str]) -> None:
    """Before anything is read."""
    code, shown, said = several(*arguments)
    assert (64, "") == (code, shown)
    assert "Traceback" not in said


def test_all_of_no_targets_are_exit_64(several: Project) -> None:
    """There is nothing to do, which is not what was meant."""
    Path("crmctl.yaml").write_text("version: 1")
    assert 64 == several("plan", "--all-targets")[0]


def test_validate_takes_all_targets(several: Project) -> None:
    """It asks none of them, so none can fail."""
    assert (0, "", "valid: 1 account, 1 contact in 1 file\n") == several("validate", "--all-targets")


def test_a_target_that_fails_keeps_no_other_from_its_plan(several: Project) -> None:
    """It is reported in every format and on standard error, and its exit code counts."""
    code, shown, said = several("plan", "--all-targets")
    assert (6, "keyless: no API key: set OCTOLANE_API_KEY in the environment\n") == (code, said)
    assert 3 == shown.count("Plan: 2 to create")
    assert shown.endswith(
        '\nTarget "keyless" (octolane)\nnot planned: no API key: set OCTOLANE_API_KEY in the environment\n'
    )
    values = read(several("plan", "--all-targets", "-o", "json")[1])
    assert ["one", "two", "three"] == [plan["target"] for plan in values["plans"]]
    [failed] = values["failed"]
    assert ("keyless", 6, []) == (failed["target"], failed["exit_code"], failed["diagnostics"])
    assert "**Not planned:** no API key" in several("plan", "--all-targets", "-o", "markdown")[1]


def test_what_one_target_can_not_hold_is_its_own_affair(several: Project) -> None:
    """Names that only one CRM does not know are told with their places."""
    write(MANIFEST.replace("first_name: Janette", "first_name: Janette, type: wizard"))
    code, shown, said = several("plan", *GOOD)
    assert (1, "three: 1 error\n") == (code, said)
    assert 2 == shown.count("Plan: 2 to create")
    assert '\nmanifests/test.yaml:6:60: contact/jane@a.example: type: "wizard"' in shown
    [failed] = read(several("plan", *GOOD, "-o", "json")[1])["failed"]
    assert [("contact", "type", 60)] == [
        (one["kind"], one["field"], one["source"]["column"]) for one in failed["diagnostics"]
    ]


def test_where_every_target_fails_no_plan_file_is_written(several: Project) -> None:
    """There is nothing in it that could be applied."""
    Path("crmctl.yaml").write_text(CONFIG + "  keyless2: {provider: octolane}\n")
    code, shown, _ = several("plan", "--target", "keyless", "--target", "keyless2", "--out", "plan.json", "-o", "json")
    assert (6, [], 2) == (code, read(shown)["plans"], len(read(shown)["failed"]))
    assert not Path("plan.json").exists()


def test_pending_changes_and_failures_make_the_worse_code(several: Project) -> None:
    """2 is the least of all."""
    assert 2 == several("plan", *BOTH, "--detailed-exitcode")[0]
    assert 6 == several("plan", "--all-targets", "--detailed-exitcode")[0]


def test_limits_are_told_per_target(several: Project) -> None:
    """Each target may have its own."""
    Path("crmctl.yaml").write_text(CONFIG.replace("one.db", "one.db, limits: {max_creates: 1}"))
    said = several("plan", *BOTH)[2]
    assert "one: apply would be refused: 2 creates are more than max_creates allows (1)\n" == said
    code, shown, said = several("apply", *BOTH, "--auto-approve")
    assert 5 == code
    assert said.startswith("one: 2 creates are more than max_creates allows (1): nothing was sent")
    assert 1 == shown.count("Applied: 2 created")
    assert "not applied: 2 creates" in shown
    assert (True, False) == (pending(several, "one"), pending(several, "two"))


def test_apply_shows_all_plans_and_then_applies_each(several: Project) -> None:
    """Each with its own journal, results and part of the report."""
    code, shown, _ = several("apply", *GOOD, "--auto-approve", "--results", "results")
    assert 0 == code
    plans, runs = shown.split("Apply will send", 3)[:3], shown.rpartition("Apply will send")[2]
    assert all("Plan: 2 to create" in plan for plan in plans)
    assert 3 == runs.count("Applied: 2 created")
    assert ["one", "three", "two"] == sorted(path.name for path in Path("results").iterdir())
    assert all(2 == len((Path("results") / name / "created.jsonl").read_text().splitlines()) for name in ("one", "two"))
    begun = [json.loads(path.read_text().splitlines()[0]) for path in sorted(Path(".crmctl/runs").iterdir())]
    assert {"one", "two", "three"} == {entry["target"] for entry in begun}
    code, shown, _ = several("apply", *GOOD, "--auto-approve")
    assert (0, 3, 0) == (code, shown.count("No changes."), shown.count("Applied"))


def test_the_outcomes_of_several_targets_are_one_document(several: Project) -> None:
    """Those that failed beside them; without text on standard output the totals are said."""
    code, shown, said = several("apply", "--all-targets", "--auto-approve", "-o", "json")
    values = json.loads(shown)
    assert (6, "runs") == (code, list(values)[-1])
    assert [("one", 2), ("two", 2), ("three", 2)] == [
        (run["target"], run["totals"]["created"]) for run in values["runs"]
    ]
    assert ["keyless"] == [failed["target"] for failed in values["failed"]]
    assert ["keyless", "one", "two", "three"] == [line.partition(":")[0] for line in said.splitlines()]


def test_the_worst_code_of_all_targets_counts(several: Project) -> None:
    """A record that one CRM refuses is exit 3, unless something worse happens elsewhere."""
    write("accounts: [{domain: good.example, name: Good}, {domain: bad.invalid, name: Bad}]")
    assert 3 == several("apply", *BOTH, "--auto-approve")[0]
    assert 6 == several("apply", "--all-targets", "--auto-approve")[0]


def test_a_plan_file_for_several_targets(several: Project) -> None:
    """Saved, shown, applied in part, applied as a whole."""
    assert 0 == several("plan", *GOOD, "--out", "plan.json", "-q")[0]
    shown = several("show", "plan.json")[1]
    assert 3 == shown.count("Plan: 2 to create")
    assert read(Path("plan.json").read_text()) == read(several("show", "plan.json", "-o", "json")[1])
    assert several("show", "plan.json", "--target", "two")[1].startswith('Target "two"')
    assert 2 == several("show", "plan.json", *BOTH)[1].count("Plan: 2 to create")
    assert 64 == several("show", "plan.json", "--target", "keyless")[0]
    assert 0 == several("apply", "plan.json", "--target", "two")[0]
    assert (True, False) == (pending(several, "one"), pending(several, "two"))
    code, shown, _ = several("apply", "plan.json")
    assert (0, 2) == (code, shown.count("Applied: 2 created"))
    assert not pending(several, "three")


@pytest.mark.parametrize(
    "change",
    [
        lambda values, _: values["plans"].pop(),
        lambda values, _: values["failed"].append({**FAILED, "target": values["plans"].pop()["target"]}),
        lambda values, _: [plan.pop("together") for plan in values["plans"]],
        lambda values, other: values["plans"].append(other["plans"][-1]),
        lambda values, other: values["plans"].__setitem__(1, other["plans"][1]),
        lambda values, _: (values["plans"].pop(), values["plans"][0]["together"].update(plans=1)),
        lambda values, _: (values.update(values["plans"][0]), values.pop("plans"), values.pop("failed")),
        lambda values, _: (values.update(values["plans"][0]), [values.pop(n) for n in ("plans", "failed", "together")]),
    ],
)
def test_the_plans_of_one_file_belong_together(several: Project, change: Any) -> None:
    """What was reviewed is all of them: none is taken out, put in, or taken from another file; nothing is sent."""
    several("plan", *GOOD, "--out", "other.json")
    write(MANIFEST.replace("name: A", "name: B"))
    several("plan", *BOTH, "--out", "plan.json")
    values = read(Path("plan.json").read_text())
    change(values, read(Path("other.json").read_text()))
    Path("plan.json").write_text(json.dumps(values))
    code, shown, said = several("apply", "plan.json")
    assert (4, False) == (code, "Applied" in shown)
    assert "plans were taken out" in said or "changed after it was written" in said
    assert pending(several, "one")


def test_what_the_plan_file_says_of_failures_is_kept(several: Project) -> None:
    """It is shown again, and an apply says whom it passes over; that is not the file's failure."""
    write(MANIFEST.replace("first_name: Janette", "first_name: Janette, type: wizard"))
    assert 6 == several("plan", "--all-targets", "--out", "plan.json")[0]
    shown = several("show", "plan.json", "--redact")[1]
    assert 'Target "three" (thena)\nmanifests/test.yaml:6:60: contact/anon-' in shown
    assert "jane@" not in shown
    code, _, said = several("apply", "plan.json")
    assert 0 == code
    assert "target keyless has no plan in the file, and is passed over: no API key" in said


def test_a_stale_plan_is_refused_for_its_target_alone(several: Project) -> None:
    """The others are applied as they were reviewed."""
    several("plan", *BOTH, "--out", "plan.json")
    write(MANIFEST.replace("name: A", "name: B"))
    several("apply", "--target", "one", "--auto-approve")
    write(MANIFEST)
    code, shown, said = several("apply", "plan.json")
    assert 4 == code
    assert "one: stale: account/a.example: planned to create, differs now\n" in said
    assert "one: the plan is stale and nothing was sent" in said
    assert 1 == shown.count("Applied: 2 created")


@pytest.mark.parametrize(("plans", "expected"), [(0, "no target could be planned"), (2, "more than one plan for")])
def test_a_plan_file_without_or_with_too_many_plans_is_none(several: Project, plans: int, expected: str) -> None:
    """Somebody has edited it."""
    several("plan", *BOTH, "--target", "keyless", "--out", "plan.json")
    values = read(Path("plan.json").read_text())
    Path("plan.json").write_text(json.dumps({**values, "plans": values["plans"][:1] * plans}))
    code, shown, said = several("apply", "plan.json")
    assert (1, "", True) == (code, shown, expected in said)


def test_a_journal_that_can_not_be_written_stops_one_target(several: Project) -> None:
    """The others have one."""
    Path("crmctl.yaml").write_text(CONFIG.replace("two.db", "two.db, journal: .crmctl/two"))
    Path(".crmctl").mkdir()
    Path(".crmctl/runs").write_text("")
    code, shown, said = several("apply", *BOTH, "--auto-approve")
    assert (1, 1) == (code, shown.count("Applied: 2 created"))
    assert "one: " in said
    assert "no journal can be written" in said


def test_on_a_terminal_apply_asks_once(several: Project) -> None:
    """After all plans, and only for targets with something to do."""
    several("apply", "--target", "two", "--auto-approve")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crmctl", "apply", *GOOD], stdin=follower, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(leader, b"y\n")
    shown, said = process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert 0 == process.returncode, said
    assert 1 == said.count("Apply this to targets one, three? [y/N]")
    assert 2 == shown.count("Applied: 2 created")


def test_no_target_is_begun_after_an_interruption(several: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of those before it is reported all the same."""
    carry_out = applying._carry_out

    async def interrupt(planned: Any, *rest: Any) -> Result:
        return replace(await carry_out(planned, *rest), interrupted=planned.plan.target == "two")

    monkeypatch.setattr(applying, "_carry_out", interrupt)
    code, shown, said = several("apply", *GOOD, "--auto-approve", "-o", "json")
    values = json.loads(shown)
    assert "three: interrupted before its turn: nothing was sent\n" in said
    assert EXIT_INTERRUPTED == code
    assert ["one", "two"] == [run["target"] for run in values["runs"]]
    assert [("three", "interrupted before its turn: nothing was sent")] == [
        (failed["target"], failed["error"]) for failed in values["failed"]
    ]


@pytest.mark.parametrize(("flags", "reported"), [(("--target", "two"), False), (BOTH, True)])
def test_what_is_interrupted_between_requests_is_exit_130(
    several: Project, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], *, reported: bool
) -> None:
    """Several targets are reported as far as they came."""
    carry_out = applying._carry_out

    async def interrupt(planned: Any, *rest: Any) -> Result:
        if planned.plan.target == "two":
            raise KeyboardInterrupt
        return await carry_out(planned, *rest)

    monkeypatch.setattr(applying, "_carry_out", interrupt)
    code, shown, _ = several("apply", *flags, "--auto-approve", "-o", "json")
    assert EXIT_INTERRUPTED == code
    assert reported == ("its journal has what was sent" in shown)
