"""`crmctl runs resume RUN`: an apply that does no more than what an earlier run has left."""

from typing import Any

import click

from crmctl.commands.apply import apply
from crmctl.commands.basis import Resumption

HELP = """Continue a run that was cut short, or of which records failed: apply what it has left, and nothing else.

RUN is its id, or the beginning or the end of it. It is planned afresh from the manifests, shown, and asked for like any
apply, within the same limits. What was not that run's to do is left alone."""
UNFIT = frozenset({"planfile", "only", "exclude"})
"""Parameters of apply that choose what is done; here the run does."""


def _resume(run_id: str, **values: Any) -> int:
    """Apply what a run has left."""
    carry_out: Any = apply.callback
    code: int = carry_out(planfile=Resumption(run_id), only=(), exclude=(), **values)
    return code


resume = click.Command(
    "resume",
    params=[
        click.Argument(["run_id"], metavar="RUN"),
        *(parameter for parameter in apply.params if parameter.name not in UNFIT),
    ],
    callback=_resume,
    help=HELP,
)
