"""Take out of a document what is right in it: explaining what is wrong is slow, and looks at all it is given.

In: a value, and who can tell whether a part of it is right. Out: a smaller value of the same shape, in which the same
is wrong, and how much more is. Mappings keep their names; lists remember which of their items are left.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Verdict = Callable[[Any], bool]


class Kept(list[Any]):
    """What is left of a list; `indices` says which of its items these were."""

    def __init__(self) -> None:
        super().__init__()
        self.indices: list[int] = []


class Narrowing:
    """Keeps `room` wrong things of a document; `more` counts what there was no room for.

    A schema is known by a name and a pointer into it: `resolve` follows references, `verdict` is who judges by it.
    """

    def __init__(
        self,
        room: int,
        resolve: Callable[[str, str], tuple[Any, str, str]],
        verdict: Callable[[str, str], Verdict],
    ) -> None:
        self.room = room
        self.more = 0
        self.resolve = resolve
        self.verdict = verdict

    def narrow(self, value: Any, name: str, pointer: str = "") -> Any:
        """Return a value without what is right in its lists and among members that may have any name."""
        schema, name, pointer = self.resolve(name, pointer)
        if isinstance(value, dict):
            part, any_name = {}, isinstance(schema.get("additionalProperties"), dict)
            known = self.members(name, pointer)
            for key, member in value.items():
                if key in known:
                    part[key] = self.narrow(member, *known[key])
                elif not any_name or (not self.is_right(key, member, name, pointer) and self.has_room()):
                    part[key] = member
            return part
        if not isinstance(value, list) or "items" not in schema:
            return value
        if "maxItems" in schema:
            return value[: schema["maxItems"] + 1]
        kept, right, before = Kept(), self.verdict(name, f"{pointer}/items"), self.more
        for index, item in enumerate(value):
            if not right(item) and self.has_room():
                kept.append(self.narrow(item, name, f"{pointer}/items"))
                kept.indices.append(index)
        if value and not kept and before == self.more:  # some lists must not be empty
            kept.append(self.narrow(value[0], name, f"{pointer}/items"))
            kept.indices.append(0)
        return kept

    def members(self, name: str, pointer: str) -> Mapping[str, tuple[str, str]]:
        """Return the members that a schema names, those that it has under a condition included, with their schemas."""
        wholes = [self.resolve(name, pointer)]
        if "then" in wholes[0][0]:
            wholes.append(self.resolve(name, f"{pointer}/then"))
        return {key: (of, f"{at}/properties/{key}") for whole, of, at in wholes for key in whole.get("properties", ())}

    def is_right(self, key: str, member: Any, name: str, pointer: str) -> bool:
        """Tell whether a member that may have any name is right, and its name as well."""
        right = self.verdict(name, f"{pointer}/additionalProperties")(member)
        return right and self.verdict(name, f"{pointer}/propertyNames")(key)

    def has_room(self) -> bool:
        """Tell whether one more wrong thing may be kept; it is counted otherwise."""
        if self.room > 0:
            self.room -= 1
            return True
        self.more += 1
        return False


def widen(part: Any, path: Iterable[Any]) -> list[Any]:
    """Return where in a document something is that was found in what is left of it."""
    wide = []
    for step in path:
        wide.append(part.indices[step] if isinstance(part, Kept) else step)
        part = part[step]
    return wide
