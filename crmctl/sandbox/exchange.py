"""One request and one answer, as every part of the sandbox passes them on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Request(NamedTuple):
    """One request, read to its end; header names are in lower case."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """A status, a JSON body, and headers beyond the usual."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
