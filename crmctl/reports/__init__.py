"""The formats a report can be written in: a literal registry, one module each.

In: the name of a format. Out: its module, whose functions are pure: data in, pieces of text out. Markdown is loaded
when it is asked for: a plan of ten records is over in the time that three such modules take.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import json, text

FORMATS = ("json", "markdown", "text")


class Report(Protocol):
    """What every format can render; `colour` and `verbose` matter to text alone."""

    def plan(self, document: Document | Bundle, *, colour: bool = ..., verbose: bool = ...) -> Iterator[str]:
        """Render a plan, or those for several targets."""

    def applied(self, document: Document | Bundle, *, colour: bool = ..., verbose: bool = ...) -> Iterator[str]:
        """Render the outcome of a run, or of those against several targets."""

    def diagnostics(
        self, findings: Iterable[Diagnostic], redactor: Redactor, *, colour: bool = ..., verbose: bool = ...
    ) -> Iterator[str]:
        """Render what is wrong with the input."""

    def capabilities(
        self, rows: Iterable[Mapping[str, Any]], *, colour: bool = ..., verbose: bool = ...
    ) -> Iterator[str]:
        """Render what providers can do with each kind."""

    def runs(self, document: Document, *, colour: bool = ..., verbose: bool = ...) -> Iterator[str]:
        """Render the list of runs."""

    def run(self, document: Document, *, colour: bool = ..., verbose: bool = ...) -> Iterator[str]:
        """Render what became of each record in one run."""


def report(name: str) -> Report:
    """Return one of `FORMATS`."""
    if name == "markdown":
        from crmctl.reports import markdown  # noqa: PLC0415 - see above

        return markdown
    return json if name == "json" else text
