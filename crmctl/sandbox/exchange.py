"""One request and one answer, as every part of the sandbox passes them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end; header names are in lower case."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a JSON body, and headers beyond the usual."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
