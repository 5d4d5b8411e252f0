"""`apply --undo-out`: what a run overwrote can be put back, unless somebody has changed it since."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness import Crm, crm, redactor
from project import MANIFEST, Project, write

from crmctl.capability import Definition
from crmctl.describe import sign_plan
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.outcome import Outcome, Status
from crmctl.plan import Plan
from crmctl.providers import Options
from crmctl.reconcile import Loaded, make_plan
from crmctl.saved import hide
from crmctl.schema import check
from crmctl.undo import CREATED, DEFINED, EXISTED, UNCLEAR, UNSEEN, describe_undo, match_undo, restore

CHANGED = MANIFEST.replace("name: A", "name: B").replace("Janette", "Jane")
UNDO = "undo.json"


@pytest.fixture
def overwritten(project: Project) -> Project:
    """The project with a run that has overwritten two fields and created a record."""
    project("apply", "--auto-approve")
    write(CHANGED + "  - domain: b.example\n")
    code, _, said = project("apply", "--auto-approve", "--undo-out", UNDO)
    assert 0 == code
    assert "saved: undo.json, which holds personal data" in said
    assert "to put back what was overwritten (2 records): crmctl apply undo.json" in said
    return project


def undo_file() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(UNDO).read_text())
    return found


def test_what_a_run_overwrote_is_put_back(overwritten: Project) -> None:
    """Through plan, limits and verification like everything; once more changes nothing."""
    code, shown, _ = overwritten("apply", UNDO)
    assert (0, True) == (code, "Applied: 0 created, 2 updated" in shown)
    write(MANIFEST + "  - domain: b.example\n")
    assert "No changes. 3 records match" in overwritten("plan")[1]
    code, shown, _ = overwritten("apply", UNDO)
    assert (0, True) == (code, "No changes. 2 records match" in shown)
    runs = json.loads(overwritten("runs", "-o", "json")[1])["runs"]
    assert undo_file()["undo"]["run"] in {run["run"] for run in runs}
    assert undo_file()["undo"]["run"] == runs[-2]["undoes"]
    assert "It puts back what run" in overwritten("runs", "show", runs[-2]["run"])[1]


def test_an_undo_plan_is_private_and_says_what_it_can_not_undo(overwritten: Project) -> None:
    """It holds personal data, also in CI: nobody could put back a pseudonym. `show` hides it all the same."""
    found = undo_file()
    assert [] == check("plan", found)
    assert 0o600 == Path(UNDO).stat().st_mode & 0o777
    assert [("account", "b.example", CREATED)] == [(n["kind"], n["key"], n["text"]) for n in found["notices"]]
    shown = overwritten("show", UNDO)[1]
    assert "i account/b.example: not undoable: the run creates it, and crmctl deletes nothing" in shown
    assert 'first_name: "Jane" → "Janette"' in shown
    assert "Jane" not in overwritten("show", UNDO, "--redact", "-o", "json")[1]


def test_in_ci_an_undo_plan_holds_what_was_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reports hide."""
    project("apply", "--auto-approve")
    write(CHANGED)
    monkeypatch.setenv("CI", "1")
    code, shown, _ = project("apply", "--auto-approve", "--undo-out", UNDO)
    assert (0, False, True) == (code, "Janette" in shown, "Janette" in Path(UNDO).read_text())
    assert 0 == project("apply", UNDO)[0]


def test_what_somebody_has_changed_since_is_a_conflict(overwritten: Project) -> None:
    """It is left alone; the rest is put back where that is asked for."""
    write(CHANGED.replace("name: B", "name: C"))
    overwritten("apply", "--auto-approve")
    code, shown, said = overwritten("apply", UNDO)
    assert (4, False) == (code, "Applied" in shown)
    assert "conflict: account/a.example: has been changed since the run (name)" in said
    assert "what it wrote has been changed since and nothing was sent" in said
    code, shown, said = overwritten("apply", UNDO, "--apply-unchanged")
    assert (0, True) == (code, "Applied: 0 created, 1 updated" in shown)
    assert "left alone: account/a.example" in said
    write(MANIFEST.replace("name: A", "name: C"))
    assert "No changes. 2 records match" in overwritten("plan")[1]


