"""`crmctl schema KIND`: print the JSON Schema of a kind of file or record, for editors and for reading."""

import click

# The same as `crmctl.schema.NAMES`, which a test compares: importing that here would make every --help wait for it.
NAMES = ("account", "config", "contact", "manifest", "note", "opportunity", "plan")


@click.command()
@click.argument("kind", metavar="KIND", type=click.Choice(NAMES))
def schema(kind: str) -> int:
    """Print the JSON Schema of KIND: account, config, contact, manifest, note, opportunity or plan."""
    from crmctl.schema import schema_text  # noqa: PLC0415 - the command line imports this file for its help

    click.echo(schema_text(kind), nl=False)
    return 0
