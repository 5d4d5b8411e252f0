"""Targets that are one organisation: applied together, each would create what nothing dedupes."""

from pathlib import Path

import pytest
from project import Project, write

from crmctl.commands.twins import refuse_twins
from crmctl.config import Environment, Target
from crmctl.errors import UsageError

NOTES = "accounts: [{domain: a.example, name: A, notes: [{key: kickoff, text: It went well.}]}]"
CONFIG = """
version: 1
targets:
  one: {provider: thena, sandbox: crm.db}
  two: {provider: thena, sandbox: "%s"}
"""
BOTH = ("--target", "one", "--target", "two")
ENVIRONMENT = Environment({"A_KEY": "secret", "SAME_KEY": " secret", "B_KEY": "other"})
GATEWAY = Target("one", "octolane", api_key_env="A_KEY")
LOCAL = GATEWAY._replace(base_url="http://localhost:8765")


def test_one_database_is_one_organisation(project: Project) -> None:
    """Both plans would create the account and its note: nothing is read, and the next step works."""
    Path("crmctl.yaml").write_text(CONFIG % "./x/../crm.db")
    write(NOTES)
    code, shown, said = project("apply", "--auto-approve", "--all-targets")
    assert (64, "", False) == (code, shown, Path("crm.db").exists())
    both = "targets one and two are one organisation (they share a database), and nothing was sent"
    assert f"crmctl: {both}: apply one after the other, with --target\n" == said
    assert 0 == project("plan", *BOTH, "--out", "plan.json")[0]
    assert 64 == project("apply", "plan.json")[0]
    assert "Applied: 2 created" in project("apply", "plan.json", "--target", "one")[1]
    assert "No changes" in project("apply", "--auto-approve", "--target", "two")[1]


def test_one_lock_is_one_organisation(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has set it has said so."""
    url = (tmp_path / "lock").as_uri()
    monkeypatch.setenv("CRMCTL_ALLOW_LOCKS", url)
    Path("crmctl.yaml").write_text(
        "version: 1\ntargets:\n"
        f'  one: {{provider: octolane, sandbox: one.db, lock: "{url}"}}\n'
        f'  two: {{provider: octolane, sandbox: two.db, lock: "{url}/"}}\n'
    )
    code, _, said = project("apply", "--auto-approve", "--all-targets")
    assert (64, True) == (code, "(they share a lock)" in said)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (GATEWAY, GATEWAY._replace(api_key_env="SAME_KEY")),
        (GATEWAY, GATEWAY._replace(provider="octolane_inbound")),
        (LOCAL, GATEWAY._replace(base_url="http://127.0.0.1:8765/")),
        (GATEWAY._replace(base_url="https://X.example"), GATEWAY._replace(base_url="https://x.example:443")),
    ],
)
def test_one_key_at_one_server_is_one_organisation(first: Target, second: Target) -> None:
    """Whatever both are called; the key is not told."""
    with pytest.raises(UsageError, match="they share server and API key") as caught:
        refuse_twins([first, second._replace(name="two")], ENVIRONMENT)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (GATEWAY, GATEWAY._replace(api_key_env="B_KEY")),
        (GATEWAY, LOCAL),
        (LOCAL, GATEWAY._replace(base_url="http://localhost:8766")),
        (GATEWAY, GATEWAY._replace(provider="thena")),
        (GATEWAY._replace(api_key_env="NO_KEY"), GATEWAY._replace(api_key_env="NO_KEY")),
        (GATEWAY._replace(base_url="nowhere"), GATEWAY._replace(base_url="nowhere")),
        (Target("one", "octolane", sandbox=Path("a.db")), Target("two", "thena", sandbox=Path("a.db"))),
        (Target("one", "octolane", sandbox=Path("a.db")), Target("two", "octolane", sandbox=Path("b.db"))),
        (Target("one", "thena", lock="file:///a"), Target("two", "thena", lock="file:///b")),
        (Target("one", "thena", lock="file:///a"), Target("two", "octolane", lock="file:///a")),
    ],
)
def test_other_targets_go_together(first: Target, second: Target) -> None:
    """One that can't be told fails by itself, with its own message."""
    refuse_twins([first, second._replace(name="two")], ENVIRONMENT)
