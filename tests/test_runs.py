"""`crmctl runs settle`: what a run left in doubt is said by a person, and the next plan goes by it."""

import json
import re
import shlex
from pathlib import Path

import pytest
from harness import read, redactor
from project import Project, write

from crmctl.commands.runs import find
from crmctl.errors import UsageError
from crmctl.resource import Address

CONFIG = """
version: 1
targets:
  sandbox:
    provider: octolane
    sandbox: .crmctl/sandbox.db
    assumed_routes: true
    journal: .crmctl/journal
"""
NOTE = """
accounts:
  - domain: a.example
    name: A
    contacts:
      - email: jane@a.example
        notes: [{key: kick off, text: It went well.}]
"""
SHOWN = "note/jane@a.example/kick%20off"


@pytest.fixture
def settled(project: Project) -> Project:
    """The project with a note that has been created; the CRM can't be asked for it."""
    Path("crmctl.yaml").write_text(CONFIG)
    write(NOTE)
    code, shown, said = project("apply", "--auto-approve")
    assert (0, True) == (code, f"sent {SHOWN}" in shown), said
    return project


@pytest.fixture
def doubtful(settled: Project) -> Project:
    """The project with a note that may have been created."""
    [journal] = journals()
    journal.write_text(journal.read_text().replace('"sent",', '"unknown",'))
    return settled


def journals() -> list[Path]:
    return sorted(Path(".crmctl/journal").glob("*.jsonl"))


def command(shown: str) -> list[str]:
    """The arguments that a plan says would settle it, with the answer that it leaves open taken out."""
    [found] = re.findall(r"crmctl (runs settle '[^']+' --[a-z-]+)", shown)
    return shlex.split(str(found))


def test_what_a_plan_says_settles_it(doubtful: Project) -> None:
    """Copied from the report as it stands there: then the note counts as created."""
    shown = doubtful("plan")[1]
    assert f"! {SHOWN}" in shown
    code, shown, said = doubtful(*command(shown))
    assert (0, "", f"{SHOWN}: noted as created: plans take it for there\n") == (code, shown, said)
    assert "No changes. 3 records match" in doubtful("plan")[1]


def test_what_was_not_created_is_planned_again(doubtful: Project) -> None:
    """And then created, once."""
    code, _, said = doubtful("runs", "settle", SHOWN, "--not-created")
    assert (0, f"{SHOWN}: noted as not created: the next plan creates it\n") == (code, said)
    assert f"+ {SHOWN}" in doubtful("plan")[1]
    doubtful("apply", "--auto-approve")
    assert "No changes. 3 records match" in doubtful("plan")[1]


