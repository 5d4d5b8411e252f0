"""What is told of an input with more errors than anybody reads: the first of them, and how many more there are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from project import CONFIG, Project, write

from crmctl import schema
from crmctl.errors import MOST_EXPLAINED, Diagnostic, Findings, InvalidInput
from crmctl.parser import parse
from crmctl.redact import Redactor
from crmctl.reports import markdown
from crmctl.resource import Source


def check(text: str, most: int = MOST_EXPLAINED) -> Findings:
    [document], broken = parse(text.encode(), "m.yaml", schema.shape())
    assert not broken
    return schema.check("manifest", document.root, most=most)


def lines(found: Sequence[Diagnostic]) -> list[int]:
    return [one.source.line if one.source else 0 for one in found]


WRONG = {
    "records": "accounts:\n" + "- {}\n" * 9,
    "nested records": "accounts:\n- {domain: a.example}\n- domain: b.example\n  contacts:\n" + "  - {}\n" * 9,
    "two kinds": "contacts:\n" + "- {}\n" * 4 + "accounts:\n" + "- {}\n" * 5,
    "custom fields": "accounts:\n- domain: a.example\n  custom_fields:\n    a: b\n"
    + "".join(f"    x{number}: {{}}\n" for number in range(9)),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_the_first_are_told_and_the_others_counted(text: str) -> None:
    """In the order of the document, whatever the order of its schema, and no place is another one's."""
    everything = lines(check(text))
    assert 9 == len(everything)
    assert 0 == check(text).more
    few = check(text, 4)
    assert everything[: len(few)] == lines(few)
    assert len(few) in {3, 4}  # a record that holds others may take a place
    assert 9 - len(few) >= few.more >= 5
    none = check(text, 0)
    assert [] == list(none)
    assert none
    assert none.more > 0


@pytest.mark.parametrize(
    "text",
    [
        "accounts:\n- domain: a.example\n" + "".join(f"  x{number}: 1\n" for number in range(40)),
        "".join(f"x{number}: 1\n" for number in range(40)),
        "accounts:\n- domain: a.example\n  tags: [" + "{}, " * 40 + "]\n",
    ],
)
def test_one_record_can_have_more_errors_than_are_told(text: str) -> None:
    """Then nobody knows how many, but that there are."""
    assert 40 == len(check(text))
    found = check(text, 3)
    assert 3 == len(found)
    assert found.more > 0


def test_a_list_that_is_too_long_is_looked_at_no_further() -> None:
    """That it is too long is said, and what is wrong up to there."""
    found = check("accounts:\n- domain: a.example\n  tags: [{}, " + "a, " * 1000 + "{}]\n")
    assert ["tags", "tags[0]"] == sorted(one.field for one in found)


@pytest.mark.parametrize(("anchored", "alias"), [("email: &x {text}", "email: *x"), ("&x {{email: {text}}}", "*x")])
def test_aliases_of_a_long_text_count_by_its_length(anchored: str, alias: str) -> None:
    """Every one of them would be checked, and copied to be checked."""
    text = f"contacts:\n- {anchored.format(text='a' * 64 * 2000)}\n"
    line = f"- {alias}\n"
    assert [] == parse(f"{text}{line * 400}".encode(), "m.yaml", schema.shape())[1]
    [found] = parse(f"{text}{line * 600}".encode(), "m.yaml", schema.shape())[1]
    assert "aliases stand for more than a million values: write fewer of them" == found.message


def test_half_a_character_is_judged_in_a_part_as_well() -> None:
    """The gate can't read it, so what is right is found out the slow way."""
    half = {"email": "a@b.test", "custom_fields": {"a": "\ud800", "b": {}}}
    assert ["custom_fields.b"] == [one.field for one in schema.check("contact", half)]


def saved() -> dict[str, Any]:
    """Return a plan file in which nothing is wrong."""
    whole: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "plan.json").read_text())
    assert schema.check("plan", whole) == []
    return whole


def test_of_a_plan_file_what_is_right_is_taken_for_right() -> None:
    """What there must be one of is not missed because nothing is wrong with it."""
    one = saved()
    assert ["created_at"] == [found.field for found in schema.check("plan", {**one, "created_at": 1})]
    head = {name: one[name] for name in ("format_version", "crmctl_version", "created_at")}
    plan = {name: value for name, value in one.items() if name not in head}
    assert ["created_at"] == [found.field for found in schema.check("plan", {**head, "created_at": 1, "plans": [plan]})]
    wrong = schema.check("plan", {**head, "plans": [plan, {**plan, "requests": {"GET /a": 1, "GET /b": "c"}}]})
    assert ["plans[1].requests.GET /b"] == [found.field for found in wrong]


def test_of_a_long_plan_file_what_is_wrong_is_found() -> None:
    """By its place among all changes, though only the wrong ones are looked at."""
    one = saved()
    changes = [*one["changes"] * 7, {**one["changes"][0], "kind": 1}]
    found = schema.check("plan", {**one, "changes": changes})
    assert [f"changes[{len(changes) - 1}].kind"] == [wrong.field for wrong in found]


def finding(line: int) -> Diagnostic:
    return Diagnostic(Source("m.yaml", line, 1), "is wrong")


def test_findings_have_room_for_so_many() -> None:
    """What comes after them is counted, and what others have counted is not lost."""
    found = Findings(map(finding, range(MOST_EXPLAINED - 1)))
    assert 1 == found.room
    found += Findings([finding(1), finding(2)], more=5)
    assert (MOST_EXPLAINED, 6, 0) == (len(found), found.more, found.room)
    assert not Findings()
    assert Findings(more=1)


@pytest.mark.parametrize(
    ("number", "told", "said"),
    [
        (1, 1, "1 error"),
        (MOST_EXPLAINED, MOST_EXPLAINED, "1000 errors"),
        (MOST_EXPLAINED + 2, MOST_EXPLAINED + 1, "at least 1002 errors"),
    ],
)
def test_invalid_input_says_how_much_is_wrong(number: int, told: int, said: str) -> None:
    """The last line stands for all that is not told."""
    error = InvalidInput([finding(line) for line in range(number)])
    assert (told, said) == (len(error.diagnostics), str(error))
    if told > MOST_EXPLAINED:
        assert Diagnostic(None, "and at least {value} more: correct these first", value=2) == error.diagnostics[-1]
    redactor = Redactor(b"", {}, on=False)
    head = "".join(markdown.diagnostics(error.diagnostics, redactor)).splitlines()[1]
    assert f"### crmctl: {'more than 1000 errors' if told > MOST_EXPLAINED else said} in the input" == head


def test_files_share_the_room(project: Project) -> None:
    """The first in the order of files are told; what is only a duplicate comes after that."""
    for name in "abc":
        write("accounts:\n" + "- {}\n" * 600 + "- {domain: a.example}\n", f"{name}.yaml")
    code, out, err = project("validate")
    assert 1 == code
    told = out.splitlines()
    assert MOST_EXPLAINED + 1 == len(told)
    assert (600, 400) == tuple(sum(line.startswith(f"manifests/{name}.yaml") for line in told) for name in "ab")
    assert "and at least 800 more: correct these first" == told[-1]
    assert "at least 1800 errors; nothing was sent" in err


def test_a_configuration_may_be_wrong_all_over(project: Project) -> None:
    """It is told likewise."""
    wrong = "".join(f"x{number}: 1\n" for number in range(MOST_EXPLAINED + 1))
    Path("crmctl.yaml").write_text(CONFIG + wrong)
    code, out, _ = project("validate")
    assert (1, "and at least 1 more: correct these first") == (code, out.splitlines()[-1])
