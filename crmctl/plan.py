"""Stage 6: changes -> plan: order, batches, limits, digests, the requests an apply will send. Pure.

A plan is a value. Its document form (schemas/plan.schema.json) is what reports render and what a plan file holds;
a saved plan is only ever compared with a fresh one, never run from the file.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from crmctl import __version__
from crmctl.capability import Capability
from crmctl.desired import Notice
from crmctl.diff import Change, Difference, Held, Rules, explain
from crmctl.document import Document
from crmctl.kinds import KINDS
from crmctl.live import Live, look_ups
from crmctl.redact import Redactor
from crmctl.resource import Address, Source

FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one apply may change; None is no limit.

    `max_percent` is about updates of matched live records and counts from `LEAST_POPULATION` records up.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    max_percent: float | None = 30


LEAST_POPULATION = 10
"""Below so many matched records a percentage says nothing: one update of two records is half of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order of kinds and keys.

    `matched` is how many live records were found for what is declared, `unmanaged` how many others there are (None:
    not everything was read), `reads` the requests, by route, that reading has cost.
    """

    target: str
    provider: str
    changes: tuple[Change, ...] = field(repr=False)  # asyncio takes the repr of what a run returns, to no end
    unchanged: int
    matched: int
    unmanaged: int | None
    unreadable: tuple[tuple[str, str], ...]
    held: tuple[Held, ...] = field(repr=False)
    notices: tuple[Notice, ...] = field(repr=False)
    reads: Mapping[str, int]
    capabilities: Mapping[str, Capability] = field(repr=False)
    manifest_digest: str
    created_at: datetime
    rules: Rules = field(default_factory=Rules)

    def count(self, action: str) -> int:
        """Return how many changes are of one action."""
        return sum(change.action == action for change in self.changes)

    @property
    def requests(self) -> Mapping[str, int]:
        """Return what an apply will send, by route: what planning reads, the batches, and the look-ups behind them."""
        counts = Counter(self.reads)
        for kind in KINDS:
            for route, number in _writes(kind, self.changes, self.capabilities.get(kind, Capability())):
                counts[route] += number
        return dict(sorted(counts.items()))

    @property
    def pending(self) -> bool:
        """Tell whether an apply would write anything."""
        return any(change.action != "report" for change in self.changes)


def build(
    difference: Difference,
    live: Live,
    capabilities: Mapping[str, Capability],
    *,
    target: str,
    provider: str,
    notices: Sequence[Notice],
    reads: Mapping[str, int],
    manifest_digest: str,
    rules: Rules,
    now: datetime,
) -> Plan:
    """Make the plan; what a capability lacks becomes a report. `reads` are the requests that reading has cost."""
    able = (fit_to(change, capabilities.get(change.address.kind, Capability())) for change in difference.changes)
    changes = tuple(able)
    unmanaged = list(live.unmanaged.values())
    return Plan(
        target=target,
        provider=provider,
        changes=changes,
        unchanged=difference.unchanged,
        matched=sum(len(records) for records in live.records.values()),
        unmanaged=sum(number or 0 for number in unmanaged) if unmanaged and None not in unmanaged else None,
        unreadable=tuple((kind, name) for kind in sorted(live.unreadable) for name in sorted(live.unreadable[kind])),
        held=difference.held,
        notices=tuple(notices),
        reads=dict(reads),
        capabilities=capabilities,
        manifest_digest=manifest_digest,
        created_at=now.astimezone(UTC),
        rules=rules,
    )


def batches(changes: Sequence[Change], size: int) -> list[Sequence[Change]]:
    """Cut changes of one kind and action into requests, in their order."""
    return [changes[start : start + size] for start in range(0, len(changes), size)]


def select(changes: Sequence[Change], kind: str, action: str) -> list[Change]:
    """Return the changes of one kind and action, in their order."""
    return [change for change in changes if change.action == action and change.address.kind == kind]


def fit_to(change: Change, capability: Capability) -> Change:
    """Turn a change that the provider can't make into a report."""
    rekeys = any(changed.path == KINDS[change.address.kind].key_field for changed in change.fields)
    if change.action == "report" or (getattr(capability, change.action) and (capability.rekeys or not rekeys)):
        return change
    reason = f"this target can't {change.action} a record of this kind"
    if rekeys:
        reason = f"the CRM holds it as {change.after.was}, and this target can't change a key: change it there"
    return Change(change.address, "report", change.before, change.after, change.fields, reason)


def _writes(kind: str, changes: Sequence[Change], capability: Capability) -> Iterator[tuple[str, int]]:
    """Yield the requests that one kind costs: each batch, and the look-ups that verify it."""
    steps = (
        ("create", capability.create_batch, capability.create_route),
        ("update", capability.update_batch, capability.update_route),
    )
    for action, size, route in steps:
        cut = batches(select(changes, kind, action), size)
        if cut:
            yield route, len(cut)
            reads = sum(
                1
                for batch in cut
                for _ in look_ups(kind, [(c.after, c.before) for c in batch], capability.look_up_batch)
            )
            yield capability.read_route, reads


def exceeded(plan: Plan, limits: Limits) -> list[str]:
    """Return what in the plan goes beyond a limit, as sentences."""
    found: list[str] = []
    creates, updates = plan.count("create"), plan.count("update")
    if limits.max_creates is not None and creates > limits.max_creates:
        found.append(f"{creates} creates are more than max_creates allows ({limits.max_creates})")
    if limits.max_updates is not None and updates > limits.max_updates:
        found.append(f"{updates} updates are more than max_updates allows ({limits.max_updates})")
    if limits.max_percent is not None and plan.matched >= LEAST_POPULATION:
        percent = 100 * updates / plan.matched
        if percent > limits.max_percent:
            share = f"{updates} of {plan.matched} matched records ({percent:.0f} %)"
            found.append(f"updating {share} is more than max_percent allows ({limits.max_percent:g} %)")
    return found


