"""`crmctl show PLANFILE`: render a saved plan again; nothing is sent, no key is needed."""

from pathlib import Path

import click

from crmctl.commands.files import read_file
from crmctl.commands.run import Run, verb
from crmctl.saved import hide, read_plan


@click.command()
@verb(records=False)
@click.argument("planfile", type=click.Path(dir_okay=False, path_type=Path))
def show(run: Run, *, planfile: Path) -> int:
    """Show a saved plan in any format; nothing is sent and no key is needed."""
    saved = hide(read_plan(read_file(planfile), str(planfile)), run.redactor)
    run.report(lambda report: report.plan, saved)
    return 0
