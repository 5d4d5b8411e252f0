"""Why a plan may not be carried out: it does more than is allowed, or nothing at all is declared. Pure.

In: a plan, what is declared, and `Limits`. Out: the reasons, as sentences; a person may go beyond them for a reason.
"""

from typing import NamedTuple

from crmctl.desired import Desired
from crmctl.plan import Plan


class Limits(NamedTuple):
    """How much one apply may change; None is no limit.

    `max_percent` is about updates of matched live records and counts from `LEAST_POPULATION` records up.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    max_percent: float | None = 30


LEAST_POPULATION = 10
"""Below so many matched records a percentage says nothing: one update of two records is half of them."""

NOTHING_DECLARED = "no record is declared: see whether `manifests` names the right files, and what they hold"
NOTHING_CHOSEN = (
    "no declared record is named by --only and --exclude: see whether kinds and keys are spelled as declared"
)


def exceeded(plan: Plan, limits: Limits) -> list[str]:
    """Return what in the plan goes beyond a limit, as sentences."""
    found: list[str] = []
    creates, updates = plan.count("create"), plan.count("update")
    if limits.max_creates is not None and creates > limits.max_creates:
        found.append(f"{creates} creates are more than max_creates allows ({limits.max_creates})")
    if limits.max_updates is not None and updates > limits.max_updates:
        found.append(f"{updates} updates are more than max_updates allows ({limits.max_updates})")
    if limits.max_percent is not None and plan.matched >= LEAST_POPULATION:
        percent = 100 * updates / plan.matched
        if percent > limits.max_percent:
            share = f"{updates} of {plan.matched} matched records ({percent:.0f} %)"
            found.append(f"updating {share} is more than max_percent allows ({limits.max_percent:g} %)")
    return found


def undeclared(desired: Desired, *, chosen: bool) -> list[str]:
    """Return that nothing is declared, if so: an empty folder or a misspelt filter is no order to do nothing.

    `chosen`: --only or --exclude had a say in what is desired.
    """
    if any(desired.resources.values()):
        return []
    return [NOTHING_CHOSEN if chosen else NOTHING_DECLARED]
