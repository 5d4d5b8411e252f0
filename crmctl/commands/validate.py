"""`crmctl validate`: read and check the manifests; nothing is sent, no key is needed."""

import click

from crmctl.commands.run import Run, verb


@click.command()
@verb()
def validate(run: Run) -> int:
    """Check the manifests; nothing is sent and no key is needed."""
    loaded = run.load(run.configure(needed=not run.flags.manifests))
    counts = [count(len(records), kind) for kind, records in loaded.desired.resources.items()]
    run.report(lambda report: report.diagnostics, [], run.redactor)
    run.say(f"valid: {', '.join(counts)} in {count(len(loaded.digests), 'file')}")
    return 0


def count(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number} {noun}{'s' * (number != 1)}"
