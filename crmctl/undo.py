"""What a run overwrites, as a plan file that puts it back: made before anything is sent, applied like any plan. Pure.

In: a plan, and later what became of it. Out: a document by schemas/plan.schema.json with the member `undo`. In its
changes `before` is what the run wrote and `after` what was there. Applying it reads and compares afresh like every
plan, with what was there as the desired state, so it never relies on the run having got that far: what was not
overwritten is as desired already. A field that somebody has changed since is a conflict, and is left alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from crmctl.describe import identify, sign_plan
from crmctl.desired import Desired
from crmctl.diff import Change
from crmctl.document import Document
from crmctl.errors import CrmctlError
from crmctl.kinds import COMPOSED, KINDS
from crmctl.outcome import Outcome
from crmctl.plan import Plan
from crmctl.redact import Redactor
from crmctl.resource import Address, Resource
from crmctl.saved import Match, check_signature, leave
from crmctl.values import same

CREATED = "not undoable: the run creates it, and crmctl deletes nothing"
EXISTED = "not undoable: it existed, and what creating it has overwritten in the CRM is not known"
UNCLEAR = "not undoable: it was sent, and not looked at or not found: created, or overwritten if it had existed"
UNSEEN = "in doubt: it was sent, and not looked at or not found; what was not overwritten is as it was already"
DEFINED = "not undoable: the run adds this custom field, and crmctl removes none"
UNVERIFIED = frozenset({"sent", "unknown"})
KNOWN_BY: Mapping[str, tuple[str, ...]] = {"opportunity": ("pipeline_id", "name"), "note": ("text",)}
"""The fields by which records without a key of their own are found: they are part of what is desired."""


class Restoration(NamedTuple):
    """What an undo plan wants: the desired state, and the ids of records that have no key of their own."""

    desired: Desired
    ids: Mapping[Address, str]


def describe_undo(
    plan: Plan, redactor: Redactor, *, run: str | None = None, outcomes: Mapping[Address, Outcome] | None = None
) -> Document:
    """Return the undo plan of a run; without `outcomes` that of everything it may come to.

    Nothing in it is hidden, whatever the redactor is set to: nobody could put back a pseudonym.
    """
    plain = redactor.switched(on=False)
    updates = [change for change in plan.changes if change.action == "update" and _may_be(change, outcomes)]
    notices = [
        {"source": None, "kind": definition.kind, "key": f"custom_fields.{definition.slug}", "text": DEFINED}
        for definition in plan.definitions
    ]
    notices += [
        {"source": None, "kind": change.address.kind, "key": change.address.key, "text": text}
        for change in plan.changes
        if _may_be(change, outcomes) and (text := _excuse(change, outcomes))
    ]
    entries = [_entry(change) for change in updates]
    head = {
        **identify(plan, plain),
        "manifest_digest": plan.manifest_digest,
        "undo": {"run": run, "matched": plan.matched},
        "summary": {"create": 0, "update": len(entries), "report": 0, "unchanged": 0, "unmanaged": None},
        "requests": {},
        "definitions": [],
        "unreadable": [],
        "held": [],
        "notices": notices,
    }

    def stream() -> Iterator[Mapping[str, Any]]:
        yield from entries

    return Document({**head, "digest": sign_plan(head, entries, plain)}, stream)


def count_doubts(document: Document) -> int:
    """Return how many updates of an undo plan may not have arrived."""
    return sum(notice["text"] == UNSEEN for notice in document.head["notices"])


def is_undo(document: Document) -> bool:
    """Tell whether a plan file is an undo plan."""
    return "undo" in document.head


def restore(saved: Document, redactor: Redactor) -> Restoration:
    """Return what an undo plan wants; raises StalePlan for a file that is not as it was written."""
    check_signature(saved, redactor)
    resources: dict[str, dict[str, Resource]] = {kind: {} for kind in KINDS}
    ids: dict[Address, str] = {}
    for entry in saved.entries():
        kind, key = entry["kind"], entry["key"]
        if kind not in resources or entry["action"] != "update":
            wrong = f"{entry['action']} {kind}"
            raise CrmctlError(f"the undo plan has a step that this version can't take ({wrong}): nothing was sent")
        fields = {**entry.get("known_by", {}), **{field["path"]: field["after"] for field in entry["fields"]}}
        refs = {name: Address(*ref.split("/", 1)) for name, ref in entry.get("refs", {}).items()}
        resource = Resource(Address(kind, key), fields, refs, was=entry.get("was"))
        resources[kind][key] = resource
        if kind in COMPOSED and entry.get("remote_id"):
            ids[resource.address] = entry["remote_id"]
    desired = {kind: dict(sorted(found.items())) for kind, found in resources.items()}
    return Restoration(Desired(desired, ()), ids)


def match_undo(saved: Document, fresh: Plan, redactor: Redactor) -> Match:
    """Return what of a fresh plan puts back what the run wrote; the rest of it are reports.

    A record of which any field reads otherwise than the run left it is a conflict, and all of it is left alone.
    """
    listed = {(entry["kind"], entry["key"]): entry for entry in saved.entries()}
    kept: list[Change] = []
    stale: list[str] = []
    for change in fresh.changes:
        address = change.address
        fields = {field["path"]: field for field in listed[address.kind, address.key]["fields"]}
        problem = _conflict(change, fields, fresh)
        if problem:
            stale.append(f"{redactor.text(str(address))}: {problem}")
        kept.append(leave(change, problem) if problem else change)
    # What may be undone is counted among what the run had matched, not just among what it overwrote.
    matched = max(fresh.matched, saved.head["undo"].get("matched", 0))
    return Match(replace(fresh, changes=tuple(kept), matched=matched), tuple(stale))


def _conflict(change: Change, fields: Mapping[str, Mapping[str, Any]], fresh: Plan) -> str:
    """Return why a change must not be made, if so."""
    if change.action == "report":
        return f"can't be put back ({change.reason})"
    if change.action == "create":
        return "is no longer there"
    others = [
        changed.path
        for changed in change.fields
        if changed.path not in fields
        or not same(
            changed.before, fields[changed.path]["before"], fresh.rules.meaning(change.address.kind, changed.path)
        )
    ]
    return f"has been changed since the run ({', '.join(others)})" if others else ""


def _may_be(change: Change, outcomes: Mapping[Address, Outcome] | None) -> bool:
    """Tell whether the run may have written something; an update that somebody else had made was not sent."""
    if change.action == "report":
        return False
    if outcomes is None:
        return True
    outcome = outcomes.get(change.address)
    if outcome is None or outcome.status == "skipped":
        return False
    if change.action == "update":
        return outcome.status != "existed"
    return outcome.status != "failed" or outcome.remote_id is not None


def _excuse(change: Change, outcomes: Mapping[Address, Outcome] | None) -> str:
    """Return why a create can't be undone, and whether an update may not have arrived; nothing where all is clear."""
    outcome = None if outcomes is None else outcomes.get(change.address)
    status = None if outcome is None else outcome.status
    if change.action == "update":
        return UNSEEN if status in UNVERIFIED else ""
    return EXISTED if status in {"existed", "failed"} else UNCLEAR if status in UNVERIFIED else CREATED


def _entry(change: Change) -> dict[str, Any]:
    """Return an update the other way round."""
    address, after, before = change.address, change.after, change.before
    entry: dict[str, Any] = {"kind": address.kind, "key": address.key, "action": "update"}
    key_field = None if address.kind in COMPOSED else KINDS[address.kind].key_field
    if before is not None and any(changed.path == key_field for changed in change.fields):
        entry |= {"key": before.address.key, "was": address.key}
    entry |= {
        "digest": None,
        "desired_digest": None,
        "source": None,
        "fields": [
            {"path": changed.path, "before": _plain(changed.after), "after": _plain(changed.before), "source": None}
            for changed in change.fields
        ],
        "reason": "",
        "remote_id": before.remote_id if before is not None else None,
    }
    if address.kind in COMPOSED:
        names: Iterable[str] = KNOWN_BY[address.kind]
        entry["refs"] = {name: f"{ref.kind}/{ref.key}" for name, ref in after.refs.items()}
        entry["known_by"] = {name: after.fields[name] for name in names if name in after.fields}
    return entry


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return list(value) if isinstance(value, list | tuple) else value
