"""Stage 5: desired x live -> changes, field by field. Pure; the only home of deepdiff.

Only declared fields are compared, by meaning and under their policy. Equal records leave nothing behind but a count.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from crmctl.desired import Desired
from crmctl.kinds import COMPOSED, KINDS, NOTHING
from crmctl.live import Live
from crmctl.resource import Address, Links, Resource
from crmctl.values import empty, same

Action = Literal["create", "update", "report"]
Policy = Literal["overwrite", "fill_empty", "create_only", "ignore"]


class FieldChange(NamedTuple):
    """One field that differs; before and after as they stand on either side."""

    path: str
    before: Any
    after: Any


class Change(NamedTuple):
    """One intended step.

    action   before   after     fields
    create   None     desired   empty: every field of `after` is new
    update   live     desired   what differs and may be overwritten
    report   live?    desired   what can't be done, and `reason` says why; nothing is sent
    """

    address: Address
    action: Action
    before: Resource | None
    after: Resource
    fields: tuple[FieldChange, ...] = ()
    reason: str = ""

    def field_changes(self) -> Iterator[FieldChange]:
        """Yield what becomes of each field, those of a create included."""
        if self.action == "create":
            for path, value in self.after.fields.items():
                if not empty(value):
                    yield FieldChange(path, None, value)
        else:
            yield from self.fields


class Held(NamedTuple):
    """A field that differs and is left alone, because of its policy."""

    address: Address
    path: str
    policy: Policy | Literal["links unknown"]
    before: Any
    after: Any


class Rules(NamedTuple):
    """How fields compare and who owns them: per kind and field, everything else being plain and overwritten."""

    compare: Mapping[str, Mapping[str, str]] = NOTHING
    policies: Mapping[str, Mapping[str, Policy]] = NOTHING

    def meaning(self, kind: str, path: str) -> str | None:
        """Return how a field compares; what a custom field holds may be one of several choices, or several of them."""
        return self.compare.get(kind, {}).get(path) or ("set" if path.startswith("custom_fields.") else None)


class Difference(NamedTuple):
    """Everything that differs: changes in the order of kinds and keys, and how many records are as declared."""

    changes: tuple[Change, ...]
    held: tuple[Held, ...]
    unchanged: int


def diff(desired: Desired, live: Live, rules: Rules) -> Difference:
    """Compare every desired resource with the live record of its key."""
    changes: list[Change] = []
    held: list[Held] = []
    unchanged = 0
    for kind in KINDS:
        records = live.records.get(kind, {})
        for key, resource in desired.resources.get(kind, {}).items():
            record = records.get(key)
            ids = live.duplicates.get(resource.address) if live.duplicates else None
            if ids:
                reason = f"the CRM holds {len(ids)} records of this key ({', '.join(ids)}): merge them there"
                changes.append(Change(resource.address, "report", record, resource, reason=reason))
            elif record is None and live.blocked and resource.address in live.blocked:
                reason = live.blocked[resource.address]
                changes.append(Change(resource.address, "report", None, resource, reason=reason))
            elif record is None:
                changes.append(Change(resource.address, "create", None, to_create(resource, rules)))
            elif record.fields is resource.fields:
                unchanged += 1
            else:
                change = compare(resource, record, rules, live.unreadable.get(kind, frozenset()), held)
                if change is None:
                    unchanged += 1
                else:
                    changes.append(change)
    return Difference(tuple(changes), tuple(held), unchanged)


def compare(
    desired: Resource, live: Resource, rules: Rules, unreadable: frozenset[str], held: list[Held]
) -> Change | None:
    """Return the update that a live record needs, or None; what a policy holds back is added to `held`."""
    kind = desired.address.kind
    policies = rules.policies.get(kind, {})
    key_field = None if kind in COMPOSED else KINDS[kind].key_field
    fields: list[FieldChange] = []
    for path, after in _with_links(desired, live, unreadable, held):
        before = live.fields.get(path)
        if before == after and before.__class__ is after.__class__:
            continue
        if path == key_field:
            # The key is how the record was found: another spelling of it is no difference, a former key is.
            if live.address.key != desired.address.key:
                fields.append(FieldChange(path, before, after))
            continue
        if path in unreadable or same(before, after, rules.meaning(kind, path)):
            continue
        policy = policies.get(path, "overwrite")
        if policy == "overwrite" or (policy == "fill_empty" and empty(before)):
            fields.append(FieldChange(path, before, after))
        elif policy != "ignore":
            held.append(Held(desired.address, path, policy, before, after))
    if not fields:
        return None
    return Change(desired.address, "update", live, desired, tuple(fields))


def _with_links(
    desired: Resource, live: Resource, unreadable: frozenset[str], held: list[Held]
) -> Iterator[tuple[str, Any]]:
    """Yield the declared fields; what is linked stays linked, and where that is not known nothing is sent."""
    for path, after in desired.fields.items():
        if not isinstance(after, Links):
            yield path, after
        elif path in live.fields:
            yield path, sorted({*(live.fields[path] or ()), *after})
        elif path not in unreadable:
            held.append(Held(desired.address, path, "links unknown", None, list(after)))


def to_create(resource: Resource, rules: Rules) -> Resource:
    """Return a resource without the fields that are never sent."""
    policies = rules.policies.get(resource.address.kind, {})
    if "ignore" not in policies.values():
        return resource
    fields = {name: value for name, value in resource.fields.items() if policies.get(name) != "ignore"}
    return Resource(resource.address, fields, resource.refs, resource.origin)


class Detail(NamedTuple):
    """One difference inside a list or an object: what was added, removed or changed, and at which path."""

    op: Literal["add", "remove", "change"]
    path: str
    before: Any = None
    after: Any = None


MAX_EXPLAINED = 100
"""Values with more inside are shown whole: explaining the difference of long lists is nearly quadratic."""


def explain(before: Any, after: Any, meaning: str | None = None) -> list[Detail]:
    """Tell what differs inside two values, if one of them is a list or an object; empty for plain values."""
    if not isinstance(before, (list, dict)) and not isinstance(after, (list, dict)):
        return []
    left, right = _comparable(before, after, meaning), _comparable(after, before, meaning)
    if type(left) is not type(right) or max(map(_size, (left, right))) > MAX_EXPLAINED:
        return []
    from deepdiff import DeepDiff  # noqa: PLC0415 - a third of a second to import, for the few values that need it

    try:
        found = DeepDiff(left, right, ignore_order=meaning == "set", verbose_level=2, view="tree")
    except (UnicodeError, RecursionError, OverflowError):
        # Numbers too large to measure, half characters, and values nested without end: they are shown whole.
        return []
    details: list[Detail] = []
    for report, changes in found.items():
        op: Literal["add", "remove", "change"] = (
            "add" if report.endswith("_added") else "remove" if report.endswith("_removed") else "change"
        )
        for change in changes:
            if meaning == "set" and op == "change":
                # Which item became which is DeepDiff's guess; in a set one has gone and another has come.
                details += [Detail("remove", "", change.t1), Detail("add", "", None, change.t2)]
                continue
            # The position of an item says nothing in a set.
            path = "" if meaning == "set" else ".".join(str(step) for step in change.path(output_format="list"))
            details.append(
                Detail(
                    op,
                    path,
                    None if op == "add" else change.t1,
                    None if op == "remove" else change.t2,
                )
            )
    return sorted(details, key=lambda detail: (detail.path, detail.op, str(detail.before), str(detail.after)))


def _size(value: Any) -> int:
    """Count what is inside a value, as far as it matters."""
    count, waiting = 0, [value]
    while waiting and count <= MAX_EXPLAINED:
        inner = waiting.pop()
        if isinstance(inner, (list, dict)):
            count += len(inner)
            waiting += inner.values() if isinstance(inner, dict) else inner
    return count


def _comparable(value: Any, other: Any, meaning: str | None) -> Any:
    """Give both sides one container: a lone text is a set of one, and nothing is an empty container of the other's."""
    if empty(value):
        return type(other)() if isinstance(other, (list, dict)) else [value]
    if isinstance(value, dict):
        return dict(value)
    # What a manifest holds is a list that knows where it stands.
    return list(value) if isinstance(value, list) else [value] if meaning == "set" else value
