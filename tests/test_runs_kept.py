"""`crmctl runs`: listed, shown, continued and cleaned up, without losing what only a journal knows."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import redactor
from hypothesis import given
from hypothesis import strategies as st
from project import Project, write

from crmctl.history import KEPT
from crmctl.journal import key_check
from crmctl.memory import recall
from crmctl.mirror import Mirror
from crmctl.shelf import Shelf, carry

CONFIG = """
version: 1
default_target: sandbox
targets:
  sandbox: {provider: octolane, sandbox: .crmctl/sandbox.db, assumed_routes: true%s}
  other: {provider: octolane, sandbox: .crmctl/other.db}
"""
NOTE = """
accounts:
  - domain: a.example
    name: A
    contacts:
      - email: jane@a.example
        notes: [{key: kickoff, text: It went well.}]
"""
SHOWN = "note/jane@a.example/kickoff"


def listed(project: Project, *flags: str) -> list[Mapping[str, Any]]:
    code, shown, said = project("runs", "-o", "json", *flags)
    assert (0, "") == (code, said)
    runs: list[Mapping[str, Any]] = json.loads(shown)["runs"]
    return runs


def records(project: Project, run: str, *flags: str) -> dict[str, str]:
    code, shown, said = project("runs", "show", run, "-o", "json", *flags)
    assert 0 == code, said
    return {record["address"] or "?": record["status"] for record in json.loads(shown)["records"]}


def cut_short(path: Path, *, keep: int) -> None:
    """Leave the first lines of a journal, and a torn one, as kill -9 does."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:keep]) + lines[keep][:7])


def journals(folder: str = ".crmctl/runs") -> list[Path]:
    return sorted(Path(folder).glob("*.jsonl"))


def test_without_runs_there_is_nothing_to_list(project: Project) -> None:
    """And no folder is made for it."""
    assert (0, "No runs are journalled.\n", "") == project("runs")
    assert not Path(".crmctl/runs").exists()


def test_runs_are_listed_for_each_target(project: Project) -> None:
    """They share a folder; no key is needed."""
    Path("crmctl.yaml").write_text(CONFIG % "")
    project("apply", "--auto-approve", "--all-targets")
    project("apply", "--auto-approve")
    assert ["sandbox", "sandbox"] == [run["target"] for run in listed(project)]
    assert ["sandbox", "other", "sandbox"] == [run["target"] for run in listed(project, "--all-targets")]
    assert [{"created": 2}, {}] == [run["totals"] for run in listed(project)]
    assert {"complete"} == {run["state"] for run in listed(project)}


def test_flags_of_a_list_stand_behind_what_is_asked_for(project: Project) -> None:
    """Before it they would be passed over."""
    code, _, said = project("runs", "--target", "sandbox", "show", "x")
    assert (64, True) == (code, "write --target behind show" in said)


