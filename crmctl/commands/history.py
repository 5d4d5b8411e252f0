"""`crmctl runs show RUN`: what became of each record in one run, by name as far as the manifests still tell them."""

from collections.abc import Mapping

import click

from crmctl.commands.basis import find_run
from crmctl.commands.run import Run, verb
from crmctl.config import Config
from crmctl.errors import CrmctlError
from crmctl.history import History, tell
from crmctl.journal import key_check, name_of
from crmctl.reconcile import open_redactor
from crmctl.redact import Redactor
from crmctl.resource import Address


@click.command()
@verb(records=False)
@click.argument("run_id", metavar="RUN")
def show(run: Run, *, run_id: str) -> int:
    """Tell what became of each record in one run.

    RUN is its id, or the beginning or the end of it. Records are journalled by digests, which are recognised by the
    manifests and the API key (or CRMCTL_PSEUDONYM_KEY); those that are not are shown as they are. Nothing is sent.
    """
    config = run.configure()
    history = find_run(run, config, run_id)
    redactor = open_redactor(config.target(history.target), run.environment, redact=run.redact)
    names = {} if redactor is None else _name(run, config, history, redactor)
    if redactor is None:
        run.say("no key, so records are shown by their digests: set the API key, or CRMCTL_PSEUDONYM_KEY", always=True)
    run.report(lambda report: report.run, tell(history, redactor, names))
    return 0


def _name(run: Run, config: Config, history: History, redactor: Redactor) -> Mapping[str, Address]:
    """Return the addresses that digests stand for, as far as they are declared."""
    run.redactor = redactor
    if history.key_check != key_check(redactor):
        run.say("the run was journalled with another key, so records are shown by their digests", always=True)
        return {}
    try:
        desired = run.load(config).desired
    except CrmctlError as error:
        run.say(f"the manifests can't be read, so records are shown by their digests: {error}", always=True)
        return {}
    addresses = (resource.address for found in desired.resources.values() for resource in found.values())
    return {name_of(redactor, address): address for address in addresses}
