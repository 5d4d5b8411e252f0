"""What every report renders, so that a plan just made, a plan file read back and the outcome of a run look alike.

In: nothing. Out: `Document`, a head and a stream of entries, which is written without ever being held as one object;
and `Bundle`, the documents of several targets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Document(NamedTuple):
    """A plan or the outcome of a run, as JSON values.

    `head` holds the totals and the short lists; `entries` starts the stream of changes (or outcomes) anew with each
    call, so a report may go through them twice: once to count, once to write.
    """

    head: Mapping[str, Any]
    entries: Callable[[], Iterator[Mapping[str, Any]]]


class Bundle(NamedTuple):
    """What one command came to for several targets: a document each, or what went wrong.

    `name` says what the documents are, "plans" or "runs". `failed` has a mapping for each target without one: `target`,
    `provider`, `exit_code`, `error`, and `diagnostics`: what is declared and can't be for that target.
    """

    name: str
    head: Mapping[str, Any]
    documents: Sequence[Document]
    failed: Sequence[Mapping[str, Any]] = ()
