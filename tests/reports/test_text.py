from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import text

Golden = Callable[[Iterable[str], str], None]


def test_a_plan_reads_as_in_its_golden_file(sample_plan: Document, golden: Golden) -> None:
    """Each record is a line with its place, its fields below it, the totals last."""
    golden(text.plan(sample_plan, colour=False), "plan.txt")


def test_a_verbose_plan_adds_places_and_routes(sample_plan: Document, golden: Golden) -> None:
    """With -v each field says where it is declared, and requests are listed by route."""
    golden(text.plan(sample_plan, colour=False, verbose=True), "plan.verbose.txt")


def test_colour_is_nothing_but_colour(sample_plan: Document, sample_run: Document, golden: Golden) -> None:
    """Without its colour codes a coloured report is the plain one."""
    golden(text.plan(sample_plan, colour=True), "plan.colour.txt")
    for render, document in ((text.plan, sample_plan), (text.applied, sample_run)):
        coloured = "".join(render(document, colour=True))
        for code in (text.GREEN, text.YELLOW, text.RED, text.MAGENTA, text.CYAN, text.DIM, 0):
            coloured = coloured.replace(f"\x1b[{code}m", "")
        assert "".join(render(document)) == coloured


def test_an_empty_plan_is_two_lines(nothing_to_do: Document, golden: Golden) -> None:
    """Where nothing is to be done, the plan says so and names the target."""
    golden(text.plan(nothing_to_do), "plan.empty.txt")


def test_pieces_end_in_newlines(sample_plan: Document, sample_run: Document) -> None:
    """Whoever writes the pieces needs no knowledge of lines."""
    pieces = [*text.plan(sample_plan), *text.applied(sample_run)]
    assert all(piece.endswith("\n") for piece in pieces)


def test_a_create_says_what_it_writes_and_nothing_acts(nothing_to_do: Document) -> None:
    """One harmless line a field, whatever stands there; -v only adds places, and a plan file can't say otherwise."""
    nasty = "\x1b[2J\u202e\n::error::x ##[group]"
    place = {"file": "acme.yaml", "line": 3, "column": 5}
    steps = [{"op": "add", "path": "0", "before": None, "after": "harmless"}]
    fields = [
        {"path": "name", "before": None, "after": nasty, "source": place},
        {"path": nasty, "before": None, "after": "Jörn", "source": place},
        {"path": "tags", "before": None, "after": ["a", nasty], "source": place, "details": steps},
    ]
    entry = {"kind": "account", "key": nasty, "action": "create", "source": None, "fields": fields, "reason": ""}
    document = Document(nothing_to_do.head, lambda: iter([entry]))
    header, *lines = list(text.plan(document))[1].splitlines()
    spelled = r"\u001b[2J\u202e\n::error::x \u0023#[group]"
    assert header == "+ account/%1B%5B2J%E2%80%AE%0A::error::x%20%23%23%5Bgroup%5D"
    assert lines == [
        f'    name: "{spelled}"',
        r'    \x1b[2J\u202e\n::error::x \x23#[group]: "Jörn"',
        f'    tags: ["a", "{spelled}"]',
    ]
    _, *verbose = list(text.plan(document, verbose=True))[1].splitlines()
    assert [f"{line}   acme.yaml:3:5" for line in lines] == verbose


def test_a_run_shows_trouble_last(sample_run: Document, golden: Golden) -> None:
    """What failed stands right above the totals, where it is seen."""
    golden(text.applied(sample_run, colour=False), "applied.txt")
    golden(text.applied(sample_run, colour=False, verbose=True), "applied.verbose.txt")


def test_a_redacted_report_says_so(sample_plan: Document, sample_run: Document) -> None:
    """A reader of pseudonyms learns what they are."""
    redacted = Document({**sample_plan.head, "redacted": True}, sample_plan.entries)
    assert f"{text.PSEUDONYMS}\n" == list(text.plan(redacted))[-1]
    readable = Document({**sample_run.head, "redacted": False}, sample_run.entries)
    assert text.PSEUDONYMS not in "".join(text.applied(readable))


