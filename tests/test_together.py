"""Several applies at once on one target, without a lock, among faults: what the CRM dedupes is there once, as declared.

What nothing dedupes (opportunities, notes, Thena's accounts) has no such guard: for it there is the lock of a target.
"""

import asyncio

import pytest
from chaos import Storm, storm
from sampling import some

from crmctl.apply import Settings, apply
from crmctl.journal import Journal
from crmctl.outcome import Result
from crmctl.plan import Plan
from crmctl.sandbox.chaos import Fault

MANIFESTS = {
    "octolane": "accounts:\n"
    + "\n".join(
        f"  - {{domain: firm{n}.example, name: Firm {n}, contacts: [{{email: jo@firm{n}.example, first_name: Jo{n}}}]}}"
        for n in range(12)
    ),
    # The account is there; contacts are what Thena dedupes.
    "thena": "accounts:\n  - domain: acme.example\n    name: ACME Inc\n    contacts:\n"
    + "\n".join(f"      - {{email: jo{n}@acme.example, first_name: Jo{n}, last_name: Park}}" for n in range(12)),
}
WEATHERS: dict[str, list[Fault]] = {
    "calm": [],
    "lost": [Fault("500_after", probability=0.2), Fault("502", probability=0.1)],
    "slow": [Fault("429_no_hint", probability=0.2), Fault("delay", probability=0.3)],
    "broken": [Fault("reset_after", "POST *", probability=0.2), Fault("partial_commit", "*bulk", probability=0.3)],
}
CASES = [
    (provider, number, weather, seed)
    for provider in MANIFESTS
    for number in (2, 4)
    for weather in WEATHERS
    for seed in range(5)
]


async def carry_out(there: Storm, plan: Plan, number: int) -> Result:
    """Apply as one of several, with a journal of one's own."""
    session = there.session()
    journal = Journal(there.folder / f"runs-{number}", f"run-{number}", session.redactor, target="test")

    try:
        async with session.connect(read_only=False) as provider:
            return await apply(plan, provider, journal, Settings(), sleep=there.clock.sleep)
    finally:
        journal.close()


@pytest.mark.parametrize(("provider", "number", "weather", "seed"), some(CASES, 10), ids=str)
def test_applies_at_once_leave_what_one_would(provider: str, number: int, weather: str, seed: int) -> None:
    """All have planned before any of them writes, so each means to create everything."""
    manifest = MANIFESTS[provider]
    with storm(provider) as there:
        plans = [there.plan(manifest) for _ in range(number)]

        async def all_of_them() -> list[Result]:
            return await asyncio.gather(*(carry_out(there, plan, n) for n, plan in enumerate(plans)))

        there.let_loose(WEATHERS[weather], seed)
        results = asyncio.run(all_of_them())
        for plan, result in zip(plans, results, strict=True):
            assert len(plan.changes) + plan.unchanged == sum(result.totals().values())
        made = [write.id for write in there.writes() if write.outcome == "created"]
        assert len(made) == len({*made})
        if weather == "calm":
            assert all(result.count("failed") == 0 for result in results)
        assert {} == there.calm(manifest)
        assert [] == there.asked
        emails = [name for name in there.held()["contacts"] if name.startswith("jo")]
        assert 12 == len(emails)
