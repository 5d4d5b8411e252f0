"""The flags of the verbs that send many requests: how fast, how many, and how long one may take."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NamedTuple

import click

from crmctl.commands.options import FiniteRange, flag
from crmctl.commands.run import Run
from crmctl.config import Target
from crmctl.plan import Plan

SLOWEST, FASTEST, LONGEST = 0.001, 10_000, 3600


class Sending(NamedTuple):
    """What flags ask for; None leaves it to the target."""

    rate: float | None = None
    max_requests: int | None = None
    timeout: float | None = None

    def override(self, target: Target) -> Target:
        """Return the target with what flags ask for instead of what it says."""
        rate = target.rate if self.rate is None else self.rate
        return target._replace(rate=rate, timeout=target.timeout if self.timeout is None else self.timeout)

    def warn(self, run: Run, plans: Iterable[Plan]) -> None:
        """Say of which plans only a part can be done."""
        most = self.max_requests
        if most is None:
            return
        for plan in plans:
            number = sum(plan.requests.values())
            if plan.pending and number > most:
                rest = f"apply needs {number} requests and may send {most}"
                run.say(f"{plan.target}: {rest}: it will stop in the middle, and the next one goes on")


AS_THE_TARGET_SAYS = Sending()

_FLAGS = (
    flag(
        "--rate", type=FiniteRange(SLOWEST, FASTEST), help="Requests per second at most; the target's rate unless set."
    ),
    flag(
        "--max-requests",
        type=click.IntRange(min=1),
        help="Stop after so many requests to a target, exit 7; the next run goes on.",
    ),
    flag(
        "--timeout",
        type=FiniteRange(SLOWEST, LONGEST),
        help="Seconds to wait for a connection or the next bytes; 30 unless set.",
    ),
)


def sends(command: Callable[..., int]) -> Callable[..., int]:
    """Add the flags to a verb; it takes one `sending`."""

    @wraps(command)
    def wrapped(*arguments: Any, **values: Any) -> int:
        taken = {name: values.pop(name) for name in Sending._fields}
        return command(*arguments, sending=Sending(**taken), **values)

    for option in reversed(_FLAGS):
        wrapped = option(wrapped)
    return wrapped
