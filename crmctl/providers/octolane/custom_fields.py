"""Custom fields: one field, three names, and values in the CRM's words or in the manifest's (docs/octolane.md).

In: values of one field, declared or live. Out: the same as manifests say them (select options by label, dates as text),
or as Octolane takes them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

from crmctl.kinds import NOTHING
from crmctl.values import EARLIEST, LATEST, instant, is_date, is_date_time

SECTION = "custom_fields"
PREFIX = f"{SECTION}."
DATES = frozenset({"date", "datetime", "timestamp"})
NUMBERS = frozenset({"number", "currency", "percentage", "rating"})
SETS = frozenset({"multi_select", "team_members"})
LONGEST_LIST = 10  # names shown in a message
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where fields are defined: a kind and, for opportunities, a pipeline."""

    kind: str
    pipeline: str = ""


class Way(NamedTuple):
    """How custom fields are written, which the documentation leaves open.

    Under which of the two names, options by value or by label, and in a PATCH of opportunities beside the other fields
    or nested in `custom_attributes`, as in a create.
    """

    by_slug: bool = False
    by_label: bool = False
    nested: bool = False


class CustomField(NamedTuple):
    """One definition. `slug` is its name in reads, `property_name` the stable one; `options` leads values to labels."""

    slug: str
    property_name: str
    name: str = ""
    type: str = ""
    options: Mapping[str, str] = NOTHING

    def say(self, value: Any) -> Any:
        """Return a value, declared or live, in the one form in which both sides compare."""
        if isinstance(value, Mapping) and "label" in value:  # an option in full
            value = value["label"]
        if self.type in SETS and value is not None:
            items = value if isinstance(value, list | tuple) else [value]
            try:
                return sorted({self.label(item) for item in items}, key=str)
            except TypeError:  # a list or an object, which is no option
                return [self.label(item) for item in items]
        if self.type in DATES and (point := instant(value)) is not None:
            return _write_date(point) if EARLIEST <= point < LATEST else value
        if self.type in NUMBERS and isinstance(value, str):
            return _read_number(value)
        return self.label(value)

    def label(self, value: Any) -> Any:
        """Return the label of an option, given as its value or its label; anything else as it is."""
        if isinstance(value, Mapping) and "label" in value:
            return value["label"]
        return self.options.get(value, value) if isinstance(value, str) else value

    def encode(self, value: Any, *, by_label: bool) -> Any:
        """Return a value as it is written: options by what stands for them."""
        if not self.options or by_label:
            return value
        values = {label: option for option, label in self.options.items()}
        if isinstance(value, list | tuple):
            return [values.get(item, item) for item in value]
        return values.get(value, value)

    def strangers(self, value: Any) -> list[str]:
        """Return what of a declared value is no option, where there are options."""
        items = value if isinstance(value, list | tuple) else [value]
        known = {*self.options, *self.options.values()} if self.options else None
        return [] if known is None else [str(item) for item in items if item is not None and str(item) not in known]


def declared(fields: Iterable[str]) -> list[str]:
    """Return the declared fields that are custom ones."""
    return [path for path in fields if path.startswith(PREFIX)]


def misfit(custom: CustomField, value: Any) -> str:
    """Say what is wrong with a declared value; nothing if it is fine."""
    if not custom.strangers(value):
        return ""
    return f"{{value}} is no option of {custom.slug}: there is {join(custom.options.values())}"


def suggest_type(values: Iterable[Any]) -> str:
    """Return the type of field that declared values suggest."""
    seen = [value for value in values if value is not None]
    for name, fits in TYPES:
        if seen and all(map(fits, seen)):
            return name
    return "string"


TYPES: Sequence[tuple[str, Callable[[Any], bool]]] = (
    ("checkbox", lambda value: isinstance(value, bool)),
    ("number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    ("multi_select", lambda value: isinstance(value, list | tuple)),
    ("date", lambda value: isinstance(value, str) and is_date(value)),
    ("datetime", lambda value: isinstance(value, str) and (is_date_time(value) or is_date(value))),
    ("url", lambda value: isinstance(value, str) and re.match(r"https?://", value) is not None),
)
"""Types of fields, each with the values that suggest it; the first that all values agree on is taken."""


def _write_date(microseconds: int) -> str:
    moment = EPOCH + timedelta(microseconds=microseconds)
    text = moment.isoformat().replace("+00:00", "Z")
    return text.removesuffix("T00:00:00Z")


def _read_number(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if isfinite(number) else text  # "nan" and "inf", which no JSON has


def join(names: Iterable[str]) -> str:
    """Return names for a message, not too many of them."""
    shown = list(names)
    rest = len(shown) - LONGEST_LIST
    return ", ".join(shown[:LONGEST_LIST]) + (f" and {rest} more" if rest > 0 else "")
