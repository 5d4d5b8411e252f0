"""What an apply refuses, as a person or a pipeline meets it: conflicts, nothing declared, a canary that fails."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import CONFIG, MANIFEST, Project, write

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.server import running

SEARCH, CREATE = "/v1/accounts/search", "/v1/accounts/bulk"
RENAMED = MANIFEST.replace("name: A", "name: B").replace("Janette", "Jacky")
RENAME = "UPDATE octolane_accounts SET name = 'Theirs' WHERE domain = 'a.example'"
INSERT = """
INSERT INTO octolane_accounts (id, key, domain, name, custom, created_at, updated_at)
VALUES ('x', 'new.example', 'new.example', 'Theirs', '{}', 1, 1)
"""
TARGET = ("--target", "live")


class Somebody:
    """Another person at work in the CRM, who does something just before the `turn`-th next request of a path."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.path, self.turn, self.statement = "", 0, ""

    def will(self, path: str, turn: int, statement: str) -> None:
        """Say what is to be done, and when."""
        self.path, self.turn, self.statement = path, turn, statement

    def __call__(self, method: str, path: str, nth: int) -> None:
        """Look at a request, and act if it is the one."""
        del nth
        self.turn -= method == "POST" and path == self.path
        if self.path == path and self.turn == 0:
            self.path = ""
            with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
                connection.execute(self.statement)


@pytest.fixture
def somebody(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Somebody]:
    """A served CRM, the target `live`, that holds what the manifests say, and somebody who uses it as well."""
    monkeypatch.setenv("OCTOLANE_API_KEY", "made-up")
    other = Somebody(tmp_path / "served.db")
    app = open_sandbox("octolane", other.database, switches={"existing": "untouched"}, interfere=other)
    with running(app) as url:
        Path("crmctl.yaml").write_text(f"{CONFIG.rstrip()}\n  live: {{provider: octolane, base_url: '{url}'}}\n")
        assert 0 == project("apply", *TARGET, "--auto-approve")[0]
        write(RENAMED)
        assert 0 == project("plan", *TARGET, "--out", "plan.json")[0]
        yield other


def names() -> list[str]:
    """Return what the account and the contact are called now."""
    with contextlib.closing(sqlite3.connect("served.db")) as connection:
        queries = ("SELECT name FROM octolane_accounts", "SELECT first_name FROM octolane_contacts")
        return [connection.execute(query).fetchone()[0] for query in queries]


def test_a_conflict_of_a_reviewed_plan_ends_the_run(project: Project, somebody: Somebody) -> None:
    """As reviewed when apply planned afresh, and changed just before the update: exit 4, and nothing is overwritten."""
    somebody.will(SEARCH, 2, RENAME)
    code, shown, said = project("apply", "plan.json", "-o", "text", "-o", "json=run.json", "-o", "markdown=run.md")
    assert 4 == code, said
    assert ["Theirs", "Janette"] == names()
    assert "- skipped account/a.example" in shown
    assert 'name: "A" when planned, "Theirs" now, manifest has "B"' in shown
    assert "the run stopped early: 1 record was changed since the plan was made: nothing more was sent" in said
    outcomes = json.loads(Path("run.json").read_text())["outcomes"]
    assert ["skipped", "skipped"] == [outcome["status"] for outcome in outcomes]
    assert [{"path": "name", "before": "A", "now": "Theirs", "after": "B"}] == outcomes[0]["clashes"]
    assert '`name`: `"A"` when planned, `"Theirs"` now, manifest has `"B"`' in Path("run.md").read_text()
    # By now it is seen when apply plans afresh.
    assert 4 == project("apply", "plan.json")[0]


def test_the_rest_of_a_reviewed_plan_may_go_on(project: Project, somebody: Somebody) -> None:
    """With --apply-unchanged it ends as if it had been seen earlier: exit 0, both times."""
    somebody.will(SEARCH, 2, RENAME)
    code, shown, _ = project("apply", "plan.json", "--apply-unchanged", "--results", "results")
    assert 0 == code
    assert ["Theirs", "Jacky"] == names()
    assert "1 updated" in shown
    [skipped] = [json.loads(line) for line in Path("results/skipped.jsonl").read_text().splitlines()]
    assert ["name"] == [clash["path"] for clash in skipped["clashes"]]
    code, _, said = project("apply", "plan.json", "--apply-unchanged")
    assert 0 == code
    assert "left alone: account/a.example: planned to update, differs now" in said


def test_a_conflict_without_a_plan_file_is_one_as_well(project: Project, somebody: Somebody) -> None:
    """Whoever has looked at the plan on a terminal has reviewed it, too."""
    somebody.will(SEARCH, 2, RENAME)
    assert 4 == project("apply", *TARGET, "--auto-approve")[0]
    assert ["Theirs", "Janette"] == names()


