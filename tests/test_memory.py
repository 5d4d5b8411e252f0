"""What journals say of records that are created once."""

import json
from typing import Any

import pytest

from crmctl.errors import CrmctlError
from crmctl.memory import Memory, Trace, recall
from crmctl.resource import Address

NOTE = Address("note", "acme.example/kickoff")


def line(status: str, *, at: float = 1, run: str = "r1", remote_id: str | None = None, **others: Any) -> str:
    """Return a journal's line about one record."""
    entry = {"event": "once", "once": True, "run": run, "target": "t", "key_check": "k", "at": at}
    entry |= {"records": [["n1", status, remote_id, others.pop("content", "")]], **others}
    return json.dumps(entry, separators=(",", ":"))


def recalled(*lines: str) -> dict[str, Trace]:
    found = recall(lines, "t", "k")
    assert ((), ()) == (found.foreign, found.doubts)
    return dict(found.traces)


@pytest.mark.parametrize(
    ("lines", "trace"),
    [
        ([line("open", at=5, content="c")], Trace("open", "r1", 5, None, "c")),
        ([line("open"), line("unknown", at=2)], Trace("unknown", "r1", 2)),
        ([line("open", content="c"), line("created", remote_id="7")], Trace("known", "r1", 1, "7", "c")),
        ([line("open", content="c"), line("sent")], Trace("known", "r1", 1, None, "c")),
        ([line("open"), line("failed")], None),
        ([line("open"), line("skipped")], None),
        ([line("open"), line("failed", remote_id="7")], Trace("known", "r1", 1, "7")),
        ([line("unknown"), line("settled", run="r2")], Trace("settled", "r2", 1)),
        ([line("unknown"), line("settled", run="r2", remote_id="8")], Trace("settled", "r2", 1, "8")),
        ([line("unknown"), line("not-created")], None),
        ([line("created", remote_id="7"), line("open", run="r2", at=9)], Trace("open", "r2", 9)),
    ],
)
def test_the_last_word_counts(lines: list[str], trace: Trace | None) -> None:
    """Each line is about one attempt, and the later one knows better."""
    assert ({} if trace is None else {"n1": trace}) == recalled(*lines)


def test_what_is_no_whole_line_of_ours_says_nothing() -> None:
    """A torn line, other events, and other targets are passed over."""
    torn = line("unknown")[:-9]
    other = line("unknown", target="else")
    assert {} == recalled(
        torn, other, '{"event":"outcome","records":[["n1","created","7"]]}', '["once"]', "[" + '"once":true]'
    )


def test_runs_written_with_another_key_are_named() -> None:
    """Their digests stand for nothing that can be recognised: whoever needs them has to know."""
    foreign: dict[str, Any] = {"key_check": "other"}
    found = recall([line("open", run="old", **foreign), line("sent", run="fine", **foreign), line("open")], "t", "k")
    assert ("old", "fine") == found.foreign
    assert () == found.doubts
    assert ["n1"] == list(found.traces)
    assert ("old",) == recall([line("unknown", run="old", **foreign)], "t", "k").doubts


@pytest.mark.parametrize(
    "wrong", [{"at": None}, {"records": None}, {"records": [["x"]]}, {"records": [[[], "open", None, ""]]}]
)
def test_a_line_that_can_not_be_understood_is_not_passed_over(wrong: dict[str, Any]) -> None:
    """What it says of a record would be missed."""
    entry = {**json.loads(line("open")), **wrong}
    with pytest.raises(CrmctlError, match="run r1 has a line that can't be understood"):
        recall([json.dumps(entry, separators=(",", ":"))], "t", "k")


def test_a_memory_asks_by_the_digest_of_an_address() -> None:
    """Addresses themselves are never written down."""
    trace = Trace("known", "r1", 1, "7")
    assert trace == Memory(name=lambda _: "n1", traces={"n1": trace}).trace(NOTE)
    assert Memory(name=lambda _: "n2", traces={"n1": trace}).trace(NOTE) is None
    assert Memory().trace(NOTE) is None


@pytest.mark.parametrize(
    "line", ['{"once":true,"a":' + "[" * 100_000, '{"once":true,"target":"t","at":1' + "0" * 400 + "}"]
)
def test_a_line_that_is_too_much_is_no_bug_of_ours(line: str) -> None:
    """It may say something about a record, so it is not passed over either."""
    with pytest.raises(CrmctlError, match="nothing was sent; restore the file"):
        recall([line], "t", "k")
