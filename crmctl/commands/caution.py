"""How careful an apply is, as flags: limits, what goes first, what is read back, and what to do about conflicts.

Each flag wins over the setting of the target. What an apply refuses is a report as well as a message.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, Literal, NamedTuple

import click

from crmctl.commands.options import FiniteRange, flag
from crmctl.commands.run import Run
from crmctl.commands.targets import Planned, Targets
from crmctl.errors import CrmctlError, InvalidInput, LimitRefused
from crmctl.limits import Limits, exceeded, undeclared
from crmctl.verification import VERIFY, Verify


def _reason(_context: click.Context, _flag: click.Parameter, given: str | None) -> str | None:
    """Return the reason; a blank one is none, and would be journalled as one."""
    if given is not None and not given.strip():
        raise click.BadParameter("say why: the reason is journalled")
    return given


FLAGS = (
    flag("--max-creates", type=click.IntRange(min=0), help="Refuse a plan with more creates than this."),
    flag("--max-updates", type=click.IntRange(min=0), help="Refuse a plan with more updates than this."),
    flag(
        "--max-percent",
        type=FiniteRange(0, 100),
        help="Refuse a plan that updates more of the matched live records than this, from 10 records up; 30 unless "
        "set.",
    ),
    flag(
        "--allow-unsafe",
        metavar="REASON",
        callback=_reason,
        help="Go beyond the limits, or apply though nothing is declared, for a reason that is journalled.",
    ),
    flag(
        "--apply-unchanged",
        is_flag=True,
        help="Apply what is still as planned, and leave alone what a stale plan file or a conflict names.",
    ),
    flag(
        "--canary",
        type=click.IntRange(min=0),
        metavar="N",
        help="Send N records first, of every kind and action in turn; the rest only if they come out right.",
    ),
    flag(
        "--verify",
        type=click.Choice(VERIFY),
        help="How much of what was sent to read back; what is not counts as sent. All unless set.",
    ),
)


class Caution(NamedTuple):
    """The values of the flags."""

    max_creates: int | None
    max_updates: int | None
    max_percent: float | None
    allow_unsafe: str | None
    apply_unchanged: bool
    canary: int | None
    verify: Verify | None

    def prepare(self, planned: Planned) -> Planned:
        """Return a plan that is to be sent as the flags say, which its number of requests depends on."""
        plan = planned.plan
        canary = plan.canary if self.canary is None else self.canary
        return planned._replace(plan=replace(plan, canary=canary, verify=self.verify or plan.verify))

    def limits(self, planned: Planned) -> Limits:
        """Return the limits that hold for a plan."""
        given = {name: value for name, value in self._asdict().items() if name.startswith("max_") and value is not None}
        return Limits(**{**planned.session.target.limits, **given})

    def check(self, planned: Planned, limits: Limits, *, chosen: bool) -> str | None:
        """Raise LimitRefused for a plan that must not be applied; return the reason why it may be in spite of that."""
        beyond = refusals(planned, limits, chosen=chosen)
        if beyond and self.allow_unsafe is None:
            advice = "correct that" if beyond[0] not in exceeded(planned.plan, limits) else "narrow it with --only"
            raise LimitRefused(f"{'; '.join(beyond)}: nothing was sent; {advice}, or pass --allow-unsafe REASON")
        return self.allow_unsafe if beyond else None


def cautious(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags; the command takes one `caution`."""

    @wraps(command)
    def wrapped(*arguments: Any, **values: Any) -> Any:
        taken = {name: values.pop(name) for name in Caution._fields}
        return command(*arguments, caution=Caution(**taken), **values)

    options: Callable[..., Any] = wrapped
    for option in reversed(FLAGS):
        options = option(options)
    return options


def refusals(planned: Planned, limits: Limits, *, chosen: bool) -> list[str]:
    """Return why a plan would be refused, as sentences; `chosen`: flags have chosen among what is declared."""
    return [*undeclared(planned.loaded.desired, chosen=chosen), *exceeded(planned.plan, limits)]


@contextmanager
def reporting_failures(run: Run, targets: Targets, name: Literal["plans", "runs"]) -> Iterator[None]:
    """Report an error in every format but text, which has it as a message, as if its target were one of several.

    What is wrong with the input has a report of its own.
    """
    try:
        yield
    except InvalidInput:
        raise
    except CrmctlError as error:
        if not targets.several:
            [target] = targets.chosen
            document = targets.refuse(target, error, name)
            try:
                run.report(lambda report: report.plan if name == "plans" else report.applied, document, text=False)
            except CrmctlError as lost:  # the first error is the one to be told last
                run.say(f"crmctl: {lost}", always=True)
        raise
