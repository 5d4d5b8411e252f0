"""`crmctl runs`: what the journals of earlier runs tell, and what a person has to tell them.

`show`, `resume` and `prune` are in modules of their own; `settle` says what became of a record that a run may have
created, and nobody could find out.
"""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import unquote

import click
from click.core import ParameterSource

from crmctl.commands.history import show
from crmctl.commands.options import LOCK_TIMEOUT, flag
from crmctl.commands.prune import prune
from crmctl.commands.resume import resume
from crmctl.commands.run import Run, verb, worst
from crmctl.commands.shelves import open_shelf
from crmctl.commands.targets import Targets
from crmctl.desired import Desired
from crmctl.errors import CrmctlError, UsageError
from crmctl.history import list_runs
from crmctl.identity import normalise
from crmctl.kinds import COMPOSED, KINDS
from crmctl.reconcile import journalled
from crmctl.redact import Redactor
from crmctl.resource import Address, Resource, compose


@click.group(invoke_without_command=True)
@verb(manifests=False, records=False)
def runs(run: Run) -> int:
    """List the runs that journals tell of, or look after what they have left.

    A run is open while it is at work, and when it was cut short. No key is needed, and nothing is sent.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            # No error of ours, which would end this alone, and not the verb behind it.
            raise click.UsageError(f"write --{given[0].replace('_', '-')} behind {context.invoked_subcommand}")
        return 0
    targets = Targets(run, run.configure())
    found = targets.each(lambda target: open_shelf(target, run.environment, targets.config.tree).read(), targets.chosen)
    histories = sorted((history for part in found for history in part), key=lambda history: history.run)
    run.report(lambda report: report.runs, list_runs(histories))
    return worst(targets.exit_codes())


runs.add_command(show)
runs.add_command(resume)
runs.add_command(prune)


@runs.command()
@verb(records=False)
@LOCK_TIMEOUT
@click.argument("address", metavar="ADDRESS")
@flag("--created/--not-created", default=None, help="Whether the record is there.")
@flag("--id", "remote_id", metavar="REMOTE_ID", help="The id that the CRM has given it, by which plans find it.")
def settle(run: Run, *, address: str, created: bool | None, remote_id: str | None, lock_timeout: float) -> int:
    """Write into the journal what became of a record that was, or may have been, created.

    ADDRESS is kind/key, as the plan shows it; as a pseudonym it has to be that of a declared record. Nothing is sent.
    """
    if created is None:
        raise UsageError("say what became of it: pass --created or --not-created")
    if remote_id is not None and (not created or not remote_id.strip()):
        raise UsageError("--id is the id of a record that is there: leave it out")
    targets = Targets(run, run.configure())
    if targets.several:
        raise UsageError("a record is settled for one target at a time: name it with --target")
    [target] = targets.chosen
    loaded = run.load(targets.config)
    targets.lock(lock_timeout)
    session = targets.open(target)
    found, declared = find(address, loaded.desired, session.redactor)
    memory = session.memory()
    trace = memory.trace(found)
    if trace is None:
        others = f"; run {memory.foreign[-1]} was journalled with another key" if memory.foreign else ""
        message = f"{found}: no run against target {target.name} has left a doubt about it{others}"
        raise CrmctlError(f"{message}: nothing was written; copy the address from a plan")
    if declared is None:
        run.say(f"{found} is not declared; it is settled as it is written", always=True)
    held = asyncio.run(journalled(session, declared)) if created and declared is not None else None
    started = datetime.now(UTC)
    journal = session.journal(started, targets.config.tree)
    with closing(journal):
        journal.begin(target=target.name, started=started.isoformat(), settles=journal.name(found))
        journal.settle(found, "settled" if created else "not-created", remote_id, held)
        journal.end()
    known = f" as {remote_id}" if remote_id is not None else ""
    said = f"created{known}: plans take it for there" if created else "not created: the next plan creates it"
    run.say(f"{found}: noted as {said}")
    return 0


def find(written: str, desired: Desired, redactor: Redactor) -> tuple[Address, Resource | None]:
    """Return the address that is meant, and the record if it is declared; raises UsageError for what is no address.

    What a plan shows may hold pseudonyms, from which no key can be told: then it is compared with all that is declared.
    """
    kind, _, rest = written.partition("/")
    if kind not in KINDS or not rest:
        raise UsageError(f"{written}: write kind/key, as the plan does; kinds are {', '.join(KINDS)}")
    declared = desired.resources.get(kind, {})
    if "anon-" in written:
        hiding = redactor.switched(on=True)
        for resource in declared.values():
            address = resource.address
            if written in {hiding.text(str(address)), str(Address(kind, hiding.address(kind, address.key)))}:
                return address, resource
    key = rest if kind in COMPOSED and rest in declared else _read_key(kind, rest)
    if key is None:
        raise UsageError(f"{written}: its key is none of a {kind}: copy the address from a plan")
    return Address(kind, key), declared.get(key)


def _read_key(kind: str, rest: str) -> str | None:
    """Return the key in an address, with its parts encoded as ours are; None for what can't be one."""
    if kind not in COMPOSED:
        return normalise(kind, unquote(rest))
    owner, *others = (unquote(part) for part in rest.split("/"))
    return compose(normalise("contact" if "@" in owner else "account", owner) or owner, *others)
