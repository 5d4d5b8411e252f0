"""The journal of a run: durable before anything is sent, never outside of the tree, and honest about a full disk."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import redactor

from crmctl.config import Environment, Target
from crmctl.diff import Rules
from crmctl.errors import CrmctlError
from crmctl.journal import Journal, new_run_id, remember
from crmctl.mirror import Mirror
from crmctl.reconcile import Session
from crmctl.resource import Address

A = Address("account", "a.example")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".crmctl" / "runs"


def lead_nowhere(journal: Journal, device: str) -> None:
    """Let the journal's descriptor lead to a device, as if the disk had changed."""
    descriptor = os.open(device, os.O_WRONLY)
    os.dup2(descriptor, journal.stream.fileno())
    os.close(descriptor)


def events(journal: Journal) -> list[Any]:
    return [json.loads(line)["event"] for line in journal.path.read_text().splitlines()]


def test_a_run_is_told_from_its_begin_to_its_end(folder: Path, tmp_path: Path) -> None:
    """A line each, for its owner alone; records by digests."""
    with closing(Journal(folder, "1", redactor(), tree=tmp_path)) as journal:
        journal.begin(target="t")
        asyncio.run(journal.intend("create", [A]))
        journal.note([(A, "created", "id")])
        journal.end(totals={})
    assert ["run", "intent", "outcome", "end"] == events(journal)
    assert 0o600 == stat.S_IMODE(journal.path.stat().st_mode)
    assert "a.example" not in journal.path.read_text()


@pytest.mark.parametrize("device", ["/dev/full", os.devnull])
def test_a_disk_that_takes_nothing_is_told_once(folder: Path, device: str) -> None:
    """Whether it fails to be written or to be flushed; what comes later is passed over, so that a run can be closed."""
    with closing(Journal(folder, "1", redactor())) as journal:
        lead_nowhere(journal, device)  # /dev/full takes no text, /dev/null no fsync
        with pytest.raises(CrmctlError, match=r"1\.jsonl: the journal can't be written \(.+\): nothing more is sent"):
            journal.begin(target="t")
        journal.note([(A, "created", "id")])
        journal.end(totals={})


@pytest.mark.parametrize("device", ["/dev/full", os.devnull])
def test_nothing_is_sent_without_a_durable_intent(folder: Path, device: str) -> None:
    """An intent is refused every time: other batches may be about to be sent."""
    with closing(Journal(folder, "1", redactor())) as journal:
        lead_nowhere(journal, device)
        for _ in range(2):
            with pytest.raises(CrmctlError, match="the journal can't be written"):
                asyncio.run(journal.intend("create", [A]))


def test_of_two_intents_whose_data_is_lost_neither_is_durable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk tells of lost data once: the second that waits for it must not hear that all is well."""
    answers: Iterator[bool] = iter([False, True])

    def fsync(_: int) -> None:
        if not next(answers):
            raise OSError(5, "Input/output error")

    async def both(journal: Journal) -> list[object]:
        return list(await asyncio.gather(*(journal.intend("create", [A]) for _ in range(2)), return_exceptions=True))

    with closing(Journal(folder, "1", redactor())) as journal:
        monkeypatch.setattr("os.fsync", fsync)
        assert [CrmctlError, CrmctlError] == [type(found) for found in asyncio.run(both(journal))]


@pytest.mark.parametrize("linked", [".crmctl", ".crmctl/runs"])
@pytest.mark.parametrize("there", [True, False])
def test_no_link_leads_the_journal_out_of_the_tree(tmp_path: Path, linked: str, there: bool) -> None:  # noqa: FBT001
    """A tree may come from a stranger: nothing is written before that is known, whether the link dangles or not."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / linked).parent.mkdir(parents=True)
    if there:
        outside.mkdir()
    (tree / linked).symlink_to(outside)
    with pytest.raises(CrmctlError, match="leads out of the configuration's folder"):
        Journal(tree / ".crmctl" / "runs", "1", redactor(), tree=tree)
    assert [] == list(outside.iterdir()) if there else not outside.exists()
    assert not (tree / ".crmctl" / ".gitignore").exists()