def test_a_run_is_shown_record_by_record(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, as far as the manifests tell names; as pseudonyms where those are shown."""
    project("apply", "--auto-approve")
    [run] = [entry["run"] for entry in listed(project)]
    for named in (run, run[:12], run[-6:]):
        assert {"account/a.example": "created", "contact/jane@a.example": "created"} == records(project, named)
    monkeypatch.setenv("CI", "1")
    assert {"account/a.example", "contact/anon"} == {name.partition("-")[0] for name in records(project, run)}
    write("accounts: [{domain: b.example}]")
    assert {"?": "created"} == records(project, run)
    write("accounts: [{nme: x}]")
    code, _, said = project("runs", "show", run)
    assert (0, True) == (code, "the manifests can't be read" in said)
    monkeypatch.setenv("CRMCTL_PSEUDONYM_KEY", "another")
    code, shown, said = project("runs", "show", run)
    assert (0, 2, True) == (code, shown.count("+ created ["), "journalled with another key" in said)


def test_a_run_is_shown_without_a_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened is more than to whom."""
    Path(".crmctl/runs").mkdir(parents=True)
    begin = {"event": "run", "run": "r1", "target": "production", "key_check": "x", "at": 1}
    lines = [begin, {"event": "intent", "action": "create", "records": ["n1"]}]
    Path(".crmctl/runs/r1.jsonl").write_text("\n".join(map(json.dumps, lines)))
    code, shown, said = project("runs", "show", "r1", "--target", "production")
    assert (0, True, True) == (code, "? in flight: create [n1]" in shown, "no key" in said)
    monkeypatch.setenv("OCTOLANE_API_KEY", "secret")
    assert "another key" in project("runs", "show", "r1", "--target", "production")[2]


def test_a_run_that_there_is_not_is_an_error(project: Project) -> None:
    """So is the beginning of several."""
    project("apply", "--auto-approve")
    project("apply", "--auto-approve")
    code, _, said = project("runs", "show", "nowhere")
    assert (1, True) == (code, "no run nowhere against target sandbox is journalled" in said)
    code, _, said = project("runs", "show", "20")
    assert (64, True) == (code, "is the beginning or the end of 2 runs" in said)


def test_a_run_that_was_cut_short_is_continued(project: Project) -> None:
    """With what it had planned and not done; what was declared since is left alone."""
    project("apply", "--auto-approve")
    [journal] = journals()
    Path(".crmctl/sandbox.db").unlink()  # as if nothing had arrived
    cut_short(journal, keep=4)
    assert {"account/a.example": "in flight", "contact/jane@a.example": "left"} == records(project, journal.stem)
    write("accounts: [{domain: b.example}]", "more.yaml")
    code, shown, said = project("runs", "resume", journal.stem)
    assert (64, True) == (code, "nobody to ask" in said)
    code, shown, said = project("runs", "resume", journal.stem, "--auto-approve", "--max-creates", "1")
    assert (5, True) == (code, "2 creates are more than max_creates allows (1)" in said)
    code, shown, said = project("runs", "resume", journal.stem, "--auto-approve")
    assert (0, True) == (code, "Applied: 2 created" in shown), said
    assert "1 more changes were not left by run" in said
    assert "+ account/b.example" in project("plan")[1]
    assert journal.stem == listed(project)[-1]["resumes"]
    code, shown, _ = project("runs", "resume", journals()[-1].stem, "--auto-approve")
    assert (0, True) == (code, "No changes." in shown)


def test_a_run_of_another_key_is_not_continued(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it could be recognised, and everything would be left out."""
    project("apply", "--auto-approve")
    [journal] = journals()
    monkeypatch.setenv("CRMCTL_PSEUDONYM_KEY", "another")
    code, _, said = project("runs", "resume", journal.stem, "--auto-approve")
    assert (1, True) == (code, "journalled with another key, so nothing was sent" in said)


def test_a_run_that_had_not_planned_is_not_continued(project: Project) -> None:
    """It has sent nothing; what is to be done an apply knows as well."""
    project("apply", "--auto-approve")
    [journal] = journals()
    cut_short(journal, keep=2)
    code, _, said = project("runs", "resume", journal.stem, "--auto-approve")
    assert (1, True) == (code, "has not written down what it was to do" in said)


@pytest.mark.parametrize("where", ["folder", "url"])
def test_a_note_is_not_created_again_when_its_journal_is_gone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What the journal alone knows is kept in mind, here or at a URL, however often it is cleaned up."""
    url = (tmp_path / "shared").as_uri()
    monkeypatch.setenv("CRMCTL_ALLOW_JOURNALS", url)
    Path("crmctl.yaml").write_text(CONFIG % (", journal: .crmctl/runs" if where == "folder" else f', journal: "{url}"'))
    write(NOTE)
    assert 0 == project("apply", "--auto-approve")[0]
    for _ in range(2):
        code, _, said = project("runs", "prune", "--keep", "0")
        assert (0, True) == (code, "; 1 records that were created once are kept in mind" in said), said
        assert [] == listed(project)
        if where == "url":  # on another machine
            for journal in journals():
                journal.unlink()
        assert "No changes. 3 records match" in project("plan")[1]
        assert 0 == project("apply", "--auto-approve")[0]
    if where == "folder":
        assert 0o600 == Path(f".crmctl/runs/{KEPT}.jsonl").stat().st_mode & 0o777
        assert "jane" not in Path(f".crmctl/runs/{KEPT}.jsonl").read_text()


def test_a_run_of_another_machine_is_listed_and_continued(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal at a URL tells what it was to do."""
    url = (tmp_path / "shared").as_uri()
    monkeypatch.setenv("CRMCTL_ALLOW_JOURNALS", url)
    Path("crmctl.yaml").write_text(CONFIG % f', journal: "{url}"')
    write(NOTE)
    project("apply", "--auto-approve")
    [journal] = journals()
    journal.unlink()
    assert [("complete", {"sent": 1, "left": 2})] == [(run["state"], run["totals"]) for run in listed(project)]
    assert "sent" == records(project, journal.stem)[SHOWN]
    code, shown, said = project("runs", "resume", journal.stem, "--auto-approve")
    assert (0, True) == (code, "No changes." in shown), said


def test_old_runs_go_and_others_stay(project: Project) -> None:
    """By number, by age, or by both; other targets' are none of its business."""
    Path("crmctl.yaml").write_text(CONFIG % "")
    for _ in range(3):
        project("apply", "--auto-approve", "--all-targets")
    assert 64 == project("runs", "prune")[0]
    assert "0 runs deleted, 3 kept" in project("runs", "prune", "--keep", "5")[2]
    assert "0 runs deleted, 3 kept" in project("runs", "prune", "--older-than", "1")[2]
    oldest = listed(project)[0]["run"]
    code, shown, said = project("runs", "prune", "--keep", "2", "-o", "json")
    assert (0, [oldest]) == (code, [run["run"] for run in json.loads(shown)["runs"]])
    assert "1 runs deleted, 2 kept" in said
    assert "0 runs deleted, 2 kept" in project("runs", "prune", "--keep", "1", "--older-than", "1")[2]
    assert "2 runs deleted, 0 kept" in project("runs", "prune", "--older-than", "0")[2]
    assert 3 == len(listed(project, "--target", "other"))


TORN = (
    ("", True),
    ('{"event":"run","format":1,"targ', True),
    ('{"event":"ru\n{"event":"planned","count":0}\n', True),
    ('{"event":"run","target":"gone"}\n', False),
    ('{"event":"ru\n{"event":"intent","action":"create","records":["n1"]}\n', False),
    ('{"event":"ru\n{"event":"once","once":true,"run":"r1","targ', False),
)


@pytest.mark.parametrize(("text", "gone"), TORN)
def test_a_journal_that_tells_nothing_goes_after_a_day(project: Project, text: str, *, gone: bool) -> None:
    """A run killed at its first line has left it: no target's. That of a run just begun is not touched."""
    project("apply", "--auto-approve")
    torn, kept = Path(".crmctl/runs/20260131T093000.000000Z-000000.jsonl"), Path(f".crmctl/runs/{KEPT}.jsonl")
    torn.write_text(text)
    kept.write_text('{"event":"kept"}\n')
    others = Path(".crmctl/runs/customers.jsonl")
    others.write_text('{"name":"Acme"}\n')
    assert "told nothing" not in project("runs", "prune", "--keep", "5")[2]
    assert torn.exists()
    yesterday = time.time() - 90_000
    for path in (torn, kept, others):
        os.utime(path, (yesterday, yesterday))
    code, _, said = project("runs", "prune", "--keep", "5")
    assert (0, gone) == (code, "journals that told nothing, and were deleted: 1\n" in said)
    assert (not gone, True, True, 1) == (torn.exists(), kept.exists(), others.exists(), len(listed(project)))


def test_what_can_not_be_kept_in_mind_is_not_deleted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """First it is written, then the rest goes."""
    Path("crmctl.yaml").write_text(CONFIG % ", journal: .crmctl/runs")
    write(NOTE)
    project("apply", "--auto-approve")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        code, _, said = project("runs", "prune", "--keep", "0")
    assert (1, True) == (code, "nothing was deleted" in said)
    assert 1 == len(listed(project))


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),  # run
        st.sampled_from(["t", "u"]),
        st.sampled_from(["k", "l"]),
        st.sampled_from(["n1", "n2"]),
        st.sampled_from(["open", "unknown", "created", "sent", "failed", "skipped", "settled", "not-created"]),
        st.sampled_from([None, "7", "8"]),
        st.sampled_from(["", "c", "d"]),
    ),
    max_size=25,
)


