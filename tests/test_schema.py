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
from crmctl.kinds import KINDS
from crmctl.parser import Shape, parse
from crmctl.providers import PROVIDERS

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
# Vendor facts: Octolane opportunities, Thena notes; `key`, `pipeline` and `stage` (a name or an id) are ours.
OPPORTUNITY = {
    *("name", "pipeline", "pipeline_id", "stage", "deal_size", "close_date", "next_action_date", "next_steps"),
    *("primary_contact_email", "additional_contact_emails", "owner_email", "octolane.owner_id"),
}
NOTE = {"text", "thena.type", "thena.visibility", "thena.metadata"}
# Vendor facts: Thena accounts and contacts, as far as they are no fields that Octolane has as well.
THENA_ACCOUNT = {
    f"thena.{name}"
    for name in (
        *("status", "classification", "health", "secondary_domain", "website", "billing_address", "shipping_address"),
        *("annual_revenue", "employees", "source", "account_owner_id", "metadata", "add_existing_users"),
    )
}
THENA_CONTACT = {"thena.metadata", "thena.source"}
NEVER_CLEARED = {"domain", "email"}
REQUIRED: Mapping[str, dict[str, Any]] = {
    "account": {"domain": "acme.example"},
    "contact": {"email": "a@b.test"},
    "opportunity": {"name": "A", "pipeline": "sales"},
    "note": {"key": "a", "text": "A"},
    "config": {"version": 1},
    "manifest": {},
}


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


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_every_field_is_explained(name: str) -> None:
    """Every field has a title, a description and examples that are valid; every mapping is closed."""
    for path, member in fields_of(name).items():
        assert member.get("title"), path
        assert member.get("description"), path
        assert member.get("examples"), path
        if member.get("type") in ("object", ["object", "null"]):
            assert member.get("additionalProperties") is False or isinstance(member["additionalProperties"], dict), path


@pytest.mark.parametrize(("name", "required"), REQUIRED.items())
def test_every_example_is_valid(name: str, required: dict[str, Any]) -> None:
    """What the schemas show as examples is what they accept."""
    whole = schema.read_schema(name)
    assert [[] for _ in whole["examples"]] == [schema.check(name, example) for example in whole["examples"]]
    for field, member in whole["properties"].items():
        others = {other: value for other, value in required.items() if field != "pipeline_id" or other != "pipeline"}
        for example in schema._flatten(member, whole)["examples"]:
            assert schema.check(name, {**others, field: example}) == []


def test_the_fields_are_the_vendors() -> None:
    """Records have the documented members, and what nests or links them."""
    extra = {kind: set(schema.read_schema(kind)["properties"]) for kind in KINDS}
    inside = {"contacts", "opportunities", "notes"}
    assert extra["account"] == ACCOUNT | INSTANTS | inside | {"was", "custom_fields", "thena"}
    assert extra["contact"] == CONTACT | INSTANTS | {"account", "accounts", "was", "notes", "custom_fields", "thena"}
    assert extra["opportunity"] == {name for name in OPPORTUNITY if "." not in name} | {
        *("key", "account", "custom_fields", "octolane")
    }
    assert extra["note"] == {"text", "key", "account", "contact", "thena"}
    assert {kind: set(fields) for kind, fields in schema.rules().fields.items()} == {
        "account": ACCOUNT | INSTANTS | THENA_ACCOUNT,
        "contact": CONTACT | INSTANTS | THENA_CONTACT | {"accounts"},
        "opportunity": OPPORTUNITY,
        "note": NOTE,
    }


def test_defaults_name_every_field() -> None:
    """Defaults may set any field but what identifies a record, what it is made of, and what is nested in it."""
    defaults = fields_of("manifest")["manifest.defaults"]["properties"]
    plain = {kind: set(schema.read_schema(kind)["properties"]) for kind in KINDS}
    apart = {
        "account": {"domain", "was", "contacts", "opportunities", "notes"},
        "contact": {"email", "was", "accounts", "notes"},
        "opportunity": {"key", "name", "pipeline", "pipeline_id"},
        "note": {"key", "text"},
    }
    assert {kind: names - apart[kind] for kind, names in plain.items()} == {
        kind: set(member["properties"]) for kind, member in defaults.items()
    }
    assert all(
        member == {"$ref": f"{kind}.schema.json#/properties/{name}"}
        for kind, members in defaults.items()
        for name, member in members["properties"].items()
    )


def test_policies_name_every_field() -> None:
    """Policies may be set for any field but keys and what is part of one, those of sections by their dotted names."""
    policies = schema.read_schema("config")["$defs"]["policies"]["properties"]
    apart = {"domain", "email", "pipeline", "pipeline_id"}
    assert {kind: set(fields) - apart for kind, fields in schema.rules().fields.items()} == {
        kind: set(member["properties"]) for kind, member in policies.items()
    }
    custom = {kind for kind in KINDS if "custom_fields" in schema.read_schema(kind)["properties"]}
    assert custom == {kind for kind, member in policies.items() if "patternProperties" in member}
    for slug, valid in {
        "tier": True,
        "Größe (m²)": True,
        "a.b": True,
        "": False,
        "a\n": False,
        "a" * 256: False,
    }.items():
        document = {"version": 1, "policies": {"contact": {f"custom_fields.{slug}": "ignore"}}}
        assert valid is (schema.check("config", document) == []), slug


