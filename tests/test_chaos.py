"""Whatever goes wrong on the way, the CRM ends as declared, nothing is doubled, and what is reported is true.

Every fault at every request of a run with all kinds, and any of them together. `make test` takes a seeded sample,
`make chaos` all of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from chaos import MORE, ONCE, Storm, storm
from harness import actions
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sampling import ALL, SEED, some
from test_matrix import MANIFESTS, PIPELINE

from crmctl.errors import CrmctlError
from crmctl.providers.octolane import search
from crmctl.sandbox.chaos import FAULTS, Chaos, Fault

PAGED = {"duplicate_page", "missing_page", "cursor_expired"}
"""Faults that need lists of several pages."""
ONCE_ROUTES = {
    "octolane": {"POST /v1/opportunities/bulk", "POST /v1/notes/bulk"},
    "octolane_inbound": set[str](),
    "thena": {"POST /v1/accounts", "POST /v1/accounts/notes"},
}
CHANGES: Mapping[str, Sequence[tuple[str, str]]] = {
    "octolane": [("40000", "50000"), ("customer, emea", "customer"), ("first_name: Sam", "first_name: Samuel")],
    "thena": [("Tools", "Toolbox"), ("well.", "very well."), ("first_name: Sam", "first_name: Samuel")],
}
Ended = tuple[dict[str, list[str]], dict[str, str]]


@cache
def clean(provider: str) -> tuple[Ended, int]:
    """Return what one run without faults comes to, and its requests."""
    with storm(provider) as there:
        chaos = there.let_loose([])
        assert there.attempt(MANIFESTS[provider]) is not None
        requests = chaos.requests
        left = there.calm(MANIFESTS[provider])
        return (there.content(), left), requests


CASES = [
    (provider, fault, nth)
    for provider in sorted(MANIFESTS)
    for fault in FAULTS
    if fault not in PAGED
    for nth in range(1, clean(provider)[1] + 1)
]


@pytest.mark.parametrize(("provider", "fault", "nth"), some(CASES, 40), ids=str)
def test_any_fault_at_any_request_leaves_one_clean_run(provider: str, fault: str, nth: int) -> None:
    """A person is asked about nothing but what was on its way, is created once, and can't be found."""
    with storm(provider) as there:
        chaos = there.let_loose([Fault(fault, nth=frozenset({nth}))])
        there.attempt(MANIFESTS[provider])
        left = there.calm(MANIFESTS[provider])
        assert clean(provider)[0] == (there.content(), left)
        assert not there.asked or chaos.struck[0][1] in ONCE_ROUTES[provider]
        assert len(there.asked) <= 1


def second(there: Storm, provider: str, faults: Sequence[Fault]) -> tuple[Ended, Chaos]:
    """Apply, change the manifest, and apply that among faults; every page has one record."""
    manifest = MANIFESTS[provider]
    assert there.attempt(manifest) is not None
    assert {} == there.calm(manifest)
    for old, new in CHANGES[provider]:
        manifest = manifest.replace(old, new)
    chaos = there.let_loose(faults)
    there.attempt(manifest)
    left = there.calm(manifest)
    return (there.content(), left), chaos


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Mapping[str, str]]:
    """Have one record a page; returns the switches for it."""
    monkeypatch.setattr(search, "PAGE_SIZE", 1)
    return {"octolane": {}, "thena": {"limit_cap": "1"}}


PAGE_CASES = [(provider, fault, nth) for provider in CHANGES for fault in sorted(PAGED) for nth in range(1, 27)]


@pytest.mark.parametrize(("provider", "fault", "nth"), some(PAGE_CASES, 10), ids=str)
def test_lists_that_lie_double_nothing_that_is_ours(
    provider: str, fault: str, nth: int, small_pages: Mapping[str, Mapping[str, str]]
) -> None:
    """A page that comes twice, or never, or whose cursor has expired: what the journal knows is not created again."""
    with storm(provider, used=False, switches=small_pages[provider]) as there:
        expected, _ = second(there, provider, [])
    with storm(provider, used=False, switches=small_pages[provider]) as there:
        assert expected == second(there, provider, [Fault(fault, nth=frozenset({nth}))])[0]
        assert [] == there.asked


