"""What a value means: when two spellings of a time, a list or a number are the same to a CRM.

In go JSON values from either side; out comes whether they mean the same, or the instant that one of them names.
"""

import math
import re
from collections.abc import Hashable, Mapping
from datetime import date
from functools import cache, lru_cache
from typing import Any

MILLISECONDS_FROM = 10**11
"""Numbers from here on, in absolute value, count milliseconds: as seconds this would be the year 5138."""

EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_800_000_000  # microseconds: the years 1 to 9999
EPOCH_DAY = date(1970, 1, 1).toordinal()
DAY, HOUR, MINUTE = 86_400, 3_600, 60  # seconds

_ONLY_TEXT: set[type] = {str}
_NOTHING = frozenset((None, ""))
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@cache
def _date_times() -> re.Pattern[str]:
    """Compile what a date-time looks like, which not every tree has."""
    return re.compile(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]"
        r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.([0-9]{1,9}))?"
        r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
    )


def instant(value: Any) -> int | None:
    """Return the microseconds since 1970 UTC that a value names, or None when it names no instant; never raises.

    RFC 3339 date-times (an offset is required, up to nine fractional digits, cut to six), ISO dates (midnight UTC), and
    numbers: seconds, or milliseconds from 1e11 in absolute value (vendor facts: Octolane times; where the two part is
    ours). A leap second counts as the start of the next minute.
    """
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    scale = 1_000 if abs(value) >= MILLISECONDS_FROM else 1_000_000
    if not EARLIEST <= value * scale < LATEST:
        return None
    return round(value * scale)


def is_date_time(text: str) -> bool:
    """Tell whether a text is an RFC 3339 date-time with an offset; the `date-time` format of the schemas."""
    match = _date_times().fullmatch(text)
    if match is None or _count_days(match[1]) is None:
        return False
    return match[4] != "60" or _read_date_time(match) is not None


def is_date(text: str) -> bool:
    """Tell whether a text is a plain ISO date; the `date` format of the schemas."""
    return _date.fullmatch(text) is not None and _count_days(text) is not None


def _read_text(text: str) -> int | None:
    if _date.fullmatch(text):
        day = _count_days(text)
        return None if day is None else day * DAY * 1_000_000
    match = _date_times().fullmatch(text)
    return _read_date_time(match) if match else None


def _read_date_time(match: re.Match[str]) -> int | None:
    date_text, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    day = _count_days(date_text)
    if day is None:
        return None
    seconds = day * DAY + int(hour) * HOUR + int(minute) * MINUTE + int(second)
    if sign:
        offset = int(offset_hour) * HOUR + int(offset_minute) * MINUTE
        seconds += offset if sign == "-" else -offset
    if second == "60" and seconds % DAY:  # leap seconds are inserted at the end of a UTC day, nowhere else
        return None
    return seconds * 1_000_000 + int(fraction.ljust(6, "0")[:6] if fraction else 0)


@lru_cache(maxsize=16_384)  # 45 years: dates repeat, and a look-up costs a tenth of a conversion
def _count_days(text: str) -> int | None:
    """Return the days from 1970 to an ISO date, or None for one that no calendar has."""
    try:
        return date.fromisoformat(text).toordinal() - EPOCH_DAY
    except ValueError:  # 30 February, month 13, year 0
        return None


def empty(value: Any) -> bool:
    """Tell whether a value is as good as absent: null, "", and a list or mapping of nothing.

    Lists and mappings count because CRMs return an empty list for a cleared field and null alike: told apart, a second
    plan would never be empty.
    """
    return not value if value is None or value.__class__ is str else meaning(value) is None


def same(left: Any, right: Any, compare: str | None = None) -> bool:
    """Tell whether two JSON values mean the same; `compare` is "set", "instant" or None (`Rules.compare`).

    Nothing and empty are one; 1 is 1.0 but not true; mappings are equal member by member, lists item by item. In a set
    neither order nor repetition counts and a single text is a list of it; instants are equal however they are written.
    """
    if left is right or (left.__class__ is str and left == right):
        return True
    return meaning(left, compare) == meaning(right, compare)


def meaning(value: Any, compare: str | None = None) -> Hashable:
    """Return what a value means in a form that is equal and hashes equal for whatever `same` calls the same."""
    if compare == "instant" and (microseconds := instant(value)) is not None:
        return ("instant", microseconds)
    if compare == "set":
        items = value if isinstance(value, list | tuple) else (value,)
        texts = set(map(type, items)) == _ONLY_TEXT  # nearly always, and a text is its own meaning
        members = frozenset(items if texts else map(_plain_meaning, items)) - _NOTHING
        return ("set", members) if members else None
    return _plain_meaning(value)


def _plain_meaning(value: Any) -> Hashable:
    if isinstance(value, bool):  # before the numbers: Python takes True for 1
        return ("boolean", value)
    if isinstance(value, list | tuple):
        return ("list", *map(_plain_meaning, value)) if value else None
    if isinstance(value, Mapping):
        entries = frozenset(
            (name, found) for name, item in value.items() if (found := _plain_meaning(item)) is not None
        )
        return ("mapping", entries) if entries else None
    scalar: Hashable = None if value == "" else value
    return scalar
