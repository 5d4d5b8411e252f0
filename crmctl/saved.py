"""A plan file, read back: shown, or compared with what would be done now. Pure.

A saved plan is never run from the file. The fresh plan is, as far as it is the same: so nobody can put words into a
plan file, and a run that was killed is finished by running the same file again.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from crmctl.capability import Definition
from crmctl.describe import FORMAT_VERSION, document, say_definition, sign_change, sign_desired, sign_plan
from crmctl.diff import Change
from crmctl.document import Bundle, Document
from crmctl.errors import CrmctlError, InvalidInput, StalePlan
from crmctl.plan import Plan
from crmctl.redact import Redactor
from crmctl.resource import Source
from crmctl.schema import check

CUT = "plans were taken out of the plan file, or put into it, after it was written: plan again"
LOOKED_UP = frozenset({"refs", "known_by", "was"})
"""What a change of an undo plan has besides, so that its record can be found: nothing for those who only look."""


Content = Literal["plan", "undo", "spent", "other"]
"""What a file may hold: a plan, an undo plan with something to put back or with nothing, or something else."""


class Match(NamedTuple):
    """A fresh plan against a saved one: `stale` says what is not as reviewed, and `plan` has that as reports."""

    plan: Plan
    stale: tuple[str, ...]


def recognise(data: bytes) -> Content:
    """Tell what a file holds, whatever version wrote it; of several plans in one the one that matters most."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return "other"
    plans = values.get("plans", [values]) if isinstance(values, dict) and "format_version" in values else None
    if not isinstance(plans, list) or not all(isinstance(one, dict) and "changes" in one for one in plans):
        return "other"
    if any("undo" in one and one["changes"] for one in plans):
        return "undo"
    return "spent" if plans and all("undo" in one for one in plans) else "plan"


def read_plans(data: bytes, name: str) -> Document | Bundle:
    """Return a plan file as a document, or as a bundle of those of several targets.

    Raises CrmctlError for what is none of ours, InvalidInput for a wrong one, StalePlan where plans were taken out or
    put in.
    """
    again = "write one with `crmctl plan --out FILE`"
    try:
        values = json.loads(data, parse_constant=_read_number, parse_float=_read_number)
    except (ValueError, RecursionError) as error:
        raise CrmctlError(f"{name}: not a plan file ({error}): {again}") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    ours = FORMAT_VERSION.partition(".")[0]
    if isinstance(version, str) and version.partition(".")[0] != ours:
        raise CrmctlError(f"{name}: plan format {version} is not {ours}.x: plan again with this version of crmctl")
    diagnostics = check("plan", values, Source(name, 1, 1))
    if diagnostics:
        raise InvalidInput(diagnostics)
    if "plans" not in values:
        if "together" in values:
            raise StalePlan(CUT)
        return _open(values)
    if not values["plans"]:
        raise CrmctlError(f"{name}: no target could be planned: {again}")
    documents = [_open(plan) for plan in values.pop("plans")]
    targets = [document.head["target"] for document in documents]
    if twice := {target for target in targets if targets.count(target) > 1}:
        raise CrmctlError(f"{name}: more than one plan for target {min(twice)}: {again}")
    _check_whole([document.head.get("together") for document in documents])
    return Bundle("plans", values, documents, values.pop("failed", ()))


def bind(documents: Sequence[Document], redactors: Sequence[Redactor]) -> list[Document]:
    """Sign the plans of several targets together: none can be taken out of their file then, and none be put into it.

    Each target has a key of its own, so each plan has to say what it belongs to.
    """
    whole = hashlib.sha256("".join(document.head["digest"] for document in documents).encode()).hexdigest()
    together = {"plans": len(documents), "digest": whole}
    return [
        Document({**head, "together": together, "digest": _sign_part(head["digest"], together, redactor)}, entries)
        for (head, entries), redactor in zip(documents, redactors, strict=True)
    ]


def _check_whole(parts: Sequence[Mapping[str, Any] | None]) -> None:
    """Raise StalePlan if plans in one file are not all there are of those that were signed together."""
    first = parts[0]
    if first is None or first["plans"] != len(parts) or any(part != first for part in parts):
        raise StalePlan(CUT)


def _sign_part(digest: str, together: Mapping[str, Any], redactor: Redactor) -> str:
    return redactor.digest("part", digest, str(together["plans"]), together["digest"])


def _open(values: dict[str, Any]) -> Document:
    """Take a plan's changes out of its head."""
    changes = values.pop("changes")

    def entries() -> Iterator[Mapping[str, Any]]:
        yield from changes

    return Document(values, entries)


