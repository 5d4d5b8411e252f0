from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import markdown
from crmctl.resource import Address, Source

Golden = Callable[[Iterable[str], str], None]


def written(pieces: Iterable[str]) -> str:
    return "".join(pieces)


def test_a_plan_is_as_in_its_golden_file(sample_plan: Document, golden: Golden) -> None:
    """Totals first, then a table per kind, then what else there is to know."""
    golden(markdown.plan(sample_plan), "plan.md")
    golden(markdown.plan(sample_plan, colour=True, verbose=True), "plan.md")


def test_several_targets_share_a_comment(plans: Bundle, runs: Bundle, golden: Golden) -> None:
    """One first line for all of them, whatever becomes of each, then a heading for each."""
    golden(markdown.plan(plans), "plans.md")
    golden(markdown.applied(runs), "runs.md")
    lines = [written(markdown.plan(bundle)).splitlines()[0] for bundle in (plans, plans._replace(failed=[]))]
    assert ["<!-- crmctl:plan:production,sandbox,staging,support -->", "<!-- crmctl:plan:sandbox,staging -->"] == lines


@pytest.mark.parametrize("number", [2, 9, 40, 600])
def test_many_targets_stay_below_the_limit(plans: Bundle, big_plan: Callable[[int], Document], number: int) -> None:
    """Each gets its share of the room, or its totals alone, or is counted."""
    one = big_plan(1000)
    big = [Document({**one.head, "target": f"t{n:03}"}, one.entries) for n in range(number)]
    comment = written(markdown.plan(plans._replace(documents=big, failed=[])))
    assert len(comment.encode()) <= markdown.LIMIT
    headings = comment.count("### crmctl plan for")
    assert headings == number or f"\n{number - headings} more targets not shown here.\n" in comment
    assert (headings == number) == (number < 600)
    assert ("| `+` |" in comment) == (number < 40)


def test_an_empty_plan_is_short(nothing_to_do: Document, golden: Golden) -> None:
    """Where nothing is to be done, nothing is to be folded."""
    golden(markdown.plan(nothing_to_do), "plan.empty.md")


def test_a_run_shows_trouble_first(sample_run: Document, golden: Golden) -> None:
    """Space is short, so what needs a look comes first, unfolded."""
    golden(markdown.applied(sample_run), "applied.md")


def test_a_run_without_trouble_has_one_section(sample_run: Document) -> None:
    """A section without records is left out."""
    done = [outcome for outcome in sample_run.entries() if outcome["status"] == "created"]
    comment = written(markdown.applied(Document(sample_run.head, lambda: iter(done))))
    assert "records done: 1" in comment
    assert "need a look" not in comment


def test_diagnostics_are_a_table(findings: list[Diagnostic], redactor: Redactor, golden: Golden) -> None:
    """Each finding is a row: where, record, field, message."""
    golden(markdown.diagnostics(findings, redactor), "diagnostics.md")


def test_valid_input_is_said_to_be(redactor: Redactor) -> None:
    """Without findings there is no table."""
    assert written(markdown.diagnostics([], redactor)).endswith("### crmctl: no errors in the input\n")


def test_a_comment_stays_below_the_limit(big_plan: Callable[[int], Document]) -> None:
    """The table stops in time and says how many records it leaves out."""
    comment = written(markdown.plan(big_plan(5000)))
    shown = comment.count("| `+` |")
    assert 55_000 < len(comment.encode()) <= markdown.LIMIT
    assert f"\n{5000 - shown} more not shown here" in comment
    assert comment.rstrip().endswith("</details>")


def test_one_huge_record_hides_no_other(big_plan: Callable[[int], Document]) -> None:
    """A record that doesn't fit is left out, those after it are shown."""
    small = big_plan(3)

    def entries() -> Iterator[Mapping[str, Any]]:
        huge, *others = small.entries()
        field = {"path": "name", "before": None, "after": "ü" * 99, "source": None}
        yield {**huge, "fields": [field] * 1000}
        yield from others

    comment = written(markdown.plan(Document(small.head, entries)))
    assert comment.count("| `+` |") == 2
    assert "\n1 more not shown here" in comment


def test_many_findings_and_notices_stay_below_the_limit(sample_plan: Document, redactor: Redactor) -> None:
    """Every list has its own limit, so that no list takes the place of the changes."""
    finding = Diagnostic(Source("a.yaml", 1, 1), "株" * 900, Address("account", "acme.example"), "name")
    assert len(written(markdown.diagnostics([finding] * 999, redactor)).encode()) <= markdown.LIMIT
    head = {
        **sample_plan.head,
        "notices": [{"source": None, "kind": "account", "key": "a", "text": "`|\u202e" * 99}] * 999,
    }
    comment = written(markdown.plan(Document(head, sample_plan.entries)))
    assert len(comment.encode()) <= markdown.LIMIT
    assert "twin@acme.example" in comment


def test_the_marker_cannot_be_broken_out_of(nothing_to_do: Document) -> None:
    """A target's name stays inside the comment that names it."""
    comment = written(
        markdown.plan(Document({**nothing_to_do.head, "target": "--> <b>\n\ud800"}, nothing_to_do.entries))
    )
    assert comment.splitlines()[0] == "<!-- crmctl:plan:--%3E%20%3Cb%3E%0A%5Cud800 -->"


def test_a_redacted_comment_says_so(sample_plan: Document) -> None:
    """A reader of pseudonyms learns what they are."""
    comment = written(markdown.plan(Document({**sample_plan.head, "redacted": True}, sample_plan.entries)))
    assert comment.endswith("\nPersonal data is shown as pseudonyms (anon-…).\n")


def test_a_record_without_fields_is_a_row(sample_plan: Document) -> None:
    """A change is shown even if it says nothing about fields."""
    first = {**next(sample_plan.entries()), "fields": []}
    comment = written(markdown.plan(Document(sample_plan.head, lambda: iter([first]))))
    assert "| `+` | `account/acme.example` |  | |  | `manifests/acme.yaml:3:5` |" in comment


def test_a_refused_apply_has_a_report(refused: Bundle, golden: Golden) -> None:
    """It says which target, and why."""
    golden(markdown.applied(refused), "refused.md")
