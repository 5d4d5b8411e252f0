"""An intent that an earlier run has left open decides nothing: what there is, is read, for every kind."""

import asyncio
from collections.abc import Mapping
from contextlib import closing

import pytest
from harness import Crm, actions, crm, redactor
from test_matrix import MANIFESTS, OPTIONS, seed

from crmctl.journal import Journal
from crmctl.plan import Plan
from crmctl.provider import Provider


def leave_open(there: Crm, plan: Plan, *, sent: bool) -> None:
    """Leave behind what a run does that is killed at its first request of each kind, or after it."""

    async def intend() -> None:
        session = there.session()
        journal = Journal(session.folder, "killed", redactor(), target="test", tree=None, clock=there.clock)
        with closing(journal):
            journal.begin(target="test")
            async with session.connect(read_only=False) as provider:
                for change in plan.changes:
                    if change.action == "create" and not change.reason:
                        once = (
                            {} if provider.capabilities[change.address.kind].dedupes else {change.address: change.after}
                        )
                        await journal.intend("create", [change.address], once)
                        if sent:
                            await send(provider, plan, change.address.kind)

    asyncio.run(intend())


async def send(provider: Provider, plan: Plan, kind: str) -> None:
    """Send the creates of a kind, one by one; what they refer to is known as far as the plan has it."""
    for change in plan.changes:
        if change.address.kind == kind and change.action == "create":
            await provider.create([change.after], plan.ids)


def read_routes(there: Crm, plan: Plan) -> Mapping[str, str]:
    """The route by which each kind of the plan is read, for those that can be."""

    async def find() -> dict[str, str]:
        async with there.session().connect(read_only=True) as provider:
            kinds = {change.address.kind for change in plan.changes}
            return {kind: c.read_route for kind, c in provider.capabilities.items() if kind in kinds and c.read}

    return asyncio.run(find())


@pytest.mark.parametrize("provider", MANIFESTS)
def test_what_was_intended_is_read_afresh(provider: str) -> None:
    """And planned by what is there: nothing was sent, so all of it is to be created, by a run that looks first."""
    with crm(provider=provider, options=OPTIONS, journal=True) as there:
        seed(there, provider)
        manifest = MANIFESTS[provider]
        before = there.plan(manifest)
        leave_open(there, before, sent=False)
        there.clock.now += 1
        slept = len(there.clock.slept)
        again = there.plan(manifest)
        unreadable = {str(c.address) for c in again.changes if "this target can't be asked" in c.reason}
        expected = {name: "report" if name in unreadable else action for name, action in actions(before).items()}
        assert expected == actions(again)
        routes = read_routes(there, before)
        assert dict.fromkeys(routes, True) == {kind: again.reads.get(route, 0) > 0 for kind, route in routes.items()}
        # What must not be sent twice is waited for; everything else is planned at once.
        assert (len(there.clock.slept) > slept) == any(
            "opportunity" in n or "note" in n for n in set(expected) - unreadable
        )


@pytest.mark.parametrize(
    "manifest", ["accounts: [{domain: a.example, name: A}]", "contacts: [{email: jane@a.example}]"]
)
def test_what_had_arrived_is_found_though_no_outcome_says_so(manifest: str) -> None:
    """Also what dedupes, and could be sent again: the plan has nothing to create."""
    with crm() as there:
        plan = there.plan(manifest)
        leave_open(there, plan, sent=True)
        assert {} == actions(there.plan(manifest))
        # Were it deleted meanwhile, the intent would not keep it from being made again.
    with crm() as empty:
        leave_open(empty, plan, sent=False)
        assert ["create"] == list(actions(empty.plan(manifest)).values())
