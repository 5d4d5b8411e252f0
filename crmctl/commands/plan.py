"""`crmctl plan`: read the CRM and show what apply would do, on a connection that can't write."""

from pathlib import Path

import click

from crmctl.commands.files import check_writable, write_private
from crmctl.commands.options import flag
from crmctl.commands.run import Run, verb
from crmctl.plan import Limits, exceeded
from crmctl.reports import json

EXIT_PENDING = 2


@click.command()
@verb()
@flag("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan in this file, for apply and show.")
@flag("--detailed-exitcode", is_flag=True, help="Exit 2 when changes are pending.")
def plan(run: Run, *, out: Path | None, detailed_exitcode: bool) -> int:
    """Show what apply would do; nothing is written."""
    if out is not None:
        check_writable(out)
    planned = run.plan()
    whole = out is not None or run.writes("json")
    document = planned.document(with_digests=whole, with_places=whole or run.flags.verbose)
    if out is not None:
        write_private(out, json.plan(document))
        run.say(f"saved: {out}")
    run.report(lambda report: report.plan, document)
    for sentence in exceeded(planned.plan, Limits(**planned.session.target.limits)):
        run.say(f"apply would be refused: {sentence}")
    return EXIT_PENDING if detailed_exitcode and planned.plan.pending else 0