@given(events=EVENTS, dropped=st.integers(0, 4))
def test_what_is_remembered_stays_the_same(events: list[tuple[Any, ...]], dropped: int) -> None:
    """Whatever happened in whatever order: carried over and the rest remember what all of it did."""
    lines: list[tuple[int, str]] = []
    for at, (run, target, check, name, status, remote_id, content) in enumerate(
        sorted(events, key=lambda e: int(e[0]))
    ):
        entry = {"event": "once", "once": True, "run": f"r{run}", "target": target, "key_check": check, "at": at}
        entry["records"] = [[name, status, remote_id, content]]
        lines.append((run, json.dumps(entry, separators=(",", ":"))))
    everything = [line for _, line in lines]
    old, rest = [line for run, line in lines if run < dropped], [line for run, line in lines if run >= dropped]
    kept = [*carry(old, "t"), *(line for line in old if '"target":"u"' in line), *rest]
    for target in "tu":
        for check in "kl":
            assert recall(everything, target, check).traces == recall(kept, target, check).traces
            assert recall(everything, target, check).doubts == recall(kept, target, check).doubts
            # Were it cut short before the old ones are gone, all would be there twice.
            twice = recall([*carry(old, "t"), *everything], target, check)
            assert recall(everything, target, check).traces == twice.traces
            both = recall(everything, target, check, "tu").traces
            assert both == recall([*carry(old, *"tu"), *rest], "t", check, "u").traces


