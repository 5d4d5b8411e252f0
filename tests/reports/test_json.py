import json as standard
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports import json

Golden = Callable[[Iterable[str], str], None]
SCHEMA = standard.loads((Path(__file__).parents[2] / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))


def test_a_plan_is_as_in_its_golden_file(sample_plan: Document, golden: Golden) -> None:
    """The head comes first, then one change a line."""
    golden(json.plan(sample_plan), "plan.json")
    golden(json.plan(sample_plan, colour=True, verbose=True), "plan.json")


def test_a_plan_is_what_its_schema_says(sample_plan: Document, nothing_to_do: Document) -> None:
    """What is written can be read by whoever reads the schema, and says the same."""
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for document in (sample_plan, nothing_to_do):
        read = standard.loads("".join(json.plan(document)))
        validator.validate(read)
        assert {**document.head, "changes": list(document.entries())} == read


def test_several_targets_are_one_document(plans: Bundle, runs: Bundle, golden: Golden) -> None:
    """Each plan in it is what it would be alone, and all of it what the schema says."""
    golden(json.plan(plans), "plans.json")
    golden(json.applied(runs), "runs.json")
    read = standard.loads("".join(json.plan(plans)))
    Draft202012Validator(SCHEMA).validate(read)
    assert read["plans"] == [standard.loads("".join(json.plan(document))) for document in plans.documents]
    assert read["failed"] == list(plans.failed)
    nothing = standard.loads("".join(json.plan(plans._replace(documents=[]))))
    Draft202012Validator(SCHEMA).validate(nothing)
    assert [] == nothing["plans"]


def test_every_member_of_the_schema_is_explained() -> None:
    """Titles and descriptions are the documentation of the format."""
    bare: list[str] = []

    def visit(name: str, schema: object) -> None:
        if isinstance(schema, dict):
            if name and "$ref" not in schema and not {"title", "description"} <= schema.keys():
                bare.append(name)
            for group in ("properties", "$defs"):
                for inner, part in schema.get(group, {}).items():
                    visit(f"{name}.{inner}", part)
            if "items" in schema:
                visit(f"{name}[]", schema["items"])

    visit("", SCHEMA)
    assert bare == []


@pytest.mark.parametrize(
    "change",
    [{"format_version": "one"}, {"summary": {"create": -1}}, {"changes": [{}]}, {"redacted": None}, {"digest": "x"}],
)
def test_the_schema_refuses_what_is_no_plan(sample_plan: Document, change: dict[str, object]) -> None:
    """A file that was edited by hand is found out."""
    read = standard.loads("".join(json.plan(sample_plan)))
    assert not Draft202012Validator(SCHEMA).is_valid({**read, **change})


def test_unknown_members_are_fine(sample_plan: Document) -> None:
    """A minor version may add members without breaking older readers."""
    read = standard.loads("".join(json.plan(sample_plan)))
    assert Draft202012Validator(SCHEMA).is_valid({**read, "format_version": "1.7", "later": []})


def test_what_acts_is_escaped_and_stays_the_same_value(nothing_to_do: Document) -> None:
    """Control, bidirectional and surrogate characters are written as escapes; a reader gets them back."""
    odd = "\x7f\x9b\u2028\u2029\u202e\ud800\U000e0001 é 株 ##[group]"
    written = "".join(json.plan(Document({**nothing_to_do.head, "target": odd}, nothing_to_do.entries)))
    line = next(line for line in written.splitlines() if '"target"' in line)
    escapes = r"\u007f\u009b\u2028\u2029\u202e\ud800\udb40\udc01"
    assert f'  "target": "{escapes} é 株 \\u0023#[group]",' == line
    assert odd == standard.loads(written)["target"]


def test_a_number_that_json_lacks_is_an_error(nothing_to_do: Document) -> None:
    """Rather no file than one that no reader takes."""
    with pytest.raises(ValueError, match="JSON"):
        list(json.plan(Document({"x": float("inf")}, nothing_to_do.entries)))


def test_a_run_is_as_in_its_golden_file(sample_run: Document, golden: Golden) -> None:
    """The head comes first, then one outcome a line."""
    golden(json.applied(sample_run), "applied.json")


def test_diagnostics_are_as_in_their_golden_file(
    findings: list[Diagnostic], redactor: Redactor, golden: Golden
) -> None:
    """Programs get place, address, field and message apart."""
    golden(json.diagnostics(findings, redactor), "diagnostics.json")


def test_a_refused_apply_has_a_report(refused: Bundle, golden: Golden) -> None:
    """It says which target, and why."""
    golden(json.applied(refused), "refused.json")