def test_defaults_of_the_configuration_are_the_programs() -> None:
    """What the schema says is used when nothing is set is what is used."""
    whole = schema.read_schema("config")
    target = whole["$defs"]["target"]["properties"]
    assert whole["properties"]["max_file_bytes"]["default"] == config.DEFAULT_MAX_FILE_BYTES
    assert target["settle"]["default"] == config.DEFAULT_SETTLE
    assert target["timeout"]["default"] == config.DEFAULT_TIMEOUT
    usual = config.Target("a", "octolane")
    for name in ("custom_fields", "strict", "assumed_routes", "items"):
        assert target[name]["default"] == getattr(usual, name)


def test_the_providers_are_those_there_are() -> None:
    """crmctl.yaml may name every provider, and no other."""
    assert schema.read_schema("config")["$defs"]["target"]["properties"]["provider"]["enum"] == [*PROVIDERS]


def test_rules() -> None:
    """Annotations say what is personal and what equality means."""
    rules = schema.rules()
    public = {"seniority", "type", "email_verified"}
    people = {"primary_contact_email", "additional_contact_emails", "owner_email"}
    assert rules.personal == {
        "account": {"thena.account_owner_id"},
        "contact": {"was", "custom_fields", "thena.metadata"} | CONTACT - public,
        "opportunity": {"next_steps", "octolane.owner_id"} | people,
        "note": {"text", "contact", "thena.metadata"},
    }
    assert rules.compare == {
        "account": {**dict.fromkeys(INSTANTS, "instant"), "tags": "set"},
        "contact": {**dict.fromkeys(INSTANTS, "instant"), "other_emails": "set", "accounts": "set"},
        "opportunity": {
            **dict.fromkeys(("close_date", "next_action_date"), "instant"),
            "additional_contact_emails": "set",
        },
        "note": {},
    }


@pytest.mark.parametrize("name", sorted((ACCOUNT | CONTACT | INSTANTS) - NEVER_CLEARED))
def test_every_field_but_the_key_can_be_cleared(name: str) -> None:
    """Null is a valid value of every field that is no key."""
    account = schema.check("account", {"domain": "acme.example", name: None}) if name not in CONTACT - ACCOUNT else []
    contact = schema.check("contact", {"email": "a@b.test", name: None}) if name not in ACCOUNT - CONTACT else []
    assert account + contact == []


def test_a_plan_is_of_one_target_or_of_several() -> None:
    """A document of several targets has a plan for each; one that has none of it has all of a single one."""
    sample = json.loads((Path(__file__).parent / "golden" / "plan.json").read_text())
    definition = {"kind": "account", "slug": "tier", "type": "string"}
    head = {name: sample.pop(name) for name in ("format_version", "crmctl_version", "created_at")}
    assert schema.check("plan", {**head, **sample, "definitions": [definition]}) == []
    assert schema.check("plan", {**head, "plans": [sample, {**head, **sample}]}) == []
    assert schema.check("plan", {**head, "plans": []}) != []
    assert schema.check("plan", {**head, "plans": [head]}) != []
    assert schema.check("plan", {**sample, "plans": [sample]}) != []
    messages = {found.message for found in schema.check("plan", head)}
    assert "'target' is missing, which every plan needs: add it, such as `target: sandbox`" in messages


@pytest.mark.parametrize(
    "text",
    ["", "{}", "accounts: []", "---\n---\nnotes: []", "opportunities: []", "defaults: {contact: {account: a.example}}"],
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
    assert spell(expected) == spell(schema._shape(whole, {}, {}))


def test_what_is_referred_to_often_is_shaped_once() -> None:
    """All fields that refer to one definition share its shape."""
    metadata = {"type": "object", "additionalProperties": {"type": "string"}}
    members = {name: {"$ref": "#/$defs/metadata", "description": name} for name in "ab"}
    whole = {"properties": members, "$defs": {"metadata": metadata}}
    shapes = schema._shape(whole, whole, {}).members
    assert shapes["a"] is shapes["b"]
    assert spell(Shape(frozenset(), {}, None, Shape(frozenset({"string"})))) == spell(shapes["a"])


def spell(shape: Shape | None) -> Any:
    """Everything that a shape says, so that two can be compared."""
    if shape is None:
        return None
    members = {name: spell(member) for name, member in shape.members.items()}
    return shape.types, members, spell(shape.items), spell(shape.rest)


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
    assert CliRunner().invoke(command.schema, ["deal"]).exit_code == 2
