"""The compiled gate and jsonschema: the same verdicts on whatever is put before them."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl import schema

FORMATTED = {
    "email": (
        "contact",
        "email",
        "jane@acme.example",
        ["jane", "a b@c.test", "@b.test", "a@@b.test", ".a@b.test", "a@b.test."],
    ),
    "date-time": (
        "contact",
        "next_meeting",
        "2027-01-31T09:00:00Z",
        ["2027-01-31T09:00:00", "2027-02-30T09:00:00Z", "now"],
    ),
    "date": ("contact", "next_meeting", "2027-01-31", ["2027-02-30", "2027-1-31", "31.01.2027", "2027-01-31\n"]),
}


@pytest.mark.parametrize("name", sorted(schema.FORMATS))
def test_formats_are_really_checked(name: str) -> None:
    """Each format accepts and rejects in both engines: it is no mere annotation."""
    kind, field, right, wrong = FORMATTED[name]
    record = {"email": "a@b.test", field: right}
    assert schema.passes(kind, record)
    assert schema._judge(kind).is_valid(record)
    for value in wrong:
        assert not schema.passes(kind, {**record, field: value})
        assert not schema._judge(kind).is_valid({**record, field: value})


PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
texts = st.text(max_size=12)
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**30, -(10**400), 1e300, 1000, 9999])
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
emails = st.sampled_from(["a@b.test", "Jane@Acme.example", "jörg@bücher.example", "a@b", "a@b.test\n"]) | texts
times = (
    st.sampled_from(["2027-01-31", "2027-01-31T09:00:00Z", "2027-01-31T09:00:00Z\n", "2027-02-30", 1e12, 9999.0])
    | st.integers()
)
usual = emails | times | texts | st.lists(emails, max_size=3)


slugs = st.sampled_from(["tier", "notes", "Größe (m²)", "a\n", "\x7f", "x" * 256]) | texts
sections = st.fixed_dictionaries(
    {},
    optional={
        "custom_fields": st.dictionaries(slugs, st.one_of(usual, junk), max_size=2) | junk,
        "thena": st.dictionaries(
            st.sampled_from(["metadata", "source", "status", "visibility", "employees"]),
            st.one_of(usual, junk, st.dictionaries(slugs, usual, max_size=2)),
            max_size=2,
        ),
        "octolane": st.dictionaries(st.just("owner_id"), texts | st.just(PIPELINE), max_size=1),
    },
)


def records(kind: str, **required: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return records that are mostly right: known fields with usual values, some junk, sometimes no key."""
    plain = [name for name in schema.rules().fields[kind] if "." not in name]
    names = st.sampled_from([*plain, "account", "contact", "contacts", "notes", "unknown"])
    fields = st.dictionaries(names, st.one_of(usual, usual, junk), max_size=3)
    keys = st.fixed_dictionaries({}, optional={name: st.one_of(value, value, junk) for name, value in required.items()})
    return st.builds(lambda *parts: {**parts[0], **parts[1], **parts[2]}, fields, keys, sections)


def nest(record: st.SearchStrategy[dict[str, Any]], **inside: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return records with others in them."""
    return st.builds(lambda left, right: {**left, **right}, record, st.fixed_dictionaries({}, optional=inside))


# Space of every sort, and what looks like it: the engines must mean the same by a character.
words = st.sampled_from(["a", "kick off", " ", "\u3000", "\x85", "\ufeff", "a\tb", "null", "\u2028"]) | texts
notes = st.lists(records("note", key=words, text=words) | junk, max_size=2)
deals = records(
    "opportunity", name=words, key=words, pipeline=words, pipeline_id=words | st.just(PIPELINE), stage=words
)
opportunities = st.lists(deals | junk, max_size=2)
contacts = st.lists(nest(records("contact", email=emails), notes=notes) | junk, max_size=3)
accounts = st.lists(
    nest(records("account", domain=emails), contacts=contacts, opportunities=opportunities, notes=notes), max_size=3
)
manifests = st.one_of(
    st.fixed_dictionaries({}, optional={"accounts": accounts, "contacts": contacts}),
    st.fixed_dictionaries({}, optional={"opportunities": opportunities, "notes": notes}),
    st.fixed_dictionaries(
        {},
        optional={
            "accounts": junk,
            "defaults": st.dictionaries(
                st.sampled_from(["account", "contact", "opportunity", "note"]), records("contact", email=emails)
            ),
        },
    ),
    junk,
)
NAMES = st.text("abZ_-1\n", max_size=4)
configurations = st.fixed_dictionaries(
    {"version": st.sampled_from([1, 1, 1, True, 1.0, "1"])},
    optional={
        "default_target": NAMES,
        "targets": st.dictionaries(
            NAMES,
            st.fixed_dictionaries(
                {"provider": st.sampled_from(["octolane", "octolane_inbound", "thena"])},
                optional={
                    "pipelines": st.dictionaries(
                        words, texts | st.sampled_from([PIPELINE, f"{PIPELINE}\n"]), max_size=1
                    ),
                    "custom_fields": st.sampled_from(["refuse", "create", "ask"]),
                    "journal": texts,
                    "strict": junk,
                    "policies": st.dictionaries(
                        st.sampled_from(["account", "note"]),
                        st.dictionaries(
                            st.builds("custom_fields.{}".format, slugs) | st.sampled_from(["thena.type", "name"]),
                            st.sampled_from(["ignore", "never"]),
                            max_size=2,
                        ),
                        max_size=1,
                    ),
                    "api_key_env": st.text("AB_1\n", max_size=4),
                    "base_url": st.sampled_from(
                        ["https://a.test", "http://[::1]:80/", "https://a.test\n", "ftp://a", "https://ü.test"]
                    ),
                    "sandbox": texts,
                    "timeout": st.sampled_from([0, 1, 3600, 3600.5]),
                    "unknown": junk,
                },
            ),
            max_size=2,
        ),
        "limits": junk,
    },
)


@given(st.tuples(st.just("manifest"), manifests) | st.tuples(st.just("config"), configurations | junk))
def test_both_engines_give_the_same_verdict(case: tuple[str, Any]) -> None:
    """The compiled gate and jsonschema accept and refuse the same documents, and every refusal has words."""
    name, value = case
    verdict = schema._judge(name).is_valid(value)
    assert verdict == schema.passes(name, value)
    assert verdict == (schema.check(name, value) == [])


def test_what_the_gate_cannot_read_is_for_jsonschema_to_judge() -> None:
    """JSON may escape half a character, on which the gate chokes: the other engine judges, nothing is raised."""
    half = json.loads('"\\ud800"')
    assert not schema.passes("contact", {"email": "a@b.test", half: 1})
    assert schema.check("contact", {"email": half}) != []
    assert schema.check("contact", {"email": "a@b.test", half: 1}) != []


def test_valid_documents_never_load_jsonschema() -> None:
    """The slow engine is imported for errors only."""
    program = (
        "import sys; from crmctl.schema import check;"
        "assert check('manifest', {'contacts': [{'email': 'a@b.test'}]}) == [];"
        "print({'jsonschema', 'referencing', 'difflib'} & {*sys.modules})"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"
