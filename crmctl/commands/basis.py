"""What an apply goes by besides the manifests: a plan file, an undo plan, or what an earlier run has left to do.

In: what was named on the command line. Out: by target, a `Document` or a `History`, and a fresh plan cut down to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from crmctl.commands.run import Run
from crmctl.commands.shelves import open_shelf
from crmctl.commands.targets import Planned, Targets, choose, open_plans
from crmctl.config import Config
from crmctl.desired import select
from crmctl.document import Document
from crmctl.errors import CrmctlError, StalePlan
from crmctl.history import History
from crmctl.journal import key_check, name_of
from crmctl.reconcile import Loaded, Session
from crmctl.saved import leave, match
from crmctl.undo import is_undo, match_undo, restore

MOST_SENTENCES = 20
Basis = Mapping[str, Document | History]


class Resumption(NamedTuple):
    """An earlier run, to be continued."""

    run_id: str


def open_basis(run: Run, config: Config, named: Path | Resumption | None) -> tuple[Basis, bool]:
    """Return what to go by for each target, and whether they are to be reported as several."""
    if named is None:
        return {}, False
    if isinstance(named, Resumption):
        history = find_run(run, config, named.run_id)
        return {history.target: history}, False
    saved = open_plans(named, run.flags)
    if isinstance(saved, Document):
        return {saved.head["target"]: saved}, False
    for failure in saved.failed:
        run.say(
            f"target {failure['target']} has no plan in the file, and is passed over: {failure['error']}", always=True
        )
    return {document.head["target"]: document for document in saved.documents}, True


def find_run(run: Run, config: Config, run_id: str) -> History:
    """Return the journalled run of that id (or the one that begins or ends so), among the targets that flags name."""
    targets = choose(run.flags, config)
    for target in targets:
        history = open_shelf(target, run.environment, config.tree).find(run_id)
        if history is not None:
            return history
    names = ", ".join(target.name for target in targets)
    raise CrmctlError(f"no run {run_id} against target {names} is journalled: `crmctl runs --all-targets` lists them")


def find_facts(basis: Basis) -> dict[str, str]:
    """Return what the journal of a run says of the run that it goes by."""
    facts: dict[str, str] = {}
    for one in basis.values():
        if isinstance(one, History):
            facts["resumes"] = one.run
        elif is_undo(one):
            facts["undoes"] = str(one.head["undo"].get("run"))
    return facts


def find_desired(run: Run, targets: Targets, basis: Basis) -> Loaded | Callable[[Session], Loaded]:
    """Return what is desired: what the manifests say, but for undo plans, which say it themselves."""
    undone = {name: one for name, one in basis.items() if isinstance(one, Document) and is_undo(one)}
    if not undone:
        return run.load(targets.config)
    if len(undone) < len(basis):
        raise CrmctlError("the plan file has both plans and undo plans: apply one after the other, with --target")

    def desire(session: Session) -> Loaded:
        found = restore(undone[session.target.name], session.redactor)
        if not any(found.desired.resources.values()):
            raise CrmctlError("the run overwrote nothing, so there is nothing to put back")
        desired = select(found.desired, run.flags.only, run.flags.exclude)
        return Loaded(desired, {}, restores=True, ids=found.ids)

    return desire


def review(run: Run, planned: Planned, *, basis: Basis, apply_unchanged: bool) -> Planned:
    """Return what of a fresh plan is to be done; refuse it if not all of it is as reviewed, unless asked to go on."""
    one = basis[planned.plan.target]
    if isinstance(one, History):
        return _leave_to(run, planned, one)
    if is_undo(one):
        matched = match_undo(one, planned.plan, planned.session.redactor)
        word, problem = "conflict", "what it wrote has been changed since: pass --apply-unchanged to put back the rest"
    else:
        matched = match(one, planned.plan, planned.session.redactor.switched(on=one.head["redacted"]))
        word, problem = "stale", "the plan is stale: plan again, or pass --apply-unchanged"
    word = "left alone" if apply_unchanged else word
    for sentence in matched.stale[:MOST_SENTENCES]:
        run.say(f"{word}: {sentence}", always=True)
    if len(matched.stale) > MOST_SENTENCES:
        run.say(f"{word}: {len(matched.stale) - MOST_SENTENCES} more", always=True)
    if matched.stale and not apply_unchanged:
        reason, _, advice = problem.partition(": ")
        raise StalePlan(f"{reason} and nothing was sent: {advice}")
    return planned._replace(plan=matched.plan)


def _leave_to(run: Run, planned: Planned, history: History) -> Planned:
    """Return what of a fresh plan the earlier run was to do; the rest of it are reports, so that totals add up."""
    redactor = planned.session.redactor
    if not history.planned:
        advice = "whatever it sent will be found: apply instead"
        raise CrmctlError(f"run {history.run} has not written down what it was to do, so nothing was sent; {advice}")
    if history.key_check != key_check(redactor):
        advice = "set CRMCTL_PSEUDONYM_KEY to what it was, or apply instead"
        raise CrmctlError(f"run {history.run} was journalled with another key, so nothing was sent: {advice}")
    left = history.left()
    changes = planned.plan.changes
    others = {
        change.address
        for change in changes
        if change.action != "report" and name_of(redactor, change.address) not in left
    }
    if others:
        run.say(f"{len(others)} more changes were not left by run {history.run}, and are left alone: apply does them")
    reason = f"it is not among what run {history.run} has left"
    kept = (leave(change, reason) if change.address in others else change for change in changes)
    return planned._replace(plan=replace(planned.plan, changes=tuple(kept)))
