"""Why a record that is not found may not be created all the same: each reason, with the next step. Pure.

In: what is declared, what is there, and what earlier runs remember. Out: reasons, by address.
"""

from collections.abc import Collection, Mapping, Sequence

from crmctl.capability import Capability
from crmctl.desired import Desired
from crmctl.kinds import KINDS, NOTHING
from crmctl.memory import Memory, Trace
from crmctl.resource import Address, Resource, compose

NO_JOURNAL = (
    "this target can't be asked whether it is there, so it needs a durable journal: set `journal:` of the target to a "
    "place that outlives this machine"
)


def lost(
    traces: Mapping[Address, Trace],
    matched: Collection[str],
    reworded: Collection[Address] = (),
    former: Mapping[Address, Address] = NOTHING,
) -> Mapping[Address, str]:
    """Block what was created once, or may have been, and is not found.

    `reworded` is what said something else when it may have been sent, of a kind that is known by what it says; `former`
    has the addresses under which journals know what was renamed since.
    """
    found: dict[Address, str] = {}
    for address, trace in traces.items():
        if address.key in matched or (trace.state == "open" and address not in reworded):
            continue
        known = former.get(address, address)
        if trace.state == "open":
            reason = f"run {trace.run} may have created it, and it can't be found, as it is declared otherwise since"
            command = f"crmctl runs settle '{known}' --created --id ID (or --not-created)"
            found[address] = f"{reason}; say what became of it: {command}"
            continue
        if trace.state == "unknown":
            reason = f"run {trace.run} sent it and did not find it afterwards: it may be there"
            found[address] = f"{reason}; say what became of it: {_settle(known, created=True)}"
            continue
        # Were it left out of one list only, creating it again would make two.
        reason = f"run {trace.run} created it as {trace.remote_id or 'a record'}, and it is no longer there"
        if trace.state == "settled":
            reason = f"somebody has said (run {trace.run}) that it was created, and it is not there"
        found[address] = f"{reason}; to have it created again: {_settle(known, created=False)}"
    return found


def says_its_name(resource: Resource) -> bool:
    """Tell whether an address is made of the name that its record has: with another name it would be another one."""
    name = resource.fields.get(KINDS[resource.address.kind].key_field)
    return isinstance(name, str) and resource.address.key.rpartition("/")[2] == compose(name.strip())


def unreadable(resource: Resource, trace: Trace | None, memory: Memory) -> str:
    """Return why a record of a kind that can't be read is neither there nor to be created; nothing if it is either."""
    address = resource.address
    if resource.was is not None and memory.trace(address) is None:
        address = Address(address.kind, resource.was)  # journals know it by that
    if trace is not None and trace.state in {"open", "unknown"}:
        reason = f"run {trace.run} may have created it, and this target can't be asked"
        return f"{reason}; say what became of it: {_settle(address, created=True)}"
    if trace is not None and trace.content and trace.content != memory.seal(resource):
        reason = f"run {trace.run} created it with another content, and this target can't change it"
        return f"{reason}: change it there, then say so: {_settle(address, created=True)}"
    if trace is None and not memory.durable:
        return NO_JOURNAL
    if trace is None and memory.foreign:
        reason = f"run {memory.foreign[-1]} may have created it, but its journal was written with another key"
        return f"{reason}: set CRMCTL_PSEUDONYM_KEY to what it was"
    return ""


def in_doubt(memory: Memory) -> str:
    """Say that a run has left a record in doubt of which nobody can tell whether it is this one."""
    reason = f"run {memory.doubts[-1]} has left a record in doubt, and its journal was written with another key"
    advice = "settle it with that key (CRMCTL_PSEUDONYM_KEY), or see what is there, and move that journal away"
    return f"{reason}, so whether it is this one can't be told: {advice}"


def unclear(ids: Sequence[str]) -> str:
    """Say that which of several declared records one is can't be told."""
    one = "a record says" if len(ids) == 1 else f"{len(ids)} records say"
    told = f"{one} as much as this one and others do ({', '.join(ids)})"
    return f"{told}: which one is which can't be told, so none is touched; let the names or texts differ"


def renamed(
    declared: Mapping[str, Resource], former: Mapping[Address, str], capabilities: Mapping[str, Capability]
) -> Mapping[Address, str]:
    """Block what refers by key to a record that has another key there, and keeps it: that would make another."""
    return {
        resource.address: f"{ref} is still called {former[ref]} there: change that first"
        for resource in declared.values()
        for ref in resource.refs.values()
        if ref in former and not capabilities[ref.kind].rekeys
    }


def orphans(
    declared: Mapping[str, Resource],
    desired: Desired,
    ids: Collection[Address],
    duplicates: Collection[Address],
    blocked: Collection[Address],
) -> Mapping[Address, str]:
    """Block records that refer to one that neither is there nor is declared."""
    found: dict[Address, str] = {}
    for resource in declared.values():
        for ref in resource.refs.values():
            if ref in duplicates:
                found[resource.address] = f"{ref} is there more than once: merge it there"
            elif ref not in ids and ref.key not in desired.resources.get(ref.kind, {}):
                found[resource.address] = f"{ref} is neither there nor declared here: declare it, or include it"
            elif ref not in ids and ref in blocked:
                found[resource.address] = f"{ref} can't be created, and this record belongs to it"
    return found


def _settle(address: Address, *, created: bool) -> str:
    """Return the command that settles a doubt."""
    return f"crmctl runs settle '{address}' {'--created (or --not-created)' if created else '--not-created'}"
