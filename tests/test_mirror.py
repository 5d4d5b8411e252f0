"""A journal at a URL: written entry by entry, read by whoever comes next, on another machine."""

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest
from harness import Clock, redactor

from crmctl.errors import CrmctlError, UsageError
from crmctl.journal import Journal, remember, seal
from crmctl.memory import Trace
from crmctl.mirror import Mirror
from crmctl.place import Place, check_url
from crmctl.resource import Address, Resource

NOTE = Resource(Address("note", "acme.example/kickoff"), {"text": "Hello"})


def url(tmp_path: Path) -> str:
    return (tmp_path / "shared" / "journal").as_uri()


async def write(folder: Path, mirror: Mirror, *statuses: str) -> None:
    """Write what a run about one note writes."""
    with closing(Journal(folder, "run-1", redactor(), target="t", mirror=mirror, clock=Clock())) as journal:
        await journal.intend("create", [NOTE.address], {NOTE.address: NOTE})
        for status in statuses:
            journal.note([(NOTE.address, status, None)])


@pytest.mark.parametrize(("statuses", "state"), [((), "open"), (("unknown",), "unknown"), (("sent",), "known")])
def test_what_is_written_on_one_machine_is_remembered_on_another(
    tmp_path: Path, statuses: tuple[str, ...], state: str
) -> None:
    """Only what stands at the URL is left; it holds neither text nor key."""
    asyncio.run(write(tmp_path / "here", Mirror(url(tmp_path)), *statuses))
    memory = remember(tmp_path / "there", redactor(), "t", mirror=Mirror(url(tmp_path)), durable=True)
    trace = memory.trace(NOTE.address)
    assert isinstance(trace, Trace)
    assert (state, seal(redactor(), NOTE)) == (trace.state, trace.content)
    lines = list(Mirror(url(tmp_path)).read())
    assert 1 + len(statuses) == len(lines)
    assert all("acme" not in line and "Hello" not in line and json.loads(line)["once"] for line in lines)


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    """Each entry is an object of its own, in the folder of its run."""
    mirror = Mirror(url(tmp_path))
    for text in ("a\n", "b\n"):
        mirror.write("run-1", text)
    Mirror(url(tmp_path)).write("run-2", "c\n")
    assert ["a", "b", "c"] == list(mirror.read())
    assert ["000001.jsonl", "000002.jsonl"] == sorted(p.name for p in (tmp_path / "shared/journal/run-1").iterdir())


def test_an_empty_place_remembers_nothing(tmp_path: Path) -> None:
    """The first run finds nothing there."""
    assert [] == list(Mirror(url(tmp_path)).read())


def test_a_scheme_that_nobody_knows_is_a_usage_error() -> None:
    """What is missing is said, and nothing is sent."""
    with pytest.raises(UsageError, match=r"journal: nowhere://x: can't be used .* install the fsspec plug-in"):
        Mirror("nowhere://x")


def test_a_place_that_can_not_be_written_stops_the_run(tmp_path: Path) -> None:
    """It is told as what it is, and not as a bug."""
    (tmp_path / "shared").write_text("a file")
    with pytest.raises(CrmctlError, match="nothing more is sent"):
        Mirror(url(tmp_path)).write("run-1", "a\n")


@pytest.mark.parametrize(
    ("allowed", "fine"),
    [
        (["s3://bucket/journal"], True),
        (["s3://bucket"], True),
        (["s3://bucket/"], True),
        (["s3://buck"], False),
        (["s3://bucket/journal/deeper"], False),
        ([], False),
    ],
)
def test_the_environment_says_which_places_may_be_named(allowed: list[str], fine: bool) -> None:  # noqa: FBT001 - a table
    """The configuration comes from pull requests."""
    if fine:
        check_url("journal", "s3://bucket/journal", allowed, "CRMCTL_ALLOW_JOURNALS")
    else:
        with pytest.raises(UsageError, match="CRMCTL_ALLOW_JOURNALS"):
            check_url("journal", "s3://bucket/journal", allowed, "CRMCTL_ALLOW_JOURNALS")


def test_a_journal_that_can_not_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """What it says would be missed."""
    (tmp_path / "run-1.jsonl").mkdir()
    with pytest.raises(CrmctlError, match="the journal can't be read"):
        remember(tmp_path, redactor(), "t", mirror=None, durable=False)


def test_a_store_that_can_not_create_exclusively_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks need that; another store is to be named."""

    def refuse(*_: object) -> None:
        raise NotImplementedError("File mode not supported")

    place = Place(url(tmp_path), "lock")
    monkeypatch.setattr(place._files, "open", refuse)
    with pytest.raises(UsageError, match=r"can't create an object only if there is none .* name another"):
        place.create("a", "text")


def test_objects_that_are_gone_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have deleted them; when one was written not every store tells."""
    place = Place(url(tmp_path), "lock")
    assert (None, None) == (place.read("a"), place.modified("a"))
    assert (True, False) == (place.create("a", "text"), place.create("a", "other"))
    place.delete(["a", "a"])
    assert [] == place.names()

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(place._files, "modified", refuse)
    assert place.modified("a") is None
