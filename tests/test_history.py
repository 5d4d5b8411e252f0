"""What the journal of a run tells, however little of it is left."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from harness import Clock, check_golden, redactor

from crmctl.document import Document
from crmctl.history import History, list_runs, read_history, tell
from crmctl.journal import Journal, key_check, name_of
from crmctl.memory import recall
from crmctl.reports import report
from crmctl.resource import Address, Resource

GOLDEN = Path(__file__).parent / "golden"
ACCOUNT = Address("account", "acme.example")
JANE, BOB = Address("contact", "jane@acme.example"), Address("contact", "bob@acme.example")
NOTES = [Resource(Address("note", f"acme.example/n{number}"), {"text": str(number)}) for number in range(4)]


async def write(folder: Path, *, facts: dict[str, str], unsafe: str | None = None) -> Path:
    """Write the journal of a run to which everything happens that can."""
    plan = [("update", ACCOUNT), ("create", JANE), ("create", BOB), *(("create", note.address) for note in NOTES)]
    with closing(Journal(folder, "run-1", redactor(), target="t", clock=Clock(), facts=facts)) as journal:
        journal.begin(target="t", unsafe=unsafe)
        journal.plan(plan)
        await journal.intend("update", [ACCOUNT])
        journal.note([(ACCOUNT, "updated", "a1")])
        await journal.intend("create", [JANE, BOB])
        journal.note([(JANE, "created", "c1")])
        for note, status in zip(NOTES, ("unknown", "created", "open", ""), strict=True):
            if status:
                await journal.intend("create", [note.address], {note.address: note})
                journal.note([(note.address, status, "n1" if status == "created" else None)])
        if unsafe is None:
            journal.end(totals={}, interrupted=True, stopped=False)
    return journal.path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return asyncio.run(write(tmp_path, facts={"resumes": "run-0"}))


def statuses(history: History) -> dict[str, str]:
    """The status of each record by its key."""
    names = {name_of(redactor(), address): address.key for address in (ACCOUNT, JANE, BOB, *(n.address for n in NOTES))}
    return {names[name]: attempt.status for name, attempt in history.records.items()}


def test_each_record_has_come_to_something(path: Path) -> None:
    """Or is in flight, or left."""
    history = read_history("run-1", path.read_text().splitlines())
    expected = {
        "acme.example": "updated",
        "jane@acme.example": "created",
        "bob@acme.example": "in flight",
        "acme.example/n0": "unknown",
        "acme.example/n1": "created",
        "acme.example/n2": "in flight",
        "acme.example/n3": "left",
    }
    assert expected == statuses(history)
    assert ("t", "interrupted", True, "run-0") == (history.target, history.state, history.planned, history.resumes)
    assert {"created": 2, "updated": 1, "unknown": 1, "in flight": 2, "left": 1} == history.totals()
    assert {key for key, status in expected.items() if status not in {"updated", "created"}} == {
        key for key, status in statuses(history).items() if name(key) in history.left()
    }


def name(key: str) -> str:
    kind = "note" if "/" in key else "contact" if "@" in key else "account"
    return name_of(redactor(), Address(kind, key))


def test_a_torn_line_says_nothing(path: Path) -> None:
    """Cut at every byte, a journal tells what its whole lines tell, no more and no less; so does what is remembered."""
    data = path.read_bytes()
    check = key_check(redactor())
    for length in range(len(data) + 1):
        torn = data[:length]
        whole = torn if torn.endswith(b"}") else torn[: torn.rfind(b"\n") + 1]
        lines = [part.decode("utf-8", "replace").splitlines() for part in (torn, whole)]
        assert read_history("run-1", lines[1]) == read_history("run-1", lines[0])
        assert recall(lines[1], "t", check) == recall(lines[0], "t", check)


def test_what_a_journal_tells_grows_with_its_lines(path: Path) -> None:
    """An intent is told before any outcome: whatever is sent was noted before."""
    lines = path.read_text().splitlines()
    seen: dict[str, str] = {}
    for number in range(len(lines)):
        now = statuses(read_history("run-1", lines[:number]))
        assert {} == {key: status for key, status in now.items() if status == "created" and seen[key] == "left"}
        seen = now


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "7", "null", '{"event":"new"}', '{"event":[]}', '{"event":"outcome","records":[1]}',
             '{"event":"run","started":"x"}', "\0\0\0"],
)  # fmt: skip
def test_what_is_no_line_of_ours_is_passed_over(line: str) -> None:
    """A later version may write others."""
    assert {} == read_history("r", [line]).records


@pytest.mark.parametrize(
    ("line", "state"),
    [("", "open"), ('{"event":"end","at":1}', "complete"), ('{"event":"end","at":1,"stopped":true}', "stopped")],
)
def test_a_run_without_an_end_is_open(line: str, state: str) -> None:
    """It is at work, or it was killed."""
    begin = '{"event":"run","target":"t","started":"2026-01-31T09:30:00+00:00"}'
    history = read_history("r", [begin, line])
    assert (state, 1769851800.0) == (history.state, history.started)


def test_a_mirror_alone_tells_what_was_created_once() -> None:
    """Its lines can be understood by themselves."""
    line = {"event": "once", "once": True, "run": "r", "target": "t", "key_check": "k", "at": 5.0}
    rows = [["n1", "open", None, ""], ["n1", "created", "7", ""], ["n2", "open", None, ""]]
    history = read_history("r", [json.dumps({**line, "records": [row]}) for row in rows])
    assert ("t", "k", 5.0, False) == (history.target, history.key_check, history.started, history.planned)
    assert [("created", "7"), ("in flight", None)] == [(a.status, a.remote_id) for a in history.records.values()]


def told(path: Path) -> Document:
    names = {name_of(redactor(), address): address for address in (ACCOUNT, JANE, *(note.address for note in NOTES))}
    return tell(read_history("run-1", path.read_text().splitlines()), redactor(), names)


@pytest.mark.parametrize(("output", "suffix"), [("text", "txt"), ("markdown", "md"), ("json", "json")])
def test_reports_of_runs_look_so(path: Path, tmp_path: Path, output: str, suffix: str) -> None:
    """Golden files: the list of runs, and one run with a record that the manifests no longer tell of."""
    other = asyncio.run(write(tmp_path / "other", facts={}, unsafe="`so` be | it, jane@acme.example"))
    histories = [read_history(name, file.read_text().splitlines()) for name, file in (("run-1", path), ("r2", other))]
    settled = '{"event":"run","target":"t\\u001b[2J","settles":"n1","at":1}'
    done = '{"event":"once","once":true,"target":"t","key_check":"k","at":1,"records":[["n1","settled",null,""]]}'
    histories.append(read_history("r3", [settled, done, '{"event":"end","at":2}']))
    rendered = report(output)
    shown = "".join(rendered.runs(list_runs(histories)))
    shown += "---\n" + "".join(rendered.runs(list_runs([])))
    for document in (
        told(path),
        tell(histories[1], redactor(on=True)),
        tell(histories[2], None),
        tell(History("r4"), None),
    ):
        shown += "---\n" + "".join(rendered.run(document))
    check_golden(shown, GOLDEN / f"journal.{suffix}")


@pytest.mark.parametrize("at", ["1e30", "-1e30", "1" + "0" * 400, '"noon"', "null", "[" * 100_000])
def test_a_time_that_is_none_is_left_out(at: str) -> None:
    """What somebody has written into a journal ends no listing."""
    history = read_history("r1", [f'{{"event":"run","target":"t","at":{at}}}', f'{{"event":"end","at":{at}}}'])
    assert (None, None) == (history.started, history.ended)
    assert [None] == [entry["started_at"] for entry in list_runs([history]).entries()]
