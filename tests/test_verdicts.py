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
    assert schema._passes(kind, record)
    assert schema._judge(kind).is_valid(record)
    for value in wrong:
        assert not schema._passes(kind, {**record, field: value})
        assert not schema._judge(kind).is_valid({**record, field: value})


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


def records(kind: str, key: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return records that are mostly right: known fields with usual values, some junk, sometimes no key."""
    names = st.sampled_from([*schema.rules().fields[kind], "account", "contacts", "unknown"])
    fields = st.dictionaries(names, st.one_of(usual, usual, junk), max_size=4)
    keys = st.fixed_dictionaries({}, optional={key: st.one_of(st.just("a@b.test"), emails, junk)})
    return st.builds(lambda left, right: {**left, **right}, fields, keys)


contacts = st.lists(records("contact", "email") | junk, max_size=3)
accounts = st.lists(
    st.builds(
        lambda record, nested: {**record, **nested},
        records("account", "domain"),
        st.fixed_dictionaries({}, optional={"contacts": contacts}),
    ),
    max_size=3,
)
manifests = st.one_of(
    st.fixed_dictionaries({}, optional={"accounts": accounts, "contacts": contacts}),
    st.fixed_dictionaries(
        {},
        optional={
            "accounts": junk,
            "defaults": st.dictionaries(st.sampled_from(["account", "contact"]), records("contact", "email")),
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
                {"provider": st.just("octolane")},
                optional={
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
    assert verdict == schema._passes(name, value)
    assert verdict == (schema.check(name, value) == [])


def test_what_the_gate_cannot_read_is_for_jsonschema_to_judge() -> None:
    """JSON may escape half a character, on which the gate chokes: the other engine judges, nothing is raised."""
    half = json.loads('"\\ud800"')
    assert not schema._passes("contact", {"email": "a@b.test", half: 1})
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