def hide(saved: Document, redactor: Redactor) -> Document:
    """Return a plan with pseudonyms for personal data, if it was written without them."""
    if saved.head["redacted"] or not redactor.on:
        return saved

    def named(entry: Mapping[str, Any], *values: str) -> dict[str, Any]:
        kind = entry["kind"]
        shown = {name: redactor.value(kind, entry.get("path", ""), entry[name]) for name in values if name in entry}
        texts = {name: redactor.text(entry[name]) for name in ("reason", "text") if name in entry}
        source = entry.get("source")
        places = {"source": {**source, "file": redactor.text(source["file"])}} if source else {}
        return {**entry, "key": redactor.address(kind, entry["key"]), **shown, **texts, **places}

    def field(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        hidden = named({"kind": kind, "key": "", **entry}, "before", "after")
        details = [
            {**detail, **{side: redactor.value(kind, entry["path"], detail.get(side)) for side in ("before", "after")}}
            for detail in entry.get("details", ())
        ]
        hidden = {name: value for name, value in hidden.items() if name in entry}
        return {**hidden, "details": details} if details else hidden

    def entries() -> Iterator[Mapping[str, Any]]:
        for entry in saved.entries():
            shown = {name: value for name, value in named(entry).items() if name not in LOOKED_UP}
            yield {**shown, "fields": [field(entry["kind"], changed) for changed in entry["fields"]]}

    definitions = saved.head.get("definitions", ())
    lists = {
        "definitions": [{**one, "slug": redactor.text(one["slug"])} for one in definitions],
        "held": [named(held, "before", "after") for held in saved.head["held"]],
        "notices": [named(notice) for notice in saved.head["notices"]],
    }
    return Document({**saved.head, **lists, "redacted": True}, entries)


def hide_each(saved: Bundle, redactor: Redactor) -> Bundle:
    """Return the plans of several targets with pseudonyms for personal data."""

    def found(finding: Mapping[str, Any]) -> dict[str, Any]:
        kind, source = finding["kind"], finding["source"]
        place = source and {**source, "file": redactor.text(source["file"])}
        key = redactor.address(kind, finding["key"]) if kind and finding["key"] else None
        return {**finding, "source": place, "key": key, "message": redactor.text(finding["message"])}

    failed = [
        {**one, "error": redactor.text(one["error"]), "diagnostics": [found(finding) for finding in one["diagnostics"]]}
        for one in saved.failed
    ]
    documents = [hide(document, redactor) for document in saved.documents]
    return saved._replace(documents=documents, failed=failed if redactor.on else saved.failed)


def match(saved: Document, fresh: Plan, redactor: Redactor) -> Match:
    """Compare a saved plan with a fresh one; raises StalePlan for a file that is not as it was written.

    A listed change that is not needed any more counts as done if what is declared is still the same. `redactor` has to
    show personal data as the file does.
    """
    check_signature(saved, redactor)
    listed = {(entry["kind"], entry["key"]): entry for entry in saved.entries() if entry["action"] != "report"}
    defined, stale = _defined(saved.head.get("definitions", ()), fresh, redactor)
    kept: list[Change] = []
    for change, entry in zip(fresh.changes, document(fresh, redactor, with_digests=False).entries(), strict=True):
        name = f"{entry['kind']}/{entry['key']}"
        reviewed = listed.pop((entry["kind"], entry["key"]), None)
        problem = ""
        if change.action == "report":
            if reviewed is not None:
                stale.append(f"{name}: planned to {reviewed['action']}, and can't be done now ({entry['reason']})")
        elif reviewed is None:
            problem = f"to {change.action} now, and not in the plan"
        elif _differs(reviewed, entry, change, fresh, redactor):
            problem = f"planned to {reviewed['action']}, differs now"
        if problem:
            stale.append(f"{name}: {problem}")
        kept.append(leave(change, problem) if problem else change)
    stale += _undone(listed, fresh, redactor)
    return Match(replace(fresh, changes=tuple(kept), definitions=defined), tuple(stale))


def leave(change: Change, reason: str) -> Change:
    """Return a change that is not to be made: it is reported, and what belongs to a record not created is skipped."""
    return change._replace(action="report", reason=f"left alone: {reason}")


def check_signature(saved: Document, redactor: Redactor) -> None:
    """Raise StalePlan for a file that is not as it was written, or was written with another key."""
    if saved.head.get("key_check") != redactor.digest("key"):
        message = "the plan was made with another key: let both use one API key, or set CRMCTL_PSEUDONYM_KEY for both"
        raise StalePlan(message)
    head = {name: value for name, value in saved.head.items() if name != "together"}
    digest = sign_plan(head, saved.entries(), redactor)
    if "together" in saved.head:
        digest = _sign_part(digest, saved.head["together"], redactor)
    if saved.head["digest"] != digest:
        raise StalePlan("the plan file was changed after it was written: plan again")


def _defined(
    reviewed: Sequence[Mapping[str, Any]], fresh: Plan, redactor: Redactor
) -> tuple[tuple[Definition, ...], list[str]]:
    """Return the custom fields to be made as reviewed, and what to say of others; one that is there is done."""
    kept: list[Definition] = []
    stale: list[str] = []
    for definition in fresh.definitions:
        said = say_definition(definition, redactor)
        if said in reviewed:
            kept.append(definition)
        else:
            stale.append(
                f"custom field {said['kind']}.{said['slug']} ({said['type']}): to add now, and not in the plan"
            )
    return tuple(kept), stale


def _differs(
    reviewed: Mapping[str, Any], entry: Mapping[str, Any], change: Change, fresh: Plan, redactor: Redactor
) -> bool:
    """Tell whether a change is another than the one reviewed; pseudonyms alone would not tell `jane` from `JANE`."""
    desired = sign_desired(change.after, fresh, redactor)
    return (reviewed["digest"], reviewed["desired_digest"]) != (sign_change(entry, redactor), desired)


def _undone(listed: Mapping[tuple[str, str], Mapping[str, Any]], fresh: Plan, redactor: Redactor) -> Iterator[str]:
    """Yield what was listed, is not needed now, and still can't count as done."""
    kinds = {kind for kind, _ in listed}
    declared = {
        (kind, redactor.address(kind, key)): resource
        for kind in kinds
        for key, resource in fresh.desired.resources.get(kind, {}).items()
    }
    held = {(held.address.kind, redactor.address(held.address.kind, held.address.key)) for held in fresh.held}
    for (kind, shown), entry in listed.items():
        resource = declared.get((kind, shown))
        if resource is None or sign_desired(resource, fresh, redactor) != entry["desired_digest"]:
            yield f"{kind}/{shown}: planned to {entry['action']}, and declared otherwise now"
        elif (kind, shown) in held:
            yield f"{kind}/{shown}: planned to {entry['action']}, and held back by a field policy now"


def _read_number(text: str) -> float:
    """Read a number; NaN and infinity are no JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number
