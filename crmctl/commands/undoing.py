"""The file of `apply --undo-out`: written before anything is sent, and once more when it is known what was."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crmctl.commands.files import check_replaced, check_writable, write_private
from crmctl.commands.run import Run
from crmctl.commands.targets import Planned, Targets
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.outcome import Outcome
from crmctl.reports import json
from crmctl.undo import count_doubts, describe_undo

Ran = Mapping[str, tuple[str, Sequence[Outcome]]]
"""By target: the id of a run, and what became of its changes."""


class UndoFile:
    """An undo plan in the making: a run that is killed leaves the first form behind, which is as good."""

    def __init__(self, run: Run, targets: Targets, path: Path | None) -> None:
        self.run = run
        self.targets = targets
        self.path = path
        self.planned: Sequence[Planned] = ()
        if path is not None:
            check_writable(path)
            check_replaced(path, {"spent", "undo"})

    def prepare(self, planned: Sequence[Planned]) -> None:
        """Say what is to be written; raises CrmctlError for a file that alone has what an earlier run overwrote.

        Where nothing is to be done the file stays as it is: the same command may be run again.
        """
        if self.path is None:
            return
        if any(one.plan.pending for one in planned):
            check_replaced(self.path, {"spent"})
            self.planned = planned
        else:
            self.run.say(f"nothing is to be done, so nothing is saved in {self.path}")

    def begin(self) -> None:
        """Write down all that may be overwritten; raises CrmctlError where that can't be, before anything is sent."""
        if self.path is not None and self.planned:
            self._write(self.path, {})

    def end(self, ran: Ran) -> int:
        """Write down what was overwritten; returns the exit code that this comes to."""
        if self.path is None or not self.planned:
            return 0
        try:
            documents = self._write(self.path, ran)
        except CrmctlError as error:  # what was written before holds; and the report must not be lost for this
            self.run.say(f"crmctl: {error}", always=True)
            return error.exit_code
        number = sum(document.head["summary"]["update"] for document in documents)
        doubts = sum(map(count_doubts, documents))
        records = f"{number} record{'s' * (number != 1)}{f', {doubts} in doubt' * (doubts > 0)}"
        saved = f"saved: {self.path}, which holds personal data"
        self.run.say(f"{saved}; to put back what was overwritten ({records}): crmctl apply {self.path}")
        return 0

    def _write(self, path: Path, ran: Ran) -> list[Document]:
        documents: list[Document] = []
        for one in self.planned:
            run, outcomes = ran.get(one.plan.target, (None, None))
            found = None if outcomes is None else {outcome.change.address: outcome for outcome in outcomes}
            documents.append(describe_undo(one.plan, one.session.redactor, run=run, outcomes=found))
        write_private(path, json.plan(self.targets.gather_plans(self.planned, documents)))
        return documents
