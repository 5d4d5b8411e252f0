"""Journal lines that must outlive the machine, kept at a URL.

Object stores can't append, so each entry is an object of its own, named by run and number: nothing is written twice,
and two runs never meet.
"""

from collections.abc import Iterator
from itertools import count

from crmctl.place import Place


class Mirror:
    """A place named by a URL. Every method raises CrmctlError for whatever goes wrong there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._place = Place(url, "journal")
        self._numbers = count(1)

    def write(self, run: str, text: str) -> None:
        """Write one entry of a run; it is there when this returns."""
        # Several threads may write at once: each takes a number of its own.
        self._place.write(f"{run}/{next(self._numbers):06}.jsonl", text)

    def read(self) -> Iterator[str]:
        """Yield the lines of all runs, in the order of runs and numbers."""
        for _, text in self._place.read_all():
            yield from text.splitlines()

    def names(self) -> list[str]:
        """Return the ids of all runs."""
        return list(dict.fromkeys(name.partition("/")[0] for name in self._place.names()))

    def runs(self) -> dict[str, list[str]]:
        """Return the lines of each run, in the order of runs."""
        found: dict[str, list[str]] = {}
        for name, text in self._place.read_all():
            found.setdefault(name.partition("/")[0], []).extend(text.splitlines())
        return found

    def keep(self, run: str, text: str) -> None:
        """Write all that there is of a run, in the place of what is there."""
        self._place.write(f"{run}/{1:06}.jsonl", text)

    def forget(self, run: str) -> None:
        """Delete all entries of a run."""
        self._place.delete(name for name in self._place.names() if name.startswith(f"{run}/"))
