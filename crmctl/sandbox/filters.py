"""Turn one filter of a search into SQL: every documented operator and alias, over columns of every type.

In: what a field is (`Operand`), the operator, the value as it came. Out: a condition and its parameters; `RequestError`
when the operator or the value does not suit the type. Several filters are joined by AND (docs/octolane.md).
"""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from crmctl.sandbox.problems import RequestError

ALIASES = {
    "is": "eq",
    "is_not": "neq",
    "contain": "contains",
    "not_contain": "not_contains",
    "is_any_of": "in",
    "greater_than": "gt",
    "after": "gt",
    "less_than": "lt",
    "before": "lt",
    "include_all": "contains_all",
    "exclude_all": "contains_none",
}
OPERATORS = (
    *("eq", "neq", "contains", "not_contains", "starts_with", "ends_with", "in", "not_in", "gt", "gte", "lt", "lte"),
    *("between", "empty", "not_empty", "contains_all", "contains_none"),
)
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LONGEST_PATTERN = 5000
"""SQLite refuses patterns of 50,000 bytes, and a character may take eight once it is escaped."""
_ANY_TYPE = ("eq", "neq", "in", "not_in", "empty", "not_empty")
_SUITABLE = {
    "text": (*_ANY_TYPE, "contains", "not_contains", "starts_with", "ends_with"),
    "ordered_text": (*_ANY_TYPE, "contains", "not_contains", "starts_with", "ends_with", *_COMPARISONS, "between"),
    "number": (*_ANY_TYPE, *_COMPARISONS, "between"),
    "time": (*_ANY_TYPE, *_COMPARISONS, "between"),
    "boolean": _ANY_TYPE,
    "list": ("in", "not_in", "empty", "not_empty", "contains", "not_contains", "contains_all", "contains_none"),
}


class Operand(NamedTuple):
    """What a filter looks at: an SQL expression from the code (never from a request) with its own parameters.

    `fold` compares without case. `read_time` turns a filter's value into what time columns hold.
    """

    field: str
    expression: str
    type: str
    read_time: Callable[[Any], str]
    parameters: tuple[Any, ...] = ()
    fold: bool = False


class Condition(NamedTuple):
    """A piece of SQL for WHERE, and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


def build_condition(operand: Operand, operator: str, value: Any, *, in_limit: int | None) -> Condition:
    """Build the condition of one filter."""
    canonical = ALIASES.get(operator, operator)
    if canonical not in _SUITABLE[operand.type]:
        raise RequestError(400, f"{operand.field}: {operator} does not suit a {operand.type} field")
    if canonical in ("empty", "not_empty"):
        return _emptiness(operand, canonical, value)
    if canonical == "between":
        low, high = _read_pair(operand, value)
        return _condition(operand, f"{operand.expression} BETWEEN ? AND ?", low, high)
    if canonical in ("in", "not_in", "contains_all", "contains_none"):
        values = _read_list(operand, operator, value)
        if canonical.startswith("contains"):
            return _containment(operand, canonical, values)
        if in_limit is not None and len(values) > in_limit:
            raise RequestError(400, f"{operand.field}: {operator} takes at most {in_limit} values")
        return _membership(operand, canonical, values)
    return _comparison(operand, canonical, _read_scalar(operand, value))


def like_pattern(text: str) -> str:
    r"""Escape a text for LIKE ... ESCAPE '\'."""
    if len(text) > _LONGEST_PATTERN:
        raise RequestError(400, f"a text to search has at most {_LONGEST_PATTERN} characters")
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _comparison(operand: Operand, canonical: str, scalar: Any) -> Condition:
    if canonical in _COMPARISONS:
        return _condition(operand, f"{operand.expression} {_COMPARISONS[canonical]} ?", scalar)
    if canonical in ("eq", "neq"):
        # A record without a value is not equal to anything, so `neq` finds it.
        left, right = _folded(operand)
        return _condition(operand, f"{left} {'=' if canonical == 'eq' else 'IS NOT'} {right}", scalar)
    if operand.type == "list":
        return _containment(operand, {"contains": "contains_all", "not_contains": "contains_none"}[canonical], [scalar])
    return _pattern(operand, canonical, str(scalar))


def _emptiness(operand: Operand, canonical: str, value: Any) -> Condition:
    if value is not None:
        raise RequestError(400, f"{operand.field}: {canonical} takes no value")
    blank = "'[]'" if operand.type == "list" else "''"
    return _condition(operand, f"ifnull({operand.expression}, {blank}) {'=' if canonical == 'empty' else '<>'} {blank}")


def _membership(operand: Operand, canonical: str, values: Sequence[Any]) -> Condition:
    asked = json.dumps(values)
    if operand.type == "list":
        held = f"json_each({operand.expression})"
        found = f"EXISTS(SELECT 1 FROM {held} WHERE value IN (SELECT value FROM json_each(?)))"  # noqa: S608  ours
        return _condition(operand, found if canonical == "in" else f"NOT {found}", asked)
    left, right = _folded(operand, "value")
    found = f"{left} IN (SELECT {right} FROM json_each(?))"  # noqa: S608  as above
    if canonical == "in":
        return _condition(operand, found, asked)
    return Condition(
        f"({operand.expression} IS NULL OR NOT {found})", (*operand.parameters, *operand.parameters, asked)
    )


def _containment(operand: Operand, canonical: str, values: Sequence[Any]) -> Condition:
    test = "NOT IN" if canonical == "contains_all" else "IN"
    held = f"(SELECT value FROM json_each({operand.expression}))"  # noqa: S608  as above
    # Parameters in order of appearance: the asked values first, then those of the expression.
    sql = f"NOT EXISTS(SELECT 1 FROM json_each(?) WHERE value {test} {held})"  # noqa: S608  as above
    return Condition(sql, (json.dumps(values), *operand.parameters))


def _pattern(operand: Operand, canonical: str, text: str) -> Condition:
    before = "" if canonical == "starts_with" else "%"
    after = "" if canonical == "ends_with" else "%"
    pattern = f"{before}{like_pattern(text)}{after}"
    if canonical == "not_contains":
        return _condition(operand, f"ifnull({operand.expression}, '') NOT LIKE ? ESCAPE '\\'", pattern)
    return _condition(operand, f"{operand.expression} LIKE ? ESCAPE '\\'", pattern)


def _condition(operand: Operand, sql: str, *values: Any) -> Condition:
    return Condition(sql, (*operand.parameters, *values))


def _folded(operand: Operand, right: str = "?") -> tuple[str, str]:
    return (f"lower({operand.expression})", f"lower({right})") if operand.fold else (operand.expression, right)


def _read_list(operand: Operand, operator: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(400, f"{operand.field}: {operator} takes an array")
    return [_read_scalar(operand, item) for item in value]


def _read_pair(operand: Operand, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  a pair is two
        raise RequestError(400, f"{operand.field}: between takes [min, max]")
    return _read_scalar(operand, value[0]), _read_scalar(operand, value[1])


def _read_scalar(operand: Operand, value: Any) -> Any:
    if operand.type == "time":
        if not isinstance(value, bool) and isinstance(value, str | int | float):
            return operand.read_time(value)
    elif operand.type == "number":
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value) if abs(value) >= 1 << 63 else value
    elif operand.type == "boolean":
        if isinstance(value, bool):
            return int(value)
    elif isinstance(value, str):
        return value
    raise RequestError(400, f"{operand.field}: {json.dumps(value)[:80]} is no value for a {operand.type} field")
