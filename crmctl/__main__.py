"""Start crmctl. `--version` is answered before anything is imported: scripts ask for it often."""

import gc
import sys

from crmctl import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"] and sys.stdout is not None:
        sys.stdout.write(f"crmctl {__version__}\n")
        return
    gc.set_threshold(100_000, 20, 20)  # start-up makes many objects and no garbage, and is most of a short run
    from crmctl.cli import run  # noqa: PLC0415 - click costs three times what Python itself does

    code = run(sys.argv[1:])
    gc.freeze()  # everything is closed, and memory goes with the process: Python need not search it for garbage first
    sys.exit(code)


if __name__ == "__main__":
    main()
