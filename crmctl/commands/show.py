"""`crmctl show PLANFILE`: render a saved plan again; nothing is sent, no key is needed."""

from pathlib import Path

import click

from crmctl.commands.files import read_file
from crmctl.commands.options import Common, common
from crmctl.commands.run import Run
from crmctl.errors import InvalidInput
from crmctl.saved import read_plan


@click.command()
@common
@click.argument("planfile", type=click.Path(dir_okay=False, path_type=Path))
def show(flags: Common, planfile: Path) -> int:
    """Show a saved plan in any format; nothing is sent and no key is needed."""
    run = Run(flags)
    try:
        saved = read_plan(read_file(planfile), str(planfile))
    except InvalidInput as error:
        return run.refuse(error)
    run.report(lambda report: report.plan, saved)
    return 0
