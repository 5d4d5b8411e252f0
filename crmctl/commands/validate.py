"""`crmctl validate`: read and check the manifests; nothing is sent, no key is needed."""

import click

from crmctl.commands.run import Run, verb
from crmctl.commands.targets import choose
from crmctl.kinds import KINDS


@click.command()
@verb()
def validate(run: Run) -> int:
    """Check the manifests; nothing is sent and no key is needed.

    What a target in particular can't hold is told by plan, which asks it.
    """
    config = run.configure(needed=not run.flags.manifests)
    if config.targets and (run.flags.target or run.flags.all_targets):
        choose(run.flags, config)  # a slip in a name is told before somebody plans with it
    loaded = run.load(config)
    numbers = {kind: len(records) for kind, records in loaded.desired.resources.items() if records}
    counts = [f"{number} {kind if number == 1 else KINDS[kind].plural}" for kind, number in numbers.items()]
    files = len(loaded.digests)
    run.report(lambda report: report.diagnostics, [], run.redactor)
    run.say(f"valid: {', '.join(counts) or 'no records'} in {files} file{'s' * (files != 1)}")
    return 0
