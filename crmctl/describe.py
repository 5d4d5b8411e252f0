"""Stage 6, said: a plan as its document (schemas/plan.schema.json), which reports render and plan files hold. Pure.

Personal data is replaced here, before anything renders it. The digests are keyed: they tell whether a plan file or the
world has changed, and no value can be guessed from them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from crmctl import __version__
from crmctl.capability import Definition
from crmctl.desired import Notice
from crmctl.diff import Change, Detail, Held, explain, to_create
from crmctl.document import Document
from crmctl.kinds import KINDS, NOTHING
from crmctl.plan import Plan
from crmctl.redact import Redactor
from crmctl.resource import Resource, Source
from crmctl.values import empty

FORMAT_VERSION = "1.0"


def document(plan: Plan, redactor: Redactor, *, with_digests: bool = True, with_places: bool = True) -> Document:
    """Return the plan as JSON values, personal data already replaced if the redactor is on.

    `with_digests`: sign it, so that `saved.py` can tell whether the file, or the world, has changed. `with_places`: say
    where each field is declared, not just each record. Both take time that a short text report need not spend.
    """
    writer = _Writer(plan, redactor, with_places=with_places)

    def entries() -> Iterator[Mapping[str, Any]]:
        for index, change in enumerate(plan.changes):
            entry = writer.entry(index, change)
            entry.update(writer.digests(change, entry) if with_digests else _UNSIGNED)
            yield entry

    head = {
        **identify(plan, redactor),
        "manifest_digest": plan.manifest_digest,
        "summary": {
            "create": plan.count("create"),
            "update": plan.count("update"),
            "report": plan.count("report"),
            "unchanged": plan.unchanged,
            "unmanaged": plan.unmanaged,
        },
        "requests": dict(plan.requests),
        "requests_at_least": plan.at_least,
        "seconds": plan.seconds,
        "definitions": [say_definition(definition, redactor) for definition in plan.definitions],
        "unreadable": [{"kind": kind, "field": name} for kind, name in plan.unreadable],
        "held": [_held(held, redactor) for held in plan.held],
        "notices": [_notice(notice, redactor) for notice in plan.notices],
    }
    digest = sign_plan(head, entries() if with_digests else (), redactor)
    return Document({**head, "digest": digest}, entries)


def sign_change(entry: Mapping[str, Any], redactor: Redactor) -> str:
    """Return the keyed digest of a change as it is shown; where it is declared and how it is explained don't count."""
    steps = [[field["path"], field["before"], field["after"]] for field in entry["fields"]]
    return redactor.digest("change", entry["kind"], entry["key"], entry["action"], entry["reason"], _canonical(steps))


def sign_plan(head: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], redactor: Redactor) -> str:
    """Return the keyed digest of a whole document, everything in it included."""
    digest = redactor.digest("plan", _canonical({name: value for name, value in head.items() if name != "digest"}))
    for entry in entries:
        digest = redactor.digest("entry", digest, _canonical(entry))
    return digest


def sign_desired(resource: Resource, plan: Plan, redactor: Redactor) -> str:
    """Return the keyed digest of what is declared for one record, equal whether it is shown as pseudonyms or not."""
    return redactor.digest("desired", str(resource.address), _canonical(to_create(resource, plan.rules).fields))


def say_definition(definition: Definition, redactor: Redactor) -> dict[str, Any]:
    """Return a custom field to be made as JSON; `scope` only where it belongs to more than its kind."""
    said = {"kind": definition.kind, "slug": redactor.text(definition.slug), "type": definition.type}
    return {**said, "scope": definition.scope} if definition.scope else said


def identify(plan: Plan, redactor: Redactor) -> dict[str, Any]:
    """Return what every plan file begins with: who wrote it, when, about what, and with which key."""
    return {
        "format_version": FORMAT_VERSION,
        "crmctl_version": __version__,
        "created_at": moment(plan.created_at),
        "target": plan.target,
        "provider": plan.provider,
        "redacted": redactor.on,
        "key_check": redactor.digest("key"),
    }


def moment(at: datetime, precision: str = "seconds") -> str:
    """Return a point in time as JSON."""
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def place(source: Source | None, redactor: Redactor) -> dict[str, Any] | None:
    """Return a position as JSON; files may be named after people."""
    if source is None:
        return None
    return {"file": redactor.text(source.file), "line": source.line, "column": source.column}


_UNSIGNED: Mapping[str, str | None] = {"digest": None, "desired_digest": None}


class _Writer:
    """Makes the entries of a plan's document; what is dear to explain is explained once."""

    def __init__(self, plan: Plan, redactor: Redactor, *, with_places: bool) -> None:
        self.plan = plan
        self.redactor = redactor
        self.with_places = with_places
        self.explained: dict[tuple[int, str], list[Detail]] = {}

    def digests(self, change: Change, entry: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the digests of an entry."""
        desired = sign_desired(change.after, self.plan, self.redactor)
        return {"digest": sign_change(entry, self.redactor), "desired_digest": desired}

    def entry(self, index: int, change: Change) -> dict[str, Any]:
        """Return a change as JSON values."""
        kind, redactor = change.address.kind, self.redactor
        own = place(change.after.source, redactor)
        places: dict[str, Any] = {}
        if self.with_places and change.after.origin is not None and own is not None:
            places = {
                name: {"file": own["file"], "line": line, "column": column}
                for name, line, column in change.after.origin.places()
            }
        created = change.after.fields if change.action == "create" else NOTHING
        value, hides = redactor.value, redactor.on
        # A field that comes from defaults is placed where its record is. Most fields of most plans pass here.
        fields: list[dict[str, Any]] = [
            {
                "path": name,
                "before": None,
                "after": value(kind, name, after) if hides else after,
                "source": places.get(name, own),
            }
            for name, after in created.items()
            if not empty(after)
        ]
        for name, before, after in change.fields:
            entry = {
                "path": name,
                "before": value(kind, name, before),
                "after": value(kind, name, after),
                "source": places.get(name, own),
            }
            if details := self.details(index, change, name):
                entry["details"] = details
            fields.append(entry)
        return {
            "kind": kind,
            "key": redactor.address(kind, change.address.key),
            "action": change.action,
            "source": own,
            "fields": fields,
            "reason": redactor.text(change.reason),
        }

    def details(self, index: int, change: Change, name: str) -> list[dict[str, Any]]:
        """Return what differs inside a field, if it is a list or an object."""
        kind = change.address.kind
        if (index, name) not in self.explained:
            [changed] = [changed for changed in change.fields if changed.path == name]
            meaning = self.plan.rules.meaning(kind, name)
            self.explained[index, name] = explain(changed.before, changed.after, meaning)
        return [
            {
                "op": detail.op,
                "path": detail.path,
                "before": self.redactor.value(kind, name, detail.before),
                "after": self.redactor.value(kind, name, detail.after),
            }
            for detail in self.explained[index, name]
        ]


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
        "source": place(notice.source, redactor),
        "kind": kind,
        "key": redactor.address(kind, notice.address.key),
        "text": redactor.text(notice.text).replace("{value}", str(value)),
    }


def _canonical(value: Any) -> str:
    """Return one text for equal values, whatever the order of their members."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
