"""The command group and the one error boundary: expected errors become messages, bugs tracebacks, ^C exit 130."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TextIO

import click

from crmctl import __version__
from crmctl.errors import CrmctlError

VERBS = {
    "apply": "Make the CRM what the manifests say.",
    "plan": "Show what apply would do; nothing is written.",
    "providers": "Show what each CRM's API can do.",
    "runs": "List, show, resume and clean up runs.",
    "sandbox": "Run the embedded CRM.",
    "schema": "Print a JSON Schema.",
    "show": "Show a saved plan.",
    "validate": "Check the manifests; nothing is sent.",
}
"""Every verb and what `--help` says of it; its module is only imported when it is used."""

EXIT_USAGE, EXIT_BUG, EXIT_INTERRUPTED = 64, 70, 130
FULL_OR_BROKEN = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG})
DEAF = (OSError, ValueError)  # what writing to a stream raises that nobody reads any more, or that has been closed


class _Verbs(click.Group):
    """The verbs, each in a module of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"crmctl.commands.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="crmctl %(version)s")
def main() -> None:
    """Keep a CRM's records in Git: plan, review, apply."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; nothing else in the package exits."""
    _prepare_streams()
    try:
        return _run(arguments)
    finally:
        _leave_output()


def _run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one boundary, one return per way a run can end
    try:
        code = main.main(list(arguments), prog_name="crmctl", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        with suppress(*DEAF):
            error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt, _cancelled()):
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return CrmctlError.exit_code
    except CrmctlError as error:
        _complain(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: whatever else comes up here is a bug of ours
        if isinstance(error, OSError) and error.errno in FULL_OR_BROKEN:
            _complain(f"output can't be written: {error.strerror}")
            return CrmctlError.exit_code
        with suppress(*DEAF):
            traceback.print_exc()
        _complain("this is a bug in crmctl: please report it with the lines above")
        return EXIT_BUG
    return code if isinstance(code, int) else 0


def _cancelled() -> type[BaseException]:
    """Return what a cancelled run raises; asked for after a failure only, so that `--help` need not import asyncio."""
    from asyncio import CancelledError  # noqa: PLC0415 - as above

    return CancelledError


def _prepare_streams() -> None:
    """Make the standard streams fit for use, whatever the locale is, and even if they were closed.

    In this order: each takes the lowest free descriptor, so that no journal or database gets that of a closed stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open as long as the process
            setattr(sys, name, nowhere)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.RawIOBase):
            # Unbuffered, it drops without a word what a full disk does not take any more.
            buffer = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
            setattr(sys, name, stream := io.TextIOWrapper(buffer, line_buffering=name == "stderr"))
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _leave_output() -> None:
    """Give up a stream that takes nothing more: Python would complain of it once more when it closes it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except DEAF:
            _silence(stream)


def _silence(stream: TextIO) -> None:
    """Let a stream lead nowhere, with what it still holds."""
    with suppress(*DEAF):  # it may be closed, or have no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _complain(message: str) -> None:
    """Say on standard error what went wrong."""
    from crmctl.reports.escape import terminal  # noqa: PLC0415 - not needed when all goes well

    with suppress(*DEAF):  # nobody may be there to hear it: the exit code tells as well
        click.echo(f"crmctl: {terminal(message)}", err=True)