def test_torn_lines_and_others_keep_are_left_as_they_are(tmp_path: Path) -> None:
    """A kept journal of two targets keeps both; foreign keys' records are kept without being understood."""

    def line(target: str, check: str, status: str = "created") -> str:
        entry = {"event": "once", "once": True, "run": "r", "target": target, "key_check": check, "at": 1}
        return json.dumps({**entry, "records": [["n", status, "7", ""]]}, separators=(",", ":"))

    begin = '{"event":"run","target":"t"}'
    (tmp_path / f"{KEPT}.jsonl").write_text(f"{line('u', 'k')}\n{line('u', 'k')[:-9]}\n")
    (tmp_path / "r1.jsonl").write_text(f"{begin}\n{line('t', 'k')}\n{line('t', 'l')}\n{line('t', 'k')[:-9]}")
    (tmp_path / "r2.jsonl").write_text(f"{begin}\n")
    mirror = Mirror((tmp_path / "mirror").as_uri())
    for run in ("r1", "r2"):
        mirror.write(run, (tmp_path / f"{run}.jsonl").read_text())
    shelf = Shelf("t", tmp_path, mirror)
    assert 2 == shelf.prune({"r1"})
    kept = (tmp_path / f"{KEPT}.jsonl").read_text().splitlines()
    assert ["u", "t", "t"] == [json.loads(line)["target"] for line in kept[1:]]
    assert [KEPT, "r2"] == list(mirror.runs())
    assert 0 == shelf.prune({"r1"})
    assert {"n"} == set(recall(mirror.read(), "t", "k")[0])
    assert key_check(redactor()) not in kept
