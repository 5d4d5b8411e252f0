"""What can go wrong, sorted by what the caller may do about it.

CrmctlError                 exit 1    expected: a message, never a traceback
├── InvalidInput            exit 1    manifests, configuration or plan file: all diagnostics at once
├── UsageError              exit 64   the command line contradicts itself
├── Declined                exit 1    a person said no
├── StalePlan               exit 4    the CRM, or what is declared, is no longer what the plan was made for
├── LimitRefused            exit 5    the plan goes beyond a limit
├── CanaryFailed            exit 3    the records that went first did not come out right: the rest is not sent
├── Locked                  exit 8    another run holds the target's lock, or ours was lost
└── ProviderError           exit 1    what one request came to; DESIGN names the classes, `apply` acts on them
    ├── Unsupported                   the vendor (or this key) does not offer it: not sent, not sent again
    ├── Auth                exit 6    no key, or the key is refused: stop the run
    ├── Rejected                      the request was understood and refused: 400 404 409 413 422
    ├── RateLimited                   429: wait, then send again
    ├── Unavailable                   certainly not processed: wait, then send again
    ├── BudgetSpent         exit 7    no more requests are allowed: stop the run, the next one goes on
    └── Ambiguous                     may have been processed: look before sending again

Anything else that is raised is a bug: exit 70, with a traceback.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from crmctl.resource import Address, Source

MOST_EXPLAINED = 1000
"""How many findings are told one by one: nobody reads more, and a file can hold millions. The rest is counted."""


class Diagnostic(NamedTuple):
    """One finding about the input.

    `message` may contain `{value}`; `value` is put there by the report, which knows about escaping and redaction.
    `field` is the path inside the record, empty when the finding is about the whole.
    """

    source: Source | None
    message: str
    address: Address | None = None
    field: str = ""
    value: Any = None


class Findings(list[Diagnostic]):
    """What is wrong with the input: the first findings, and how many `more` there are at least."""

    def __init__(self, found: Iterable[Diagnostic] = (), more: int = 0) -> None:
        super().__init__()
        self.more = more
        self += found

    def __bool__(self) -> bool:
        return len(self) + self.more > 0

    def __iadd__(self, found: Iterable[Diagnostic]) -> Self:  # type: ignore[misc,override]  # takes what fits
        for one in found:
            self.append(one)
        self.more += found.more if isinstance(found, Findings) else 0
        return self

    @property
    def room(self) -> int:
        """Return how many more would be told."""
        return MOST_EXPLAINED - len(self)

    def append(self, found: Diagnostic) -> None:
        """Take a finding, or count it."""
        if self.room > 0:
            super().append(found)
        else:
            self.more += 1


class CrmctlError(Exception):
    """An expected failure: its text names the thing, the place and the next step."""

    exit_code = 1


class InvalidInput(CrmctlError):
    """Manifests, configuration or a plan file are wrong; carries the first diagnostics, sorted, and counts the rest."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        found = Findings(diagnostics)
        self.diagnostics = tuple(found)
        if found.more:
            self.diagnostics += (Diagnostic(None, "and at least {value} more: correct these first", value=found.more),)
        number = len(found) + found.more
        super().__init__(f"{'at least ' * (found.more > 0)}{number} error{'s' * (number != 1)}")


class UsageError(CrmctlError):
    """The command line asks for something that makes no sense."""

    exit_code = 64


class Declined(CrmctlError):
    """A person was asked and said no."""


class StalePlan(CrmctlError):
    """The plan no longer matches what would be done now, or a record is no longer what it was planned for."""

    exit_code = 4


class LimitRefused(CrmctlError):
    """The plan is larger than a limit allows."""

    exit_code = 5


class CanaryFailed(CrmctlError):
    """The records that were sent first did not come out right."""

    exit_code = 3


class Locked(CrmctlError):
    """Another run is at work on the target, or this one can't be sure any more that none is."""

    exit_code = 8


class ProviderError(CrmctlError):
    """One request failed. `status` is the HTTP status, `wait` the server's hint in seconds, if there was one."""

    def __init__(self, message: str, *, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


class Unsupported(ProviderError):
    """The vendor, or this key, does not offer what was asked."""


class Auth(ProviderError):
    """The API key is missing or refused."""

    exit_code = 6


class Rejected(ProviderError):
    """The server understood the request and refused it; nothing of it may be assumed to have happened."""


class RateLimited(ProviderError):
    """Too many requests."""


class Unavailable(ProviderError):
    """The request was certainly not processed."""


class BudgetSpent(ProviderError):
    """The request was not sent: as many as were allowed (`--max-requests`) have been."""

    exit_code = 7


class Ambiguous(ProviderError):
    """The request may or may not have been processed."""