def test_one_report_is_singular(nothing_to_do: Document) -> None:
    """Totals are sentences: `1 report`, `2 reports`, `records match`."""

    def summary(report: int, unchanged: int) -> Mapping[str, Any]:
        counts = {**nothing_to_do.head["summary"], "report": report, "unchanged": unchanged, "unmanaged": 0}
        return {**nothing_to_do.head, "summary": counts}

    one, two = summary(1, 1), summary(2, 2)
    assert text.summarise_plan(one) == 'No changes. 1 record matches target "sandbox", 0 unmanaged (1 report).'
    assert text.summarise_plan(two) == 'No changes. 2 records match target "sandbox", 0 unmanaged (2 reports).'


def test_several_targets_follow_each_other(plans: Bundle, runs: Bundle, golden: Golden) -> None:
    """What came to nothing stands last, where it is seen, each with why."""
    golden(text.plan(plans), "plans.txt")
    golden(text.applied(runs), "runs.txt")
    alone = "".join(text.plan(plans._replace(documents=[], failed=plans.failed[:1])))
    assert alone == 'Target "production" (octolane)\nnot planned: no API key\n'


def test_custom_fields_alone_are_no_empty_plan(nothing_to_do: Document) -> None:
    """There is something to apply where only a field is missing."""
    head = {**nothing_to_do.head, "definitions": [{"kind": "account", "slug": "tier", "type": "string"}]}
    shown = "".join(text.plan(Document(head, nothing_to_do.entries)))
    assert "+ custom field account.tier (string)\n" in shown
    assert "Plan: 0 to create, 0 to update, 1 custom field to add, 1 unchanged, unmanaged not counted.\n" in shown


def test_a_plan_file_of_an_earlier_version_has_no_custom_fields(nothing_to_do: Document) -> None:
    """A minor version added them."""
    head = {name: value for name, value in nothing_to_do.head.items() if name != "definitions"}
    assert list(text.plan(nothing_to_do)) == list(text.plan(Document(head, nothing_to_do.entries)))


def test_notices_of_several_sorts_are_counted(nothing_to_do: Document) -> None:
    """Ten sorts are shown, with the number of their records; of the rest it is said how many records they are for."""
    notices = [
        {"source": None, "kind": "contact", "key": f"p{number}@acme.example", "text": f"field{number % 12}: unknown"}
        for number in range(24)
    ]
    shown = "".join(text.plan(Document({**nothing_to_do.head, "notices": notices}, nothing_to_do.entries)))
    assert 10 == shown.count(" (and 1 more likewise)\n")
    assert "i and 4 more like these (-v shows all)\n" in shown


def test_diagnostics_name_place_address_and_field(
    findings: list[Diagnostic], open_redactor: Redactor, golden: Golden
) -> None:
    """Each finding is one line that editors can jump from."""
    golden(text.diagnostics(findings, open_redactor, colour=False), "diagnostics.txt")


def test_redacted_diagnostics_hide_people(findings: list[Diagnostic], redactor: Redactor, golden: Golden) -> None:
    """Keys, values and messages lose what is personal, and one person has one pseudonym."""
    golden(text.diagnostics(findings, redactor, colour=False), "diagnostics.redacted.txt")
    shown = "".join(text.diagnostics(findings, redactor))
    assert "jane" not in shown.replace("such as jane@acme.example", "")
    assert "write name@domain" in shown


def test_a_coloured_diagnostic_has_a_red_place(findings: list[Diagnostic], open_redactor: Redactor) -> None:
    """Only the place is coloured: the rest is for reading."""
    first = next(text.diagnostics(findings, open_redactor, colour=True))
    assert first.startswith("\x1b[31mmanifests/acme.yaml:12:7\x1b[0m: contact/jane@: email: ")


def test_a_refused_apply_has_a_report(refused: Bundle, golden: Golden) -> None:
    """It says which target, and why."""
    golden(text.applied(refused), "refused.txt")


def test_each_conflict_is_shown(sample_run: Document) -> None:
    """They are never counted as alike: each has values of its own."""
    conflict = list(sample_run.entries())[-1]
    shown = "".join(text.applied(Document(sample_run.head, lambda: iter([conflict] * 15))))
    assert (15, 0) == (shown.count("- skipped contact/"), shown.count("likewise"))
