"""Find the culprits of a refused batch: halve it until they stand alone, so that their neighbours go through. Pure.

In: a batch, and which parts of it were refused. Out: the part to send next. With k bad records among n about
2 k log2(n / k) + 2 k requests follow the first. While nothing at all of a kind has been accepted, it may be that
nothing ever is (a route that is gone, a wrong host): then single records far from each other are sent first, which
tells soonest.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Halving(Generic[Item]):
    """What is left of one batch, in its order; at first all of it."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._parts: list[Sequence[Item]] = [items] if items else []

    def take(self, *, hopeless: bool = False) -> Sequence[Item] | None:
        """Return the part to send next, None at the end; where it looks `hopeless`, one record out of the middle."""
        if not self._parts:
            return None
        if not hopeless:
            return self._parts.pop(0)
        largest = max(range(len(self._parts)), key=lambda index: len(self._parts[index]))
        part = self._parts.pop(largest)
        middle = len(part) // 2
        self._parts[largest:largest] = [rest for rest in (part[:middle], part[middle + 1 :]) if rest]
        return part[middle : middle + 1]

    def put(self, part: Sequence[Item]) -> None:
        """Have a part come next as it is."""
        if part:
            self._parts.insert(0, part)

    def split(self, part: Sequence[Item]) -> None:
        """Have the halves of a refused part come next."""
        middle = len(part) // 2
        self._parts[:0] = [part[:middle], part[middle:]]
