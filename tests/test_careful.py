"""A canary goes first; and how much of what was sent is read back."""

from collections import Counter
from dataclasses import replace

import pytest
from harness import Crm, actions, crm, statuses

from crmctl.apply import Settings
from crmctl.errors import CanaryFailed
from crmctl.outcome import Result
from crmctl.plan import Plan
from crmctl.providers import Options
from crmctl.sandbox.faults import Interference
from crmctl.verification import Verify

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
OPTIONS = Options(pipelines={"sales": PIPELINE}, assumed_routes=True)
QUICK = Settings(settle=3)
DEAL = "accounts: [{domain: a.example, opportunities: [{name: Renewal, pipeline: sales}]}]"


def accounts(count: int, name: str = "A", *, bad: tuple[int, ...] = ()) -> str:
    """Return so many accounts; the bad ones are on a domain that the server refuses."""
    lines = [f"  - {{domain: c{n:03}.{'invalid' if n in bad else 'example'}, name: {name}}}" for n in range(count)]
    return "accounts:\n" + "\n".join(lines)


def expected(plan: Plan) -> Counter[str]:
    """Return the requests that an apply is expected to send, by route."""
    return Counter(plan.requests) - Counter(plan.reads)


def carefully(
    there: Crm, manifest: str, *, canary: int = 0, verify: Verify = "all", exact: bool = True
) -> tuple[Result, Counter[str]]:
    """Apply; where nothing goes wrong, the plan has known the `exact` requests."""
    plan = replace(there.plan(manifest), canary=canary, verify=verify)
    result = there.apply("", plan=plan, settings=QUICK)
    if exact:
        assert expected(plan) == there.sent
    return result, Counter(statuses(result).values())


def test_a_canary_goes_first_and_the_rest_follows() -> None:
    """Two requests instead of one, each read back."""
    with crm() as there:
        _, came = carefully(there, accounts(10), canary=3)
        assert {"created": 10} == came
        assert {"POST /v1/accounts/bulk": 2, "POST /v1/accounts/search": 2} == there.sent


def test_a_canary_that_fails_is_all_that_was_sent() -> None:
    """Exit 3, and every other record is skipped."""
    with crm() as there:
        result, came = carefully(there, accounts(10, bad=(0,)), canary=1, exact=False)
        assert {"failed": 1, "skipped": 9} == came
        assert isinstance(result.stopped, CanaryFailed)
        assert {0, 3} == set(result.exit_codes())
        assert [] == there.records("accounts")
        assert "the canary of 1 record did not come out right: nothing more was sent" in str(result.stopped)


def test_a_canary_that_is_never_found_fails() -> None:
    """What can't be seen has not come out right."""
    with crm({"search_lag": "100"}) as there:
        result, came = carefully(there, accounts(10), canary=2, exact=False)
        assert {"unknown": 2, "skipped": 8} == came
        assert {3, 0} == set(result.exit_codes())


def test_a_canary_tries_each_kind() -> None:
    """An account, a contact and an opportunity of the account that goes first."""
    manifest = DEAL + "\ncontacts: [{email: a@a.example}, {email: b@a.example}]"
    with crm(options=OPTIONS, journal=True) as there:
        plan = replace(there.plan(manifest), canary=3)
        result = there.apply("", plan=plan, settings=QUICK)
        assert {"created"} == set(statuses(result).values())
        assert 2 == there.sent["POST /v1/contacts/bulk"]
        assert expected(plan) == there.sent
        assert {} == actions(there.plan(manifest))


@pytest.mark.parametrize("provider", ["octolane_inbound", "thena"])
def test_a_canary_elsewhere(provider: str) -> None:
    """What comes along with a contact of the canary is looked for with the rest."""
    manifest = """
accounts: [{domain: a.example, name: A}, {domain: b.example, name: B}]
contacts: [{email: jane@a.example, first_name: Jane}, {email: sam@b.example, first_name: Sam}]
"""
    manifest = manifest.replace(", name: A", "").replace(", name: B", "") if provider != "thena" else manifest
    with crm(provider=provider, journal=True) as there:
        plan = replace(there.plan(manifest), canary=2)
        result = there.apply("", plan=plan, settings=QUICK)
        assert {"created": 4} == Counter(statuses(result).values())
        assert {} == actions(there.plan(manifest))


