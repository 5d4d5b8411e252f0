"""Whether an update may still be sent, from what is there just before it would be. Pure.

In: a planned update, and what a read has found. Out: its outcome if it is not to be sent any more, else None. Fields
that the update leaves alone may have changed as they like.
"""

from crmctl.diff import Change, Rules
from crmctl.found import Found
from crmctl.judge import doubled, remote_id
from crmctl.outcome import Clash, Outcome
from crmctl.resource import Resource
from crmctl.values import same

CHANGED = "changed since the plan was made ({}), so it was left alone: plan again"
GONE = "no longer found by its key, so it was left alone: deleted or renamed since the plan was made; plan again"
ANOTHER = "another record has its key since the plan was made ({}), so it was left alone: plan again"


def recheck(change: Change, found: Found, rules: Rules, *, fails: bool) -> Outcome | None:
    """Return the outcome of an update that must not be sent, or need not be; None where it is as planned.

    `fails`: a conflict is a failure of the run.
    """
    key, ours = change.address.key, remote_id(change)
    if ids := found.ids.get(key):
        return Outcome(change, "skipped", ours, doubled(ids), conflict=fails)
    record = _record(found, key, ours)
    if record is None:
        other = found.records.get(key)
        error = GONE if other is None else ANOTHER.format(other.remote_id)
        return Outcome(change, "skipped", ours, error, conflict=fails)
    clashes: list[Clash] = []
    done = True
    for changed in change.fields:
        now, meaning = record.fields.get(changed.path), rules.meaning(change.address.kind, changed.path)
        if same(changed.after, now, meaning):
            continue
        done = False
        if not same(changed.before, now, meaning):
            clashes.append(Clash(changed.path, changed.before, now, changed.after))
    if clashes:
        error = CHANGED.format(", ".join(clash.path for clash in clashes))
        return Outcome(change, "skipped", ours, error, conflict=fails, clashes=tuple(clashes))
    # Somebody else has made it what is declared.
    return Outcome(change, "existed", ours) if done else None


def _record(found: Found, key: str, ours: str | None) -> Resource | None:
    """Return the record that was planned for: it may still have its former key."""
    there = (found.records.get(key), found.renamed.get(key))
    return next((record for record in there if record is not None and record.remote_id == ours), None)
