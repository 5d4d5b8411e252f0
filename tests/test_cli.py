"""The command line as a person or a pipeline meets it: reports, exit codes, files, approval."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from crmctl import cli, schema
from crmctl.commands.run import worst
from crmctl.outcome import STATUSES
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.faults import Interference
from crmctl.sandbox.server import running

CONFIG = """
version: 1
default_target: sandbox
targets:
  sandbox: {provider: octolane, sandbox: .crmctl/sandbox.db}
  production: {provider: octolane}
"""
MANIFEST = """
accounts:
  - domain: a.example
    name: A
    contacts:
      - {email: jane@a.example, first_name: Janette}
"""

Project = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """A folder with a configuration and a manifest; calling it runs crmctl there: (exit code, stdout, stderr)."""
    for name in [name for name in os.environ if name.startswith("CRMCTL_") or name in {"CI", "OCTOLANE_API_KEY"}]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crmctl.yaml").write_text(CONFIG)
    (tmp_path / "manifests").mkdir()
    write(MANIFEST)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write(text: str, name: str = "test.yaml") -> None:
    Path("manifests", name).write_text(text)


def test_validate_counts_what_is_declared(project: Project) -> None:
    """Valid manifests: exit 0, nothing on standard output."""
    assert (0, "", "valid: 1 account, 1 contact in 1 file\n") == project("validate")


def test_invalid_manifests_are_exit_1_with_every_finding(project: Project) -> None:
    """The findings are the result, so they go to standard output; in every format."""
    write("accounts: [{domain: a.example, founded: 1}, {nme: x}]")
    code, shown, said = project("validate")
    assert (1, 3, "3 errors; nothing was sent\n") == (code, len(shown.splitlines()), said)
    assert 3 == len(json.loads(project("plan", "-o", "json")[1])["diagnostics"])


def test_plan_shows_and_writes_nothing(project: Project) -> None:
    """Planned twice, planned alike."""
    first, second = project("plan"), project("plan")
    assert (0, first[1]) == second[:2]
    assert "Plan: 2 to create" in first[1]


def test_detailed_exitcode_tells_pending_changes(project: Project) -> None:
    """2 while there is something to apply, 0 afterwards."""
    assert 2 == project("plan", "--detailed-exitcode")[0]
    assert 0 == project("apply", "--auto-approve")[0]
    code, shown, _ = project("plan", "--detailed-exitcode")
    assert 0 == code
    assert "No changes." in shown


def test_apply_without_terminal_and_approval_is_a_usage_error(project: Project) -> None:
    """Nobody is there to ask, so nothing is even read."""
    code, shown, said = project("apply")
    assert (64, "") == (code, shown)
    assert "--auto-approve" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--colour"], ["plan", "--target"], ["frob"], ["apply", "--auto"], ["plan", "-o", "yaml"],
        ["plan", "-o", "json="], ["plan", "-o", "json", "-o", "markdown"], ["plan", "--target", "nowhere"],
        ["plan", "--only", "person"], ["apply", "--max-creates", "-1"],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_exit_64(project: Project, arguments: list[str]) -> None:
    """Unknown flags, verbs, formats, targets and kinds; flags are never abbreviated."""
    code, shown, said = project(*arguments)
    assert (64, "") == (code, shown)
    assert "Traceback" not in said


def test_no_key_is_exit_6(project: Project) -> None:
    """The variable to set is named."""
    assert (6, "", "crmctl: no API key: set OCTOLANE_API_KEY in the environment\n") == project(
        "plan", "--target", "production"
    )


def test_a_missing_configuration_is_exit_1(project: Project) -> None:
    """The next step is named."""
    code, _, said = project("plan", "--config", "other.yaml")
    assert 1 == code
    assert "other.yaml: no such file: create it, or name another one with --config" in said


def test_a_wrong_configuration_is_reported_with_positions(project: Project) -> None:
    """As a manifest would be."""
    Path("crmctl.yaml").write_text("version: 2\ntarget: {}\n")
    code, shown, _ = project("validate")
    assert 1 == code
    assert [line[:15] for line in shown.splitlines()] == ["crmctl.yaml:1:1", "crmctl.yaml:2:1"]


def test_a_bug_is_exit_70_with_a_traceback(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else is."""
    monkeypatch.setattr("crmctl.commands.validate.Run.load", lambda *_: 1 // 0)
    code, _, said = project("validate")
    assert 70 == code
    assert "ZeroDivisionError" in said
    assert "this is a bug in crmctl" in said


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
    assert "1 created" in shown


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


def test_formats_go_to_standard_output_and_files(project: Project) -> None:
    """One run, several reports; JSON on standard output is JSON alone."""
    code, shown, _ = project("plan", "-o", "json", "-o", "markdown=plan.md", "-o", "text=plan.txt")
    assert 0 == code
    jsonschema.Draft202012Validator(schema.read_schema("plan")).validate(json.loads(shown))
    assert "Plan: 2 to create" in Path("plan.txt").read_text()
    assert Path("plan.md").read_text().startswith("<!-- crmctl:plan:sandbox -->")
    applied = json.loads(project("apply", "--auto-approve", "-o", "json")[1])
    assert 2 == applied["totals"]["created"]
    assert applied["requests"] == json.loads(shown)["requests"]


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


def test_no_manifests_at_all_is_an_error(project: Project) -> None:
    """A slip in a path must not pass for ever; an empty file is fine."""
    Path("manifests/test.yaml").unlink()
    code, _, said = project("validate")
    assert 1 == code
    assert "no .yaml or .yml file below manifests" in said
    write("")
    assert 0 == project("validate")[0]


def test_manifests_of_a_flag_may_be_anywhere(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever types a path means it; validate needs no configuration then."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "other.yaml").write_text("accounts: [{domain: b.example}]")
    assert "b.example" in project("plan", "-f", str(elsewhere))[1]
    Path("crmctl.yaml").unlink()
    assert "valid: 1 account" in project("validate", "-f", str(elsewhere / "other.yaml"))[2]
    assert 1 == project("validate")[0]


def test_a_choice_of_nothing_is_said(project: Project) -> None:
    """--only with a slip in it would look like success."""
    code, _, said = project("plan", "--only", "account/z.example")
    assert 0 == code
    assert "no declared record is named by --only and --exclude" in said


def test_an_edited_plan_file_is_exit_4(project: Project) -> None:
    """What was reviewed is what is applied."""
    project("plan", "--out", "plan.json")
    plan = Path("plan.json")
    plan.write_text(plan.read_text().replace("Janette", "Jacky"))
    code, shown, said = project("apply", "plan.json")
    assert (4, "") == (code, shown)
    assert "changed after it was written" in said


def test_many_records_skipped_for_one_reason_are_counted(project: Project) -> None:
    """The first few are listed; -v lists all."""
    bad = "\n".join(f"  - {{domain: c{n:03}.invalid}}" for n in range(150))
    write(f"accounts:\n{bad}")
    shown = project("apply", "--auto-approve", "--parallelism", "1")[1]
    assert 10 == shown.count("- skipped account/")
    assert "- skipped 40 more, likewise (-v shows all)" in shown


def test_many_notices_of_one_sort_are_counted(project: Project) -> None:
    """Keys written as URLs are told once the list is short enough to read."""
    urls = "\n".join(f"  - {{domain: 'https://www.c{n:02}.example/'}}" for n in range(15))
    write(f"accounts:\n{urls}")
    assert "i and 5 more like these (-v shows all)" in project("plan")[1]
    assert 15 == project("plan", "-v")[1].count("is read as")


@pytest.mark.parametrize(("stdout", "expected"), [("/dev/full", "No space left on device"), ("&-", "")])
@pytest.mark.usefixtures("project")
def test_an_output_that_takes_nothing_is_no_traceback(stdout: str, expected: str) -> None:
    """A full disk, and a standard output that is closed."""
    command = f"{sys.executable} -m crmctl plan -q >{stdout}"
    finished = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (1 if expected else 0) == finished.returncode
    assert expected in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.usefixtures("project")
def test_a_pipe_that_closes_before_apply_has_shown_its_plan_stops_it() -> None:
    """Nothing is sent that nobody could see."""
    write("accounts:\n" + "\n".join(f"  - {{domain: c{n}.example, name: Company {n}}}" for n in range(3000)))
    command = f"{sys.executable} -m crmctl apply --auto-approve | head -n 1"
    finished = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert "nothing was sent" in finished.stderr
    assert not Path(".crmctl/runs").exists()


def test_personal_data_is_pseudonyms_in_ci(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every report, on standard error, in results and in the plan file, which applies all the same."""
    monkeypatch.setenv("CI", "true")
    seen = [*project("plan", "-v", "--out", "plan.json", "-o", "text", "-o", "json=p.json", "-o", "markdown=p.md")[1:]]
    seen += [*project("apply", "plan.json", "--results", "results")[1:]]
    seen += [path.read_text() for path in (Path("plan.json"), Path("p.json"), Path("p.md"), *Path("results").iterdir())]
    seen += [path.read_text() for path in Path(".crmctl/runs").iterdir()]
    assert [] == [text for text in seen if "jane@" in text or "Janette" in text]
    assert "2 created" in seen[2]


def test_what_a_server_says_is_not_repeated_in_ci(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It may quote the record: names have no pattern by which they could be found."""

    def refuse(method: str, path: str, nth: int) -> Interference:
        del method, path, nth
        body = b'{"message": "Validation failed for Janette (jane@a.example)"}'
        return Interference(status=422, body=body, headers={"content-type": "application/json"})

    app = open_sandbox("octolane", tmp_path / "served.db", interfere=refuse)
    monkeypatch.setenv("OCTOLANE_API_KEY", "made-up")
    with running(app) as url:
        Path("crmctl.yaml").write_text(CONFIG.rstrip() + f"\n  served: {{provider: octolane, base_url: '{url}'}}\n")
        assert "Janette" in project("plan", "--target", "served")[2]
        monkeypatch.setenv("CI", "1")
        code, shown, said = project("plan", "--target", "served")
    assert (1, "", "crmctl: POST /v1/accounts/search: 422: Unprocessable Entity\n") == (code, shown, said)


def test_deepdiff_is_imported_only_to_explain(project: Project) -> None:
    """A third of a second that plain changes don't need."""
    write("accounts: [{domain: a.example, name: A, tags: [x]}]")
    project("apply", "--auto-approve")
    program = "import sys; from crmctl import cli; cli.run(['plan', '-q']); print('deepdiff' in sys.modules)"
    seen = []
    for manifest in ("name: B, tags: [x]", "name: A, tags: [y]"):
        write(f"accounts: [{{domain: a.example, {manifest}}}]")
        command = [sys.executable, "-c", program]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        seen.append(shown.splitlines()[-1])
    assert ["False", "True"] == seen


def test_without_text_on_standard_output_the_totals_are_said(project: Project) -> None:
    """Whoever wants JSON in a file still sees what became of it."""
    code, shown, said = project("apply", "--auto-approve", "-o", "json=applied.json")
    assert (0, "") == (code, shown)
    assert said.startswith("Applied: 2 created")


def test_redaction_is_a_choice(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """--redact without CI, --show-personal-data with it."""
    assert "jane@" not in project("plan", "--redact")[1]
    monkeypatch.setenv("CI", "true")
    assert "jane@" in project("plan", "--show-personal-data")[1]


def test_every_flag_can_come_from_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same variable for every verb."""
    monkeypatch.setenv("CRMCTL_OUTPUT", "json")
    monkeypatch.setenv("CRMCTL_DETAILED_EXITCODE", "1")
    code, shown, _ = project("plan")
    assert 2 == code
    assert "1.0" == json.loads(shown)["format_version"]


def test_only_and_exclude_choose_records(project: Project) -> None:
    """A kind, or a kind and a pattern of keys; what was left out is not counted as unmanaged."""
    chosen = [
        [change["key"] for change in json.loads(project("plan", "-o", "json", *flags)[1])["changes"]]
        for flags in (["--only", "account"], ["--only", "contact/*@A.example"], ["--exclude", "account/a.*"])
    ]
    assert [["a.example"], ["jane@a.example"], ["jane@a.example"]] == chosen


def test_manifests_may_come_from_standard_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-f -` reads them there."""
    with Path("manifests/test.yaml").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        code, shown, _ = project("plan", "-f", "-")
    assert 0 == code
    assert "<stdin>:3:5" in shown


def test_verbose_says_what_is_read_and_why(project: Project) -> None:
    """On standard error, so that reports stay reports; quiet says nothing."""
    assert "account: reading by key, requests: 1" in project("plan", "-v")[2]
    assert "" == project("plan", "-q")[2]


@pytest.mark.usefixtures("project")
def test_a_closed_pipe_is_no_traceback() -> None:
    """`crmctl plan | head` ends quietly."""
    write("accounts:\n" + "\n".join(f"  - {{domain: c{n}.example, name: Company {n}}}" for n in range(3000)))
    command = f"{sys.executable} -m crmctl plan | head -n 1"
    finished = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert ('Target "sandbox" (octolane)\n', "") == (finished.stdout, finished.stderr)


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
