"""`crmctl apply [PLANFILE]`: plan afresh, ask, write, verify, report."""

import asyncio
import json
import signal
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from crmctl.apply import Settings
from crmctl.apply import apply as carry_out
from crmctl.commands.files import make_folder, read_file, write_private
from crmctl.commands.options import FiniteRange, flag
from crmctl.commands.progress import Progress
from crmctl.commands.run import Planned, Run, verb, worst
from crmctl.document import Document
from crmctl.errors import CrmctlError, Declined, LimitRefused, StalePlan, UsageError
from crmctl.journal import Journal, new_run_id
from crmctl.outcome import STATUSES, Result, document, entry
from crmctl.plan import Limits, Plan, exceeded
from crmctl.reports.text import summarise_run
from crmctl.saved import match, read_plan

RUNS = Path(".crmctl/runs")
MOST_SENTENCES = 20


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

    With PLANFILE only what was reviewed is done; if anything would be done otherwise by now, nothing is.
    """
    # While it plans, being told to stop is like ^C; once it writes, see `_carry_out`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asks = not auto_approve and planfile is None
    if asks and not sys.stdin.isatty():
        raise UsageError("nobody to ask: pass --auto-approve or a plan file")
    if results is not None:
        make_folder(results)
    saved = None if planfile is None else read_plan(read_file(planfile), str(planfile))
    if saved is not None and run.flags.target not in {None, saved.head["target"]}:
        raise UsageError(f"the plan file is for target {saved.head['target']}: leave --target out")
    planned = run.plan(target=None if saved is None else saved.head["target"], parallelism=parallelism)
    if saved is not None:
        planned = replace(planned, plan=_review(run, planned, saved, apply_unchanged=apply_unchanged))
    plan = planned.plan
    try:
        run.report(
            lambda report: report.plan, planned.document(with_digests=False, with_places=run.flags.verbose), rest=False
        )
    except BrokenPipeError as error:
        raise CrmctlError("standard output was closed while the plan was shown: nothing was sent") from error
    flagged = {"max_creates": max_creates, "max_updates": max_updates, "max_percent": max_percent}
    given = {name: value for name, value in flagged.items() if value is not None}
    limits = Limits(**{**planned.session.target.limits, **given})
    beyond = exceeded(plan, limits)
    if beyond and allow_unsafe is None:
        advice = "narrow it with --only, or pass --allow-unsafe REASON"
        raise LimitRefused(f"{'; '.join(beyond)}: nothing was sent; {advice}")
    if asks and plan.pending and not click.confirm(f"Apply this to target {plan.target}?", err=True):
        raise Declined("declined: nothing was sent")
    patience = planned.session.target.settle if settle is None else settle
    settings = Settings(
        parallelism=parallelism,
        settle=patience,
        reviewed=saved is not None,
        max_updates=None if allow_unsafe is not None else limits.max_updates,
    )
    return _apply(run, planned, settings, results, allow_unsafe if beyond else None)


def _review(run: Run, planned: Planned, saved: Document, *, apply_unchanged: bool) -> Plan:
    """Return what of a fresh plan is as it was reviewed; refuse it if not all of it is, unless asked to go on."""
    redactor = planned.session.redactor.switched(on=saved.head["redacted"])
    matched = match(saved, planned.plan, planned.loaded.desired, redactor)
    word = "left alone" if apply_unchanged else "stale"
    for sentence in matched.stale[:MOST_SENTENCES]:
        run.say(f"{word}: {sentence}", always=True)
    if len(matched.stale) > MOST_SENTENCES:
        run.say(f"{word}: {len(matched.stale) - MOST_SENTENCES} more", always=True)
    if matched.stale and not apply_unchanged:
        raise StalePlan("the plan is stale and nothing was sent: plan again, or pass --apply-unchanged")
    return matched.plan


def _apply(run: Run, planned: Planned, settings: Settings, results: Path | None, unsafe: str | None) -> int:
    """Carry out an approved plan and report what became of it."""
    plan, session = planned.plan, planned.session
    started = datetime.now(UTC)
    tree = planned.config.tree
    journal = Journal(tree / RUNS, new_run_id(started), session.redactor, tree=tree)
    with closing(journal):
        journal.begin(target=plan.target, started=started.isoformat(), unsafe=unsafe)
        progress = Progress(quiet=run.flags.quiet)
        result = asyncio.run(_carry_out(planned, journal, settings, progress))
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
    if results is not None:
        _write_results(results, result, planned)
    # Where nothing was to be done, the plan has said so.
    run.report(lambda report: report.applied, outcome, text=bool(result.outcomes))
    if not run.writes("text", to_file=False):
        run.say(summarise_run(outcome.head))
    if result.stopped is not None:
        run.say(f"the run stopped early: {result.stopped}", always=True)
    return worst(result.exit_codes())


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
