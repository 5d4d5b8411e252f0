"""Answer list and search of Octolane's accounts, contacts and opportunities (docs/octolane.md).

In: a `Query`, read from a query string or a body that the contract has passed. Out: the JSON of a page, records built
inside SQLite, found by keyset (never OFFSET), with a cursor for the next one.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crmctl.sandbox import cursors, filters
from crmctl.sandbox.octolane_definitions import Definition, describe_definitions, read_definitions
from crmctl.sandbox.octolane_stages import find_stage, read_stages
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_tables import (
    DOCUMENTED_MEMBERS,
    KEY_FIELD,
    LOOKED_UP,
    READABLE,
    SEARCHED_BY_TEXT,
    SORTABLE,
    TABLES,
    BadValueError,
    project,
    read_milliseconds,
    read_time,
)
from crmctl.sandbox.problems import RequestError
from crmctl.sandbox.store import Store

DEFAULT_LIMIT = 100
DEFAULT_SORT = (("updated_at", "desc"),)
_UNIQUE = ("id", "created_at", "updated_at")
_NEVER_NULL = (*_UNIQUE, *KEY_FIELD.values())
_REFERENCES = ("account_id", "contact_id")


class Query(NamedTuple):
    """What a page is asked for; `fields` None means all, `route` keeps cursors of list and search apart.

    Opportunities are read of one pipeline, and on demand of one stage of it.
    """

    kind: str
    route: str
    text: str | None = None
    filters: tuple[Mapping[str, Any], ...] = ()
    sort: Any = None
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    fields: tuple[str, ...] | None = None
    pipeline_id: str | None = None
    stage_id: str | None = None


def read_page(store: Store, secret: bytes, query: Query, switches: OctolaneSwitches) -> str:
    """Read one page and write the `data` of its answer as JSON."""
    with store.reading() as connection:
        definitions = read_definitions(connection, query.kind)
        slugs = {definition.slug: definition for definition in definitions if not definition.is_system}
        sort = read_sort(query.kind, query.sort, switches)
        bound = [query.route, query.text, list(query.filters), sort, query.limit, query.pipeline_id, query.stage_id]
        conditions = [_build_filter(query.kind, item, slugs, switches) for item in query.filters]
        found = [condition for condition, _ in filter(None, conditions)]
        found += _scope(connection, query, switches)
        if query.text and (query.kind != "opportunities" or switches.opportunity_text == "name"):
            found.append(_search_text(query.kind, query.text))
        terms = [*sort, *([] if sort[-1][0] in _UNIQUE else [("id", sort[-1][1])])]
        if query.cursor is not None:
            try:
                start = cursors.read_cursor(
                    secret, bound, query.cursor, now=store.clock(), lifetime=switches.cursor_lifetime
                )
                found.append(_start_after(terms, start))
            except cursors.CursorError as error:
                if switches.invalid_cursor == "400":
                    raise RequestError(400, f"cursor: {error}") from error
        by_key = any(keyed for _, keyed in filter(None, conditions))
        record = _project(query, slugs, switches)
        statement = _select(store.searched(TABLES[query.kind]), record, found, terms, by_key=by_key)
        parameters = [value for condition in found for value in condition.parameters]
        rows = connection.execute(statement, (*parameters, query.limit + 1)).fetchall()
        more = len(rows) > query.limit
        rows = rows[: query.limit]
        cursor = cursors.write_cursor(secret, bound, rows[-1][1:], store.clock()) if more else None
    # Every value below is an identifier of ours, a number or JSON already.
    return (
        f'{{"{query.kind}":[{",".join([row[0] for row in rows])}],'
        f'"custom_field_definitions":{describe_definitions(definitions)},'
        f'"has_more":{json.dumps(more)},"next_cursor":{json.dumps(cursor)},"limit":{query.limit}}}'
    )


def read_records(
    connection: sqlite3.Connection, kind: str, ids: Sequence[str], switches: OctolaneSwitches
) -> dict[str, str]:
    """Read whole records as JSON, by id, as they are now: what answers to writes show."""
    record = _project(Query(kind, ""), {}, switches)
    rows = connection.execute(
        f"SELECT id, {record} FROM {TABLES[kind].name} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608  names come from the fixed tables
        (json.dumps(ids),),
    )
    return dict(rows.fetchall())


def read_sort(kind: str, given: Any, switches: OctolaneSwitches) -> list[tuple[str, str]]:
    """Read every form of `sort` into (field, direction) pairs; a field alone is ascending."""
    items = given if isinstance(given, list) else [] if given is None else [given]
    terms: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, str):
            field, _, direction = item.partition(":")
        elif isinstance(item, dict) and isinstance(item.get("field"), str):
            field, direction = item["field"], item.get("direction", "asc")
        else:
            raise RequestError(400, "sort: expected a field, field:asc, field:desc or {field, direction}")
        if direction not in ("", "asc", "desc"):
            raise RequestError(400, "sort: the direction is asc or desc")
        if field in SORTABLE[kind]:
            # A field that was sorted by before decides nothing.
            terms += [(field, direction or "asc")] * (field not in dict(terms))
        elif switches.unknown_name == "reject":
            raise RequestError(400, f"sort: {field} is not sortable; sortable: {', '.join(SORTABLE[kind])}")
    return terms or list(DEFAULT_SORT)


def _build_filter(
    kind: str, item: Mapping[str, Any], slugs: Mapping[str, Definition], switches: OctolaneSwitches
) -> tuple[filters.Condition, bool] | None:
    """Return the condition, and whether it looks a few records up by key or id; None for a name to be ignored."""
    field, operator, is_key = item["field"], item["operator"], item["field"] == LOOKED_UP[kind]
    is_reference = field in _REFERENCES and field in READABLE[kind]
    if (is_key and switches.key_filter == "no") or (is_reference and switches.reference_filter == "no"):
        raise RequestError(400, f"filters: {field} cannot be filtered")
    if READABLE[kind].get(field) == "milliseconds":
        operand = filters.Operand(field, field, "time", read_milliseconds)
    elif field in READABLE[kind] and field != "custom_fields":
        fold = is_key and switches.in_case == "insensitive"
        operand = filters.Operand(field, field, READABLE[kind][field], read_time, fold=fold)
    elif field in slugs:
        operand = _custom_operand(field, slugs[field].type)
    elif switches.unknown_name == "ignore":
        return None
    else:
        raise RequestError(400, f"filters: there is no field {field}")
    try:
        condition = filters.build_condition(operand, operator, item.get("value"), in_limit=switches.in_limit)
    except BadValueError as error:
        raise RequestError(400, f"{field}: {error}") from error
    seekable = field in ("id", *TABLES[kind].indexed)
    return condition, seekable and filters.ALIASES.get(operator, operator) in ("eq", "in")


def _custom_operand(slug: str, type_: str) -> filters.Operand:
    expression, path = "json_extract(custom, ?)", f'$."{slug}"'
    if type_ != "list":
        return filters.Operand(slug, expression, type_, read_time, (path,))
    # A stored value may be no array (switch mistyped_custom), and json_each would choke on it.
    guarded = f"CASE json_type(custom, ?) WHEN 'array' THEN {expression} END"
    return filters.Operand(slug, guarded, type_, read_time, (path, path))


def _scope(connection: sqlite3.Connection, query: Query, switches: OctolaneSwitches) -> list[filters.Condition]:
    """Keep to a pipeline, which has to exist, and to a stage of it."""
    if query.pipeline_id is None:
        return []
    stages = read_stages(connection, query.pipeline_id)
    found = [filters.Condition("pipeline_id = ?", (query.pipeline_id.lower(),))]
    stage = find_stage(stages, query.stage_id, None, switches)
    return [*found, filters.Condition("stage_id = ?", (stage.stage_id,))] if stage else found


def _search_text(kind: str, text: str) -> filters.Condition:
    pattern = f"%{filters.like_pattern(text)}%"
    names = SEARCHED_BY_TEXT[kind]
    return filters.Condition(
        "(" + " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in names) + ")", (pattern,) * len(names)
    )


def _start_after(terms: Sequence[tuple[str, str]], start: Sequence[Any]) -> filters.Condition:
    """Compare whole tuples, where the directions agree by one row value, which SQLite can seek in an index."""
    expressions = [_sort_expression(field) for field, _ in terms]
    signs = ["<" if direction == "desc" else ">" for _, direction in terms]
    if len(set(signs)) == 1:
        slots = ", ".join("?" * len(terms))
        return filters.Condition(f"({', '.join(expressions)}) {signs[0]} ({slots})", tuple(start))
    cases: list[str] = []
    parameters: list[Any] = []
    for position, expression in enumerate(expressions):
        equal = "".join(f"{earlier} = ? AND " for earlier in expressions[:position])
        cases.append(f"({equal}{expression} {signs[position]} ?)")
        parameters += start[: position + 1]
    return filters.Condition(f"({' OR '.join(cases)})", tuple(parameters))


def _sort_expression(field: str) -> str:
    return field if field in _NEVER_NULL else f"ifnull({field}, '')"


def _select(
    table: str, record: str, found: Sequence[filters.Condition], terms: Sequence[tuple[str, str]], *, by_key: bool
) -> str:
    expressions = [_sort_expression(field) for field, _ in terms]
    where = f" WHERE {' AND '.join(condition.sql for condition in found)}" if found else ""
    # The plus keeps SQLite from walking the whole index of the sort field when the key finds a few records at once.
    order = ", ".join(
        f"{'+' if by_key else ''}{expression} {direction}"
        for expression, (_, direction) in zip(expressions, terms, strict=True)
    )
    return f"SELECT {record}, {', '.join(expressions)} FROM {table}{where} ORDER BY {order} LIMIT ?"  # noqa: S608  names come from the fixed tables, values are parameters


def _project(query: Query, slugs: Mapping[str, Definition], switches: OctolaneSwitches) -> str:
    """Choose the members of a record; a custom field asked for by its slug brings `custom_fields`."""
    readable = READABLE[query.kind]
    names = list(readable if query.fields is None else [])
    documented = DOCUMENTED_MEMBERS[query.kind]
    extra = switches.opportunity_fields if query.kind == "opportunities" else "all"
    if query.fields is None and extra == "asked":
        names = list(documented)
    for field in query.fields or ():
        if field in readable:
            names.append(field)
        elif field in slugs:
            names.append("custom_fields")
        elif switches.unknown_name == "reject":
            raise RequestError(400, f"fields: there is no field {field}")
    if "documented" in (switches.read_fields, extra):
        names = [name for name in names if name in documented]
    shown = switches.opportunity_dates if query.kind == "opportunities" else switches.read_timestamps
    milliseconds = shown == "milliseconds"
    return project(query.kind, names, blanks=switches.read_fields != "set", milliseconds=milliseconds)