class Signature(NamedTuple):
    """The keyed digests of one change: of what is to be done, and of what is declared; None where nobody asked."""

    change: str | None
    desired: str | None


def document(plan: Plan, redactor: Redactor, *, with_digests: bool = True, with_places: bool = True) -> Document:
    """Return the plan as JSON values, personal data already replaced if the redactor is on.

    `with_digests`: sign it, so that `saved.py` can tell whether the file, or the world, has changed. `with_places`: say
    where each field is declared, not just each record. Both take time that a short text report need not spend.
    """
    signed = [
        Signature(
            sign_change(_entry(change, plan.rules, redactor), redactor),
            desired_digest(change.address, change.after.fields, redactor),
        )
        for change in (plan.changes if with_digests else ())
    ]

    def entries() -> Iterator[Mapping[str, Any]]:
        for index, change in enumerate(plan.changes):
            signature = signed[index] if signed else Signature(None, None)
            entry = _entry(change, plan.rules, redactor, with_places=with_places)
            yield {**entry, "digest": signature.change, "desired_digest": signature.desired}

    head = {
        "format_version": FORMAT_VERSION,
        "crmctl_version": __version__,
        "created_at": plan.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "target": plan.target,
        "provider": plan.provider,
        "redacted": redactor.on,
        "key_check": redactor.digest("key"),
        "manifest_digest": plan.manifest_digest,
        "summary": {
            "create": plan.count("create"),
            "update": plan.count("update"),
            "report": plan.count("report"),
            "unchanged": plan.unchanged,
            "unmanaged": plan.unmanaged,
        },
        "requests": dict(plan.requests),
        "unreadable": [{"kind": kind, "field": name} for kind, name in plan.unreadable],
        "held": [_held(held, redactor) for held in plan.held],
        "notices": [_notice(notice, redactor) for notice in plan.notices],
    }
    return Document({**head, "digest": sign_plan(head, signed, redactor)}, entries)


def sign_change(entry: Mapping[str, Any], redactor: Redactor) -> str:
    """Return the keyed digest of a change as it is shown; where it is declared and how it is explained don't count."""
    steps = [[field["path"], field["before"], field["after"]] for field in entry["fields"]]
    return redactor.digest("change", entry["kind"], entry["key"], entry["action"], entry["reason"], _canonical(steps))


def sign_plan(head: Mapping[str, Any], signed: Iterable[Signature], redactor: Redactor) -> str:
    """Return the keyed digest of a whole plan: its head, and the digests of its changes."""
    rest = {name: value for name, value in head.items() if name != "digest"}
    return redactor.digest("plan", _canonical(rest), *(digest or "" for pair in signed for digest in pair))


def desired_digest(address: Address, fields: Mapping[str, Any], redactor: Redactor) -> str:
    """Return the keyed digest of what is declared for one record, equal whether it is shown as pseudonyms or not."""
    return redactor.digest("desired", str(address), _canonical(fields))


def place(source: Source | None) -> dict[str, Any] | None:
    """Return a position as JSON."""
    return None if source is None else {"file": source.file, "line": source.line, "column": source.column}


def _entry(change: Change, rules: Rules, redactor: Redactor, *, with_places: bool = False) -> dict[str, Any]:
    kind = change.address.kind
    meanings = rules.compare.get(kind, {})
    origin = change.after.origin
    own = place(change.after.source)
    places: dict[str, Any] = {}
    if origin is not None and with_places:
        file = origin.marks.file
        places = {name: {"file": file, "line": line, "column": column} for name, line, column in origin.places()}
    fields = []
    for changed in change.field_changes():
        name, before, after = changed.path, changed.before, changed.after
        if redactor.on:
            before, after = redactor.value(kind, name, before), redactor.value(kind, name, after)
        # A field that comes from defaults is placed where its record is.
        entry = {"path": name, "before": before, "after": after, "source": places.get(name, own)}
        details = [] if change.action == "create" else explain(changed.before, changed.after, meanings.get(name))
        if details:
            entry["details"] = [
                {
                    "op": detail.op,
                    "path": detail.path,
                    "before": redactor.value(kind, name, detail.before),
                    "after": redactor.value(kind, name, detail.after),
                }
                for detail in details
            ]
        fields.append(entry)
    return {
        "kind": kind,
        "key": redactor.address(kind, change.address.key),
        "action": change.action,
        "source": own,
        "fields": fields,
        "reason": redactor.text(change.reason),
    }


def _held(held: Held, redactor: Redactor) -> dict[str, Any]:
    kind = held.address.kind
    return {
        "kind": kind,
        "key": redactor.address(kind, held.address.key),
        "path": held.path,
        "policy": held.policy,
        "before": redactor.value(kind, held.path, held.before),
        "after": redactor.value(kind, held.path, held.after),
    }


def _notice(notice: Notice, redactor: Redactor) -> dict[str, Any]:
    kind = notice.address.kind
    value = redactor.value(kind, KINDS[kind].key_field, notice.value)
    return {
        "source": place(notice.source),
        "kind": kind,
        "key": redactor.address(kind, notice.address.key),
        "text": redactor.text(notice.text).replace("{value}", str(value)),
    }


def _canonical(value: Any) -> str:
    """Return one text for equal values, whatever the order of their members."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