def test_a_link_within_the_tree_is_followed(tmp_path: Path) -> None:
    """Whoever keeps journals elsewhere in the tree may; the tree itself may be reached by a link."""
    (tmp_path / "tree" / "kept").mkdir(parents=True)
    (tmp_path / "tree" / ".crmctl").symlink_to("kept")
    (tmp_path / "link").symlink_to("tree")
    Journal(tmp_path / "link" / ".crmctl" / "runs", "1", redactor(), tree=tmp_path / "link").close()
    assert (tmp_path / "tree" / "kept" / "runs" / "1.jsonl").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_gitignore_is_left_alone(folder: Path, tmp_path: Path, there: bool) -> None:  # noqa: FBT001
    """Neither written through, nor replaced."""
    outside = tmp_path / "outside"
    if there:
        outside.write_text("kept")
    folder.mkdir(parents=True)
    (folder.parent / ".gitignore").symlink_to(outside)
    Journal(folder, "1", redactor(), tree=tmp_path).close()
    assert (there, True) == (outside.exists(), (folder.parent / ".gitignore").is_symlink())
    assert not there or outside.read_text() == "kept"


def test_gitignore_is_made_once(folder: Path) -> None:
    """What somebody wrote there stays."""
    Journal(folder, "1", redactor()).close()
    assert "*\n" == (folder.parent / ".gitignore").read_text()
    (folder.parent / ".gitignore").write_text("")
    Journal(folder, "2", redactor()).close()
    assert "" == (folder.parent / ".gitignore").read_text()


def test_a_close_that_fails_is_no_error(folder: Path) -> None:
    """The failure behind it has been told."""
    journal = Journal(folder, "1", redactor())
    lead_nowhere(journal, "/dev/full")
    journal.stream.write("a")
    journal.close()
    assert journal.stream.closed


def test_a_later_run_sorts_later_whatever_the_clocks_say() -> None:
    """Journals are read in the order of their names: what an older one says must never come last."""
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    ahead = new_run_id(noon + timedelta(minutes=2))
    behind = new_run_id(noon, [ahead, "not-a-run", "00000000T000000.000000Z-kept"])
    last = new_run_id(noon, [behind, ahead])
    assert ahead < behind < last
    assert new_run_id(noon, [new_run_id(noon - timedelta(days=1))]).startswith("20260504T120000.000000Z-")
    assert new_run_id(noon, ["99991231T235959.999999Z-abc"]).startswith("99990101T000000.000001Z-")


def test_a_session_names_its_runs_so(tmp_path: Path) -> None:
    """Those in the folder count, and those at the URL that another machine has written."""
    there = tmp_path / "there"
    target = Target("t", "octolane", journal=there.as_uri())
    Mirror(there.as_uri()).write("20300101T000000.000000Z-abc", "{}")
    environment = Environment({"CRMCTL_ALLOW_JOURNALS": there.as_uri()})
    session = Session(target, Rules(), redactor(), 1, environment, lambda *_: None, folder=tmp_path / "runs")
    for expected in ("20300101T000000.000001Z-", "20300101T000000.000002Z-"):
        with closing(session.journal(datetime(2026, 5, 4, tzinfo=UTC), tmp_path)) as journal:
            assert journal.run_id.startswith(expected)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/dev/zero"), os.mkfifo, Path.mkdir])
def test_what_is_no_file_is_not_read_as_a_journal(folder: Path, make: Callable[[Path], None]) -> None:
    """A link that a pull request brings along leads nowhere; a pipe is not waited for."""
    folder.mkdir(parents=True)
    make(folder / "a.jsonl")
    with pytest.raises(CrmctlError, match=r"a\.jsonl: .*nothing was sent"):
        remember(folder, redactor(), "t", mirror=None, durable=True)
