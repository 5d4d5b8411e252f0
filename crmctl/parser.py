"""YAML bytes to plain values that know where they were written; the only home of yaml.

Values are built straight from the events of libyaml, without a node tree: seven times as fast as CSafeLoader, in a
fifth of its memory, and deep nesting can't crash it. Scalars follow the YAML 1.2 core schema, and where the JSON Schema
wants text, a plain scalar counts as written: `phone: 0301234` keeps its zero.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from crmctl.errors import Diagnostic
from crmctl.kinds import NOTHING
from crmctl.patterns import compiled_late
from crmctl.resource import Fields, Items, Marks, Source
from crmctl.syntax import explain, place_after, unreadable

with compiled_late():  # a tenth of what a short run takes goes into patterns that only its Python parts need
    import yaml

MAX_DEPTH = 64
MAX_EXPANSION = 1_000_000
"""How many positions aliases may stand for in one file, so that they don't grow without end; 64 characters are one."""
MAX_DIGITS = 18

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]++\Z")
_RADIX = re.compile(r"0o[0-7]++\Z|0x[0-9a-fA-F]++\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]++|[0-9]++(?:\.[0-9]*+)?)(?:[eE][-+]?[0-9]++)?\Z")
_NUMERIC_START = frozenset("+-.0123456789")
_NOT_TEXT = frozenset(("boolean", "integer", "number"))
_NULLS = frozenset(("null", "Null", "NULL", "~"))
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_MERGE: Any = object()  # stands for the key `<<` until its mapping ends
_MAX_DIAGNOSTICS = 1000
_MAX_SEARCH = 1000  # keys of one mapping that are searched for the first of a pair
_CONTROL = "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]"  # nothing of it is printable
_CORE_TAGS = "tag:yaml.org,2002:"


class Shape:
    """What may stand at one place of a document, as far as resolving plain scalars needs it.

    `types` are the JSON type names a scalar may have (None: any), `members` the shapes of a mapping's known members,
    `rest` that of all others, `items` that of a list's items. What has no shape may be anything.
    """

    __slots__ = ("items", "known", "members", "nullable", "rest", "textual", "types")

    def __init__(
        self,
        types: frozenset[str] | None = None,
        members: Mapping[str, "Shape"] = NOTHING,
        items: "Shape | None" = None,
        rest: "Shape | None" = None,
    ) -> None:
        self.types, self.members, self.items, self.rest = types, members, items, rest
        self.textual = types is not None and "string" in types and types.isdisjoint(_NOT_TEXT)
        self.nullable = types is None or "null" in types
        self.known = {name: (sys.intern(name), member) for name, member in members.items()}  # the one copy of a name


_ANY = Shape()


class Document(NamedTuple):
    """One parsed document: `root` is a `Fields`, or None for an empty document."""

    file: str
    root: Fields | None


