"""The command line as a person or a pipeline meets it: what all verbs have in common, and plan, validate and show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from project import CONFIG, Project, write

from crmctl import schema
from crmctl.sandbox import open_sandbox
from crmctl.sandbox.faults import Interference
from crmctl.sandbox.server import running


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


@pytest.mark.usefixtures("project")
def test_a_plan_of_little_imports_little() -> None:
    """What writes, looks back, serves, tells of errors or shares out a lot of work is left where it is."""
    seldom = (
        *("crmctl.apply", "crmctl.history", "crmctl.outcome", "crmctl.shelf", "crmctl.undo", "crmctl.wording"),
        *("crmctl.workers", "multiprocessing", "pickle", "crmctl.reports.markdown", "crmctl.providers.thena"),
        *("crmctl.sandbox.octolane_writes", "crmctl.sandbox.octolane_opportunities", "crmctl.sandbox.octolane_notes"),
        *("crmctl.sandbox.octolane_custom_fields", "crmctl.sandbox.octolane_inbound", "crmctl.sandbox.thena"),
        *("jsonschema", "referencing", "difflib", "deepdiff", "filelock", "fsspec", "email_validator", "certifi"),
        *("anyio", "h11", "httpcore", "uvicorn", "importlib.metadata"),
    )
    write("accounts: [{domain: a.example, name: Straße, contacts: [{email: jo@a.example}]}]")
    program = (
        "import sys; from crmctl.cli import run; assert run(['plan']) == 0;"
        f"print([name for name in {seldom!r} if name in sys.modules])"
    )
    # What measures coverage in processes brings libraries of its own.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=unmeasured).stdout
    assert "Straße" in shown
    assert "[]" == shown.splitlines()[-1]


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