def test_a_conflict_shows_pseudonyms_in_ci(
    project: Project, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody wrote into a personal field is nobody else's business."""
    monkeypatch.setenv("CI", "1")
    somebody.will("/v1/contacts/search", 2, "UPDATE octolane_contacts SET first_name = 'Secretname'")
    files = ("-o", "text", "-o", "json=run.json", "-o", "markdown=run.md")
    code, shown, said = project("apply", *TARGET, "--auto-approve", *files)
    assert 4 == code
    everything = shown + said + Path("run.json").read_text() + Path("run.md").read_text()
    everything += "".join(path.read_text() for path in Path(".crmctl/runs").glob("*.jsonl"))
    assert [] == [word for word in ("Secretname", "Janette", "Jacky", "jane@") if word in everything]
    [clash] = json.loads(Path("run.json").read_text())["outcomes"][1]["clashes"]
    assert {"first_name"} == {clash["path"]}
    assert all(clash[side].startswith("anon-") for side in ("before", "now", "after"))


def test_a_record_that_was_made_meanwhile_is_a_conflict_of_a_reviewed_plan(
    project: Project, somebody: Somebody
) -> None:
    """It was to be created, and exists with other values: exit 4, and it stays as it is."""
    write(MANIFEST + "  - {domain: new.example, name: Ours}\n")
    assert 0 == project("plan", *TARGET, "--out", "plan.json")[0]
    somebody.will(CREATE, 1, INSERT)
    code, shown, _ = project("apply", "plan.json")
    assert 4 == code, shown
    assert "exists since the plan was made, with other values (name): plan again" in shown


def test_nothing_declared_is_refused(project: Project) -> None:
    """An empty folder is no order to do nothing: exit 5, with the next step, unless there is a reason."""
    write("")
    code, shown, said = project("apply", "--auto-approve")
    assert 5 == code
    assert "No changes" in shown
    assert "no record is declared: see whether `manifests` names the right files" in said
    assert "nothing was sent; correct that, or pass --allow-unsafe REASON" in said
    assert "apply would be refused: no record is declared" in project("plan")[2]
    assert 64 == project("apply", "--auto-approve", "--allow-unsafe", " ")[0]
    assert 0 == project("apply", "--auto-approve", "--allow-unsafe", "all customers have left")[0]
    [journal] = Path(".crmctl/runs").glob("*.jsonl")
    assert "all customers have left" in journal.read_text()


def test_a_filter_that_leaves_nothing_is_refused(project: Project) -> None:
    """A misspelt key must not end in success."""
    code, _, said = project("apply", "--auto-approve", "--only", "contact/jame@a.example")
    assert 5 == code
    assert "no declared record is named by --only and --exclude" in said
    assert 5 == project("apply", "--auto-approve", "--exclude", "account", "--exclude", "contact")[0]
    assert 0 == project("apply", "--auto-approve", "--only", "contact/jane@a.example")[0]


def test_a_refusal_is_reported_in_every_format(project: Project) -> None:
    """A workflow that comments on a pull request has something to say, as it has of one target among several."""
    files = ("-o", "text", "-o", "json=run.json", "-o", "markdown=run.md")
    code, shown, _ = project("apply", "--auto-approve", "--max-creates", "1", *files)
    assert 5 == code
    assert "Plan: 2 to create" in shown
    [failure] = json.loads(Path("run.json").read_text())["failed"]
    assert ("sandbox", 5) == (failure["target"], failure["exit_code"])
    assert failure["error"].startswith("2 creates are more than max_creates allows (1): nothing was sent")
    assert "**Not applied:** 2 creates are more than" in Path("run.md").read_text()


def test_a_stale_plan_is_reported_in_every_format(project: Project) -> None:
    """It is refused as well."""
    project("plan", "--out", "plan.json")
    write(RENAMED)
    assert 4 == project("apply", "plan.json", "-o", "json=run.json")[0]
    assert [4] == [failure["exit_code"] for failure in json.loads(Path("run.json").read_text())["failed"]]


def test_a_canary_that_fails_is_exit_3(project: Project) -> None:
    """The rest is skipped, and the reason is said."""
    write("accounts: [{domain: a.invalid}, {domain: b.example}, {domain: c.example}]")
    code, shown, said = project("apply", "--auto-approve", "--canary", "1")
    assert 3 == code
    assert "the run stopped early: the canary of 1 record did not come out right: nothing more was sent" in said
    assert "1 failed, 2 skipped" in shown
    assert 3 == project("apply", "--auto-approve", "--canary", "0")[0]
    assert "2 unchanged" in project("plan")[1]


def test_canary_and_verification_are_settings_of_a_target(project: Project) -> None:
    """Flags and their twins come before them; the plan knows how many requests that takes."""
    careful = "octolane, canary: 1, verify: off, sandbox"
    Path("crmctl.yaml").write_text(CONFIG.replace("octolane, sandbox", careful))
    write("accounts: [{domain: a.example}, {domain: b.example}, {domain: c.example}]")
    code, shown, _ = project("apply", "--auto-approve", "-v")
    assert 0 == code
    assert "1 created, 0 updated, 0 unchanged, 2 sent" in shown
    write("accounts: [{domain: d.example}, {domain: e.example}, {domain: f.example}]")
    shown = project("apply", "--auto-approve", "--canary", "0", "--verify", "all")[1]
    assert "Applied: 3 created" in shown
    assert 64 == project("apply", "--auto-approve", "--verify", "some")[0]


def test_flags_have_twins(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """CRMCTL_CANARY, CRMCTL_VERIFY."""
    monkeypatch.setenv("CRMCTL_CANARY", "1")
    monkeypatch.setenv("CRMCTL_VERIFY", "off")
    assert "1 created, 0 updated, 0 unchanged, 1 sent" in project("apply", "--auto-approve")[1]
