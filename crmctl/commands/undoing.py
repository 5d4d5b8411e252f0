"""The file of `apply --undo-out`: written before anything is sent, and once more when it is known what was."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from crmctl.commands.files import check_writable, write_private
from crmctl.commands.run import Run
from crmctl.commands.targets import Planned, Targets
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.outcome import Outcome
from crmctl.reports import json
from crmctl.undo import describe_undo

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

    def begin(self, planned: Sequence[Planned]) -> None:
        """Write down all that may be overwritten; raises CrmctlError where that can't be, before anything is sent."""
        self.planned = planned
        if self.path is not None and planned:
            self._write(self.path, {})

    def end(self, ran: Ran) -> int:
        """Write down what was overwritten; returns the exit code that this comes to."""
        if self.path is None or not self.planned:
            return 0
        try:
            self._write(self.path, ran)
        except CrmctlError as error:  # what was written before holds; and the report must not be lost for this
            self.run.say(f"crmctl: {error}", always=True)
            return error.exit_code
        self.run.say(
            f"saved: {self.path}, which holds personal data; to put back what was overwritten: crmctl apply {self.path}"
        )
        return 0

    def _write(self, path: Path, ran: Ran) -> None:
        documents: list[Document] = []
        for one in self.planned:
            run, outcomes = ran.get(one.plan.target, (None, None))
            found = None if outcomes is None else {outcome.change.address: outcome for outcome in outcomes}
            documents.append(describe_undo(one.plan, one.session.redactor, run=run, outcomes=found))
        write_private(path, json.plan(self.targets.gather("plans", documents)))