@pytest.mark.parametrize("output", ["text", "markdown"])
def test_a_pseudonym_settles_as_well(doubtful: Project, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    """In CI addresses hold pseudonyms; what stands there can be copied all the same, and stays hidden."""
    monkeypatch.setenv("CI", "1")
    shown = doubtful("plan", "-o", output)[1]
    [address] = set(re.findall(r"note/anon-[0-9a-f]{12}/kick%20off", shown))
    if output == "text":
        assert address in command(shown)
    code, _, said = doubtful("runs", "settle", address, "--created")
    assert (0, f"{address}: noted as created: plans take it for there\n") == (code, said)
    assert "No changes. 3 records match" in doubtful("plan")[1]


def test_a_record_that_was_changed_by_hand_is_as_declared(settled: Project) -> None:
    """The journal is all that tells; a later change is seen again."""
    for text in ("It went very well.", "Or did it?"):
        write(NOTE.replace("It went well.", text))
        shown = settled("plan")[1]
        assert "created it with another content" in shown
        assert 0 == settled(*command(shown))[0]
        assert "No changes. 3 records match" in settled("plan")[1]


def test_without_a_trace_nothing_is_written(settled: Project) -> None:
    """A slip in an address, or a record that no run has created."""
    before = journals()
    code, _, said = settled("runs", "settle", "note/jane@a.example/kickoff", "--created")
    assert 1 == code
    assert "no run against target sandbox has left a doubt about it: nothing was written" in said
    assert 1 == settled("runs", "settle", "account/a.example", "--not-created")[0]
    assert before == journals()


@pytest.mark.parametrize("key", [None, "a long random text"])
def test_a_sandbox_that_was_made_anew_remembers_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """What a journal says was created in the former one: also where the key of digests is set."""
    if key is not None:
        monkeypatch.setenv("CRMCTL_PSEUDONYM_KEY", key)
    Path("crmctl.yaml").write_text(CONFIG)
    write(NOTE)
    project("apply", "--auto-approve")
    assert "No changes. 3 records match" in project("plan")[1]
    assert 0 == project("sandbox", "reset")[0]
    assert "Plan: 3 to create" in project("plan")[1]


def test_what_is_not_declared_any_more_is_settled_with_a_warning(doubtful: Project) -> None:
    """The address is what counts; the warning tells of a slip."""
    write("accounts: [{domain: a.example, name: A}]")
    code, _, said = doubtful("runs", "settle", SHOWN, "--created", "--id", "n1")
    assert 0 == code
    assert f"{SHOWN} is not declared; it is settled as it is written\n" in said
    assert f"{SHOWN}: noted as created as n1: plans take it for there\n" in said
    lines = [json.loads(line) for line in journals()[-1].read_text().splitlines()]
    assert ["run", "once", "end"] == [line["event"] for line in lines]
    assert ["settled", "n1"] == lines[1]["records"][0][1:3]


def test_what_the_crm_can_tell_is_asked_there(settled: Project) -> None:
    """An opportunity is read by its id, so the journal need not know what it says."""
    pipeline = "pipeline_id: 018f13b3-8239-7ef8-a8f1-93ad10b76110"
    write(f"opportunities: [{{account: a.example, name: Renewal, {pipeline}}}]")
    assert 0 == settled("apply", "--auto-approve")[0]
    shown = f"opportunity/a.example/{pipeline.split()[1]}/Renewal"
    assert 0 == settled("runs", "settle", shown, "--not-created")[0]
    code, _, said = settled("runs", "settle", shown, "--created", "--id", "o1")
    assert (1, True) == (code, "nothing was written" in said)


@pytest.mark.parametrize(
    "arguments",
    [
        [SHOWN],
        [SHOWN, "--not-created", "--id", "n1"],
        [SHOWN, "--created", "--id", " "],
        ["note", "--created"],
        ["person/jane", "--created"],
        ["account/nowhere", "--created"],
    ],
)
def test_what_makes_no_sense_is_exit_64(settled: Project, arguments: list[str]) -> None:
    """An answer is needed, an id is that of something, and an address is kind and key."""
    assert 64 == settled("runs", "settle", *arguments)[0]


def test_manifests_have_to_be_valid(settled: Project) -> None:
    """Whether the address is declared could not be told otherwise."""
    write("accounts: [{nme: x}]")
    assert 1 == settled("runs", "settle", SHOWN, "--created")[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("account/https://www.A.example/", "account/a.example"),
        ("contact/O%27Brien@A.example", "contact/o%27brien@a.example"),
        ("note/www.A.example/kick off", "note/a.example/kick%20off"),
        ("note/Jane@A.example/kick%20off", SHOWN),
        ("note/somebody/kick%20off", "note/somebody/kick%20off"),
        ("note/anon-000000000000/x", "note/anon-000000000000/x"),
    ],
)
def test_addresses_are_normalised(written: str, expected: str) -> None:
    """As the manifests' keys are: what is typed need not be a copy."""
    address, declared = find(written, read(NOTE), redactor())
    assert expected == str(address)
    assert (expected in {SHOWN, "account/a.example"}) == (declared is not None)


def test_pseudonyms_are_those_of_what_is_declared() -> None:
    """One that belongs to nobody stays what it is, and is no key of a contact."""
    hidden = redactor(on=True).address("contact", "jane@a.example")
    assert Address("contact", "jane@a.example") == find(f"contact/{hidden}", read(NOTE), redactor())[0]
    with pytest.raises(UsageError, match="copy the address from a plan"):
        find("contact/anon-000000000000", read(NOTE), redactor())