THEIRS: Mapping[str, str] = {
    "octolane": """
accounts:
  - domain: acme.example
    opportunities:
      - {name: Renewal, pipeline: sales, deal_size: 1}
      - {name: Seats, pipeline: sales, deal_size: 2}
      - {name: Support, pipeline: sales, deal_size: 3}
""",
    "thena": """
accounts:
  - {domain: acme.example, name: Acme, notes: [{key: n1, text: One}, {key: n2, text: Two}, {key: n3, text: Three}]}
  - {domain: globex.example, name: Globex, notes: [{key: n4, text: Four}, {key: n5, text: Five}]}
  - {domain: initech.example, name: Initech}
""",
}
OURS = {
    "octolane": "      - {name: Training, pipeline: sales, deal_size: 4}\n",
    "thena": "  - {domain: new.example, name: New, notes: [{key: n6, text: Six}]}\n",
}


def others(there: Storm, provider: str) -> str:
    """Make records as somebody else does; returns a manifest that declares them, and one more."""
    if provider == "octolane":
        for number, name in enumerate(("Renewal", "Seats", "Support"), 1):
            item = {"pipeline_id": PIPELINE, "opportunity": {"name": name, "deal_size": number}}
            item["related_objects"] = {"account_domain": "acme.example"}
            there.request("POST", "/v1/opportunities/bulk", [item])
    else:
        for domain, notes in (("acme", ("One", "Two", "Three")), ("globex", ("Four", "Five")), ("initech", ())):
            body = {"name": domain.title(), "primaryDomain": f"{domain}.example"}
            account = there.request("POST", "/v1/accounts", body)["data"]["id"]
            for text in notes:
                there.request("POST", "/v1/accounts/notes", {"accountId": account, "content": text})
    there.clock.now += 3600
    return THEIRS[provider] + OURS[provider]


@cache
def adopted(provider: str, first_page: str) -> tuple[Ended, int]:
    """Return what one run without faults makes of records that are somebody else's, and its requests."""
    switches = {"octolane": {}, "thena": {"limit_cap": "1", "first_page": first_page}}[provider]
    with pytest.MonkeyPatch.context() as patched, storm(provider, used=False, switches=switches) as there:
        patched.setattr(search, "PAGE_SIZE", 1)
        manifest = others(there, provider)
        assert {"create"} == {*actions(there.plan(manifest)).values()}
        chaos = there.let_loose([])
        assert there.attempt(manifest) is not None
        requests = chaos.requests
        return (there.content(), there.calm(manifest)), requests


OTHERS_CASES = [
    (provider, base, fault, nth)
    for provider, bases in (("octolane", "0"), ("thena", "01"))
    for base in bases
    for fault in sorted(PAGED)
    for nth in range(1, adopted(provider, base)[1] + 1)
]


@pytest.mark.parametrize(("provider", "base", "fault", "nth"), some(OTHERS_CASES, 20), ids=str)
def test_lists_that_lie_double_nothing_of_anybody(
    provider: str, base: str, fault: str, nth: int, small_pages: Mapping[str, Mapping[str, str]]
) -> None:
    """A record that no journal knows, and that a plan has not seen for a page that was wrong, is seen by the apply."""
    switches = {**small_pages[provider], **({"first_page": base} if provider == "thena" else {})}
    with storm(provider, used=False, switches=switches) as there:
        manifest = others(there, provider)
        there.let_loose([Fault(fault, nth=frozenset({nth}))])
        there.attempt(manifest)
        left = there.calm(manifest)
        assert adopted(provider, base)[0] == (there.content(), left)
        assert [] == there.asked


@pytest.mark.parametrize("provider", ["octolane", "thena"])
def test_what_somebody_makes_between_plan_and_apply_is_not_made_again(provider: str) -> None:
    """All of it, of every kind that nothing dedupes: after the plan was made, and confirmed."""
    with storm(provider, used=False) as there:
        manifest = THEIRS[provider] + OURS[provider]
        plan = there.plan(manifest)
        others(there, provider)
        before = len(there.writes())
        result = there.apply(manifest, plan=plan)
        there.compare(plan, result, there.writes()[before:])
        told = Counter(one.status for one in result.outcomes if one.change.address.kind in ONCE[provider])
        assert {"octolane": {"existed": 3, "created": 1}, "thena": {"existed": 8, "created": 2}}[provider] == told
        assert {} == there.calm(manifest)


def test_an_account_that_a_list_leaves_out_is_not_created_again() -> None:
    """Thena may take a second account of one domain: that the journal knows the first has to be enough."""
    manifest = "accounts: [{domain: acme.example, name: Acme}]"
    with storm("thena", used=False, switches={"limit_cap": "1"}) as there:
        there.request("POST", "/v1/accounts", {"name": "Other", "primaryDomain": "other.example"})
        assert there.attempt(manifest) is not None
        there.let_loose([Fault("missing_page", "GET /v1/accounts")])
        for change in there.plan(manifest).changes:
            assert "report" == change.action
        assert {} == there.calm(manifest)


