"""What a plan says that an apply will send is what the sandbox counts when nothing fails."""

from collections import Counter
from pathlib import Path

import pytest
from deals import PIPELINE
from harness import Crm, crm

from crmctl.providers import Options
from crmctl.sandbox.store import read_stats

OPTIONS = Options(pipelines={"sales": PIPELINE}, assumed_routes=True, define=True)
PROVIDERS = ("octolane", "octolane_inbound", "thena")


def manifest(number: int, provider: str, *, first: str = "A", custom: int = 0) -> str:
    """All kinds that a provider has, so many of each; `first` is said of the first record of each kind."""
    lines = ["accounts:"]
    for index in range(number):
        word = "A" if index else first
        lines.append(f"  - {{domain: c{index:03}.example, name: {word}{index}")
        if custom:
            fields = ", ".join(f"field{field}: {word}" for field in range(custom))
            lines.append(f"     , custom_fields: {{{fields}}}")
        lines.append(f"     , contacts: [{{email: p@c{index:03}.example, first_name: {word}}}]")
        if provider != "thena":
            deal = f"{{name: Renewal, pipeline: sales, deal_size: {4 if word == 'A' else 5}}}"
            lines.append(f"     , opportunities: [{deal}]")
        lines.append(f"     , notes: [{{key: kickoff, text: {word}}}]}}")
    return "\n".join(lines)


def requests(folder: Path) -> Counter[str]:
    """The sandbox's own count."""
    counts: Counter[str] = Counter()
    for route, _, number in read_stats(folder / "crm.db").requests:
        counts[route] += number
    return counts


def run(there: Crm, text: str) -> tuple[dict[str, int], dict[str, int], bool]:
    """Plan and apply; returns what the plan expected, what the sandbox has counted, and whether it was sure."""
    there.clock.now += 3600
    before = requests(there.folder)
    plan = there.plan(text)
    there.apply("", plan=plan)
    return dict(plan.requests), dict(requests(there.folder) - before), not plan.at_least


@pytest.mark.parametrize("number", [1, 3, 30, 120])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_estimate_is_what_is_sent(provider: str, number: int) -> None:
    """All new, all unchanged, one of each kind changed: by route, reads and writes."""
    with crm(provider=provider, options=OPTIONS, journal=True) as there:
        for first in ("A", "A", "B"):
            expected, counted, sure = run(there, manifest(number, provider, first=first))
            assert expected == counted
            assert sure


@pytest.mark.parametrize("number", [1, 30])
@pytest.mark.parametrize("provider", ["octolane", "thena"])
def test_custom_fields_are_counted_too(provider: str, number: int) -> None:
    """Making them and seeing how they are written costs some requests; where it may be more, the plan says so."""
    with crm(provider=provider, options=OPTIONS, journal=True) as there:
        for first in ("A", "A", "B"):
            text = manifest(number, provider, first=first, custom=2)
            expected, counted, _ = run(there, text)
            assert expected == counted
    with crm(provider=provider, options=OPTIONS) as there:
        assert there.plan(manifest(1, provider, custom=2)).at_least


def test_notes_are_counted_account_by_account() -> None:
    """Pages of them, accounts without any, and as many as a cap of the limit might be."""

    def declared(*numbers: int) -> str:
        notes = [", ".join(f"{{key: n{note}, text: Note {note}}}" for note in range(number)) for number in numbers]
        lines = [f"  - {{domain: c{n}.example, name: C, notes: [{some}]}}" for n, some in enumerate(notes)]
        return "accounts:\n" + "\n".join(lines)

    with crm(provider="thena") as there:
        for numbers in ((0, 0, 0, 0), (0, 1, 10, 103), (2, 1, 11, 104), (3, 2, 11, 104)):
            expected, counted, sure = run(there, declared(*numbers))
            assert expected == counted
            assert sure


def test_what_the_crm_makes_along_is_read_as_well() -> None:
    """An account that comes with a contact is looked for; what goes by itself is a request less."""
    with crm(provider="octolane_inbound") as there:
        text = "accounts: [{domain: c.example, contacts: [{email: p@c.example}]}]"
        expected, counted, _ = run(there, text)
        assert expected == counted
        assert "POST /v1/inbound/accounts" not in counted
