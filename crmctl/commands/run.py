"""What the verbs have in common once their flags are read: one run with its configuration, reports and messages."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from crmctl.commands.files import check_writable, write_pieces, write_private
from crmctl.commands.options import Common, common
from crmctl.commands.progress import tell
from crmctl.config import Config, Environment, pseudonym_key, read_config, read_environment
from crmctl.errors import CrmctlError, InvalidInput, ProviderError, UsageError
from crmctl.reconcile import Loaded, load
from crmctl.redact import Redactor
from crmctl.reports import FORMATS, Report, report
from crmctl.reports.escape import terminal
from crmctl.schema import rules

LONG_WAIT = 0.5  # seconds: whoever waits less does not wonder


class Run:
    """One invocation: the flags, the environment, the configuration, and where reports go.

    While one of several targets is worked on, `subject` names it in what is said, and `redactor` is the one for it.
    """

    def __init__(self, flags: Common) -> None:
        self.flags = flags
        self.environment: Environment = read_environment()
        self.redact = self.environment.ci if flags.redact is None else flags.redact
        self.outputs = _outputs(flags.output or ("text",))
        self.subject = ""
        self.redactor = Redactor(pseudonym_key(self.environment, None, None), rules().personal, self.redact)

    def configure(self, *, needed: bool = True) -> Config:
        """Read the configuration; where it is not `needed`, the defaults stand in for a missing file."""
        path = self.flags.config
        there = os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a name is too long
        return read_config(path) if needed or there else Config(path.parent)

    def load(self, config: Config) -> Loaded:
        """Read and check the manifests named by flags or configuration."""
        flags = self.flags
        # Those of a flag are relative to where whoever runs this is.
        named = [path if path == "-" else os.path.relpath(path, config.tree) for path in flags.manifests]
        loaded = load(
            named or config.manifests,
            config.tree,
            max_bytes=config.max_file_bytes,
            only=flags.only,
            exclude=flags.exclude,
            trusted=bool(named),
            standard_input=sys.stdin.buffer if "-" in flags.manifests else None,
        )
        if (flags.only or flags.exclude) and not any(loaded.desired.resources.values()):
            self.say("no declared record is named by --only and --exclude", always=True)
        return loaded

    def report(
        self,
        render: Callable[[Report], Callable[..., Iterable[str]]],
        *content: Any,
        text: bool = True,
        rest: bool = True,
    ) -> None:
        """Write a report in every format asked for; `render` picks the function of a format.

        `text` is the text on standard output, `rest` everything else: apply shows its plan only in the former.
        A file that can't be written keeps nothing from the others; raises its CrmctlError in the end.
        """
        lost: CrmctlError | None = None
        for name, file in self.outputs:
            if not (text if (name, file) == ("text", None) else rest):
                continue
            colour = file is None and sys.stdout.isatty() and not (self.flags.no_color or self.environment.no_color)
            pieces = render(report(name))(*content, colour=colour, verbose=self.flags.verbose)
            if file is None:
                write_pieces(sys.stdout.write, pieces)
                sys.stdout.flush()
            else:
                try:
                    write_private(file, pieces)
                except CrmctlError as error:
                    lost = lost or error
        if lost is not None:
            raise lost

    def writes(self, name: str, *, to_file: bool = True) -> bool:
        """Tell whether a format was asked for, at all or on standard output."""
        return any(chosen == name and (to_file or file is None) for chosen, file in self.outputs)

    def refuse(self, error: InvalidInput) -> int:
        """Report what is wrong with the input; returns the exit code."""
        self.report(lambda report: report.diagnostics, error.diagnostics, self.redactor)
        self.say(f"{error}; nothing was sent", always=True)
        return error.exit_code

    def explain(self, text: str) -> None:
        """Say why something is done, if asked to."""
        if self.flags.verbose:
            self.say(text)

    def say(self, text: str, *, always: bool = False) -> None:
        """Say something on standard error; that nobody is there to hear it stops nothing (see `tell`)."""
        if always or not self.flags.quiet:
            about = f"{self.subject}: " if self.subject else ""
            tell(terminal(f"{about}{self.redactor.text(text)}"))

    def wait(self, route: str, seconds: float, error: ProviderError) -> None:
        """Say that a request has to wait, if it is worth saying."""
        if seconds >= LONG_WAIT or self.flags.verbose:
            self.say(
                f"waiting {seconds:.1f} s: {error}" if route in str(error) else f"{route}: waiting {seconds:.1f} s"
            )


def verb(*, manifests: bool = True, records: bool = True) -> Callable[[Callable[..., int]], Callable[..., Any]]:
    """Make a function a verb: it takes a `Run` for the common flags, and its expected errors become reports.

    Some read no `manifests`, or leave no choice among `records`. Errors become reports here rather than in `cli`,
    because a run knows what must not be shown.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., Any]:
        @wraps(command)
        def guarded(flags: Common, **values: Any) -> int:
            run = Run(flags)
            try:
                return command(run, **values)
            except InvalidInput as error:
                return run.refuse(error)
            except CrmctlError as error:
                run.say(f"crmctl: {error}", always=True)
                return error.exit_code

        return common(guarded, manifests=manifests, records=records)

    return decorate


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that wins where several apply."""
    order = (70, 130, 64, 6, 8, 7, 5, 4, 3, 1, 2, 0)
    return min(codes, key=order.index, default=0)


def _outputs(texts: Sequence[str]) -> list[tuple[str, Path | None]]:
    """Read every FORMAT[=FILE], and check the files."""
    found: list[tuple[str, Path | None]] = []
    for text in texts:
        name, equals, file = text.partition("=")
        if name not in FORMATS:
            raise UsageError(f"-o {text}: no such format; there is {', '.join(FORMATS)}")
        if equals and not file:
            raise UsageError(f"-o {text}: name a file behind the equals sign, or leave it out for standard output")
        found.append((name, Path(file) if file else None))
    if sum(file is None for _, file in found) > 1:
        raise UsageError("two formats can't share standard output: give one of them a file, as in -o json=plan.json")
    for _, path in found:
        if path is not None:
            check_writable(path)
    return found
