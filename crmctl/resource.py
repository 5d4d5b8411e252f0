"""The nouns every stage shares: where something was written, what it is called, what it holds.

Desired and live are one type, so comparing them needs no translation.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from crmctl.kinds import COMPOSED, NOTHING

_SAFE = "@+:!$*,;=~"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9@._-]+").fullmatch  # what percent-encoding leaves alone; most keys are so


class Source(NamedTuple):
    """A place in a file: 1-based, the column counted in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Address(NamedTuple):
    """A resource's name, `kind/key`; the only thing that is hashed or sorted."""

    kind: str
    key: str

    def __str__(self) -> str:
        """Percent-encode what would make the address ambiguous; the parts of a composed key are encoded already."""
        key = self.key
        return f"{self.kind}/{key if self.kind in COMPOSED else _encode(key, '/' + _SAFE)}"


def compose(*parts: str) -> str:
    """Return a composed key: its parts percent-encoded, joined by slashes."""
    return "/".join(_encode(part, _SAFE) for part in parts)


def _encode(part: str, safe: str) -> str:
    """Percent-encode; a CRM may hold half a character, which is none in a manifest."""
    return part if _PLAIN_KEY(part) else quote(part, safe, errors="surrogatepass")


def recognise(kind: str, owners: Iterable[str], fields: Mapping[str, Any]) -> str:
    """Return what a record with a composed key is known by where its id isn't: to whom it belongs, and what it says.

    `owners` are the keys of its account and contact, in this order, as far as it has them. An opportunity says which
    pipeline it is in and what it is called, a note its text.
    """
    said = (fields.get("pipeline_id"), fields.get("name")) if kind == "opportunity" else (fields.get("text"),)
    return compose(*owners, *(str(part or "").strip() for part in said))


class Marks:
    """The positions of one document: for each mapping or list, a run of numbers, `line << 32 | column`, 0-based."""

    __slots__ = ("file", "numbers")

    def __init__(self, file: str) -> None:
        self.file = file
        self.numbers = array("Q")

    def source(self, index: int) -> Source:
        """Return the place stored at an index of `numbers`, 1-based."""
        number = self.numbers[index]
        return Source(self.file, (number >> 32) + 1, (number & 0xFFFF_FFFF) + 1)


class Fields(dict[str, Any]):
    """A mapping read from a manifest that knows where it, its keys and its values stand.

    `marks.numbers[start]` is the mapping's own position; then follow key and value of each entry, in order.
    """

    __slots__ = ("marks", "start")
    marks: Marks
    start: int

    def source(self) -> Source:
        """Return where the mapping begins."""
        return self.marks.source(self.start)

    def places(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, line and column of every entry's value: cheaper than asking for one after the other."""
        begin = self.start + 2
        for name, number in zip(self, self.marks.numbers[begin : begin + 2 * len(self) : 2], strict=True):
            yield name, (number >> 32) + 1, (number & 0xFFFF_FFFF) + 1

    def source_of(self, key: str, *, value: bool = True) -> Source:
        """Return where an entry's value (or its key) stands; the mapping itself if it has no such entry."""
        for index, name in enumerate(self):
            if name == key:
                return self.marks.source(self.start + 1 + 2 * index + value)
        return self.source()


class Links(list[str]):
    """Keys of the records that one is to be linked to, whatever else it is linked to: links are additive."""

    __slots__ = ()


class Items(list[Any]):
    """A list read from a manifest that knows where it and its items stand: `[start]` itself, then each item."""

    __slots__ = ("marks", "start")
    marks: Marks
    start: int

    def source(self) -> Source:
        """Return where the list begins."""
        return self.marks.source(self.start)

    def source_of(self, index: int) -> Source:
        """Return where an item stands."""
        return self.marks.source(self.start + 1 + index)


class Resource(NamedTuple):
    """One record as plain fields, desired or live.

    On the desired side `fields` holds just what the manifests declare (the key field as it is to be sent), `origin`
    is the mapping it came from, and `was` the key the record may still have in the CRM (for one whose key is ours: in
    journals, and by its owner's former key in the CRM). On the live side `remote_id` is
    the vendor's id.
    """

    address: Address
    fields: Mapping[str, Any]
    refs: Mapping[str, Address] = NOTHING
    origin: Fields | None = None
    remote_id: str | None = None
    was: str | None = None

    @property
    def source(self) -> Source | None:
        """Return where the resource is declared."""
        return None if self.origin is None else self.origin.source()

    def source_of(self, path: str) -> Source | None:
        """Return where a field's value is declared, or the resource when the field comes from defaults."""
        origin = self.origin
        section, dot, name = path.partition(".")
        if origin is not None and dot and name in (origin.get(section) or ()):
            origin, path = origin[section], name
        return None if origin is None else origin.source_of(path)
