"""Files that apply and plan write: what would be lost by that is kept, and what can't be written costs no report."""

import json
from pathlib import Path
from typing import Any

import pytest
from project import MANIFEST, Project, write

from crmctl.saved import recognise

CHANGED = MANIFEST.replace("name: A", "name: B")
UNDO = ("--undo-out", "undo.json")


def test_an_undo_plan_outlives_a_run_with_nothing_to_do(project: Project) -> None:
    """The same command again leaves the file as it is, and says so."""
    project("apply", "--auto-approve")
    write(CHANGED)
    assert 0 == project("apply", "--auto-approve", *UNDO)[0]
    before = Path("undo.json").read_text()
    code, _, said = project("apply", "--auto-approve", *UNDO)
    assert (0, before) == (code, Path("undo.json").read_text())
    assert "nothing is to be done, so nothing is saved in undo.json\n" in said
    assert "Applied: 0 created, 1 updated" in project("apply", "undo.json")[1]


def test_without_an_undo_plan_before_none_is_made_for_nothing(project: Project) -> None:
    """An empty one would say that there had been a run to put back."""
    project("apply", "--auto-approve")
    assert 0 == project("apply", "--auto-approve", *UNDO)[0]
    assert not Path("undo.json").exists()


def test_an_undo_plan_is_not_replaced_by_another(project: Project) -> None:
    """What the earlier run overwrote would be known from nowhere: nothing is sent; reports in files say so."""
    project("apply", "--auto-approve")
    write(CHANGED)
    project("apply", "--auto-approve", *UNDO)
    before = Path("undo.json").read_text()
    write(CHANGED.replace("name: B", "name: C"))
    code, _, said = project("apply", "--auto-approve", *UNDO, "-o", "text", "-o", "json=run.json")
    assert (1, before) == (code, Path("undo.json").read_text())
    assert "undo.json: what an earlier run has overwritten stands there alone, and would be lost" in said
    assert "move it away, or name another; nothing was sent" in said
    assert [1] == [failure["exit_code"] for failure in json.loads(Path("run.json").read_text())["failed"]]
    assert 2 == project("plan", "--detailed-exitcode")[0]
    assert 1 == project("plan", "--out", "undo.json")[0]
    assert before == Path("undo.json").read_text()
    assert 0 == project("apply", "--auto-approve", "--undo-out", "other.json")[0]


def test_an_undo_plan_with_nothing_in_it_is_replaced(project: Project) -> None:
    """Of a run that has created alone."""
    assert 0 == project("apply", "--auto-approve", *UNDO)[0]
    write(CHANGED)
    assert 0 == project("apply", "--auto-approve", *UNDO)[0]
    assert 1 == len(json.loads(Path("undo.json").read_text())["changes"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--out", "manifests/test.yaml"),
        ("apply", "--auto-approve", "--undo-out", "manifests/test.yaml"),
        ("apply", "plan.json", "--undo-out", "plan.json"),
        ("apply", "--auto-approve", "--undo-out", "link.json"),
    ],
)
def test_what_is_no_plan_is_not_replaced_by_one(project: Project, arguments: tuple[str, ...]) -> None:
    """A slip in a name must cost no manifest, and no plan that is being applied."""
    assert 0 == project("plan", "--out", "plan.json")[0]
    Path("link.json").symlink_to("plan.json")
    before = [Path("manifests/test.yaml").read_text(), Path("plan.json").read_text()]
    code, shown, said = project(*arguments)
    assert (1, "", True) == (code, shown, "would be lost: move it away, or name another; nothing was sent" in said)
    assert before == [Path("manifests/test.yaml").read_text(), Path("plan.json").read_text()]


def test_an_earlier_plan_and_an_empty_file_are_replaced(project: Project) -> None:
    """Planning again is what one does with a plan."""
    Path("plan.json").touch()
    for name in ("B", "C"):
        write(MANIFEST.replace("name: A", f"name: {name}"))
        assert 0 == project("plan", "--out", "plan.json")[0]
        assert f'"{name}"' in Path("plan.json").read_text()


