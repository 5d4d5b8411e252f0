"""Read a file of faults: YAML or JSON, a list of `{fault, routes, nth | probability, times, seconds}`.

Out: the faults, or a `FaultFileError` that names the entry and what it may hold.
"""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from crmctl.sandbox.chaos import FAULTS, LASTING, TIMED, Fault

LONGEST = 64 * 1024
"""Bytes of a file of faults; and no aliases in it, so that it can't grow."""
MEMBERS = ("fault", "routes", "nth", "probability", "times", "seconds")
_DAY = 86400


class FaultFileError(ValueError):
    """The file can't be read, or is no list of faults."""


def read_faults(path: Path) -> list[Fault]:
    """Read and check a file of faults."""
    try:
        with path.open("rb") as stream:
            text = stream.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        raise FaultFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > LONGEST:
        raise FaultFileError(f"{path}: more than {LONGEST} bytes")
    return parse_faults(text, str(path))


def parse_faults(text: bytes, name: str) -> list[Fault]:
    """Return the faults that a file's text lists; `name` is for messages."""
    try:
        entries = _load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f":{place.line + 1}" if place is not None else ""
        raise FaultFileError(f"{name}{line}: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(entries, list):
        raise FaultFileError(f"{name}: not a list; write entries such as `- {{fault: 500_after, nth: [3]}}`")
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(_read(entry))
        except ValueError as error:
            raise FaultFileError(f"{name}: entry {number}: {error}") from error
    return found


def _load(text: bytes) -> Any:
    """Return what the text holds, without aliases."""
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("no aliases in here")  # noqa: TRY004 - it is the file that is wrong
    return yaml.safe_load(text)


def _read(entry: Any) -> Fault:
    if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
        raise ValueError(f"not an object; it has: {', '.join(MEMBERS)}")
    for name in entry:
        if name not in MEMBERS:
            raise ValueError(f"there is no {name!r}{_meant(name, MEMBERS)}; there are: {', '.join(MEMBERS)}")
    fault = str(entry.get("fault"))
    known = (*FAULTS, *LASTING)
    if fault not in known:
        raise ValueError(f"there is no fault {fault!r}{_meant(fault, known)}; there are: {', '.join(known)}")
    if fault in LASTING and entry.keys() - {"fault", "seconds"}:
        raise ValueError(f"{fault} is of the whole CRM, and takes nothing but seconds")
    if "seconds" in entry and fault not in TIMED:
        raise ValueError(f"{fault} takes no seconds; these do: {', '.join(sorted(TIMED))}")
    if "nth" in entry and "probability" in entry:
        raise ValueError("either nth or probability, not both")
    routes = entry.get("routes", "*")
    if not isinstance(routes, str) or not routes:
        raise ValueError("routes: a pattern for METHOD /path, such as 'POST /v1/*/bulk'")
    return Fault(
        fault,
        routes,
        nth=_read_nth(entry),
        probability=_read_number(entry, "probability", 0, 1),
        times=_read_whole(entry["times"], "times") if "times" in entry else None,
        seconds=_read_number(entry, "seconds", -_DAY if fault == "clock_skew" else 0, _DAY),
    )


def _read_nth(entry: Mapping[str, Any]) -> frozenset[int]:
    if "nth" not in entry:
        return frozenset()
    given = entry["nth"]
    numbers = given if isinstance(given, list) else [given]
    if not numbers:
        raise ValueError("nth: no request is named; leave it out for every one")
    return frozenset(_read_whole(number, "nth") for number in numbers)


def _read_whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {value!r} is no whole number from 1")
    return value


def _read_number(entry: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    if name not in entry:
        return None
    value = entry[name]
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not least <= value <= most:
        raise ValueError(f"{name}: {value!r} is no number from {least} to {most}")
    return float(value)


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
