"""A plan file, read back: shown, or compared with what would be done now. Pure.

A saved plan is never run from the file. The fresh plan is, as far as it is the same: so nobody can put words into a
plan file, and a run that was killed is finished by running the same file again.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crmctl.desired import Desired
from crmctl.diff import Change
from crmctl.document import Document
from crmctl.errors import CrmctlError, InvalidInput, StalePlan
from crmctl.plan import FORMAT_VERSION, Plan, Signature, desired_digest, document, sign_change, sign_plan
from crmctl.redact import Redactor
from crmctl.resource import Address, Source
from crmctl.schema import check


@dataclass(frozen=True, slots=True)
class Match:
    """A fresh plan against a saved one: `plan` has the changes that are as reviewed, `stale` says what is not."""

    plan: Plan
    stale: tuple[str, ...]


def read_plan(data: bytes, name: str) -> Document:
    """Return a plan file as a document; raises CrmctlError for what is none of ours, InvalidInput for a wrong one."""
    again = "write one with `crmctl plan --out FILE`"
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CrmctlError(f"{name}: not a plan file ({error}): {again}") from None
    version = values.get("format_version") if isinstance(values, dict) else None
    ours = FORMAT_VERSION.partition(".")[0]
    if isinstance(version, str) and version.partition(".")[0] != ours:
        raise CrmctlError(f"{name}: plan format {version} is not {ours}.x: plan again with this version of crmctl")
    diagnostics = check("plan", values, Source(name, 1, 1))
    if diagnostics:
        raise InvalidInput(diagnostics)
    changes = values.pop("changes")

    def entries() -> Iterator[Mapping[str, Any]]:
        yield from changes

    return Document(values, entries)


def match(saved: Document, fresh: Plan, desired: Desired, redactor: Redactor) -> Match:
    """Compare a saved plan with a fresh one; raises StalePlan for a file that is not as it was written.

    A listed change that is not needed any more counts as done if what is declared is still the same. `redactor` has to
    show personal data as the file does.
    """
    if saved.head.get("key_check") != redactor.digest("key"):
        message = "the plan was made with another key: let both use one API key, or set CRMCTL_PSEUDONYM_KEY for both"
        raise StalePlan(message)
    _check_signatures(saved, redactor)
    listed = {(entry["kind"], entry["key"]): entry for entry in saved.entries() if entry["action"] != "report"}
    stale: list[str] = []
    kept: list[Change] = []
    for change, entry in zip(fresh.changes, document(fresh, redactor, with_digests=False).entries(), strict=True):
        if change.action == "report":
            kept.append(change)
            continue
        reviewed = listed.pop((entry["kind"], entry["key"]), None)
        if reviewed is None:
            stale.append(f"{entry['kind']}/{entry['key']}: to {change.action} now, and not in the plan")
        elif reviewed["digest"] != sign_change(entry, redactor):
            stale.append(f"{entry['kind']}/{entry['key']}: planned to {reviewed['action']}, differs now")
        else:
            kept.append(change)
    declared = _declared(desired, {kind for kind, _ in listed}, redactor)
    for (kind, shown), entry in listed.items():
        if declared.get((kind, shown)) != entry["desired_digest"]:
            stale.append(f"{kind}/{shown}: planned to {entry['action']}, and declared otherwise now")
    return Match(replace(fresh, changes=tuple(kept)), tuple(stale))


def _check_signatures(saved: Document, redactor: Redactor) -> None:
    """Raise StalePlan if anything in the file is other than it was written: what was reviewed is what is applied."""
    signed = [Signature(sign_change(entry, redactor), entry["desired_digest"]) for entry in saved.entries()]
    written = [Signature(entry["digest"], entry["desired_digest"]) for entry in saved.entries()]
    if signed != written or saved.head["digest"] != sign_plan(saved.head, signed, redactor):
        raise StalePlan("the plan file was changed after it was written: plan again")


def _declared(desired: Desired, kinds: set[str], redactor: Redactor) -> dict[tuple[str, str], str]:
    """Return the digest of every declared resource of some kinds, by the name it has in reports."""
    return {
        (kind, redactor.address(kind, key)): desired_digest(Address(kind, key), resource.fields, redactor)
        for kind in kinds
        for key, resource in desired.resources.get(kind, {}).items()
    }
