"""The flags that all verbs share: each with its twin in the environment, the same for every verb."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import click


class Common(NamedTuple):
    """The values of the common flags."""

    config: Path
    target: tuple[str, ...]
    output: tuple[str, ...]
    no_color: bool
    verbose: bool
    quiet: bool
    redact: bool | None
    all_targets: bool = False
    manifests: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class FiniteRange(click.FloatRange):
    """A number within bounds. NaN is within all of them, as far as click can see, and infinity where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number, and refuse what is none."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


def flag(*names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an option with its twin CRMCTL_<FLAG>."""
    long = next(name for name in names if name.startswith("--"))
    twin = long.partition("/")[0].removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=f"CRMCTL_{twin}", show_envvar=True, **settings)


OUTPUT = flag(
    "-o",
    "--output",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="text, json or markdown, to standard output or a file; repeatable. Text unless given.",
)

LOCK_TIMEOUT = flag(
    "--lock-timeout",
    metavar="SECONDS",
    type=FiniteRange(0, 86400),
    default=0.0,
    show_default=True,
    help="How long to wait for another run against the target to end.",
)

_COMMON = (
    flag(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("crmctl.yaml"),
        show_default=True,
        help="The configuration file.",
    ),
    flag(
        "--target",
        multiple=True,
        metavar="NAME",
        help="A target in the configuration; repeatable. default_target unless given.",
    ),
    flag("--all-targets", is_flag=True, help="Every target in the configuration."),
    OUTPUT,
    flag("--no-color", is_flag=True, help="No colours, also without a terminal or with NO_COLOR set."),
    flag("-v", "--verbose", is_flag=True, help="Say what is read and why, requests by route, and where fields stand."),
    flag("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors."),
    flag(
        "--redact/--show-personal-data",
        default=None,
        help="Show pseudonyms instead of personal data; on when CI is set.",
    ),
)

_MANIFESTS = (
    flag(
        "-f",
        "--manifests",
        multiple=True,
        metavar="PATH",
        help="Read this file or folder, or - for standard input, instead of the configured manifests; repeatable.",
    ),
)

_RECORDS = (
    flag("--only", multiple=True, metavar="KIND[/KEY]", help="Only these records; KEY may hold * and ?; repeatable."),
    flag("--exclude", multiple=True, metavar="KIND[/KEY]", help="All records but these; repeatable."),
)


def common(command: Callable[..., Any], *, manifests: bool = True, records: bool = True) -> Callable[..., Any]:
    """Add the common flags, with those that name `manifests` and choose `records`; the command takes one `Common`."""

    def wrapped(**values: Any) -> Any:
        taken = {name: values.pop(name) for name in Common._fields if name in values}
        return command(Common(**taken), **values)

    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed((*_COMMON, *(_MANIFESTS if manifests else ()), *(_RECORDS if records else ()))):
        wrapped = option(wrapped)
    return wrapped
