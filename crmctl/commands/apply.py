"""`crmctl apply [PLANFILE]`: plan afresh, ask, write, verify, report."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from crmctl.apply import Settings
from crmctl.apply import apply as carry_out
from crmctl.commands.basis import Resumption, find_desired, find_facts, open_basis, review
from crmctl.commands.caution import Caution, cautious, reporting_failures
from crmctl.commands.options import LOCK_TIMEOUT, FiniteRange, flag
from crmctl.commands.progress import Progress
from crmctl.commands.results import open_results, write_results
from crmctl.commands.run import Run, verb, worst
from crmctl.commands.sending import Sending, sends
from crmctl.commands.targets import Planned, Targets
from crmctl.commands.twins import refuse_twins
from crmctl.commands.undoing import UndoFile
from crmctl.delivery import MAX_FAILURES
from crmctl.document import Bundle, Document
from crmctl.errors import CrmctlError, Declined, UsageError
from crmctl.journal import Journal
from crmctl.outcome import Result, document
from crmctl.reports.text import summarise_run

EXIT_INTERRUPTED = 130


class Approved(NamedTuple):
    """A plan that may be carried out: how, where its results go, and why beyond a limit, if it is."""

    planned: Planned
    settings: Settings
    results: Path | None
    unsafe: str | None


class Ran(NamedTuple):
    """What became of a plan, and its document; `lost` is the exit code for results that could not be written."""

    planned: Planned
    result: Result
    outcome: Document
    lost: int


@click.command()
@verb()
@click.argument("planfile", required=False, type=click.Path(dir_okay=False, path_type=Path))
@flag("--auto-approve", is_flag=True, help="Don't ask. A plan file is its own approval.")
@cautious
@flag("--parallelism", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests in flight at most.")
@flag("--settle", type=FiniteRange(0, 3600), help="Seconds to wait for a write to show in reads; 30 unless set.")
@flag(
    "--max-failures",
    type=click.IntRange(min=1),
    default=MAX_FAILURES,
    show_default=True,
    help="Stop a kind after so many refused records in a row.",
)
@sends
@LOCK_TIMEOUT
@flag(
    "--undo-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save in this file what the run overwrites, as a plan for apply that puts it back. It holds personal data.",
)
@flag("--results", type=click.Path(file_okay=False, path_type=Path), help="Write a JSON Lines file per status here.")
def apply(
    run: Run,
    *,
    planfile: Path | Resumption | None,
    auto_approve: bool,
    caution: Caution,
    parallelism: int,
    max_failures: int,
    sending: Sending,
    settle: float | None,
    lock_timeout: float,
    undo_out: Path | None,
    results: Path | None,
) -> int:
    """Make the CRM what the manifests say: plan afresh, ask, write, and read back what is there.

    With PLANFILE only what was reviewed is done; if anything would be done otherwise by now, nothing is. If it is one
    of --undo-out, what that run has overwritten is put back, unless somebody has changed it since. Several targets are
    all planned before anybody is asked, once, and then applied one after the other.
    """

    def approve(one: Planned) -> Approved:
        limits = caution.limits(one)
        unsafe = caution.check(one, limits, chosen=bool(run.flags.only or run.flags.exclude))
        settings = Settings(
            pace=one.session.pace,
            max_failures=max_failures,
            settle=one.session.settle,
            reviewed=isinstance(planfile, Path),
            max_updates=None if caution.allow_unsafe is not None else limits.max_updates,
            apply_unchanged=caution.apply_unchanged,
        )
        return Approved(one, settings, folders[one.plan.target], unsafe)

    # While it plans, being told to stop is like ^C; once it writes, see `_carry_out`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asks = not auto_approve and not isinstance(planfile, Path)
    if asks and not sys.stdin.isatty():
        raise UsageError("nobody to ask: pass --auto-approve or a plan file")
    config = run.configure()
    basis, several = open_basis(run, config, planfile)
    targets = Targets(run, config, [*basis], several=several)
    refuse_twins(targets.chosen, run.environment)
    targets.facts = find_facts(basis)
    undo = UndoFile(run, targets, undo_out)
    folders = {target.name: open_results(results, target.name, several=targets.several) for target in targets.chosen}
    wanted = find_desired(run, targets, basis)
    with reporting_failures(run, targets, "runs"):
        targets.lock(lock_timeout)
        planned = targets.plan(wanted, parallelism=parallelism, settle=settle, sending=sending)
        planned = [caution.prepare(one) for one in planned]
        if basis:
            cut = partial(review, run, basis=basis, apply_unchanged=caution.apply_unchanged)
            planned = targets.each(cut, planned)
        _show(run, targets, planned)
        sending.warn(run, (one.plan for one in planned))
        told = len(targets.failed)
        approved = targets.each(approve, planned)
        undo.prepare([one.planned for one in approved])
    if asks:
        _ask([one.planned.plan.target for one in approved if one.planned.plan.pending])
    with reporting_failures(run, targets, "runs"):
        undo.begin()
        ran = _apply_each(run, targets, approved)
    saved = undo.end({one.planned.plan.target: (one.outcome.head["run"], one.result.outcomes) for one in ran})
    return worst([saved, _report(run, targets, ran, told=told)])


def _show(run: Run, targets: Targets, planned: Sequence[Planned]) -> None:
    """Show what is about to be done."""
    documents = [one.document(with_digests=False, with_places=run.flags.verbose) for one in planned]
    try:
        run.report(lambda report: report.plan, targets.gather("plans", documents), rest=False)
    except BrokenPipeError as error:
        raise CrmctlError("standard output was closed while the plan was shown: nothing was sent") from error


def _ask(names: Sequence[str]) -> None:
    """Ask once for all targets with something to do; raises Declined for a no."""
    plural = "s" * (len(names) > 1)
    if names and not click.confirm(f"Apply this to target{plural} {', '.join(names)}?", err=True):
        raise Declined("declined: nothing was sent")


def _apply_each(run: Run, targets: Targets, approved: Sequence[Approved]) -> list[Ran]:
    """Carry out approved plans, one after the other; once it is interrupted, no other is begun."""
    ran: list[Ran] = []
    interrupted = False
    for one in approved:
        target = one.planned.session.target
        if interrupted:
            with targets.about(one.planned):
                targets.fail(target, "interrupted before its turn: nothing was sent", EXIT_INTERRUPTED)
            continue
        # The last one's event loop has put back what the system does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with targets.attempt(one.planned):
                ran.append(_apply(run, one))
                interrupted = ran[-1].result.interrupted
        except (KeyboardInterrupt, asyncio.CancelledError):
            if not targets.several:
                raise
            interrupted = True
            with targets.about(one.planned):
                targets.fail(target, "interrupted: its journal has what was sent", EXIT_INTERRUPTED)
    return ran


def _apply(run: Run, approved: Approved) -> Ran:
    """Carry out an approved plan."""
    planned = approved.planned
    plan, session = planned.plan, planned.session
    started = datetime.now(UTC)
    journal = session.journal(started, planned.config.tree)
    with closing(journal):
        journal.begin(target=plan.target, started=started.isoformat(), unsafe=approved.unsafe)
        progress = Progress(quiet=run.flags.quiet)
        result = asyncio.run(_carry_out(planned, journal, approved.settings, progress))
        progress.close()
        result = _end(journal, result)
    outcome = document(
        result,
        plan,
        session.redactor,
        run=journal.run_id,
        started=started,
        finished=datetime.now(UTC),
        requests=session.counts,
    )
    lost = 0
    if approved.results is not None:
        try:
            write_results(approved.results, result, session.redactor)
        except CrmctlError as error:  # the report has the same, and must not be lost for this
            run.say(f"crmctl: {error}", always=True)
            lost = error.exit_code
    return Ran(planned, result, outcome, lost)


def _end(journal: Journal, result: Result) -> Result:
    """End the journal; if it takes nothing more, that is told with the report, which must not be lost for it."""
    try:
        journal.end(totals=result.totals(), interrupted=result.interrupted, stopped=result.stopped is not None)
    except CrmctlError as error:
        return replace(result, stopped=result.stopped or error)
    return result


def _report(run: Run, targets: Targets, ran: Sequence[Ran], *, told: int) -> int:
    """Report what became of all targets; `told` is how many had failed when the plans were shown."""
    outcomes: Document | Bundle = targets.gather("runs", [one.outcome for one in ran])
    # Where nothing was to be done, the plan has said so.
    news = any(one.result.outcomes or one.planned.plan.definitions for one in ran) or len(targets.failed) > told
    codes = [*targets.exit_codes(), *(one.lost for one in ran)]
    try:
        run.report(lambda report: report.applied, outcomes, text=news)
    except CrmctlError as error:  # what else is to be said must not be lost for this
        run.say(f"crmctl: {error}", always=True)
        codes.append(error.exit_code)
    for one in ran:
        with targets.about(one.planned):
            if not run.writes("text", to_file=False):
                run.say(summarise_run(one.outcome.head))
            if one.result.stopped is not None:
                run.say(f"the run stopped early: {one.result.stopped}", always=True)
    return worst([*codes, *(code for one in ran for code in one.result.exit_codes())])


async def _carry_out(planned: Planned, journal: Journal, settings: Settings, progress: Progress) -> Result:
    """Apply over a connection that may write; SIGTERM ends it like ^C does, with the journal complete."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    result: Result | None = None
    try:
        async with planned.session.connect(read_only=False) as provider:
            result = await carry_out(planned.plan, provider, journal, settings, progress=progress)
    except asyncio.CancelledError:
        # Stopped while connections close: what became of the records is known all the same.
        if result is None:
            raise
        return replace(result, interrupted=True)
    return result
