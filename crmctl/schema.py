"""Stage 2: parsed documents against the JSON Schemas; the home of jsonschema and jsonschema_rs.

Pure. In: a schema's name and a document. Out: diagnostics, each at the offending key or value. The compiled gate sees
whole documents; only at what it refuses does jsonschema look, which has the last word and takes a thousand times as
long. Both are given the same format functions, so their verdicts cannot differ. Other stages learn here what the
schemas say about fields.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from crmctl.errors import MOST_EXPLAINED, Diagnostic, Findings
from crmctl.identity import is_email, normalise
from crmctl.kinds import FORMER_KEY, KINDS, OWN_KEY, SECTIONS, Kind
from crmctl.narrowing import Narrowing, widen
from crmctl.parser import Shape
from crmctl.resource import Address, Fields, Items, Source, compose
from crmctl.values import is_date, is_date_time

NAMES = ("account", "config", "contact", "manifest", "note", "opportunity", "plan")
BASE = "https://crmctl.example/schemas/"  # where the schemas say they live; nothing is ever fetched from there
SUFFIX = ".schema.json"
FORMATS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {"email": is_email, "date-time": is_date_time, "date": is_date}
)
SHAPING = frozenset(("additionalProperties", "const", "enum", "items", "properties", "type"))
"""The words of a schema that shape what it describes, beside those that lead to other schemas."""
SCALARS = frozenset(("null", "boolean", "integer", "number", "string"))
MOST_PER_RECORD = 4
"""How many errors are looked for in each record that is explained, on average: one record may have a million."""

type_names = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}
kinds_by_plural = {kind.plural: kind for kind in KINDS.values()}


class Rules(NamedTuple):
    """What the schemas say about fields, per kind.

    `personal` holds personal data (`x-personal`), `compare` says what equality means where it isn't plain ("set",
    "instant"), `fields` are those a record is written with, the key included unless it is ours alone; references and
    children are no fields. Fields of a section have its name before theirs: `thena.status`. Of `custom_fields` no
    schema knows the names: `personal` has the section's own name where all of them are.
    """

    personal: Mapping[str, frozenset[str]]
    compare: Mapping[str, Mapping[str, str]]
    fields: Mapping[str, tuple[str, ...]]


def schema_text(name: str) -> str:
    """Return a schema as its file has it: from the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    folder = package / "schemas"
    if not folder.is_dir():
        folder = package.parent / "schemas"
    return (folder / f"{name}{SUFFIX}").read_text(encoding="utf-8")


@cache
def read_schema(name: str) -> dict[str, Any]:
    """Return a schema as JSON values; read once, so nobody may change it."""
    schema: dict[str, Any] = json.loads(schema_text(name))
    return schema


@cache
def rules() -> Rules:
    """Return what the schemas of all kinds say about their fields."""
    personal: dict[str, frozenset[str]] = {}
    compare: dict[str, Mapping[str, str]] = {}
    fields: dict[str, tuple[str, ...]] = {}
    for kind in KINDS.values():
        apart = {FORMER_KEY, *SECTIONS, *kind.refs, *(KINDS[child].plural for child in kind.children)}
        if kind.composed:
            apart.add(OWN_KEY)
        annotated = dict(_annotated(read_schema(kind.name)))
        personal[kind.name] = frozenset(name for name, member in annotated.items() if member.get("x-personal"))
        compare[kind.name] = {name: member["x-compare"] for name, member in annotated.items() if "x-compare" in member}
        fields[kind.name] = tuple(name for name in annotated if name not in apart)
    return Rules(personal, compare, fields)