def test_limits_hold_for_an_undo(overwritten: Project) -> None:
    """As for any plan."""
    code, _, said = overwritten("apply", UNDO, "--max-updates", "1")
    assert (5, True) == (code, "2 updates are more than max_updates allows (1)" in said)
    assert "Applied: 0 created, 1 updated" in overwritten("apply", UNDO, "--only", "contact")[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["changes"][0]["fields"][0].update(after="Other"),
        lambda found: found["changes"].pop(),
        lambda found: found["undo"].update(matched=10_000),
        lambda found: found.update(key_check="0" * 64),
    ],
)
def test_nobody_puts_words_into_an_undo_plan(overwritten: Project, change: Any) -> None:
    """It is signed with the key, so what it wants is what was there."""
    found = undo_file()
    change(found)
    Path(UNDO).write_text(json.dumps(found))
    code, shown, said = overwritten("apply", UNDO)
    assert (4, "", True) == (code, shown, "changed after it was written" in said or "another key" in said)


@pytest.mark.parametrize("wrong", [{"action": "create"}, {"kind": "person"}])
def test_an_undo_plan_has_updates_of_kinds_that_there_are(wrong: dict[str, str]) -> None:
    """Another version's may have more, and what can't be put back is not passed over."""
    with crm() as there:
        there.apply("accounts: [{domain: a.example, name: A}]")
        saved = describe_undo(there.plan("accounts: [{domain: a.example, name: B}]"), redactor())
    entries = [{**entry, **wrong} for entry in saved.entries()]
    head = {**saved.head, "digest": sign_plan(saved.head, entries, redactor())}
    with pytest.raises(CrmctlError, match="a step that this version can't take"):
        restore(Document(head, lambda: iter(entries)), redactor())


def test_a_run_that_overwrote_nothing_leaves_nothing_to_put_back(project: Project) -> None:
    """The file says so."""
    project("apply", "--auto-approve", "--undo-out", UNDO)
    assert [] == undo_file()["changes"]
    code, _, said = project("apply", UNDO)
    assert (1, True) == (code, "the run overwrote nothing, so there is nothing to put back" in said)


def test_an_undo_plan_is_there_before_anything_is_sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever kills the run has it: what was not overwritten is as it was, and nothing is done about it."""
    project("apply", "--auto-approve")
    write(CHANGED)

    def die(*_: Any, **__: Any) -> None:
        raise CrmctlError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("crmctl.commands.apply.carry_out", die)
        assert 1 == project("apply", "--auto-approve", "--undo-out", UNDO)[0]
    assert {"run": None, "matched": 2} == undo_file()["undo"]
    assert 2 == len(undo_file()["changes"])
    code, shown, _ = project("apply", UNDO)
    assert (0, True) == (code, "No changes. 2 records match" in shown)


@pytest.mark.parametrize(("place", "expected"), [("missing/undo.json", 1), (".", 64)])
def test_without_a_place_for_it_nothing_is_sent(project: Project, place: str, expected: int) -> None:
    """Better before the run than after it."""
    code, shown, said = project("apply", "--auto-approve", "--undo-out", place)
    assert (expected, "", True) == (code, shown, "can't be written" in said or "is a directory" in said)


def test_a_disk_that_is_full_in_the_end_loses_no_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that was written before the run is still there."""
    project("apply", "--auto-approve")
    write(CHANGED)
    writes = iter([False, True])

    def write_once(path: Path, pieces: Any) -> None:
        if next(writes):
            raise CrmctlError(f"{path}: can't be written (No space left on device): name another file")
        path.write_text("".join(pieces))

    monkeypatch.setattr("crmctl.commands.undoing.write_private", write_once)
    code, shown, said = project("apply", "--auto-approve", "--undo-out", UNDO)
    assert (1, True, True) == (code, "2 updated" in shown, "No space left" in said)
    assert 2 == len(undo_file()["changes"])


def test_several_targets_have_one_file(project: Project) -> None:
    """Each its own part of it; a file of both plans and undo plans has to be taken apart."""
    Path("crmctl.yaml").write_text(
        "version: 1\ntargets:\n  a: {provider: octolane, sandbox: a.db}\n  b: {provider: octolane, sandbox: b.db}\n"
    )
    project("apply", "--auto-approve", "--all-targets")
    write(CHANGED)
    project("apply", "--auto-approve", "--all-targets", "--undo-out", UNDO)
    assert 2 == len(undo_file()["plans"])
    code, shown, _ = project("apply", UNDO, "--target", "a")
    assert (0, 1) == (code, shown.count("Applied: 0 created, 2 updated"))
    code, shown, _ = project("apply", UNDO)
    assert (0, 1) == (code, shown.count("Applied: 0 created, 2 updated"))
    found = undo_file()
    found["plans"][0].pop("undo")
    Path(UNDO).write_text(json.dumps(found))
    code, _, said = project("apply", UNDO)
    assert (1, True) == (code, "both plans and undo plans" in said)


