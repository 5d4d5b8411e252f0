"""What is wrong with a value and what to do about it, in words a person can act on.

In: the keyword of a JSON Schema that a value broke, what it demands, the schema it stands in, and the value. Out:
complaints. A value never becomes part of the text: `{value}` stands for it, since reports escape and redact it.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from crmctl.identity import explain

NOUNS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
PLURALS = {"string": "texts", "integer": "whole numbers", "number": "numbers", "array": "lists", "object": "mappings"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most", "exclusiveMaximum": "below"}
ALIKE = 0.75  # from 0 to 1: how much a word must resemble another to be taken for its misspelling
LONGEST_WORD = 100  # characters; longer ones resemble none of ours, and comparing them takes time
MOST_WORDS = 100  # unknown names that are looked through for a misspelled key


class Complaint(NamedTuple):
    """One thing that is wrong with a value.

    `value` is what `{value}` in the message stands for. `member` is set when it is about a member's name, `missing`
    when it is about a member that is not there.
    """

    message: str
    value: Any = None
    member: str | None = None
    missing: str = ""


def complain(keyword: str, demand: Any, schema: Mapping[str, Any], value: Any) -> Iterator[Complaint]:
    """Yield what there is to say about a value that broke a keyword of its schema.

    A schema may bring its own sentence (`x-error`), which is used for all but types and missing or unknown members.
    """
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        yield from _complain_unknown(schema, value)
    elif keyword == "required":
        yield from _complain_missing(demand, schema, value)
    elif keyword == "anyOf" and all("required" in choice for choice in demand):
        yield from _complain_either([name for choice in demand for name in choice["required"]], schema, value)
    else:
        if "x-error" in schema and keyword != "type":
            message = schema["x-error"]
        else:
            message = _sentences.get(keyword, _say_anything)(keyword, demand, schema, value)
        yield Complaint(message, value if "{value}" in message else None)


def _complain_unknown(schema: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[Complaint]:
    known = schema.get("properties", {})
    for name in value:
        if name not in known and not any(re.search(pattern, name) for pattern in schema.get("patternProperties", ())):
            meant = _guess(name, known)
            other = f"leave it out, or use another (fields: {', '.join(known)})"
            advice = f"did you mean {meant!r}?" if meant else other
            yield Complaint(f"unknown field {{value}}: {advice}", name, name)


def _complain_missing(
    demand: Iterable[str], schema: Mapping[str, Any], value: Mapping[str, Any]
) -> Iterator[Complaint]:
    known = schema.get("properties", {})
    # A misspelled key is told as such; told as missing as well, it would look like two mistakes.
    unknown = [] if schema.get("additionalProperties") is True else _unknown(value, known)
    for name in demand:
        if name not in value and all(_guess(other, known) != name for other in unknown):
            example = f", such as `{name}: {_show(known[name])}`" if name in known else ""
            whole = schema.get("title", "mapping").lower()
            yield Complaint(f"{name!r} is missing, which every {whole} needs: add it{example}", missing=name)


def _complain_either(names: Sequence[str], schema: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[Complaint]:
    known = schema.get("properties", {})
    if all(_guess(other, names) is None for other in _unknown(value, known)):
        whole = schema.get("title", "mapping").lower()
        example = f"{names[0]}: {_show(known[names[0]])}"
        needed = " or ".join(repr(name) for name in names)
        yield Complaint(
            f"{needed} is missing, of which every {whole} needs one: add it, such as `{example}`", missing=names[0]
        )


def _unknown(value: Iterable[str], known: Mapping[str, Any]) -> list[str]:
    return [*islice((name for name in value if name not in known), MOST_WORDS)]


def _guess(word: str, words: Iterable[str]) -> str | None:
    """Return the word that somebody probably meant."""
    return _compare(word, tuple(words)) if len(word) <= LONGEST_WORD else None


@lru_cache(maxsize=1000)  # a misspelled field often is so in every record
def _compare(word: str, words: tuple[str, ...]) -> str | None:
    plain = {_flatten(candidate): candidate for candidate in words}
    found = get_close_matches(_flatten(word), plain, n=1, cutoff=ALIKE)
    return plain[found[0]] if found else None


def _flatten(word: Any) -> str:
    return str(word).lower().translate({ord(character): None for character in "_- "})


def _say_type(_keyword: str, _demand: Any, schema: Mapping[str, Any], value: Any) -> str:
    types, wanted, given, show = _list_types(schema), _name_wanted(schema), _name_type(value), _show(schema)
    if given == "number" and value - value != 0:
        return f"{{value}} is not a finite number: write {show}"
    advice = f"write one, such as {show}" if len(wanted) == 1 else f"write, for instance, {show}"
    if given == "null":
        advice = f"write {show}"
    elif given in ("number", "boolean") and "string" in types and "format" not in schema:
        advice = "put it in quotes"
    elif given == "string" and {"number", "integer"} & {*types}:
        advice = "write it without quotes" if value.strip().isdecimal() else f"write digits alone, such as {show}"
    denied = f"neither {' nor '.join(wanted)}" if len(wanted) > 1 else f"not {wanted[0]}"
    # What stands in a record's place may be personal, and no field says so: it is not shown.
    if given in ("null", "array", "object") or types == ["object"]:
        return f"{NOUNS[given]} stands here, {denied}: {advice}"
    what = f" {NOUNS[given]}," if len(wanted) == 1 and given != "boolean" else ""
    return f"{{value}} is{what} {denied}: {advice}"


def _name_type(value: Any) -> str:
    types = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string"}
    return types.get(type(value)) or ("array" if isinstance(value, list) else "object")


def _list_types(schema: Mapping[str, Any]) -> list[str]:
    declared = schema.get("type", [])
    return [declared] if isinstance(declared, str) else [*declared]


def _name_wanted(schema: Mapping[str, Any]) -> list[str]:
    """Name what a schema takes: "a list of texts", "a text"; null only where there is nothing else."""
    types = _list_types(schema)
    names = []
    for name in [name for name in types if name != "null"] or types:
        if name == "string" and schema.get("format") == "email":
            names.append("an e-mail address")
        elif name == "array" and "items" in schema:
            names.append(f"a list of {_name_items(schema)}")
        else:
            names.append(NOUNS[name])
    return names


def _name_items(schema: Mapping[str, Any]) -> str:
    items = schema["items"]
    if "$ref" in items:
        return str(schema.get("title", "mappings")).lower()
    if items.get("format") == "email":
        return "e-mail addresses"
    types = _list_types(items)
    return PLURALS[types[0]] if len(types) == 1 and types[0] in PLURALS else "values"


def _show(schema: Mapping[str, Any]) -> str:
    """Return the schema's first example as it may be written, or what sort of value it takes."""
    examples = schema.get("examples")
    if not examples:
        return (_name_wanted(schema) or ["another value"])[0]
    if isinstance(examples[0], dict):
        name, value = next(iter(examples[0].items()))
        return f"`{name}: {value if isinstance(value, str | int) else '...'}`"
    return examples[0] if isinstance(examples[0], str) else json.dumps(examples[0], ensure_ascii=False)


