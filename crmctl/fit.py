"""Stage 3, for one target: what is declared -> what this target can hold; what it can't is said, never dropped.

In: the desired state and a provider that has looked up the names in it. Out: `Fitted`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from crmctl.capability import Definition
from crmctl.desired import Desired, Notice
from crmctl.errors import Diagnostic, InvalidInput
from crmctl.kinds import KINDS, NOTHING
from crmctl.provider import Provider
from crmctl.resource import Address, Resource, Source

NOWHERE = Source("", 0, 0)


class Fitted(NamedTuple):
    """The desired state as a target can hold it.

    `blocked` says why a record has no place there at all, `definitions` are the custom fields to be made first.
    """

    desired: Desired
    blocked: Mapping[Address, str]
    definitions: tuple[Definition, ...] = ()


async def fit(
    provider: Provider, desired: Desired, *, strict: bool, ignored: Mapping[str, frozenset[str]] = NOTHING
) -> Fitted:
    """Fit the desired state to a target; raises InvalidInput for names it does not know, all of them at once.

    `strict`: what it can't hold is an error as well. `ignored` are fields that this target never hears of.
    """
    desired = _without(desired, ignored)
    resolution = await provider.resolve(desired.resources)
    wrong = [
        Diagnostic(
            found.resource.source_of(found.field), found.message, found.resource.address, found.field, found.value
        )
        for found in resolution.findings
    ]
    resources: dict[str, Mapping[str, Resource]] = {}
    notices: list[Notice] = []
    blocked: dict[Address, str] = {}
    for kind, declared in desired.resources.items():
        if kind not in provider.capabilities:
            reason = f"this target has no place for {KINDS[kind].plural}: `crmctl providers` shows what it takes"
            blocked |= dict.fromkeys((resource.address for resource in declared.values()), reason)
            resources[kind] = declared
            continue
        fitted: dict[str, Resource] = {}
        for key, resource in declared.items():
            fitted[key], unheld = provider.fit(resource)
            for field, reason in unheld:
                if field:
                    notices.append(Notice(resource.source_of(field), resource.address, f"{field}: {reason}"))
                else:
                    blocked[resource.address] = reason
        resources[kind] = fitted
    if strict:
        wrong += [Diagnostic(notice.source, notice.text, notice.address) for notice in notices]
        wrong += [
            Diagnostic(resources[address.kind][address.key].source, reason, address)
            for address, reason in blocked.items()
        ]
    if wrong:
        raise InvalidInput(sorted(wrong, key=lambda one: (one.source or NOWHERE, one.message)))
    return Fitted(
        Desired(resources, (*desired.notices, *sorted(notices, key=lambda one: (one.address, one.text)))),
        blocked,
        tuple(resolution.definitions),
    )


def _without(desired: Desired, ignored: Mapping[str, frozenset[str]]) -> Desired:
    """Return the desired state without the fields that a policy leaves to others."""
    if not any(ignored.values()):
        return desired
    resources: dict[str, Mapping[str, Resource]] = {}
    for kind, declared in desired.resources.items():
        names = ignored.get(kind, frozenset())
        resources[kind] = {
            key: resource if names.isdisjoint(resource.fields) else _leave_out(resource, names)
            for key, resource in declared.items()
        }
    return Desired(resources, desired.notices)


def _leave_out(resource: Resource, names: frozenset[str]) -> Resource:
    fields = {name: value for name, value in resource.fields.items() if name not in names}
    return Resource(resource.address, fields, resource.refs, resource.origin, was=resource.was)