def test_what_was_not_looked_at_is_put_back_as_well(project: Project) -> None:
    """It is listed as in doubt and counted; what a create has met then nobody knows."""
    project("apply", "--auto-approve")
    write(CHANGED + "  - domain: b.example\n")
    _, _, said = project("apply", "--auto-approve", "--undo-out", UNDO, "--verify", "off")
    assert "to put back what was overwritten (2 records, 2 in doubt): crmctl apply undo.json" in said
    notices = [(notice["kind"], notice["key"], notice["text"]) for notice in undo_file()["notices"]]
    doubts = [("account", "a.example", UNSEEN), ("contact", "jane@a.example", UNSEEN)]
    assert sorted([("account", "b.example", UNCLEAR), *doubts]) == sorted(notices)
    assert "Applied: 0 created, 2 updated" in project("apply", UNDO)[1]
    write(MANIFEST + "  - domain: b.example\n")
    assert "No changes. 3 records match" in project("plan")[1]


def test_what_shows_too_late_is_put_back_as_well() -> None:
    """An update that came to `unknown` had arrived; one that had not would be as it was."""
    with crm({"search_lag": "100"}) as there:
        there.apply("accounts: [{domain: a.example, name: A}]")
        there.clock.now += 200
        plan = there.plan("accounts: [{domain: a.example, name: B}]")
        [outcome] = there.apply("", plan=plan).outcomes
        saved = describe_undo(plan, redactor(), outcomes={outcome.change.address: outcome})
        assert ("unknown", [UNSEEN]) == (outcome.status, [notice["text"] for notice in saved.head["notices"]])
        assert () == plan_undo(there, saved).changes
        there.clock.now += 200
        matched = match_undo(saved, plan_undo(there, saved), redactor())
        assert (1, ()) == (len(matched.plan.changes), matched.stale)


PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
OPTIONS = Options(pipelines={"sales": PIPELINE}, assumed_routes=True)
DEAL = "accounts: [{domain: acme.example, opportunities: [{name: Renewal, pipeline: sales, deal_size: 4}]}]"
NOTE = "accounts: [{domain: acme.example, name: Acme, notes: [{key: kickoff, text: It went well.}]}]"
LINKS = (
    "accounts: [{domain: a.example, name: A}, {domain: b.example, name: B}]\n"
    "contacts: [{email: jane@a.example, first_name: Jane, last_name: Doe, accounts: [a.example]}]"
)


def undone(there: Crm, manifest: str, changed: str) -> list[str]:
    """Apply, change, put back; returns what is left to do then."""
    there.apply(manifest)
    plan = there.plan(changed)
    saved = describe_undo(plan, redactor())
    result = there.apply("", plan=plan)
    assert {"updated"} == {outcome.status for outcome in result.outcomes}
    after = describe_undo(plan, redactor(), outcomes={o.change.address: o for o in result.outcomes})
    assert list(saved.entries()) == list(after.entries()) == json.loads(json.dumps(list(saved.entries())))
    matched = match_undo(saved, plan_undo(there, saved), redactor())
    assert () == matched.stale
    there.apply("", plan=matched.plan)
    return [f"{change.action} {change.address}" for change in there.plan(manifest).changes]


def plan_undo(there: Crm, saved: Document) -> Plan:
    wanted = restore(saved, redactor())
    loaded = Loaded(wanted.desired, {}, restores=True, ids=wanted.ids)
    return asyncio.run(make_plan(there.session(), loaded, lambda _: None, partial=False))