def _annotated(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the members of a record with their schemas, those of a section under its name and theirs."""
    for name, member in schema["properties"].items():
        whole = _flatten(member, schema)
        if name in SECTIONS and "properties" in whole:
            for inner, part in whole["properties"].items():
                yield f"{name}.{inner}", _flatten(part, schema)
        else:
            yield name, whole


def _flatten(member: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a field's schema together with what it refers to."""
    return {**_follow(member["$ref"], root)[0], **member} if "$ref" in member else member


def _follow(reference: str, root: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return what a `$ref` leads to, and the schema file it is in."""
    file, _, pointer = reference.partition("#")
    if file:
        root = read_schema(file.removeprefix(BASE).removesuffix(SUFFIX))
    found: Any = root
    for part in pointer.split("/")[1:]:
        found = found[part]
    return found, root


@cache
def shape(name: str = "manifest") -> Shape:
    """Return what a parser needs to resolve plain scalars in a document of a schema; not for recursive schemas."""
    schema = read_schema(name)
    return _shape(schema, schema, {})


def _shape(schema: Any, root: Mapping[str, Any], seen: dict[int, Shape]) -> Shape:
    """Return the shape of a schema; `seen` has those of what was referred to before, which is most of it."""
    if not isinstance(schema, dict):
        return Shape()
    shapes = []
    if not schema.keys().isdisjoint(SHAPING):
        rest, items = schema.get("additionalProperties"), schema.get("items")
        own = Shape(
            _types(schema),
            {name: _shape(member, root, seen) for name, member in schema.get("properties", {}).items()},
            None if items is None else _shape(items, root, seen),
            _shape(rest, root, seen) if isinstance(rest, dict) else None,
        )
        shapes.append(own)
    if "$ref" in schema:
        there, its_root = _follow(schema["$ref"], root)
        if id(there) not in seen:
            seen[id(there)] = _shape(there, its_root, seen)
        shapes.append(seen[id(there)])
    shapes += [_shape(part, root, seen) for part in schema.get("allOf", ())]
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            shapes.append(reduce(_either, (_shape(part, root, seen) for part in schema[keyword])))
    return reduce(_both, shapes) if shapes else Shape()


def _types(schema: Mapping[str, Any]) -> frozenset[str] | None:
    """Return which scalars a schema allows, by its own words: whole numbers are numbers."""
    if "type" in schema:
        declared = schema["type"]
        types = {declared} if isinstance(declared, str) else {*declared}
    elif "const" in schema or "enum" in schema:
        types = {type_names[type(value)] for value in schema.get("enum", [schema.get("const")])}
    else:
        return None
    return SCALARS & (types | {"integer"} if "number" in types else types)


def _either(left: Shape, right: Shape) -> Shape:
    types = None if left.types is None or right.types is None else left.types | right.types
    return Shape(types, {**left.members, **right.members}, left.items or right.items, left.rest or right.rest)


def _both(left: Shape, right: Shape) -> Shape:
    types = left.types if right.types is None else right.types if left.types is None else left.types & right.types
    return Shape(types, {**right.members, **left.members}, left.items or right.items, left.rest or right.rest)


def passes(name: str, value: Any) -> bool:
    """Tell whether nothing is wrong with a document; this is quick."""
    return _verdict(name, "")(value)


def check(name: str, value: Any, place: Source | None = None, most: int = MOST_EXPLAINED) -> Findings:
    """Return what is wrong with a document, by position, the first `most` findings; none means it is valid.

    `value` are JSON values. `Fields` and `Items` say where their parts stand; parts of plain dicts and lists are
    reported at `place`. Errors inside a record carry its address, whose key is normalised where it can be, as written
    where it can't, and empty where it is missing.
    """
    if passes(name, value):
        return Findings()
    from crmctl.wording import complain  # noqa: PLC0415 - only wrong documents need words

    narrowing = Narrowing(most, _resolve, _verdict)
    part = narrowing.narrow(value, name)
    errors = _judge(name).iter_errors(part)
    found: dict[tuple[Any, ...], Diagnostic] = {}
    # One word per place, the plainest first: what is no text is also no e-mail address.
    first = sorted(islice(errors, most * MOST_PER_RECORD), key=lambda error: error.validator not in ("type", "not"))
    more = narrowing.more + (next(errors, None) is not None)
    for error in first:
        path = widen(part, error.absolute_path)
        of_name = "propertyNames" in error.absolute_schema_path
        complaints = complain(error.validator, error.validator_value, error.schema, error.instance)
        for complaint in islice(complaints, most + 1):
            member = error.instance if of_name else complaint.member
            source = _locate(value, path, member, forbidden=error.validator == "not") or place
            address, field = _place(name, value, path)
            diagnostic = Diagnostic(source, complaint.message, address, field, complaint.value)
            found.setdefault((*path, member, complaint.missing), diagnostic)
    told = sorted({_identity(finding): finding for finding in found.values()}.values(), key=_position)
    return Findings(told[:most], more + max(0, len(told) - most))


def _identity(finding: Diagnostic) -> tuple[Any, ...]:
    """Return what two findings have in common that are one; a value may be a list, which has no hash."""
    value = id(finding.value) if isinstance(finding.value, dict | list) else finding.value
    return finding.source, finding.message, finding.address, finding.field, value


def _position(diagnostic: Diagnostic) -> tuple[int, int]:
    return (diagnostic.source.line, diagnostic.source.column) if diagnostic.source else (0, 0)


def _locate(root: Any, path: Sequence[Any], member: str | None, *, forbidden: bool) -> Source | None:
    """Return where the value at a path stands; the key instead of the value for a member that should not be there."""
    if forbidden:
        path, member = path[:-1], path[-1]
    source = root.source() if isinstance(root, Fields | Items) else None
    node = root
    for step in path:
        source = node.source_of(step) if isinstance(node, Fields | Items) else None
        node = node[step]
    return node.source_of(member, value=False) if member is not None and isinstance(node, Fields) else source


def _place(name: str, root: Any, path: Sequence[Any]) -> tuple[Address | None, str]:
    """Return the address of the record that a path leads into, and the rest of the path."""
    kind, record, begin = KINDS.get(name), root, 0
    owner = ""
    node = root
    for depth, step in enumerate(path):
        node = node[step]
        nested = _nested(name, kind, path[begin]) if depth == begin + 1 and isinstance(step, int) else None
        if nested is not None:
            owner = "" if kind is None else _key(kind, record, owner)
            kind, record, begin = nested, node, depth + 1
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path[begin:]).removeprefix(".")
    return None if kind is None else Address(kind.name, _key(kind, record, owner)), field


def _nested(name: str, kind: Kind | None, member: Any) -> Kind | None:
    """Return the kind of the records in the list that a member of a record, or of a manifest, holds; else None."""
    found = kinds_by_plural.get(member)
    if kind is None:
        return found if name == "manifest" else None
    return found if found is not None and found.name in kind.children else None


def _key(kind: Kind, record: Any, owner: str) -> str:
    """Return a record's key as far as it is known; `owner` is the key of the record that it is nested in, if it is."""
    members = record if isinstance(record, dict) else {}
    names = (kind.key_field, *kind.refs, "pipeline", "pipeline_id", OWN_KEY)
    texts = {name: members[name] for name in names if isinstance(members.get(name), str)}
    own = texts.get(kind.key_field, "")
    if not kind.composed:
        return normalise(kind.name, own) or own
    owners = [owner] if owner else [normalise(to, texts.get(name, "")) or "" for name, to in kind.refs.items()]
    pipeline = texts.get("pipeline") or texts.get("pipeline_id") or ""
    # Half a character, which JSON can escape, can't be encoded.
    parts = [part.strip().encode(errors="replace").decode() for part in (*owners, pipeline, texts.get(OWN_KEY) or own)]
    return compose(*filter(None, parts))


@cache
def _verdict(name: str, pointer: str) -> Callable[[Any], bool]:
    """Return what tells whether values are right by a schema, or by the part of it that a pointer leads to."""
    schema, name, pointer = _resolve(name, pointer)
    if schema is None:
        return lambda _: True
    gate = _gate(name, pointer)

    def holds(value: Any) -> bool:
        try:
            return gate(value)
        except ValueError:  # a lone surrogate, which JSON can escape but UTF-8 not hold: jsonschema decides
            return bool(_judge(name).evolve(schema=_part(name, pointer)).is_valid(value))

    return holds


@cache
def _resolve(name: str, pointer: str) -> tuple[Any, str, str]:
    """Return the schema that a pointer leads to, all references followed, and by which name and pointer it is known."""
    root: Mapping[str, Any] = read_schema(name)
    found: Any = root
    for step in pointer.split("/")[1:]:
        found = found.get(step)
    while found is not None and "$ref" in found:
        pointer = found["$ref"].partition("#")[2]
        found, root = _follow(found["$ref"], root)
    return found, root["$id"].removeprefix(BASE).removesuffix(SUFFIX), pointer


def _retrieve(url: str) -> dict[str, Any]:
    return read_schema(url.removeprefix(BASE).removesuffix(SUFFIX))


def _part(name: str, pointer: str) -> dict[str, Any]:
    """Return a schema, or what refers to a part of it."""
    return {"$ref": f"{BASE}{name}{SUFFIX}#{pointer}"} if pointer else read_schema(name)


@cache
def _gate(name: str, pointer: str) -> Callable[[Any], bool]:
    """Compile the fast validator: a verdict, no words."""
    from jsonschema_rs import Draft202012Validator  # noqa: PLC0415 - 29 ms

    formats = {**FORMATS}
    schema = _part(name, pointer)
    return Draft202012Validator(schema, validate_formats=True, formats=formats, retriever=_retrieve).is_valid


@cache
def _judge(name: str) -> Any:
    """Build the thorough validator, with NaN and infinity, which JSON lacks, taken out of its numbers."""
    from jsonschema import Draft202012Validator, FormatChecker, validators  # noqa: PLC0415 - 90 ms, only for errors
    from referencing import Registry  # noqa: PLC0415 - likewise
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415 - likewise

    def retrieve(url: str) -> Any:
        # A schema that names its dialect would be judged by that dialect's own validator, with its own types.
        return DRAFT202012.create_resource({key: part for key, part in _retrieve(url).items() if key != "$schema"})

    extend: Any = validators.extend
    new_registry: Any = Registry
    formats = FormatChecker(())
    for format_name, holds in FORMATS.items():
        formats.checks(format_name)(_only_text(holds))
    types = Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number)
    validator = extend(Draft202012Validator, type_checker=types)
    # What the registry had to fetch by itself it would read anew for every record.
    known = [(f"{BASE}{other}{SUFFIX}", retrieve(f"{BASE}{other}{SUFFIX}")) for other in (*KINDS, name)]
    registry = new_registry(retrieve=retrieve).with_resources(known).crawl()
    return validator(read_schema(name), format_checker=formats, registry=registry)


def _only_text(holds: Callable[[str], bool]) -> Callable[[object], bool]:
    """Make a format function say yes to whatever is no text: formats are about texts only."""
    return lambda value: not isinstance(value, str) or holds(value)


def _is_number(_: Any, value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
