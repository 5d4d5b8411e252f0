"""A target that was renamed: `formerly` has its journals tell of it under the names that it had before."""

import json
from pathlib import Path

import pytest
from project import Project, write

CONFIG = """
version: 1
targets:
  {}:
    {{provider: octolane, sandbox: .crmctl/sandbox.db, assumed_routes: true, journal: .crmctl/journal{}}}
"""
NOTE = """
accounts:
  - domain: a.example
    name: A
    notes: [{key: kickoff, text: It went well.}]
"""


def name(target: str, more: str = "") -> None:
    Path("crmctl.yaml").write_text(CONFIG.format(target, more))


@pytest.fixture
def renamed(project: Project) -> Project:
    """The project with a note that its target was sent under another name; the CRM can't be asked for it."""
    name("old")
    write(NOTE)
    assert 0 == project("apply", "--auto-approve")[0]
    name("new", ", formerly: [older, old]")
    return project


def test_what_is_known_of_a_target_goes_with_it(renamed: Project) -> None:
    """A note is not sent again; without the former name it would be."""
    assert "No changes. 2 records match" in renamed("plan")[1]
    name("new")
    assert "+ note/a.example/kickoff" in renamed("plan")[1]


def test_its_runs_are_those_of_the_target(renamed: Project) -> None:
    """Listed, shown and continued under its name of today."""
    [run] = json.loads(renamed("runs", "-o", "json")[1])["runs"]
    assert "new" == run["target"]
    assert "against target new" in renamed("runs", "show", run["run"])[1]
    [journal] = Path(".crmctl/journal").glob("*.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"outcome"' not in line or '"sent"' in line))
    code, _, said = renamed("runs", "resume", run["run"], "--auto-approve")
    assert (0, "") == (code, said)


def test_pruning_keeps_what_both_names_have_left(renamed: Project) -> None:
    """In the order in which it happened: what was sent under the new name was not, for all the old one knows."""
    [journal] = Path(".crmctl/journal").glob("*.jsonl")
    journal.write_text(journal.read_text().replace('"sent"', '"failed"'))
    assert "1 unchanged, 1 sent (run" in renamed("apply", "--auto-approve")[1]
    for keep, deleted in (("1", 1), ("0", 1)):
        assert f"{deleted} runs deleted" in renamed("runs", "prune", "--keep", keep)[2]
        assert "No changes. 2 records match" in renamed("plan")[1]


@pytest.mark.parametrize(
    ("names", "wrong", "said"),
    [
        ("old, Old", "Old", "is not a target's name: begin with a small letter"),
        ("new", "new", "is a target, or was another one: name what this one alone was called"),
        ("old, old", "old", "is a target, or was another one"),
    ],
)
def test_names_of_others_are_errors(project: Project, names: str, wrong: str, said: str) -> None:
    """Two targets must not take each other's records for theirs."""
    name("new", f", formerly: [{names}]")
    code, shown, _ = project("plan")
    assert (1, True) == (code, f'"{wrong}" {said}' in shown)
