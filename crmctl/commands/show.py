"""`crmctl show PLANFILE`: render a saved plan again; nothing is sent, no key is needed."""

from pathlib import Path

import click

from crmctl.commands.run import Run, verb
from crmctl.commands.targets import open_plans
from crmctl.document import Bundle
from crmctl.saved import hide, hide_each


@click.command()
@verb(manifests=False, records=False)
@click.argument("planfile", type=click.Path(dir_okay=False, path_type=Path))
def show(run: Run, *, planfile: Path) -> int:
    """Show a saved plan in any format; nothing is sent and no key is needed.

    Of a plan for several targets --target shows those alone that it names.
    """
    saved = open_plans(planfile, run.flags)
    shown = hide_each(saved, run.redactor) if isinstance(saved, Bundle) else hide(saved, run.redactor)
    run.report(lambda report: report.plan, shown)
    return 0
