"""What a vendor's API must be able to say: the smallest interface the stages need, defaulting to "cannot"."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from crmctl.capability import Capability, Definition
from crmctl.kinds import NOTHING
from crmctl.resource import Address, Resource

__all__ = [
    "NO_IDS", "NO_SCOPE", "Definition", "Finding", "Page", "Provider", "Receipt", "Record", "Resolution", "Scope"
]  # fmt: skip


class Receipt(NamedTuple):
    """What a provider knows after sending: what was sent, and ids where the vendor's response schema types them."""

    sent: tuple[Address, ...]
    ids: Mapping[Address, str] = NOTHING


class Record(NamedTuple):
    """One live record of an answer: its key, normalised (empty where it has none), and the asked fields it carries.

    For a kind whose key is composed, `key` is what the record is known by where its id isn't: see `recognise`. `mark`
    is the address that crmctl has left in the vendor's metadata, where that is kept.
    """

    key: str
    fields: Mapping[str, Any]
    remote_id: str
    mark: str = ""


class Page(NamedTuple):
    """Live records of one answer.

    `members` are the names of all fields that at least one record of the answer carried, null or not, in our words:
    a declared field that never shows up there is unreadable.
    """

    records: Sequence[Record]
    members: Collection[str]


class Scope(NamedTuple):
    """What reading one kind may need besides keys: what is declared of it, as the target can hold it, and known ids."""

    desired: Mapping[str, Resource] = NOTHING
    ids: Mapping[Address, str] = NOTHING


NO_SCOPE = Scope()
NO_IDS: Mapping[Address, str] = MappingProxyType({})


class Finding(NamedTuple):
    """Something declared that this target can't take at all; planning ends with it.

    `value` goes where the message says `{value}`: what stands in a message is shown as it is, in CI too.
    """

    resource: Resource
    field: str
    message: str
    value: Any = None


class Resolution(NamedTuple):
    """What looking up names has come to."""

    findings: Sequence[Finding] = ()
    definitions: Sequence[Definition] = ()


class Provider(Protocol):
    """One vendor API.

    It never sleeps, retries, mutates its input or judges: `apply` alone turns receipts and re-reads into outcomes.
    Every method raises the `ProviderError` classes only.
    """

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """Return what can be done with each kind; a kind that is missing can do nothing."""
        ...

    @property
    def vendor(self) -> str:
        """Return whose section of a record it takes, one of `VENDORS`."""
        ...

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        """Look up the names that the resources use: pipelines, stages, attributes, custom fields. Nothing is written.

        Comes before `fit`, which needs what it has learned.
        """
        ...

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        """Return a resource as this target can hold it, and (field, reason) for everything that it has no place for.

        Names become what reads return, references that can be written become fields where they are compared. What is
        fine as it is comes back itself.
        """
        ...

    def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str], scope: Scope = NO_SCOPE
    ) -> AsyncGenerator[Page, None]:
        """Read live records: those whose key is stored under one of the spellings, or all of them for None.

        `spellings` never exceeds `look_up_batch`, unless the provider cuts it itself. A record whose key cannot be
        normalised comes back with an empty key.
        """
        ...

    async def folds_case(self, kind: str) -> bool:
        """Tell whether a keyed read finds a record whose key is stored in another case; may cost a request or two."""
        ...

    async def finds_by_text(self, kind: str) -> bool | None:
        """Tell whether `search` finds a record whose key is stored in another case; may cost a request or two.

        None while there is no record that could be found in another spelling.
        """
        ...

    def search(self, kind: str, text: str, fields: Sequence[str]) -> AsyncGenerator[Page, None]:
        """Search live records for a text, such as a key in whatever spelling; others may come with them."""
        ...

    async def carries(self, kind: str, field: str) -> bool | None:
        """Tell whether reads return a field at all; None when no live record has a value to tell by."""
        ...

    async def define(self, definitions: Sequence[Definition]) -> None:
        """Make custom fields that do not exist."""
        ...

    async def create(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Create records, at most `create_batch`, of one kind; `ids` has those of the records they may refer to."""
        ...

    async def update(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Update records, at most `update_batch`, of one kind: `remote_id` says which, `fields` what becomes of it."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
