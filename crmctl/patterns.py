"""Import a library without compiling its regular expressions: each is compiled when it is first used.

PyYAML compiles one that takes Python 3.11 five milliseconds, for a reader that libyaml stands in for.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_compile = re.compile


class Pattern:
    """A pattern that is compiled when somebody asks for something of it."""

    def __init__(self, pattern: Any, flags: Any = 0) -> None:
        self._arguments = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Return what the compiled pattern has; Python asks here only once for each."""
        found = getattr(_compile(*self._arguments), name)
        setattr(self, name, found)
        return found


@contextmanager
def compiled_late() -> Iterator[None]:
    """Let `re.compile` make such patterns while something is imported."""
    re.compile = Pattern  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = _compile
