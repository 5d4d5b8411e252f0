"""What became of a change, decided from what is there now. Pure.

In: a change that was sent, and what reading back has found. Out: its outcome, or the update that is still needed.
"""

from collections.abc import Sequence

from crmctl.capability import Capability
from crmctl.diff import Change, Held, Rules, compare
from crmctl.found import Found
from crmctl.outcome import Outcome, Status
from crmctl.resource import Address, Resource
from crmctl.values import same

NOT_FOUND = "sent, but not found by its key within the time allowed: the next plan will tell"
NOT_FOUND_ONCE = "sent, but not found within the time allowed; it will not be sent again, lest there be two"
NOT_SHOWN = "sent, and nothing of it shows within the time allowed: ignored, or it shows later; the next plan will tell"


def judge_create(
    change: Change,
    found: Found,
    rules: Rules,
    unreadable: frozenset[str],
    *,
    reviewed: bool,
    capability: Capability,
    sent: bool = True,
) -> Outcome | Change:
    """Return what became of a create; an update where there is a record that differs, usually somebody else's.

    `reviewed`: such a record is a conflict instead. What was not `sent` was made by somebody else in any case.
    """
    key = change.address.key
    record, ids = found.records.get(key), found.ids.get(key)
    if record is None:
        alike = found.unclear().get(key)
        error = NOT_FOUND if capability.dedupes else NOT_FOUND_ONCE
        if alike:
            error = f"sent, and {len(alike)} records are alike ({', '.join(alike)}): which one it is can't be told"
        return Outcome(change, "unknown", error=error)
    held: list[Held] = []
    if ids:
        return Outcome(change, "failed", record.remote_id, doubled(ids))
    as_declared = record.fields is change.after.fields  # what was found equal shares them
    difference = None if as_declared else compare(change.after, record, rules, unreadable, held)
    if difference is None and not held:
        return Outcome(change, "created" if sent else "existed", record.remote_id)
    if reviewed and not capability.bare:
        changed = [one.path for one in difference.fields] if difference is not None else []
        names_ = ", ".join(changed + [one.path for one in held])
        error = f"exists since the plan was made, with other values ({names_}): plan again"
        return Outcome(change, "failed", record.remote_id, error, conflict=True)
    # What a policy leaves alone was not put there by this create.
    return Outcome(change, "existed", record.remote_id) if difference is None else difference


def judge_update(
    change: Change, planned: Change, found: Found, rules: Rules, unreadable: frozenset[str], *, bare: bool
) -> Outcome:
    """Return what became of an update; `planned` is what the plan had: a create may have met a record.

    `bare`: what a create has met is its own record, to which it could not give more than a key.
    """
    record = found.records.get(change.address.key)
    if record is None:
        return Outcome(planned, "unknown", error="sent, but the record is no longer found by its key")
    if ids := found.ids.get(change.address.key):
        return Outcome(planned, "failed", remote_id(change), doubled(ids))
    difference = compare(change.after, record, rules, unreadable, [])
    if difference is not None:
        if planned.action == "update" and _unseen(change, record, rules, unreadable):
            return Outcome(planned, "unknown", record.remote_id, NOT_SHOWN)
        error = f"the CRM accepted the update and still reads otherwise: {names(difference)}"
        if not {changed.path for changed in change.fields} & {changed.path for changed in difference.fields}:
            error = f"updated, but somebody has changed other fields since ({names(difference)}): plan again"
        return Outcome(planned, "failed", record.remote_id, error)
    # A create that met somebody else's record ends as "existed", not as "updated".
    status: Status = "updated" if planned.action == "update" else "created" if bare else "existed"
    blind = sorted(unreadable & {changed.path for changed in change.fields})
    unverified = f"not verified, as reads don't return it: {', '.join(blind)}" if blind else ""
    return Outcome(planned, status, record.remote_id, unverified)


def _unseen(change: Change, record: Resource, rules: Rules, unreadable: frozenset[str]) -> bool:
    """Tell whether every field of an update still is what it was before: reads may just be late."""
    kind = change.address.kind
    return all(
        same(changed.before, record.fields.get(changed.path), rules.meaning(kind, changed.path))
        for changed in change.fields
        if changed.path not in unreadable
    )


def missing(changes: Sequence[Change], found: Found) -> list[Change]:
    """Return the changes whose record was not found."""
    return [change for change in changes if change.address.key not in found.records]


def present(changes: Sequence[Change], found: Found) -> list[Change]:
    """Return the changes whose record was found."""
    return [change for change in changes if change.address.key in found.records]


def differing(changes: Sequence[Change], found: Found, rules: Rules, unreadable: frozenset[str]) -> list[Change]:
    """Return the changes that don't show yet."""
    return [
        change
        for change in changes
        if (record := found.records.get(change.address.key)) is None
        or compare(change.after, record, rules, unreadable, []) is not None
    ]


def remote_id(change: Change) -> str | None:
    """Return the id of the record that an update is about."""
    return change.before.remote_id if change.before else None


def names(change: Change) -> str:
    """Return the names of the fields that a change is about."""
    return ", ".join(changed.path for changed in change.fields)


def doubled(ids: Sequence[str]) -> str:
    """Say that a key has more than one record."""
    return f"the CRM now holds {len(ids)} records of this key ({', '.join(sorted(ids))}): merge them there"


def unsent(change: Change, planned: Change, status: Status, error: str) -> Outcome:
    """Return the outcome of a write that came to nothing; where a create has led to an update, the record is there."""
    if change.action == planned.action:
        return Outcome(planned, status, error=error)
    return Outcome(planned, "failed", remote_id(change), f"it is there, but not as declared: {error}")


def close(change: Change, rest: str, *, in_flight: bool) -> Outcome:
    """Return the outcome of a change that has none yet when a run ends."""
    if change.action == "report":
        return Outcome(change, "skipped", error=change.reason)
    if in_flight:
        return Outcome(change, "unknown", error=f"sent, and {rest} before it could be read back")
    return Outcome(change, "skipped", error=rest)


def absent(outcome: Outcome | None) -> bool:
    """Tell whether a record was to be created in this run and is not there."""
    if outcome is None or outcome.change.action != "create":
        return False
    return outcome.status in {"failed", "skipped"} and outcome.remote_id is None


def troubled(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether a canary shows that something is wrong: a record did not come out right, or none was sent."""
    statuses = {outcome.status for outcome in outcomes}
    return not statuses.isdisjoint({"failed", "unknown"}) or statuses <= {"skipped"}


def orphaned(change: Change, owner: Address) -> Outcome:
    """Return the outcome of a record whose owner is absent."""
    return Outcome(change, "skipped", error=f"{owner} is not created, and this record belongs to it")
