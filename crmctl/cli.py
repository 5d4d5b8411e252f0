"""The command group and the one error boundary: expected errors become messages, bugs tracebacks, ^C exit 130."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from crmctl import __version__
from crmctl.errors import CrmctlError

VERBS = {
    "apply": "Make the CRM what the manifests say.",
    "plan": "Show what apply would do; nothing is written.",
    "sandbox": "Run the embedded CRM.",
    "schema": "Print a JSON Schema.",
    "show": "Show a saved plan.",
    "validate": "Check the manifests; nothing is sent.",
}
"""Every verb and what `--help` says of it; its module is only imported when it is used."""

EXIT_USAGE, EXIT_BUG, EXIT_INTERRUPTED = 64, 70, 130


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
    """Keep a CRM's accounts and contacts in Git: plan, review, apply."""


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one boundary, one return per way a run can end
    """Run a command line and return its exit code; nothing else in the package exits."""
    _prepare_streams()
    try:
        code = main.main(list(arguments), prog_name="crmctl", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _leave_output()
        return CrmctlError.exit_code
    except CrmctlError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EIO, errno.EDQUOT}:
            raise
        _complain(f"output can't be written: {error.strerror}")
        _leave_output()
        return CrmctlError.exit_code
    except Exception:  # noqa: BLE001 - the boundary: whatever else comes up here is a bug of ours
        traceback.print_exc()
        _complain("this is a bug in crmctl: please report it with the lines above")
        return EXIT_BUG
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    """Make standard output and error fit for reports, whatever the locale is, and even if they were closed."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - it is open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _leave_output() -> None:
    """Give up standard output: whoever read it has gone, and Python would complain once more when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    """Say on standard error what went wrong."""
    from crmctl.reports.escape import terminal  # noqa: PLC0415 - not needed when all goes well

    click.echo(f"crmctl: {terminal(message)}", err=True)
