"""`crmctl runs prune`: delete old journals; what nothing else knows is carried over first."""

import time
from itertools import takewhile

import click

from crmctl.commands.options import LOCK_TIMEOUT, flag
from crmctl.commands.run import Run, verb, worst
from crmctl.commands.shelves import open_shelf
from crmctl.commands.targets import Targets
from crmctl.config import Target
from crmctl.errors import UsageError
from crmctl.history import History, list_runs

DAY = 86400


@click.command()
@verb(manifests=False, records=False)
@flag("--keep", type=click.IntRange(min=0), metavar="N", help="Keep the latest N runs against each target.")
@flag(
    "--older-than", type=click.IntRange(min=0), metavar="DAYS", help="Delete the runs that began before so many days."
)
@LOCK_TIMEOUT
def prune(run: Run, *, keep: int | None, older_than: int | None, lock_timeout: float) -> int:
    """Delete the journals of old runs; with both flags those that neither keeps.

    Reports but text list what was deleted. What these alone know of records that must not be created twice is kept, in
    a journal of its own. A deleted run can be neither shown nor resumed. No key is needed.
    """
    if keep is None and older_than is None:
        raise UsageError("say what to keep: pass --keep N, --older-than DAYS, or both")
    targets = Targets(run, run.configure())
    targets.lock(lock_timeout)

    deleted: list[History] = []

    def clean(target: Target) -> None:
        shelf = open_shelf(target, run.environment, targets.config.tree)
        runs = shelf.read()
        old = runs[: max(0, len(runs) - keep)] if keep is not None else runs
        if older_than is not None:
            first = time.time() - older_than * DAY
            # Up to the first that stays: what is kept in mind of the others has to come before all that stays.
            old = list(takewhile(lambda history: history.started is not None and history.started < first, old))
        kept = shelf.prune({history.run for history in old})
        deleted.extend(old)
        mind = f"; {kept} records that were created once are kept in mind" if kept else ""
        run.say(f"target {target.name}: {len(old)} runs deleted, {len(runs) - len(old)} kept{mind}")
        # Of a run against another target, which is not locked, the first line may be on its way.
        if torn := shelf.sweep(time.time() - DAY):
            run.say(f"journals that told nothing, and were deleted: {torn}")

    targets.each(clean, targets.chosen)
    run.report(lambda report: report.runs, list_runs(deleted), text=False)
    return worst(targets.exit_codes())
