"""`crmctl apply [PLANFILE]`: plan afresh, ask, write, verify, report."""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from crmctl.apply import Settings
from crmctl.apply import apply as carry_out
from crmctl.commands.files import make_folder, write_private
from crmctl.commands.options import FiniteRange, flag
from crmctl.commands.progress import Progress
from crmctl.commands.run import Run, verb, worst
from crmctl.commands.targets import Planned, Targets, open_plans
from crmctl.document import Bundle, Document
from crmctl.errors import CrmctlError, Declined, LimitRefused, StalePlan, UsageError
from crmctl.journal import Journal, new_run_id
from crmctl.outcome import STATUSES, Result, document, entry
from crmctl.plan import Limits, exceeded
from crmctl.reports.text import summarise_run
from crmctl.saved import match

MOST_SENTENCES = 20
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Approved:
    """A plan that may be carried out: how, where its results go, and why beyond a limit, if it is."""

    planned: Planned
    settings: Settings
    results: Path | None
    unsafe: str | None


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a plan, and its document."""

    planned: Planned
    result: Result
    outcome: Document


@click.command()
@verb()
@click.argument("planfile", required=False, type=click.Path(dir_okay=False, path_type=Path))
@flag("--auto-approve", is_flag=True, help="Don't ask. A plan file is its own approval.")
@flag("--max-creates", type=click.IntRange(min=0), help="Refuse a plan with more creates than this.")
@flag("--max-updates", type=click.IntRange(min=0), help="Refuse a plan with more updates than this.")
@flag(
    "--max-percent",
    type=FiniteRange(0, 100),
    help="Refuse a plan that updates more of the matched live records than this, from 10 records up; 30 unless set.",
)
@flag("--allow-unsafe", metavar="REASON", help="Go beyond the limits, for a reason that is journalled.")
@flag("--apply-unchanged", is_flag=True, help="With a stale plan file: apply what is still as planned, leave the rest.")
@flag("--parallelism", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests in flight at most.")
@flag("--settle", type=FiniteRange(0, 3600), help="Seconds to wait for a write to show in reads; 30 unless set.")
@flag("--results", type=click.Path(file_okay=False, path_type=Path), help="Write a JSON Lines file per status here.")
def apply(
    run: Run,
    *,
    planfile: Path | None,
    auto_approve: bool,
    max_creates: int | None,
    max_updates: int | None,
    max_percent: float | None,
    allow_unsafe: str | None,
    apply_unchanged: bool,
    parallelism: int,
    settle: float | None,
    results: Path | None,
) -> int:
    """Make the CRM what the manifests say: plan afresh, ask, write, and read back what is there.

    With PLANFILE only what was reviewed is done; if anything would be done otherwise by now, nothing is. Several
    targets are all planned before anybody is asked, once, and then applied one after the other.
    """
    # While it plans, being told to stop is like ^C; once it writes, see `_carry_out`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asks = not auto_approve and planfile is None
    if asks and not sys.stdin.isatty():
        raise UsageError("nobody to ask: pass --auto-approve or a plan file")
    if results is not None:
        make_folder(results)
    reviewed, several = _open(run, planfile)
    targets = Targets(run, run.configure(), [*reviewed], several=several)
    folders = {target.name: _folder(results, target.name, several=targets.several) for target in targets.chosen}
    planned = targets.plan(run.load(targets.config), parallelism=parallelism, settle=settle)
    if reviewed:
        planned = targets.each(lambda one: _review(run, one, reviewed, apply_unchanged=apply_unchanged), planned)
    _show(run, targets, planned)
    told = len(targets.failed)
    flagged = {"max_creates": max_creates, "max_updates": max_updates, "max_percent": max_percent}
    given = {name: value for name, value in flagged.items() if value is not None}

    def approve(one: Planned) -> Approved:
        limits = Limits(**{**one.session.target.limits, **given})
        beyond = exceeded(one.plan, limits)
        if beyond and allow_unsafe is None:
            advice = "narrow it with --only, or pass --allow-unsafe REASON"
            raise LimitRefused(f"{'; '.join(beyond)}: nothing was sent; {advice}")
        settings = Settings(
            parallelism=parallelism,
            settle=one.session.settle,
            reviewed=planfile is not None,
            max_updates=None if allow_unsafe is not None else limits.max_updates,
        )
        return Approved(one, settings, folders[one.plan.target], allow_unsafe if beyond else None)

    approved = targets.each(approve, planned)
    if asks:
        _ask([one.planned.plan.target for one in approved if one.planned.plan.pending])
    return _report(run, targets, _apply_each(run, targets, approved), told=told)


def _open(run: Run, planfile: Path | None) -> tuple[Mapping[str, Document], bool]:
    """Read a plan file: the plan of each target, and whether they are to be reported as several."""
    if planfile is None:
        return {}, False
    saved = open_plans(planfile, run.flags)
    if isinstance(saved, Document):
        return {saved.head["target"]: saved}, False
    for failure in saved.failed:
        run.say(
            f"target {failure['target']} has no plan in the file, and is passed over: {failure['error']}", always=True
        )
    return {document.head["target"]: document for document in saved.documents}, True


def _folder(results: Path | None, target: str, *, several: bool) -> Path | None:
    """Return the folder for a target's results; each of several has one of its own."""
    if results is None or not several:
        return results
    make_folder(results / target)
    return results / target