def test_without_verification_nothing_is_read_back() -> None:
    """What was sent is called sent, creates and updates; updates are still checked before."""
    with crm() as there:
        result, came = carefully(there, accounts(101), verify="off")
        assert {"sent": 101} == came
        assert {"POST /v1/accounts/bulk": 2} == there.sent
        assert [0] == result.exit_codes()
        _, came = carefully(there, accounts(51, "B"), verify="off")
        assert {"sent": 51} == came
        assert {"PATCH /v1/accounts/bulk": 2, "POST /v1/accounts/search": 2} == there.sent
        assert {} == actions(there.plan(accounts(51, "B")))


def test_a_sample_of_each_batch_is_read_back() -> None:
    """Every tenth of 100, and the only one of the second batch."""
    with crm() as there:
        _, came = carefully(there, accounts(101), verify="sample")
        assert {"created": 11, "sent": 90} == came
        _, came = carefully(there, accounts(101, "B"), verify="sample")
        assert {"updated": 11, "sent": 90} == came


def test_a_sample_that_is_wrong_has_all_of_its_batch_read_back() -> None:
    """Somebody else's records are among the new ones: one is in the sample, the other is found as well."""
    with crm({"existing": "untouched"}) as there:
        plan = replace(there.plan(accounts(20)), verify="sample")
        theirs = [{"domain": f"c{n:03}.example", "name": "Theirs"} for n in (10, 11)]
        there.request("POST", "/v1/accounts/bulk", theirs)
        result = there.apply("", plan=plan, settings=QUICK)
        # Of their two updates one is a sample again.
        assert {"created": 18, "existed": 1, "sent": 1} == Counter(statuses(result).values())


@pytest.mark.parametrize("verify", ["sample", "off"])
def test_what_may_not_have_arrived_is_read_back_whatever_was_asked_for(verify: Verify) -> None:
    """An answer that got lost is no reason to call something sent."""

    def lose(method: str, path: str, nth: int) -> Interference | None:
        del nth
        return Interference(status=500) if (method, path) == ("POST", "/v1/accounts/bulk") else None

    with crm(interfere=lose) as there:
        _, came = carefully(there, accounts(5), verify=verify, exact=False)
        assert {"unknown": 5} == came


def test_a_sample_that_never_shows_is_unknown_with_all_of_its_batch() -> None:
    """It has had its time, and so has the rest."""
    with crm({"search_lag": "100"}) as there:
        before = len(there.clock.slept)
        _, came = carefully(there, accounts(20), verify="sample", exact=False)
        assert {"unknown": 20} == came
        assert sum(there.clock.slept[before:]) <= 2 * 3
        assert 1 == there.sent["POST /v1/accounts/bulk"]


def test_what_is_created_once_is_always_read_back() -> None:
    """The journal has to remember it, and it needs its account's id."""
    with crm(options=OPTIONS, journal=True) as there:
        result, came = carefully(there, DEAL, verify="off")
        assert {"created": 2} == came
        assert all(outcome.remote_id for outcome in result.outcomes)
        assert {} == actions(there.plan(DEAL))


def test_a_canary_is_read_back_though_nothing_else_is() -> None:
    """Else it would tell nothing."""
    with crm() as there:
        _, came = carefully(there, accounts(10), canary=2, verify="off")
        assert {"created": 2, "sent": 8} == came


def test_what_was_not_read_back_is_found_by_the_next_plan() -> None:
    """Nothing was concluded, so nothing is missed."""
    with crm({"bad_item": "partial"}) as there:
        _, came = carefully(there, accounts(10, bad=(3,)), verify="off")
        assert {"sent": 10} == came
        assert {"account/c003.invalid": "create"} == actions(there.plan(accounts(10, bad=(3,))))
