"""`crmctl apply` as a person or a pipeline meets it: approval, plan files, limits, results, interruption."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import CONFIG, MANIFEST, Project, write

from crmctl.commands.run import worst
from crmctl.errors import CrmctlError
from crmctl.journal import Journal
from crmctl.outcome import STATUSES
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.server import running


def test_apply_without_terminal_and_approval_is_a_usage_error(project: Project) -> None:
    """Nobody is there to ask, so nothing is even read."""
    code, shown, said = project("apply")
    assert (64, "") == (code, shown)
    assert "--auto-approve" in said


def test_limits_refuse_after_the_plan_was_shown(project: Project) -> None:
    """Exit 5, and nothing was sent; a reason goes beyond them."""
    code, shown, said = project("apply", "--auto-approve", "--max-creates", "1")
    assert 5 == code
    assert "Plan: 2 to create" in shown
    assert "2 creates are more than max_creates allows (1)" in said
    assert 2 == project("plan", "--detailed-exitcode")[0]
    assert 0 == project("apply", "--auto-approve", "--max-creates", "1", "--allow-unsafe", "first import")[0]
    journals = [path.read_text() for path in Path(".crmctl/runs").iterdir()]
    assert [1] == [text.count("first import") for text in journals]


def test_limits_of_the_configuration_hold(project: Project) -> None:
    """Those of a target come before those of the file, flags before both."""
    limits = (
        CONFIG.replace("octolane, sandbox", "octolane, limits: {max_creates: 1}, sandbox")
        + "limits: {max_creates: 9}\n"
    )
    Path("crmctl.yaml").write_text(limits)
    code, _, said = project("plan")
    assert 0 == code
    assert "apply would be refused: 2 creates" in said
    assert 5 == project("apply", "--auto-approve")[0]
    assert 0 == project("apply", "--auto-approve", "--max-creates", "2")[0]


def test_a_plan_file_is_its_own_approval_and_private(project: Project) -> None:
    """Saved, shown, applied, and applied again: done."""
    assert 0 == project("plan", "--out", "plan.json")[0]
    assert 0o600 == stat.S_IMODE(Path("plan.json").stat().st_mode)
    assert "Plan: 2 to create" in project("show", "plan.json")[1]
    assert json.loads(project("show", "plan.json", "-o", "json")[1]) == json.loads(Path("plan.json").read_text())
    assert 0 == project("apply", "plan.json")[0]
    code, shown, _ = project("apply", "plan.json")
    assert 0 == code
    assert "No changes" in shown


def test_a_stale_plan_file_is_exit_4(project: Project) -> None:
    """What differs is named, nothing is sent; the rest may go on if asked."""
    project("plan", "--out", "plan.json")
    write(MANIFEST.replace("name: A", "name: B"))
    code, _, said = project("apply", "plan.json")
    assert 4 == code
    assert "stale: account/a.example: planned to create, differs now" in said
    code, shown, said = project("apply", "plan.json", "--apply-unchanged")
    assert 0 == code
    assert "left alone: account/a.example" in said
    assert "- skipped account/a.example" in shown
    assert "    left alone: planned to create, differs now\n" in shown
    # It was not created, so what belongs to it is not, either.
    assert "Applied: 0 created, 0 updated, 0 unchanged, 2 skipped" in shown


def test_a_plan_file_of_another_target_is_refused(project: Project) -> None:
    """The target is part of what was reviewed."""
    project("plan", "--out", "plan.json")
    assert 64 == project("apply", "plan.json", "--target", "production")[0]


@pytest.mark.parametrize("verb", ["show", "apply"])
def test_a_plan_file_that_is_none_is_no_traceback(project: Project, verb: str) -> None:
    """Missing, broken, or something else."""
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"format_version": "1.0"}')
    assert [1, 1, 1] == [project(verb, name)[0] for name in ("missing.json", "broken.json", "other.json")]


def test_records_that_fail_are_exit_3_and_listed(project: Project) -> None:
    """Each status has a file of its own, one JSON object a line."""
    write("accounts: [{domain: good.example}, {domain: bad.invalid}]")
    code, shown, _ = project("apply", "--auto-approve", "--results", "results")
    assert 3 == code
    assert "failed account/bad.invalid" in shown
    [failed] = [json.loads(line) for line in Path("results/failed.jsonl").read_text().splitlines()]
    assert ("bad.invalid", "manifests/test.yaml") == (failed["key"], failed["source"]["file"])
    assert "400" in failed["error"]
    assert {f"{status}.jsonl" for status in STATUSES if status != "unchanged"} == {
        path.name for path in Path("results").iterdir()
    }
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in Path("results").iterdir()}


@pytest.mark.parametrize(
    "flags",
    [
        ["-o", "json=nowhere/plan.json"],
        ["-o", "json=manifests"],
        ["--results", "/proc/x"],
    ],
)
def test_what_can_not_be_written_is_told_before_anything_is_sent(project: Project, flags: list[str]) -> None:
    """A report that is lost after the work would be worse."""
    code, shown, said = project("apply", "--auto-approve", *flags)
    assert (1, "") == (code, shown)
    assert "can't be" in said
    assert not Path(".crmctl/runs").exists()


def test_without_a_journal_nothing_is_sent(project: Project) -> None:
    """A file where the folder of runs should be."""
    assert 0 == project("plan", "-q")[0]
    Path(".crmctl/runs").write_text("")
    code, _, said = project("apply", "--auto-approve")
    assert 1 == code
    assert "no journal can be written" in said
    assert 2 == project("plan", "--detailed-exitcode")[0]


def test_what_crmctl_keeps_stays_out_of_git(project: Project) -> None:
    """The database and the journals are about people, and about one machine."""
    project("apply", "--auto-approve")
    assert "*\n" == Path(".crmctl/.gitignore").read_text()


def test_an_edited_plan_file_is_exit_4(project: Project) -> None:
    """What was reviewed is what is applied."""
    project("plan", "--out", "plan.json")
    plan = Path("plan.json")
    plan.write_text(plan.read_text().replace("Janette", "Jacky"))
    code, shown, said = project("apply", "plan.json")
    assert (4, "") == (code, shown)
    assert "changed after it was written" in said


def test_a_few_skipped_records_are_listed_each(project: Project) -> None:
    """With the reason, and nothing is counted behind them."""
    write("accounts: [{domain: a.invalid, contacts: [{email: jane@a.example}]}]")
    shown = project("apply", "--auto-approve")[1]
    assert "- skipped contact/jane@a.example" in shown
    assert "likewise" not in shown


def test_many_records_skipped_for_one_reason_are_counted(project: Project) -> None:
    """The first few are listed; -v lists all."""
    bad = "\n".join(f"  - {{domain: c{n:03}.invalid}}" for n in range(150))
    write(f"accounts:\n{bad}")
    shown = project("apply", "--auto-approve", "--parallelism", "1")[1]
    assert 10 == shown.count("- skipped account/")
    assert "- skipped 120 more, likewise (-v shows all)" in shown


@pytest.mark.usefixtures("project")
def test_a_pipe_that_closes_before_apply_has_shown_its_plan_stops_it() -> None:
    """Nothing is sent that nobody could see."""
    write("accounts:\n" + "\n".join(f"  - {{domain: c{n}.example, name: Company {n}}}" for n in range(3000)))
    command = f"{sys.executable} -m crmctl apply --auto-approve | head -n 1"
    finished = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert "nothing was sent" in finished.stderr
    assert not Path(".crmctl/runs").exists()


def test_without_text_on_standard_output_the_totals_are_said(project: Project) -> None:
    """Whoever wants JSON in a file still sees what became of it."""
    code, shown, said = project("apply", "--auto-approve", "-o", "json=applied.json")
    assert (0, "") == (code, shown)
    assert said.startswith("Applied: 2 created")


@pytest.mark.parametrize(("answer", "expected"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_apply_asks(project: Project, answer: bytes, expected: int) -> None:
    """Only a yes applies; the question comes after the plan."""
    assert 2 == project("plan", "--detailed-exitcode")[0]
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crmctl", "apply"], stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    os.write(leader, answer)
    shown, said = process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert expected == process.returncode, said
    assert "Plan: 2 to create" in shown
    assert "Apply this to target sandbox? [y/N]" in said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("project")
def test_an_interrupted_apply_is_exit_130_and_finished_by_the_next(tmp_path: Path, stop: int) -> None:
    """The journal is complete, the totals are printed, and one more run does the rest."""
    write("accounts:\n" + "\n".join(f"  - {{domain: c{n}.example}}" for n in range(900)))
    app = open_sandbox("octolane", tmp_path / "served.db", latency=0.05)
    with running(app) as url:
        target = f"  served: {{provider: octolane, base_url: '{url}'}}\n"
        Path("crmctl.yaml").write_text(CONFIG.rstrip() + "\n" + target)
        arguments = ["apply", "--target", "served", "--auto-approve", "--parallelism", "1"]
        environment = {**os.environ, "OCTOLANE_API_KEY": "made-up"}
        # A suite that runs in the background hands on that ^C is ignored.
        heed = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
        start = f"{heed}; from crmctl.__main__ import main; sys.argv[0] = 'crmctl'; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", start, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Apply will send"):
                break
        runs = Path(".crmctl/runs")
        while not any("outcome" in path.read_text() for path in runs.glob("*.jsonl")):
            assert process.poll() is None
        process.send_signal(stop)
        shown, said = process.communicate(timeout=60)
        assert 130 == process.returncode, said
        assert re.search(r"Applied: \d+ created, .*skipped", shown)
        [journal] = runs.iterdir()
        last = json.loads(journal.read_text().splitlines()[-1])
        assert ("end", True) == (last["event"], last["interrupted"])
        again = subprocess.run(
            [sys.executable, "-m", "crmctl", *arguments, "-o", "json"], capture_output=True, text=True, check=False,
            env=environment, timeout=60,
        )  # fmt: skip
    assert 0 == again.returncode, again.stderr
    totals: dict[str, Any] = json.loads(again.stdout)["totals"]
    assert 900 == totals["created"] + totals["unchanged"]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 2], 2), ([1, 2, 0], 1), ([3, 4, 0], 4), ([5, 4], 5), ([7, 5], 7), ([8, 7], 8), ([6, 8], 6), ([130, 6], 130),
     ([70, 130], 70), ([], 0)],
)  # fmt: skip
def test_the_worst_exit_code_wins(codes: list[int], expected: int) -> None:
    """70 > 130 > 6 > 8 > 7 > 5 > 4 > 3 > 1 > 2 > 0."""
    assert expected == worst(codes)


@pytest.mark.parametrize("flag", [["--settle", "nan"], ["--max-percent", "nan"]])
def test_a_number_that_is_none_is_a_usage_error(project: Project, flag: list[str]) -> None:
    """NaN is neither more nor less than any limit, so it would switch the limit off."""
    assert 64 == project("apply", "--auto-approve", *flag)[0]


def test_a_folder_of_ours_that_leads_away_is_refused(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A pull request must not have files written elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path("crmctl.yaml").write_text(CONFIG.replace(".crmctl/sandbox.db", "sandbox.db"))
    Path(".crmctl").symlink_to(elsewhere)
    code, _, said = project("apply", "--auto-approve")
    assert 1 == code
    assert ".crmctl" in said
    assert [] == list(elsewhere.iterdir())


def test_a_journal_that_can_not_be_ended_costs_no_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything has been written by then; whoever reads the report has to hear of it, and of the journal."""

    def fail(*_: object, **_facts: object) -> None:
        raise CrmctlError("run.jsonl: the journal can't be written (No space left on device)")

    monkeypatch.setattr(Journal, "end", fail)
    code, shown, said = project("apply", "--auto-approve", "-o", "json")
    report = json.loads(shown)
    assert (1, 2) == (code, report["totals"]["created"])
    assert "the journal can't be written" in said
