"""The schemas themselves: complete, explained, true to the vendor, and what other stages learn from them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from crmctl import config, schema
from crmctl.commands import schema as command
from crmctl.errors import Diagnostic
from crmctl.parser import Shape, parse

INSTANTS = {
    *("first_email_interaction", "last_email_interaction", "first_meeting_interaction", "last_meeting_interaction"),
    *("last_interaction", "next_meeting"),
}
# Vendor facts: Octolane accounts, Octolane contacts.
ACCOUNT = {
    *("domain", "name", "industry", "logo", "linkedin", "twitter", "twitter_followers", "description", "tags", "type"),
    *("primary_location", "employee_range", "estimated_revenue", "total_fund_raised", "founded"),
}
CONTACT = {
    *("email", "first_name", "last_name", "full_name", "job_title", "phone", "seniority", "linkedin", "twitter"),
    *("twitter_followers", "current_company", "other_emails", "type", "avatar_url", "email_verified"),
}
NEVER_CLEARED = {"domain", "email"}


def findings(text: str) -> list[Diagnostic]:
    documents, broken = parse(text.encode(), "m.yaml", schema.shape())
    assert not broken
    return [found for document in documents for found in schema.check("manifest", document.root)]


def fields_of(name: str) -> dict[str, Mapping[str, Any]]:
    """Return every field of a schema by its path, references followed."""

    def walk(node: Any, root: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if "$ref" in node:
            target, target_root = schema._follow(node["$ref"], root)
            yield from walk({**target, **{key: node[key] for key in node if key != "$ref"}}, target_root, path)
            return
        yield path, node
        for key, member in node.get("properties", {}).items():
            yield from walk(member, root, f"{path}.{key}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from walk(node[key], root, f"{path}.{key}")

    whole = schema.read_schema(name)
    return dict(walk(whole, whole, name))


@pytest.mark.parametrize("name", schema.NAMES)
def test_every_schema_is_a_valid_schema(name: str) -> None:
    """A schema is of draft 2020-12, knows its address and compiles."""
    whole = schema.read_schema(name)
    Draft202012Validator.check_schema(whole)
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert whole["$id"] == f"https://crmctl.example/schemas/{name}.schema.json"
    assert schema.check(name, 7)


@pytest.mark.parametrize("name", ["account", "config", "contact", "manifest"])
def test_every_field_is_explained(name: str) -> None:
    """Every field has a title, a description and examples that are valid; every mapping is closed."""
    for path, member in fields_of(name).items():
        assert member.get("title"), path
        assert member.get("description"), path
        assert member.get("examples"), path
        if member.get("type") in ("object", ["object", "null"]):
            assert member.get("additionalProperties") is False or isinstance(member["additionalProperties"], dict), path


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("account", {"domain": "acme.example"}),
        ("contact", {"email": "a@b.test"}),
        ("config", {"version": 1}),
        ("manifest", {}),
    ],
)
def test_every_example_is_valid(name: str, required: dict[str, Any]) -> None:
    """What the schemas show as examples is what they accept."""
    whole = schema.read_schema(name)
    assert [[] for _ in whole["examples"]] == [schema.check(name, example) for example in whole["examples"]]
    for field, member in whole["properties"].items():
        for example in schema._flatten(member, whole)["examples"]:
            assert schema.check(name, {**required, field: example}) == []


def test_the_fields_are_the_vendors() -> None:
    """Accounts and contacts have the documented members, and what nests or links them."""
    assert set(schema.read_schema("account")["properties"]) == ACCOUNT | INSTANTS | {"contacts", "was"}
    assert set(schema.read_schema("contact")["properties"]) == CONTACT | INSTANTS | {"account", "was"}
    assert {kind: set(fields) for kind, fields in schema.rules().fields.items()} == {
        "account": ACCOUNT | INSTANTS,
        "contact": CONTACT | INSTANTS,
    }


def test_defaults_and_policies_name_every_field() -> None:
    """Defaults may set any field but keys and children; policies any field but keys."""
    defaults = fields_of("manifest")["manifest.defaults"]["properties"]
    policies = schema.read_schema("config")["$defs"]["policies"]["properties"]
    assert set(defaults["account"]["properties"]) == (ACCOUNT | INSTANTS) - NEVER_CLEARED
    assert set(defaults["contact"]["properties"]) == (CONTACT | INSTANTS | {"account"}) - NEVER_CLEARED
    assert set(policies["account"]["properties"]) == (ACCOUNT | INSTANTS) - NEVER_CLEARED
    assert set(policies["contact"]["properties"]) == (CONTACT | INSTANTS) - NEVER_CLEARED


def test_defaults_of_the_configuration_are_the_programs() -> None:
    """What the schema says is used when nothing is set is what is used."""
    whole = schema.read_schema("config")
    target = whole["$defs"]["target"]["properties"]
    assert whole["properties"]["max_file_bytes"]["default"] == config.DEFAULT_MAX_FILE_BYTES
    assert target["settle"]["default"] == config.DEFAULT_SETTLE
    assert target["timeout"]["default"] == config.DEFAULT_TIMEOUT


def test_rules() -> None:
    """Annotations say what is personal and what equality means."""
    rules = schema.rules()
    assert rules.personal["account"] == frozenset()
    assert rules.personal["contact"] == {"was"} | CONTACT - {"seniority", "type", "email_verified"}
    assert rules.compare["account"] == {**dict.fromkeys(INSTANTS, "instant"), "tags": "set"}
    assert rules.compare["contact"] == {**dict.fromkeys(INSTANTS, "instant"), "other_emails": "set"}


@pytest.mark.parametrize("name", sorted((ACCOUNT | CONTACT | INSTANTS) - NEVER_CLEARED))
def test_every_field_but_the_key_can_be_cleared(name: str) -> None:
    """Null is a valid value of every field that is no key."""
    account = schema.check("account", {"domain": "acme.example", name: None}) if name not in CONTACT - ACCOUNT else []
    contact = schema.check("contact", {"email": "a@b.test", name: None}) if name not in ACCOUNT - CONTACT else []
    assert account + contact == []


@pytest.mark.parametrize(
    "text", ["", "{}", "accounts: []", "---\n---\ncontacts: []", "defaults: {contact: {account: a.example}}"]
)
def test_manifests_of_nothing_are_valid(text: str) -> None:
    """An empty file, an empty mapping and empty lists are valid."""
    assert findings(text) == []


def test_scalars_count_as_written_where_text_is_wanted() -> None:
    """A zero, a plus, a year or a word stays text in a text field; numbers, times and null stay what they are."""
    text = """