def parse(data: bytes, file: str, shape: Shape) -> tuple[list[Document], list[Diagnostic]]:
    """Read all documents of one file; what is wrong is in the diagnostics, and broken syntax ends the file."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        return [], [Diagnostic(Source(file, 1, 1), "this looks like UTF-16 or no text at all: save the file as UTF-8")]
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        place = place_after(file, data[: error.start].decode())
        return [], [Diagnostic(place, f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8")]
    builder = _Builder(file, shape)
    try:
        builder.run(_LOADER(data))
    except _Stop:
        pass
    except yaml.reader.ReaderError as error:
        before, code = unreadable(data, error)
        message = f"character U+{code:04X} is not allowed: remove it"
        builder.diagnostics.append(Diagnostic(place_after(file, before), message))
    except yaml.MarkedYAMLError as error:
        place, message, value = explain(file, data.decode(), error)
        builder.diagnostics.append(Diagnostic(place, message, value=value))
    return builder.documents, list(dict.fromkeys(builder.diagnostics))


class _Stop(Exception):
    """The rest of the file is not worth reading; the diagnostic is already noted."""


class _Builder:
    """Build values from events. One big loop on purpose: it runs once per scalar of the input."""

    def __init__(self, file: str, shape: Shape) -> None:
        self.file = file
        self.shape = shape
        self.documents: list[Document] = []
        self.diagnostics: list[Diagnostic] = []
        self.marks = Marks(file)
        # What an anchor stands for (None while that is being read), how many positions it takes, how deep it is.
        self.anchors: dict[str, Any] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.expanded = 0
        self.deepest = 0

    def run(self, loader: Any) -> None:
        """Read events to the end of the stream."""
        try:
            while True:
                event = loader.get_event()
                if type(event) is yaml.DocumentStartEvent:
                    self.marks = Marks(self.file)
                    self.anchors.clear()
                    self.documents.append(Document(self.file, self.root(loader)))
                elif type(event) is yaml.StreamEndEvent:
                    return
        finally:
            loader.dispose()

    def root(self, loader: Any) -> Fields | None:
        """Read one document: a mapping, or nothing."""
        event = loader.get_event()
        if type(event) is yaml.ScalarEvent and event.value == "" and not event.style and event.tag is None:
            return None
        if type(event) is not yaml.MappingStartEvent:
            name = next(iter(self.shape.members), "name")
            self.report(event, f"the top level is no mapping: begin it with a name and a colon, such as `{name}:`")
            raise _Stop
        return self.mapping(loader, event)

    def mapping(self, loader: Any, start: Any) -> Fields:  # noqa: C901, PLR0912, PLR0915 - the hot loop, see the class
        """Read a mapping and everything in it."""
        get_event = loader.get_event
        scalar_event, alias_event = yaml.ScalarEvent, yaml.AliasEvent
        mapping_start, sequence_start = yaml.MappingStartEvent, yaml.SequenceStartEvent
        mapping_end = yaml.MappingEndEvent
        numbers = self.marks.numbers
        nulls = _NULLS

        # What is being built: the container, its positions so far, its shape, the key whose value comes next and the
        # shape of that value. `odd`: there are keys that are none, to be settled when the mapping ends.
        current: Any = Fields()
        shape = inside = self.shape
        mark = start.start_mark
        positions = [mark.line << 32 | mark.column]
        in_mapping, odd, key = True, False, None
        opened = self.open(start, 1)
        stack: list[Any] = []

        while True:
            event = get_event()
            kind = type(event)
            if in_mapping and kind is not mapping_end:
                mark = event.start_mark
                positions.append(mark.line << 32 | mark.column)
                if kind is not scalar_event:
                    self.refuse_key(event)
                name = event.value
                known = shape.known.get(name)
                if known is None or known[0] in current or event.anchor is not None or event.tag is not None:
                    key, inside = self.unusual(event, shape, current, positions)
                    odd = odd or type(key) is not str
                else:
                    key, inside = known
                event = get_event()
                kind = type(event)

            mark = event.start_mark
            if kind is scalar_event:
                positions.append(mark.line << 32 | mark.column)
                value = event.value
                if event.tag is not None:
                    self.refuse(event)
                if event.anchor is not None:
                    self.anchors[event.anchor] = event
                    self.sizes[event.anchor] = 1 + (len(value) >> 6), 0
                style = event.style
                if style:
                    if style == '"' and not value.isprintable() and re.search(_CONTROL, value):
                        self.report(event, "control characters are not allowed here: remove them")
                elif inside.textual and value:
                    if value in nulls and inside.nullable:
                        value = None
                else:
                    value = self.resolve(event, inside)
            elif kind is mapping_start or kind is sequence_start:
                positions.append(mark.line << 32 | mark.column)
                depth = len(stack) + 2
                if depth > MAX_DEPTH:
                    self.too_deep(event)
                stack.append((current, positions, shape, in_mapping, odd, key, inside, opened))
                opened = None if event.anchor is None and event.tag is None else self.open(event, depth)
                self.deepest = max(self.deepest, depth)
                positions = [mark.line << 32 | mark.column]
                if kind is mapping_start:
                    current, shape, in_mapping, odd = Fields(), inside, True, False
                else:
                    # The items of a list that is merged are mappings of the shape they are merged into.
                    current, shape, in_mapping = Items(), inside, False
                    inside = inside if key is _MERGE else inside.items or _ANY
                continue
            elif kind is alias_event:
                positions.append(mark.line << 32 | mark.column)
                value = self.follow(event, inside, len(stack) + 1)
            else:  # the end of a mapping or a list
                if odd and in_mapping:
                    positions = self.settle(current, positions)
                current.marks, current.start = self.marks, len(numbers)
                numbers.fromlist(positions)
                value = current
                if opened is not None:
                    self.close(opened, value, mark)
                if not stack:
                    return current  # type: ignore[no-any-return]
                current, positions, shape, in_mapping, odd, key, inside, opened = stack.pop()

            if in_mapping:
                current[key] = value
            else:
                current.append(value)

    def unusual(self, event: Any, shape: Shape, current: Fields, positions: list[int]) -> tuple[Any, Shape]:
        """Return what to note an unknown, repeated, tagged or merge key as, and the shape of its value."""
        name = event.value
        if event.tag is not None or event.anchor is not None:
            self.refuse(event)
        merging = name == "<<" and not event.style
        key, inside = (_MERGE, shape) if merging else (sys.intern(name), shape.members.get(name, shape.rest) or _ANY)
        if event.style == '"' and re.search(_CONTROL, name):
            self.report(event, "control characters are not allowed here: remove them")
        if key in current:
            first = ""
            if len(current) <= _MAX_SEARCH:
                first = f" (first in line {(positions[1 + 2 * list(current).index(key)] >> 32) + 1})"
            self.report(
                event, f"{{value}} stands here twice{first}: " + ("merge a list" if merging else "keep one"), name
            )
            key = object()
        return key, inside

    def settle(self, current: Fields, positions: list[int]) -> list[int]:
        """Take out what stands under a key that is none, and merge what is to be merged; returns the positions left."""
        entries = list(current.items())
        current.clear()
        kept, merges = positions[:1], []
        for index, (key, value) in enumerate(entries):
            if type(key) is str:
                current[key] = value
                kept += positions[1 + 2 * index : 3 + 2 * index]
            elif key is _MERGE:
                number = positions[2 + 2 * index]
                merges = self.mergeable(Source(self.file, (number >> 32) + 1, (number & 0xFFFF_FFFF) + 1), value)
        for merged in merges:
            # What is there already comes first: the mapping's own, then those of the mappings in their order.
            numbers, start = merged.marks.numbers, merged.start + 1
            for index, (key, value) in enumerate(merged.items()):
                if key not in current:
                    current[key] = value
                    kept += numbers[start + 2 * index : start + 2 * index + 2]
        return kept

    def mergeable(self, place: Source, value: Any) -> list[Fields]:
        """Return the mappings that a merge key `<<` brings in."""
        merged = value if isinstance(value, list) else [value]
        if all(isinstance(item, Fields) for item in merged):
            return list(merged)
        if all(diagnostic.source != place for diagnostic in self.diagnostics):
            self.note(Diagnostic(place, "`<<` takes an alias of a mapping, or a list of them: write `<<: *name`"))
        return []

    def open(self, event: Any, depth: int) -> tuple[str, int, int, int] | None:
        """Note that a container begins: its tag is refused, its anchor can't be used inside itself."""
        if event.tag is not None:
            self.refuse(event)
        if event.anchor is None:
            return None
        self.anchors[event.anchor] = None
        before, self.deepest = self.deepest, depth
        return str(event.anchor), depth, before, len(self.marks.numbers) + self.expanded + (event.start_mark.index >> 6)

    def close(self, opened: tuple[str, int, int, int], value: Any, mark: Any) -> None:
        """Note what an anchor stands for, unless something in it has taken the name meanwhile."""
        anchor, depth, before, size = opened
        if self.anchors[anchor] is None:
            self.anchors[anchor] = value
            size = len(self.marks.numbers) + self.expanded + (mark.index >> 6) - size
            self.sizes[anchor] = size, self.deepest - depth + 1
        self.deepest = max(self.deepest, before)

    def follow(self, event: Any, shape: Shape, depth: int) -> Any:
        """Return what an alias stands for; a scalar is resolved anew for the place it is used in."""
        name = event.anchor
        if name not in self.anchors:
            message = "{value} refers to no anchor above: write the anchor first, or quote a text that begins with *"
            self.report(event, message, f"*{name}")
            return None
        target = self.anchors[name]
        if target is None:
            self.report(event, "{value} stands inside what it refers to: break the circle", f"*{name}")
            raise _Stop
        size, height = self.sizes[name]
        self.expanded += size
        if self.expanded > MAX_EXPANSION:
            self.report(event, "aliases stand for more than a million values: write fewer of them")
            raise _Stop
        if depth + height > MAX_DEPTH:
            self.too_deep(event)
        self.deepest = max(self.deepest, depth + height)
        if type(target) is not yaml.ScalarEvent:
            return target
        if target.style:
            return target.value
        if shape.textual and target.value:
            return None if target.value in _NULLS and shape.nullable else target.value
        return self.resolve(target, shape)

    def resolve(self, event: Any, shape: Shape) -> Any:
        """Give a plain scalar its YAML 1.2 core value, or leave it as written where only text is allowed."""
        text = event.value
        types = shape.types
        if not text:
            if event.tag is None:
                clear = "write null to clear the field" if shape.nullable else "write one"
                self.report(event, f"a value is missing: {clear}, leave it out, or quote a text that begins with #")
            return None
        if text[0] in _NUMERIC_START:
            value, kind = self.number(event, text, types)
        elif text in _NULLS:
            value, kind = None, "null"
        elif text in _WORDS:
            value, kind = _WORDS[text], "boolean"
        else:
            return text
        if types is None or kind in types or (kind == "integer" and "number" in types) or "string" not in types:
            return value
        return text

    def number(self, event: Any, text: str, types: frozenset[str] | None) -> tuple[Any, str]:
        """Read what looks like a number; it is text when it is none."""
        if _INTEGER.match(text) or _RADIX.match(text):
            if len(text) <= MAX_DIGITS:
                return int(text, 0 if text[1:2] in ("o", "x") else 10), "integer"
            if types is None or "string" not in types:
                self.report(event, f"{{value}} has more than {MAX_DIGITS} digits: write a smaller number", text)
                return 0, "integer"
        elif _FLOAT.match(text):
            value = float(text)
            if value - value == 0:
                return value, "number"
            if types is None or "string" not in types:
                self.report(event, "{value} is beyond the largest number: write a smaller one", text)
                return 0, "number"
        return text, "string"

    def too_deep(self, event: Any) -> None:
        """Report nesting that no manifest needs."""
        self.report(event, f"nested more than {MAX_DEPTH} levels deep: flatten it")
        raise _Stop

    def refuse_key(self, event: Any) -> None:
        """Report a key that is no text."""
        if type(event) is yaml.AliasEvent:
            self.report(event, "an alias can't be a key: write the key out")
        else:
            self.report(event, "a key must be a plain text: quote a text that begins with { or [")
        raise _Stop

    def refuse(self, event: Any) -> None:
        """Report a tag, or an anchor on a key."""
        if event.tag is not None:
            tag = event.tag.replace(_CORE_TAGS, "!!")
            self.report(event, "tags such as {value} are not allowed: leave it out, or quote a text with !", tag)
        else:
            message = "{value} names the key here, which has no use: move it to the end of the line above, or"
            self.report(event, f"{message} behind the colon", f"&{event.anchor}")

    def report(self, event: Any, message: str, value: Any = None) -> None:
        """Note what is wrong at an event."""
        mark = event.start_mark
        self.note(Diagnostic(Source(self.file, mark.line + 1, mark.column + 1), message, value=value))

    def note(self, diagnostic: Diagnostic) -> None:
        """Note what is wrong."""
        self.diagnostics.append(diagnostic)
        if len(self.diagnostics) == _MAX_DIAGNOSTICS:
            message = "the file has more errors than are worth listing: correct these"
            self.diagnostics.append(Diagnostic(diagnostic.source, message))
            raise _Stop
