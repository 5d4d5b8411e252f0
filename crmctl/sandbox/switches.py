"""Let a reader of the sandbox choose what a vendor's documentation leaves open.

A table of switches is a frozen dataclass whose fields are made by `choice` and `number`; `read_switches` turns
`{"name": "value"}` (text, as typed on a command line) into an instance of it, or raises `SwitchError`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

Table = TypeVar("Table")


class SwitchError(ValueError):
    """A switch, or the value given for one, does not exist; the text lists those that do."""


def choice(default: str, *others: str, doc: str) -> Any:
    """Declare a switch that takes one of a few words."""
    return dataclasses.field(default=default, metadata={"values": (default, *others), "doc": doc})


def number(default: float | None, *, doc: str, whole: bool = True) -> Any:
    """Declare a switch that takes a number, or `none` where the default is None."""
    return dataclasses.field(default=default, metadata={"values": (), "doc": doc, "whole": whole})


def read_switches(table: type[Table], given: Mapping[str, str]) -> Table:
    """Build `table` from names and texts."""
    return table(**{name: _read_value(table, name, text) for name, text in given.items()})


def split_assignment(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SwitchError(f"{text!r} is not a switch; write NAME=VALUE")
    return name.strip(), value.strip()


def list_switches(table: type) -> list[tuple[str, str, str, str]]:
    """Return (name, allowed values, default, one line of documentation) for every switch of `table`."""
    return [
        (field.name, _allowed(field), _as_text(field.default), str(field.metadata["doc"]))
        for field in dataclasses.fields(table)
    ]


def _read_value(table: type, name: str, text: str) -> str | float | None:
    known = {field.name: field for field in dataclasses.fields(table)}
    if name not in known:
        raise SwitchError(f"there is no switch {name!r}{_meant(name, known)}; there are: {', '.join(known)}")
    field = known[name]
    values = field.metadata["values"]
    if values:
        if text not in values:
            raise SwitchError(
                f"switch {name} has no value {text!r}{_meant(text, dict.fromkeys(values))}; it takes: {_allowed(field)}"
            )
        return text
    if field.default is None and text == "none":
        return None
    try:
        value = int(text) if field.metadata["whole"] else float(text)
    except ValueError:
        value = -1
    if not math.isfinite(value) or value < 0:
        raise SwitchError(f"switch {name} has no value {text!r}; it takes: {_allowed(field)}")
    return value


def _allowed(field: "dataclasses.Field[Any]") -> str:
    if field.metadata["values"]:
        return "|".join(field.metadata["values"])
    return "NUMBER|none" if field.default is None else "NUMBER"


def _as_text(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _meant(word: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - nobody needs it who spells right

    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
