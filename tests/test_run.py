"""What a run says on standard error: redacted by its session, escaped, and never at the price of the run."""

import io
from pathlib import Path

import pytest
from project import Project

from crmctl.commands.options import Common
from crmctl.commands.run import Run
from crmctl.commands.targets import Targets
from crmctl.errors import RateLimited

MAIL = "jane@a.example"


def run(*, redact: bool, verbose: bool = False) -> Run:
    return Run(Common(Path("crmctl.yaml"), (), (), no_color=True, verbose=verbose, quiet=False, redact=redact))


@pytest.mark.usefixtures("project")
def test_what_is_said_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's message may name a person."""
    said = run(redact=True)
    said.say(f"no {MAIL}")
    assert f"no {said.redactor.text(MAIL)}\n" == capsys.readouterr().err
    assert MAIL != said.redactor.text(MAIL)


@pytest.mark.usefixtures("project")
def test_after_the_plan_pseudonyms_are_those_of_the_session(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said and what the plan shows mean the same person."""
    said = run(redact=True)
    targets = Targets(said, said.configure())
    [planned] = targets.plan(said.load(targets.config))
    said.say(MAIL)
    assert f"{planned.session.redactor.text(MAIL)}\n" == capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_what_is_said_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor to the runner of a CI job."""
    said = run(redact=False)
    said.say("a\x1b[2J\nb")
    said.say("::error::c")
    assert "a\\x1b[2J\\nb\n\\x3a:error::c\n" == capsys.readouterr().err


def test_waits_are_told_with_what_is_waited_for(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Short ones only if asked for."""
    del project
    for verbose in (False, True):
        said = run(redact=False, verbose=verbose)
        said.wait("GET /a", 0.1, RateLimited("GET /a: 429"))
        said.wait("GET /a", 2, RateLimited("429"))
    lines = ["GET /a: waiting 2.0 s", "waiting 0.1 s: GET /a: 429", "GET /a: waiting 2.0 s"]
    assert lines == capsys.readouterr().err.splitlines()


@pytest.mark.usefixtures("project")
def test_a_standard_error_that_is_closed_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listened may go while records are written."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    said = run(redact=False)
    said.say("a", always=True)
    said.wait("GET /a", 2, RateLimited("429"))


def test_a_configuration_with_an_impossible_name_is_none(project: Project) -> None:
    """A name too long for the system is told like a file that is missing, where one is needed."""
    code, _, said = project("plan", "--config", "x" * 300)
    assert (1, True) == (code, "can't be read (File name too long)" in said)
    assert 0 == project("validate", "--config", "x" * 300, "-f", "manifests")[0]