def test_a_read_that_is_refused_after_a_lost_answer_is_still_refused() -> None:
    """A question that was asked before has changed nothing, so what the answer says counts."""
    with storm("octolane") as there:
        requests = clean("octolane")[1]
        for nth in range(1, requests + 1):
            there.let_loose([Fault("500_before", nth=frozenset({nth}))])
            there.plan(MANIFESTS["octolane"])


FAULT = st.builds(
    Fault,
    fault=st.sampled_from(sorted({*FAULTS} - PAGED)),
    routes=st.sampled_from(["*", "*", "POST *", "GET *", "* /v1/accounts*", "*bulk*", "*search*", "P*notes*"]),
    nth=st.just(frozenset[int]()) | st.frozensets(st.integers(1, 30), min_size=1, max_size=4),
    probability=st.sampled_from([0.02, 0.1, 0.3, 0.6]),
    seconds=st.sampled_from([None, 0.1, 3.0, 45.0]),
)


@seed(SEED)
@settings(
    max_examples=500 if ALL else 12, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(
    provider=st.sampled_from(sorted(MANIFESTS)),
    faults=st.lists(FAULT, min_size=1, max_size=4),
    number=st.integers(0, 999),
    runs=st.integers(1, 3),
    skew=st.sampled_from([0.0, 0.0, 3600.0, -7200.0]),
    lag=st.sampled_from(["0", "0", "3"]),
)
def test_any_faults_together_leave_one_clean_run(
    provider: str, faults: list[Fault], number: int, runs: int, skew: float, lag: str
) -> None:
    """However many, however often, with clocks that disagree and lists that show late."""
    with storm(provider, skew=skew, switches={"search_lag": lag}) as there:
        there.let_loose(faults, number)
        for _ in range(runs):
            there.attempt(MANIFESTS[provider])
        left = there.calm(MANIFESTS[provider])
        assert clean(provider)[0] == (there.content(), left)


def test_the_sample_is_of_everything() -> None:
    """Every fault and every API has its turn in any sample that is large enough."""
    assert {*FAULTS} - PAGED == {fault for _, fault, _ in CASES}
    assert some(CASES, 40) == some(CASES, 40)
    assert ALL or 40 == len(some(CASES, 40))


def test_faults_strike_as_their_number_says() -> None:
    """One number, one weather."""

    def weather(number: int) -> list[Any]:
        chaos = Chaos([Fault("500_before", probability=0.3), Fault("delay", nth=frozenset({2}))], number, lambda: 0.0)
        for _ in range(50):
            chaos("GET", "/v1/accounts", 1)
        return chaos.struck

    assert weather(1) == weather(1)
    assert weather(1) != weather(2)


def test_a_dead_crm_ends_a_run_with_a_message() -> None:
    """All connections refused: an error of ours, no traceback, and nothing is harmed."""
    with storm("octolane") as there:
        before = there.content()
        there.let_loose([Fault("refuse")])
        with pytest.raises(CrmctlError, match="no connection"):
            there.plan(MANIFESTS["octolane"])
        assert before == there.content()
        there.calm(MANIFESTS["octolane"])
        assert there.runs <= MORE


def test_what_is_missing_of_a_batch_that_half_arrived_is_not_sent_again() -> None:
    """Of four opportunities two are there, the others unknown: they may still show, and nothing would dedupe them."""
    deals = "\n".join(f"  - {{name: Deal {n}, pipeline: sales, account: acme.example}}" for n in range(4))
    with storm("octolane") as there:
        there.let_loose([Fault("partial_commit", "POST /v1/opportunities/bulk", nth=frozenset({1}))])
        result = there.attempt(f"opportunities:\n{deals}\n")
        assert result is not None
        assert (2, 2) == (result.count("created"), result.count("unknown"))
        assert 1 == there.sent["POST /v1/opportunities/bulk"]


def test_what_an_earlier_attempt_has_written_is_not_called_failed() -> None:
    """The first answer is lost, and every further attempt is turned away: reading back tells that it is there."""
    bulk = "POST /v1/accounts/bulk"
    with storm("octolane") as there:
        there.let_loose([Fault("500_after", bulk, nth=frozenset({1})), Fault("429_no_hint", bulk)])
        result = there.attempt("accounts: [{domain: new.example, name: New}]")
        assert result is not None
        assert 1 == result.count("created")
        assert 0 == result.count("failed")
