"""What is found out about one Thena organisation and kept between connections: names, ids, and how its server behaves.

Thena's documentation leaves much open (docs/providers.md); what an answer has shown once is not tried again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

LIMIT = 100  # records asked for per page: defaults and maxima are not documented, refusals halve it


class Value(NamedTuple):
    """One value of an attribute: what it is called, and the id that may be written in place of its name.

    `default`: it counts where none is named.
    """

    id: str
    name: str
    default: bool = False


class CustomField(NamedTuple):
    """One definition. `options` are the labels of a choice by what a record may hold: their ids, if they have any."""

    id: str
    name: str
    type: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ways:
    """How a write says what the documentation leaves open; the first of each is what it makes likeliest.

    `attribute`: a status or an industry by its id or its name. `custom`: a custom value as `{fieldId, value}`, or as
    reads show it, `{customFieldId, data}`, with a list as data or without. `clear`: what empties a text. `mark`: a new
    note may have metadata. `whole`: a PUT has to name every member, as it empties those that it doesn't.
    """

    attribute: Literal["id", "name"] = "id"
    custom: Literal["field", "data", "list"] = "field"
    clear: Literal[""] | None = None
    mark: bool = True
    whole: bool = False


@dataclass(slots=True)
class Learned:
    """Everything that has been found out.

    `bases` is the number of the first page by path, `limit` the page size in force, `capped` that a page has shown it.
    `attributes` and `customs` are as resolved, the latter by kind and slug. `account_names` and `account_keys` are by
    id, `account_ids` by key, `all_accounts` says that they are complete, and `nameless` holds names on contacts that no
    account bears.
    `unlinked` are contacts whose accounts can't be established. `rows` has, for records that are about to be updated,
    the members as they may be written back, by kind and id. `sure` names the members of `ways` that are confirmed.
    `carried` tells, by kind and member, whether answers have it; `custom_read` whether custom values can be read.
    """

    bases: dict[str, int] = field(default_factory=dict)
    limit: int = LIMIT
    capped: bool = False
    attributes: dict[str, Sequence[Value]] = field(default_factory=dict)
    customs: dict[str, Mapping[str, CustomField]] = field(default_factory=dict)
    account_names: dict[str, str] = field(default_factory=dict)
    account_keys: dict[str, str] = field(default_factory=dict)
    account_ids: dict[str, set[str]] = field(default_factory=dict)
    all_accounts: bool = False
    nameless: set[str] = field(default_factory=set)
    unlinked: set[str] = field(default_factory=set)
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    ways: Ways = Ways()
    sure: set[str] = field(default_factory=set)
    carried: dict[tuple[str, str], bool] = field(default_factory=dict)
    custom_read: dict[str, bool] = field(default_factory=dict)
    folds_case: bool | None = None


def recall(learned: dict[str, Any] | None) -> Learned:
    """Return what earlier connections of the target have left, or nothing yet; `unlinked` is shared in the open."""
    if learned is None:
        return Learned()
    known: Learned = learned.setdefault("thena", Learned())
    known.unlinked = learned.setdefault("unlinked", known.unlinked)
    return known
