"""Look up the names that manifests use for what Thena knows by ids: values of attributes.

In: what is declared. Out: `Learned` with the organisation's values, and a finding for everything that is none of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from crmctl.provider import Finding
from crmctl.providers.thena.learned import Learned, Value
from crmctl.providers.thena.lists import Lists
from crmctl.resource import Resource


def find_value(values: Iterable[Value], written: str) -> Value | None:
    """Return the value of that id or name; the name in another case only if it is the only one."""
    known = list(values)
    for names in (
        [value for value in known if value.id == written],
        [value for value in known if value.name == written],
        [value for value in known if value.name.casefold() == written.casefold()],
    ):
        if names:
            return names[0] if len(names) == 1 else None
    return None


def name_value(values: Iterable[Value], value: Value) -> str:
    """Return what a value is called on both sides: its name, or its id where others have the same name."""
    return value.id if sum(other.name == value.name for other in values) > 1 else value.name


def find_default(values: Iterable[Value]) -> Value | None:
    """Return the value that counts where none is named, if there is one."""
    return next((value for value in values if value.default), None)


async def resolve(
    lists: Lists,
    learned: Learned,
    wanted: Mapping[str, Mapping[str, Resource]],
    attributes: Mapping[str, Mapping[str, str]],
) -> list[Finding]:
    """Read the values that are needed; `attributes` names, by kind and field, the attribute that a field is one of."""
    findings: list[Finding] = []
    for kind, resources in wanted.items():
        named = attributes.get(kind, {})
        for field, attribute in named.items():
            declared = [resource for resource in resources.values() if field in resource.fields]
            if declared and attribute not in learned.attributes:
                learned.attributes[attribute] = await _read_values(lists, attribute)
            users = [resource for resource in declared if resource.fields[field] not in (None, "")]
            findings += _check_values(users, field, learned.attributes.get(attribute, ()))
    return findings


async def _read_values(lists: Lists, attribute: str) -> Sequence[Value]:
    rows = await lists.get("/v1/accounts/attributes", {"attribute": attribute})
    return [
        Value(row["id"], row["value"], default=row.get("isDefault") is True)
        for row in rows
        if isinstance(row.get("value"), str) and row.get("attribute", attribute) == attribute
        if not row.get("deletedAt")
    ]


def _check_values(users: Iterable[Resource], field: str, values: Sequence[Value]) -> Iterator[Finding]:
    valid = ", ".join(sorted(name_value(values, value) for value in values)) or "none at all"
    for resource in users:
        written = str(resource.fields[field])
        if find_value(values, written) is None:
            several = sum(value.name.casefold() == written.casefold() for value in values) > 1
            problem = "is the name of several values: write an id" if several else "is none of this organisation's"
            yield Finding(resource, field, f"{{value}} {problem}; Thena has {valid}", written)