def test_what_can_not_be_read_is_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what would be lost."""
    Path("plan.json").write_text("?")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    code, _, said = project("plan", "--out", "plan.json")
    assert (1, True) == (code, "plan.json: can't be read (Permission denied), so it is kept" in said)


CHANGE = {"action": "update"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"format_version": "9.0", "changes": [CHANGE]}, "plan"),
        ({"format_version": "1.0", "plans": []}, "plan"),
        ({"format_version": "1.0", "undo": {}, "changes": [CHANGE]}, "undo"),
        ({"format_version": "1.0", "undo": {}, "changes": []}, "spent"),
        ({"format_version": "1.0", "plans": [{"undo": {}, "changes": []}, {"undo": {}, "changes": [CHANGE]}]}, "undo"),
        ({"format_version": "1.0", "plans": [{"undo": {}, "changes": []}, {"changes": [CHANGE]}]}, "plan"),
        ({"format_version": "1.0", "outcomes": []}, "other"),
        ({"format_version": "1.0", "plans": {}}, "other"),
        ({"format_version": "1.0", "plans": [7]}, "other"),
        ({"changes": [CHANGE]}, "other"),
        ([], "other"),
    ],
)
def test_plan_files_are_recognised(values: Any, expected: str) -> None:
    """Of any version, and by what matters most in them."""
    assert expected == recognise(json.dumps(values).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"accounts: []", b"[" * 100_000])
def test_what_is_no_json_is_no_plan(data: bytes) -> None:
    """Manifests are none."""
    assert "other" == recognise(data)


def test_results_that_can_not_be_written_are_told_before_anything_is_sent(project: Project) -> None:
    """Of each status, and of each target."""
    Path("res/sandbox/failed.jsonl").mkdir(parents=True)
    code, shown, said = project("apply", "--auto-approve", "--results", "res/sandbox")
    assert (1, "", True) == (code, shown, "failed.jsonl: can't be written (it is a folder)" in said)
    Path("crmctl.yaml").write_text(
        "version: 1\ntargets: {sandbox: {provider: octolane, sandbox: a.db}, b: {provider: octolane, sandbox: b.db}}"
    )
    assert 1 == project("apply", "--auto-approve", "--all-targets", "--results", "res")[0]
    assert not Path(".crmctl/runs").exists()


@pytest.mark.parametrize("flags", [("-o", "json"), ("-o", "text")])
def test_results_that_are_lost_in_the_end_cost_no_report(
    project: Project, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """The folder has become a file meanwhile; what was written to the CRM is told all the same."""
    begin = "crmctl.commands.apply.UndoFile.begin"

    def occupy(_: object) -> None:
        Path("res/failed.jsonl").mkdir()

    monkeypatch.setattr(begin, occupy)
    code, shown, said = project("apply", "--auto-approve", "--results", "res", *flags)
    assert (1, True) == (code, "created" in shown and "account/a.example" in shown)
    assert "crmctl: res/failed.jsonl: can't be written (Is a directory): name another file\n" in said


def test_a_report_that_is_lost_in_the_end_costs_no_other(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the code of what was worse, nor what is said last."""
    write("accounts: [{domain: good.example}, {domain: bad.invalid}]")

    def occupy(_: object) -> None:
        Path("run.md").mkdir()

    monkeypatch.setattr("crmctl.commands.apply.UndoFile.begin", occupy)
    code, shown, said = project("apply", "--auto-approve", "-o", "markdown=run.md", "-o", "json")
    assert (3, 1) == (code, json.loads(shown)["totals"]["created"])
    assert "crmctl: run.md: can't be written (Is a directory)" in said
    assert "Applied: 1 created" in said


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_a_target_that_comes_to_nothing_is_reported_alone_as_among_others(project: Project, verb: str) -> None:
    """Without a key, say: JSON and Markdown have what the message says."""
    flags = ["--target", "production", "-o", "json", "-o", "markdown=x.md"]
    code, shown, said = project(verb, *flags, *(["--auto-approve"] if verb == "apply" else []))
    [failure] = json.loads(shown)["failed"]
    assert (6, 6, "production") == (code, failure["exit_code"], failure["target"])
    assert "no API key: set OCTOLANE_API_KEY" in failure["error"]
    assert "no API key: set `OCTOLANE_API_KEY`" in Path("x.md").read_text()
    assert "crmctl: no API key: set OCTOLANE_API_KEY in the environment\n" == said


def test_a_refusal_whose_report_is_lost_is_still_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Last, and with its own code."""

    def fail(*_: object) -> None:
        Path("run.json").mkdir()

    monkeypatch.setattr("crmctl.commands.apply.Targets.lock", fail)
    code, _, said = project("apply", "--auto-approve", "--target", "production", "-o", "json=run.json")
    assert (6, True) == (code, "run.json: can't be written (Is a directory)" in said)
    assert said.endswith("crmctl: no API key: set OCTOLANE_API_KEY in the environment\n")