def _review(run: Run, planned: Planned, reviewed: Mapping[str, Document], *, apply_unchanged: bool) -> Planned:
    """Return what of a fresh plan is as it was reviewed; refuse it if not all of it is, unless asked to go on."""
    saved = reviewed[planned.plan.target]
    redactor = planned.session.redactor.switched(on=saved.head["redacted"])
    matched = match(saved, planned.plan, redactor)
    word = "left alone" if apply_unchanged else "stale"
    for sentence in matched.stale[:MOST_SENTENCES]:
        run.say(f"{word}: {sentence}", always=True)
    if len(matched.stale) > MOST_SENTENCES:
        run.say(f"{word}: {len(matched.stale) - MOST_SENTENCES} more", always=True)
    if matched.stale and not apply_unchanged:
        raise StalePlan("the plan is stale and nothing was sent: plan again, or pass --apply-unchanged")
    return replace(planned, plan=matched.plan)


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
    journal = session.journal(new_run_id(started), planned.config.tree)
    with closing(journal):
        journal.begin(target=plan.target, started=started.isoformat(), unsafe=approved.unsafe)
        progress = Progress(quiet=run.flags.quiet)
        result = asyncio.run(_carry_out(planned, journal, approved.settings, progress))
        progress.close()
        journal.end(totals=result.totals(), interrupted=result.interrupted)
    outcome = document(
        result,
        plan,
        session.redactor,
        run=journal.run_id,
        started=started,
        finished=datetime.now(UTC),
        requests=session.counts,
    )
    if approved.results is not None:
        _write_results(approved.results, result, planned)
    return Ran(planned, result, outcome)


def _report(run: Run, targets: Targets, ran: Sequence[Ran], *, told: int) -> int:
    """Report what became of all targets; `told` is how many had failed when the plans were shown."""
    outcomes: Document | Bundle = targets.gather("runs", [one.outcome for one in ran])
    # Where nothing was to be done, the plan has said so.
    news = any(one.result.outcomes or one.planned.plan.definitions for one in ran) or len(targets.failed) > told
    run.report(lambda report: report.applied, outcomes, text=news)
    for one in ran:
        with targets.about(one.planned):
            if not run.writes("text", to_file=False):
                run.say(summarise_run(one.outcome.head))
            if one.result.stopped is not None:
                run.say(f"the run stopped early: {one.result.stopped}", always=True)
    return worst([*targets.exit_codes(), *(code for one in ran for code in one.result.exit_codes())])


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


def _write_results(folder: Path, result: Result, planned: Planned) -> None:
    """Write one JSON Lines file per status; an empty one says that no record came to it.

    Unchanged records are only counted, so they have none.
    """
    redactor = planned.session.redactor
    for status in STATUSES:
        chosen = (outcome for outcome in result.outcomes if outcome.status == status)
        lines = (json.dumps(entry(outcome, redactor), ensure_ascii=True) + "\n" for outcome in chosen)
        if status != "unchanged":
            write_private(folder / f"{status}.jsonl", lines)
