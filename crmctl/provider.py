"""What a vendor's API must be able to say: the smallest interface the stages need, defaulting to "cannot"."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from crmctl.capability import Capability
from crmctl.resource import Address, Resource


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider knows after sending: what was sent, and ids where the vendor's response schema types them."""

    sent: tuple[Address, ...]
    ids: Mapping[Address, str] = field(default_factory=dict)


class Record(NamedTuple):
    """One live record of an answer: its key, normalised (empty where it has none), and the asked fields it carries."""

    key: str
    fields: Mapping[str, Any]
    remote_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Live records of one answer.

    `members` are the names of all fields that at least one record of the answer carried, null or not, in our words:
    a declared field that never shows up there is unreadable.
    """

    records: Sequence[Record]
    members: Collection[str]


class Provider(Protocol):
    """One vendor API.

    It never sleeps, retries, mutates its input or judges: `apply` alone turns receipts and re-reads into outcomes.
    Every method raises the `ProviderError` classes only.
    """

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """Return what can be done with each kind; a kind that is missing can do nothing."""
        ...

    def read(self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str]) -> AsyncGenerator[Page, None]:
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

    def cannot_hold(self, resource: Resource) -> Sequence[tuple[str, str]]:
        """Return (field, reason) for everything declared that the vendor has no place for."""
        ...

    async def create(self, batch: Sequence[Resource]) -> Receipt:
        """Create records, at most `create_batch`, of one kind."""
        ...

    async def update(self, batch: Sequence[Resource]) -> Receipt:
        """Update records, at most `update_batch`, of one kind: `remote_id` says which, `fields` what becomes of it."""
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
