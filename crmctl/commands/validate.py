"""`crmctl validate`: read and check the manifests; nothing is sent, no key is needed."""

import click

from crmctl.commands.options import Common, common
from crmctl.commands.run import Run
from crmctl.errors import InvalidInput


@click.command()
@common
def validate(flags: Common) -> int:
    """Check the manifests; nothing is sent and no key is needed."""
    run = Run(flags)
    try:
        loaded = run.load(run.configure(needed=not flags.manifests))
    except InvalidInput as error:
        return run.refuse(error)
    counts = ", ".join(f"{len(records)} {kind}s" for kind, records in loaded.desired.resources.items())
    run.report(lambda report: report.diagnostics, [], run.redactor)
    run.say(f"valid: {counts} in {len(loaded.digests)} files")
    return 0