def _say_range(_keyword: str, _demand: Any, schema: Mapping[str, Any], _value: Any) -> str:
    if "minimum" in schema and "maximum" in schema:
        demanded = f"{schema['minimum']} to {schema['maximum']}"
    else:
        demanded = " and ".join(f"{word} {schema[name]}" for name, word in BOUNDS.items() if name in schema)
    return f"{{value}} is out of range: it must be {demanded}, such as {_show(schema)}"


def _say_length(keyword: str, demand: Any, schema: Mapping[str, Any], value: Any) -> str:
    unit = "characters" if keyword.endswith("Length") else "items"
    if keyword.startswith("max"):
        return f"has more than {demand:,} {unit}: shorten it"
    return f"has fewer than {demand:,} {unit}: write {_show(schema)}" if value else f"is empty: write {_show(schema)}"


def _say_choice(_keyword: str, demand: Any, _schema: Mapping[str, Any], value: Any) -> str:
    choices = [str(choice) if isinstance(choice, str) else json.dumps(choice) for choice in demand]
    meant = _guess(value, choices) if isinstance(value, str) else None
    shown = "{value} is" if isinstance(value, str | int | float) else "what stands here is"
    if len(choices) == 1:
        return f"{shown} not {choices[0]}: write that"
    return f"{shown} none of {', '.join(choices)}: {f'did you mean {meant!r}?' if meant else 'write one of them'}"


def _say_constant(_keyword: str, demand: Any, _schema: Mapping[str, Any], _value: Any) -> str:
    return f"must be {json.dumps(demand)}: write that"


def _say_format(_keyword: str, demand: Any, schema: Mapping[str, Any], value: Any) -> str:
    if demand == "email":
        return explain("contact", value)
    noun = {"date": "a date", "date-time": "a date and time with an offset"}.get(demand, demand)
    return f"{{value}} is not {noun}: write {_show(schema)}"


def _say_pattern(_keyword: str, _demand: Any, schema: Mapping[str, Any], _value: Any) -> str:
    return f"{{value}} is not in the form wanted here: write {_show(schema)}"


def _say_alternatives(keyword: str, demand: Any, schema: Mapping[str, Any], value: Any) -> str:
    types = dict.fromkeys(name for choice in demand for name in _list_types(choice))
    if _name_type(value) in types or not all("type" in choice for choice in demand):
        return _say_anything(keyword, demand, schema, value)
    items: Mapping[str, Any] = next((choice["items"] for choice in demand if "items" in choice), {})
    return _say_type(keyword, demand, {**schema, "type": [*types], "items": items}, value)


def _say_anything(keyword: str, _demand: Any, schema: Mapping[str, Any], _value: Any) -> str:
    return f"does not meet {keyword!r} of the schema: write {_show(schema)}"


Say = Callable[[str, Any, Mapping[str, Any], Any], str]
_sentences: Mapping[str, Say] = {
    "type": _say_type,
    "minimum": _say_range,
    "maximum": _say_range,
    "exclusiveMinimum": _say_range,
    "exclusiveMaximum": _say_range,
    "minLength": _say_length,
    "maxLength": _say_length,
    "minItems": _say_length,
    "maxItems": _say_length,
    "enum": _say_choice,
    "const": _say_constant,
    "format": _say_format,
    "pattern": _say_pattern,
    "anyOf": _say_alternatives,
    "oneOf": _say_alternatives,
}