accounts:
  - {domain: acme.example, name: 1984, industry: no, description: on, type: 0x1F, tags: 2027, founded: 1998,
     estimated_revenue: 1.5e6, next_meeting: 1801386000, last_interaction: 2027-01-31, logo: null, linkedin: ~,
     contacts: [{email: a@b.test, phone: 0301234, first_name: true, email_verified: true, other_emails: null}]}
"""
    [document] = parse(text.encode(), "m.yaml", schema.shape())[0]
    assert document.root is not None
    assert schema.check("manifest", document.root) == []
    [account] = document.root["accounts"]
    assert account == {
        "domain": "acme.example",
        "name": "1984",
        "industry": "no",
        "description": "on",
        "type": "0x1F",
        "tags": "2027",
        "founded": 1998,
        "estimated_revenue": 1.5e6,
        "next_meeting": 1801386000,
        "last_interaction": "2027-01-31",
        "logo": None,
        "linkedin": None,
        "contacts": [
            {
                "email": "a@b.test",
                "phone": "0301234",
                "first_name": "true",
                "email_verified": True,
                "other_emails": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        ({"const": 1}, Shape(frozenset({"integer"}))),
        ({"enum": ["a", None]}, Shape(frozenset({"string", "null"}))),
        ({"type": "number"}, Shape(frozenset({"number", "integer"}))),
        ({"type": "object"}, Shape(frozenset())),
        ({}, Shape()),
        (True, Shape()),
        ({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}, Shape(frozenset({"string"}))),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, Shape(frozenset({"string", "null"}))),
        ({"oneOf": [{"type": "string"}, {}]}, Shape()),
        (
            {"additionalProperties": {"type": "string"}, "items": {"type": "null"}},
            Shape(None, {}, Shape(frozenset({"null"})), Shape(frozenset({"string"}))),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {}}}]},
            Shape(frozenset(), {"a": Shape(frozenset({"string"})), "b": Shape()}),
        ),
    ],
)
def test_shapes(whole: Any, expected: Shape) -> None:
    """A shape is what a schema says about scalars, whichever way it says it."""
    assert expected == schema._shape(whole, {})


def test_an_installed_package_brings_its_schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a wheel the schemas lie in the package; that copy comes first."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "plan.schema.json").write_text("{}")
    monkeypatch.setattr(schema, "__file__", str(tmp_path / "schema.py"))
    assert schema.schema_text("plan") == "{}"


@pytest.mark.parametrize("name", schema.NAMES)
def test_the_command_prints_a_schema(name: str) -> None:
    """`crmctl schema KIND` prints the file as it is."""
    result = CliRunner().invoke(command.schema, [name])
    assert (result.exit_code, result.output) == (0, schema.schema_text(name))
    assert json.loads(result.output)["$id"].endswith(f"/{name}.schema.json")


def test_the_command_knows_every_schema() -> None:
    """The names the command offers are the schemas there are; another name is refused."""
    files = sorted(path.name.removesuffix(".schema.json") for path in Path("schemas").glob("*.json"))
    assert [*command.NAMES] == [*schema.NAMES] == files
    assert CliRunner().invoke(command.schema, ["opportunity"]).exit_code == 2