@pytest.mark.parametrize(
    ("provider", "manifest", "old", "new"),
    [
        ("octolane", DEAL, "deal_size: 4", "deal_size: 5"),
        ("octolane", DEAL.replace("4", "4, close_date: 2027-01-31"), "2027-01-31", "2027-02-28"),
        ("octolane", "accounts: [{domain: a.example, tags: [x, y]}]", "[x, y]", "[z]"),
        ("octolane", "contacts: [{email: jane@a.example, last_name: ~}]", "~", "Doe"),
        ("octolane", "contacts: [{email: jane@a.example, phone: '1'}]", "'1'", "~"),
        ("thena", NOTE, "It went well.", "Or did it?"),
        ("thena", "accounts: [{domain: a.example, name: A, description: X}]", "X", "Y"),
        ("thena", "accounts: [{domain: a.example, name: A}]", "a.example", "b.example, was: a.example"),
        ("thena", LINKS, "[a.example]", "[a.example, b.example]"),
    ],
)
def test_every_kind_is_put_back(provider: str, manifest: str, old: str, new: str) -> None:
    """Also what has no key of its own, what was empty, and lists."""
    with crm(provider=provider, options=OPTIONS, journal=True) as there:
        assert [] == undone(there, manifest, manifest.replace(old, new))


def test_field_policies_don_t_keep_anything_from_being_put_back() -> None:
    """What a policy had let be filled was empty before."""
    policies = {"contact": {"phone": "fill_empty"}}
    with crm(policies=policies) as there:
        there.apply("contacts: [{email: jane@a.example, first_name: Jane}]")
        plan = there.plan("contacts: [{email: jane@a.example, phone: '1'}]")
        there.apply("", plan=plan)
        there.apply("", plan=plan_undo(there, describe_undo(plan, redactor())))
        assert {""} == {record["phone"] or "" for record in there.records("contacts")}


def test_what_is_gone_or_doubled_is_no_longer_put_back() -> None:
    """Each is told for what it is, and nothing is created for it."""
    with crm() as there:
        there.apply("contacts: [{email: jane@a.example, first_name: Jane}]")
        plan = there.plan("contacts: [{email: jane@a.example, first_name: Janet}]")
        saved = describe_undo(plan, redactor())
    with crm() as empty:
        matched = match_undo(saved, plan_undo(empty, saved), redactor())
        assert ("contact/jane@a.example: is no longer there",) == matched.stale
        [left] = matched.plan.changes
        assert ("report", "left alone: is no longer there") == (left.action, left.reason)
        fresh = plan_undo(empty, saved)
        report = fresh.changes[0]._replace(action="report", reason="no")
        stale = match_undo(saved, replace(fresh, changes=(report,)), redactor()).stale
        assert ("contact/jane@a.example: can't be put back (no)",) == stale


def test_what_came_of_a_create_decides_what_is_said_of_it() -> None:
    """What existed may have been overwritten by the server; what was not sent needs no excuse; a made field stays."""
    manifest = "accounts: [{domain: a.example}, {domain: b.example}, {domain: c.example}, {domain: d.example}]"
    with crm() as there:
        plan = there.plan(manifest)
    plan = replace(plan, definitions=(Definition("account", "tier", "string"),))
    statuses: Sequence[Status] = ("created", "existed", "skipped", "failed")
    outcomes = {c.address: Outcome(c, status) for c, status in zip(plan.changes, statuses, strict=True)}
    said = {n["key"]: n["text"] for n in describe_undo(plan, redactor(), outcomes=outcomes).head["notices"]}
    assert {"custom_fields.tier": DEFINED, "a.example": CREATED, "b.example": EXISTED} == said
    failed = {c.address: Outcome(c, "failed", "7") for c in plan.changes}
    said = {n["key"]: n["text"] for n in describe_undo(plan, redactor(), outcomes=failed).head["notices"]}
    assert EXISTED == said["a.example"]
    updates = replace(plan, changes=tuple(change._replace(action="update") for change in plan.changes))
    kept = describe_undo(updates, redactor(), outcomes=outcomes)
    assert ["a.example", "d.example"] == [entry["key"] for entry in kept.entries()]  # updated by somebody else: b
    assert [DEFINED] == [n["text"] for n in describe_undo(plan, redactor(), outcomes={}).head["notices"]]
    reports = replace(plan, changes=tuple(change._replace(action="report") for change in plan.changes))
    assert [DEFINED] == [n["text"] for n in describe_undo(reports, redactor()).head["notices"]]


def test_what_only_finds_a_record_is_not_shown() -> None:
    """Its references and contents are personal."""
    with crm(provider="thena", options=OPTIONS, journal=True) as there:
        there.apply(NOTE)
        saved = describe_undo(there.plan(NOTE.replace("well", "badly")), redactor())
    assert {"refs", "known_by"} <= next(saved.entries()).keys()
    assert {"refs", "known_by"}.isdisjoint(next(hide(saved, redactor(on=True)).entries()).keys())
