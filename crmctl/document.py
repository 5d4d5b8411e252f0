"""What every report renders, so that a plan just made, a plan file read back and the outcome of a run look alike.

In: nothing. Out: `Document`, a head and a stream of entries, which is written without ever being held as one object.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """A plan or the outcome of a run, as JSON values.

    `head` holds the totals and the short lists; `entries` starts the stream of changes (or outcomes) anew with each
    call, so a report may go through them twice: once to count, once to write.
    """

    head: Mapping[str, Any]
    entries: Callable[[], Iterator[Mapping[str, Any]]]
