"""`crmctl plan`: read the CRM and show what apply would do, on a connection that can't write."""

from pathlib import Path

import click

from crmctl.commands.caution import refusals, reporting_failures
from crmctl.commands.files import check_replaced, check_writable, write_private
from crmctl.commands.options import flag
from crmctl.commands.run import Run, verb, worst
from crmctl.commands.sending import Sending, sends
from crmctl.commands.targets import Targets
from crmctl.limits import Limits
from crmctl.reports import json
from crmctl.saved import Content

EXIT_PENDING = 2
REPLACED: frozenset[Content] = frozenset({"plan", "spent"})
"""What --out may replace: an undo plan is all that knows what was there before."""


@click.command()
@verb()
@flag("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan in this file, for apply and show.")
@sends
@flag("--detailed-exitcode", is_flag=True, help="Exit 2 when changes are pending.")
def plan(run: Run, *, out: Path | None, detailed_exitcode: bool, sending: Sending) -> int:
    """Show what apply would do; nothing is written.

    With several targets each has its own plan, and one that can't be planned keeps no other from it.
    """
    if out is not None:
        check_writable(out)
        check_replaced(out, REPLACED)
    targets = Targets(run, run.configure())
    loaded = run.load(targets.config)
    with reporting_failures(run, targets, "plans"):
        planned = targets.plan(loaded, sending=sending)
    whole = out is not None or run.writes("json")
    documents = [one.document(with_digests=whole, with_places=whole or run.flags.verbose) for one in planned]
    shown = targets.gather_plans(planned, documents)
    if out is not None and documents:
        write_private(out, json.plan(shown))
        run.say(f"saved: {out}")
    run.report(lambda report: report.plan, shown)
    sending.warn(run, (one.plan for one in planned))
    for one in planned:
        with targets.about(one) as target:
            for sentence in refusals(one, Limits(**target.limits), chosen=bool(run.flags.only or run.flags.exclude)):
                run.say(f"apply would be refused: {sentence}")
    pending = [EXIT_PENDING for one in planned if detailed_exitcode and one.plan.pending]
    return worst([*targets.exit_codes(), *pending])
