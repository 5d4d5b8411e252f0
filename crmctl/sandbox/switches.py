"""Let a reader of the sandbox choose what a vendor's documentation leaves open.

A table of switches is a class below `Switches` whose members are made by `choice` and `number`; `read_switches` turns
`{"name": "value"}` (text, as typed on a command line) into an instance of it, or raises `SwitchError`.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

Table = TypeVar("Table", bound="Switches")


class SwitchError(ValueError):
    """A switch, or the value given for one, does not exist; the text lists those that do."""


class Switch(NamedTuple):
    """What one switch takes: one of `values`, or a number where there are none, `whole` or not."""

    default: str | float | None
    doc: str
    values: tuple[str, ...] = ()
    whole: bool = True


class Switches:
    """The switches of one API; not a dataclass, because one of sixty fields takes 7 ms to define."""

    def __init__(self, **given: Any) -> None:
        """Set each switch to what is given, else to its default; raises TypeError for what is no switch."""
        declared = list_declared(type(self))
        if unknown := given.keys() - declared:
            raise TypeError(f"there are no switches {sorted(unknown)}")
        vars(self).update({name: switch.default for name, switch in declared.items()}, **given)


def choice(default: str, *others: str, doc: str) -> Any:
    """Declare a switch that takes one of a few words."""
    return Switch(default, doc, (default, *others))


def number(default: float | None, *, doc: str, whole: bool = True) -> Any:
    """Declare a switch that takes a number, or `none` where the default is None."""
    return Switch(default, doc, whole=whole)


def list_declared(table: type[Switches]) -> dict[str, Switch]:
    """Return the switches of a table by name."""
    return {name: switch for name, switch in vars(table).items() if isinstance(switch, Switch)}


def read_switches(table: type[Table], given: Mapping[str, str]) -> Table:
    """Build `table` from names and texts."""
    return table(**{name: _read_value(table, name, text) for name, text in given.items()})


def split_assignment(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SwitchError(f"{text!r} is not a switch; write NAME=VALUE")
    return name.strip(), value.strip()


def list_switches(table: type[Switches]) -> list[tuple[str, str, str, str]]:
    """Return (name, allowed values, default, one line of documentation) for every switch of `table`."""
    return [
        (name, _allowed(switch), _as_text(switch.default), switch.doc) for name, switch in list_declared(table).items()
    ]


def _read_value(table: type[Switches], name: str, text: str) -> str | float | None:
    known = list_declared(table)
    if name not in known:
        raise SwitchError(f"there is no switch {name!r}{_meant(name, known)}; there are: {', '.join(known)}")
    switch = known[name]
    if switch.values:
        if text not in switch.values:
            meant = _meant(text, dict.fromkeys(switch.values))
            raise SwitchError(f"switch {name} has no value {text!r}{meant}; it takes: {_allowed(switch)}")
        return text
    if switch.default is None and text == "none":
        return None
    try:
        value = int(text) if switch.whole else float(text)
    except ValueError:
        value = -1
    if not math.isfinite(value) or value < 0:
        raise SwitchError(f"switch {name} has no value {text!r}; it takes: {_allowed(switch)}")
    return value


def _allowed(switch: Switch) -> str:
    if switch.values:
        return "|".join(switch.values)
    return "NUMBER|none" if switch.default is None else "NUMBER"


def _as_text(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _meant(word: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - nobody needs it who spells right

    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
