"""Places that lead elsewhere, mirrors that fail, and personal values in findings."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from harness import crm, redactor

from crmctl.errors import CrmctlError, InvalidInput, UsageError
from crmctl.journal import Journal
from crmctl.mirror import Mirror
from crmctl.place import check_url
from crmctl.reports.text import diagnostics
from crmctl.resource import Address, Resource

NOTE = Resource(Address("note", "acme.example/kickoff"), {"text": "Hello"})


@pytest.mark.parametrize(
    "url", ["file:///vol/../etc/x", "file:///vol/%2e%2e/x", "file:///vol/y::memory://z", "file:///vol/./x"]
)
def test_a_place_is_named_plainly(url: str) -> None:
    """What begins like an allowed place must not lead out of it."""
    with pytest.raises(UsageError, match="name the place plainly"):
        check_url("journal", url, ["file:///vol"], "CRMCTL_ALLOW_JOURNALS")


class Failing(Mirror):
    """A mirror that takes so many entries, and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, run: str, text: str) -> None:
        """Take an entry, or fail."""
        del run, text
        self.room -= 1
        if self.room < 0:
            raise CrmctlError("journal: memory://x: gone: nothing more is sent")


def test_a_mirror_that_fails_keeps_no_outcome_from_being_told(tmp_path: Path) -> None:
    """The run goes on to its end, with a report; only nothing more is sent."""

    async def run() -> None:
        with closing(Journal(tmp_path / "runs", "run-1", redactor(), target="t", mirror=Failing(1))) as journal:
            await journal.intend("create", [NOTE.address], {NOTE.address: NOTE})
            journal.note([(NOTE.address, "sent", None)])
            with pytest.raises(CrmctlError, match="nothing more is sent"):
                await journal.intend("create", [NOTE.address], {NOTE.address: NOTE})

    asyncio.run(run())


def test_a_finding_shows_no_personal_value_in_ci() -> None:
    """What stands in a contact's custom field is not for everybody."""
    field = {"name": "Pick", "attribute_type": "select", "property_name": "pick"}
    field["metadata"] = {"select_options": [{"label": "Gold", "value": "g"}]}  # type: ignore[assignment]
    with crm() as there:
        there.request("POST", "/v1/contacts/fields/bulk", [field])
        with pytest.raises(InvalidInput) as caught:
            there.plan("contacts: [{email: jo@a.example, custom_fields: {pick: Jane Secret}}]")
    shown = "".join(diagnostics(caught.value.diagnostics, redactor(on=True)))
    assert "is no option of pick" in shown
    assert "Secret" not in shown
    assert "Secret" in "".join(diagnostics(caught.value.diagnostics, redactor()))
