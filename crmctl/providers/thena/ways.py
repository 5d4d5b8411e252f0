"""Find the way to write that a server takes, where the documentation leaves several.

A refusal (400, 422; 404 for a value) did nothing, so the same may be said in another way; an answer shows what became
of it. What is found out stays: the second record costs one request.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Literal

from crmctl.client import Client
from crmctl.errors import Rejected
from crmctl.providers.thena.customs import CUSTOM, find_custom
from crmctl.providers.thena.fields import FIELDS, WRITTEN, empties
from crmctl.providers.thena.learned import CustomField, Learned, Ways
from crmctl.providers.thena.lists import MALFORMED, NOT_FOUND, Row

Choice = Literal["attribute", "custom", "clear", "mark"]
CHOICES: Mapping[Choice, tuple[Any, ...]] = {
    "attribute": ("id", "name"),
    "custom": ("field", "data", "list"),
    "clear": (None, ""),
    "mark": (True, False),
}


def list_choices(kind: str, fields: Mapping[str, Any]) -> set[Choice]:
    """Return what there is to choose when these fields are written."""
    found: set[Choice] = set()
    for name, value in fields.items():
        field = FIELDS[kind].get(name)
        if name.startswith(CUSTOM):
            found |= {"custom", "clear"} if value is None else {"custom"}
        elif field is not None and field.attribute and value and kind != "contact":
            found.add("attribute")
        elif field is not None and value is None and empties(field):
            found.add("clear")
    return found


async def send(
    client: Client,
    route: str,
    path: str,
    build: Callable[[Ways], Any],
    learned: Learned,
    choices: Collection[Choice],
    *,
    repeatable: bool,
) -> Any:
    """Send what `build` makes of the ways known so far, in other ways when it is refused; raise the first refusal."""
    refused: Rejected | None = None
    method = route.partition(" ")[0]
    refusals = MALFORMED | {NOT_FOUND} if "attribute" in choices else MALFORMED
    for ways in _vary(learned, choices):
        try:
            answer = await client.request(method, path, route=route, json=build(ways), repeatable=repeatable)
        except Rejected as error:
            if error.status not in refusals:
                raise refused or error from None
            refused = refused or error
            continue
        learned.ways = replace(learned.ways, **{choice: getattr(ways, choice) for choice in choices})
        # What was taken at once may have been ignored, but for attributes: their values are looked up.
        learned.sure |= set(choices) if refused is not None else {"attribute"} & set(choices)
        return answer
    raise refused or AssertionError("there is always one way")


def _vary(learned: Learned, choices: Collection[Choice]) -> Iterator[Ways]:
    """Yield the ways to try, the ones known so far first."""
    open_choices = [choice for choice in CHOICES if choice in choices and choice not in learned.sure]
    known = [getattr(learned.ways, choice) for choice in open_choices]
    options = [
        (first, *(option for option in CHOICES[choice] if option != first))
        for choice, first in zip(open_choices, known, strict=True)
    ]
    for values in product(*options):
        yield replace(learned.ways, **dict(zip(open_choices, values, strict=True)))


def improve(
    kind: str,
    fields: Mapping[str, Any],
    body: Mapping[str, Any],
    row: Row,
    held: Mapping[str, Any],
    learned: Learned,
) -> Ways:
    """Return the ways by which a PUT would have done what it should, as its answer shows; the same if it has.

    Emptied is what was to be emptied, a custom value that was sent is there, and what was not named has stayed.
    """
    ways, customs = learned.ways, learned.customs.get(kind, {})
    cleared = [FIELDS[kind][name] for name, value in fields.items() if value is None and name in FIELDS[kind]]
    kept = any(row.get(field.member) for field in cleared if empties(field))
    kept = kept or bool(_find_customs(fields, row, customs, sent=False))
    if ways.clear is None and "clear" not in learned.sure and kept:
        ways = replace(ways, clear="")
    if "custom" not in learned.sure and _find_customs(fields, row, customs, sent=True):
        options = CHOICES["custom"]
        ways = replace(ways, custom=options[(options.index(ways.custom) + 1) % len(options)])
    shown = {member: "accounts" if member == "accountIds" else member for member in held if member not in body}
    if not ways.whole and any(other in row and not row[other] for other in shown.values()):
        ways = replace(ways, whole=True)
    return ways


def _find_customs(fields: Mapping[str, Any], row: Row, customs: Mapping[str, CustomField], *, sent: bool) -> set[str]:
    """Return the custom fields that were `sent` and are not shown, or were cleared and are."""
    entries = row.get(WRITTEN)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return set()
    filled = (entry for entry in entries if entry.get("data", entry.get("value")) not in (None, "", [], {}))
    ids = [entry.get("customFieldId", entry.get("fieldId")) for entry in filled]
    shown = {field_id for field_id in ids if isinstance(field_id, str)}
    declared = {
        custom.id
        for name, value in fields.items()
        if name.startswith(CUSTOM) and (value in (None, "")) is not sent
        if (custom := find_custom(customs, name.removeprefix(CUSTOM)))
    }
    return declared - shown if sent else declared & shown
