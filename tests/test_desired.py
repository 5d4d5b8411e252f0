"""Documents to desired resources: keys, defaults, nesting, references, duplicates, and what is selected."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmctl import schema
from crmctl.desired import Collector, Desired, select
from crmctl.errors import UsageError
from crmctl.parser import Document, parse
from crmctl.resource import Address


def documents(text: str, file: str = "m.yaml") -> list[Document]:
    """Return the documents of a manifest that the schema finds nothing wrong with."""
    found, diagnostics = parse(text.encode(), file, schema.shape())
    for document in found:
        diagnostics += [] if document.root is None else schema.check("manifest", document.root)
    assert [] == diagnostics
    return found


def collect(*texts: str) -> tuple[Desired, list[str]]:
    """Return the desired state of files named 1.yaml, 2.yaml and so on, and what is wrong, a line each."""
    collector = Collector()
    for number, text in enumerate(texts, 1):
        collector.add(documents(text, f"{number}.yaml"))
    lines = [
        f"{found.source}: {found.address or '-'} {found.field}: {found.message.replace('{value}', str(found.value))}"
        for found in collector.diagnostics
    ]
    return collector.finish(), lines


def desired(*texts: str) -> Desired:
    """Return the desired state of files that are right."""
    found, wrong = collect(*texts)
    assert [] == wrong
    return found


def fields(found: Desired, kind: str) -> dict[str, dict[str, Any]]:
    """Return the fields of all resources of a kind, by key."""
    return {key: dict(resource.fields) for key, resource in found.resources[kind].items()}


def test_nothing_is_desired_of_nothing() -> None:
    """Empty files and documents declare no records, but every kind is there."""
    found = desired("", "---\n---\n", "contacts: []\n").resources
    assert {"account": {}, "contact": {}, "opportunity": {}, "note": {}} == found


def test_nested_contacts_belong_to_their_account() -> None:
    """A contact in an account refers to it, and is no field of it."""
    found = desired("accounts:\n  - {domain: b.example, name: B, contacts: [{email: j@x.example}]}\n")
    assert {"b.example": {"domain": "b.example", "name": "B"}} == fields(found, "account")
    assert {"j@x.example": {"email": "j@x.example"}} == fields(found, "contact")
    assert {"account": Address("account", "b.example")} == found.resources["contact"]["j@x.example"].refs


def test_free_contacts_may_name_an_account() -> None:
    """`account` is a reference, however its domain is spelt, and no field; null is none."""
    found = desired(
        "contacts:\n  - {email: a@x.example, account: HTTPS://www.B.example/}\n"
        "  - {email: b@x.example, account: null}\n"
    )
    contacts = found.resources["contact"]
    assert {"account": Address("account", "b.example")} == contacts["a@x.example"].refs
    assert {} == contacts["b@x.example"].refs
    assert [{"email": "a@x.example"}, {"email": "b@x.example"}] == [
        dict(contact.fields) for contact in contacts.values()
    ]


def test_defaults_fill_in_what_a_record_leaves_out() -> None:
    """Defaults hold for all documents of their file and all records of their kind, nested ones too."""
    found = desired(
        "contacts: [{email: a@x.example}]\n---\n"
        "defaults: {account: {industry: Software}, contact: {job_title: CTO, account: b.example}}\n---\n"
        "accounts: [{domain: b.example, contacts: [{email: c@x.example, job_title: null}]}]\n"
    )
    assert {"b.example": {"domain": "b.example", "industry": "Software"}} == fields(found, "account")
    assert {
        "a@x.example": {"email": "a@x.example", "job_title": "CTO"},
        "c@x.example": {"email": "c@x.example", "job_title": None},
    } == fields(found, "contact")
    refs = {"account": Address("account", "b.example")}
    assert [refs, refs] == [contact.refs for contact in found.resources["contact"].values()]


def test_a_record_overrides_the_default_reference() -> None:
    """A contact's own `account` comes before that of the defaults, also when it is null."""
    found = desired(
        "defaults: {contact: {account: b.example}}\n"
        "contacts: [{email: a@x.example, account: c.example}, {email: b@x.example, account: null}]\n"
    )
    assert [{"account": Address("account", "c.example")}, {}] == [
        contact.refs for contact in found.resources["contact"].values()
    ]


def test_defaults_stay_in_their_file() -> None:
    """Defaults of one file say nothing about records of another."""
    found = desired("defaults: {contact: {job_title: CTO}}\n", "contacts: [{email: a@x.example}]\n")
    assert {"a@x.example": {"email": "a@x.example"}} == fields(found, "contact")


def test_defaults_of_a_kind_stand_once_in_a_file() -> None:
    """Two sets of defaults for a kind are refused, with both places."""
    wrong = collect("defaults: {contact: {}}\n---\ndefaults: {account: {}, contact: {}}\n")[1]
    assert ["1.yaml:3:34: - : defaults of this kind stand twice in the file (first at 1.yaml:1:21): join them"] == wrong


def test_a_domain_is_read_as_its_key() -> None:
    """A URL becomes its domain, with a notice at its place; a plain domain is left alone."""
    found = desired("accounts:\n  - domain: https://www.Acme.example/about\n  - domain: b.example\n")
    assert {"acme.example": {"domain": "acme.example"}, "b.example": {"domain": "b.example"}} == fields(
        found, "account"
    )
    (notice,) = found.notices
    assert "1.yaml:2:13" == str(notice.source)
    assert Address("account", "acme.example") == notice.address
    assert ("domain {value} is read as acme.example", "https://www.Acme.example/about") == (notice.text, notice.value)


def test_an_email_is_sent_as_written() -> None:
    """The key of a contact is in lower case, what is sent is what is written, but for outer spaces."""
    found = desired("contacts: [{email: ' Jane@X.example '}, {email: Joe@X.example}]\n")
    assert {"jane@x.example": {"email": "Jane@X.example"}, "joe@x.example": {"email": "Joe@X.example"}} == fields(
        found, "contact"
    )
    assert () == found.notices


def test_a_record_stands_where_it_is_written() -> None:
    """A resource knows where it and its fields come from."""
    contact = desired("contacts:\n  - email: a@x.example\n    phone: 1\n").resources["contact"]["a@x.example"]
    assert "1.yaml:2:5" == str(contact.source)
    assert "1.yaml:3:12" == str(contact.source_of("phone"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            ["accounts: [{domain: b.example}, {domain: B.example}]\n"],
            "1.yaml:1:42: account/b.example : declared twice (first at 1.yaml:1:21): keep one",
        ),
        (
            [
                "contacts: [{email: a@x.example}]\n",
                "accounts: [{domain: b.example, contacts: [{email: A@x.example}]}]\n",
            ],
            "2.yaml:1:51: contact/a@x.example : declared twice (first at 1.yaml:1:20): keep one",
        ),
        (
            ["contacts: [&a {email: a@x.example}, *a]\n"],
            "1.yaml:1:37: contact/a@x.example : declared twice (first at 1.yaml:1:12): keep one",
        ),
        (
            ["contacts: [&a {email: a@x.example}, {<<: *a, phone: 1}]\n"],
            "1.yaml:1:37: contact/a@x.example : declared twice (first at 1.yaml:1:12): keep one",
        ),
    ],
)
def test_a_key_is_declared_once(texts: list[str], expected: str) -> None:
    """The second record of a key is refused, naming both places, also when an alias or `<<` made it."""
    assert [expected] == collect(*texts)[1]


def test_what_is_no_key_is_told_with_its_place() -> None:
    """Wrong domains are told one by one, and don't hide what is wrong with the contacts in them."""
    text = (
        "accounts:\n  - domain: localhost\n    contacts: [{email: a@x.example, account: b.example}]\n"
        "  - domain: 192.0.2.1\ncontacts:\n  - {email: b@x.example, account: nowhere}\n"
    )
    found, wrong = collect(text)
    starts = (
        "1.yaml:2:13: account/localhost domain: localhost has no dot",
        "1.yaml:3:37: contact/a@x.example account: a record nested in account/localhost belongs to it: leave `account`",
        "1.yaml:4:13: account/192.0.2.1 domain: 192.0.2.1 is an IP address",
        "1.yaml:6:35: contact/b@x.example account: nowhere has no dot",
    )
    assert [*starts] == [line[: len(start)] for line, start in zip(wrong, starts, strict=True)]
    assert {} == found.resources["account"]


def test_a_wrong_default_reference_is_told_once() -> None:
    """A default that is no domain is wrong where it stands, not once for each record."""
    text = "defaults: {contact: {account: nowhere}}\ncontacts: [{email: a@x.example}, {email: b@x.example}]\n"
    (line,) = collect(text)[1]
    assert line.startswith("1.yaml:1:31: - defaults.contact.account: nowhere has no dot")


EVERYTHING = "accounts: [{domain: a.example, contacts: [{email: o'b@a.example}]}, {domain: www.b.example}]\n"


@pytest.mark.parametrize(
    ("only", "exclude", "expected"),
    [
        ([], [], ["a.example", "b.example", "o'b@a.example"]),
        (["account"], [], ["a.example", "b.example"]),
        (["account/"], [], ["a.example", "b.example"]),
        (["account/A.*"], [], ["a.example"]),
        (["account/?.example", "contact"], ["account/b*"], ["a.example", "o'b@a.example"]),
        ([], ["contact"], ["a.example", "b.example"]),
        ([], ["account", "contact/*@a.example"], []),
        (["contact/o'b@a.example"], [], ["o'b@a.example"]),
        (["contact/o%27b@A.example"], [], ["o'b@a.example"]),
        (["contact/o%28b@a.example"], [], []),
        (["contact/a.example"], [], []),
    ],
)
def test_select(only: list[str], exclude: list[str], expected: list[str]) -> None:
    """Patterns choose by kind and key, as written or as an address shows it; notices go with their records."""
    found = select(desired(EVERYTHING), only, exclude)
    assert expected == [key for records in found.resources.values() for key in records]
    assert ["b.example"] * ("b.example" in expected) == [notice.address.key for notice in found.notices]


@pytest.mark.parametrize("pattern", ["", "deal", "Account", "*", "/a.example", "accounts"])
def test_a_pattern_names_a_kind(pattern: str) -> None:
    """A pattern that begins with no kind is refused, whichever flag it came by."""
    for only, exclude in (([pattern], []), ([], [pattern])):
        with pytest.raises(UsageError, match="names no kind: write KIND or KIND/KEY-GLOB, KIND being one of account,"):
            select(desired(EVERYTHING), only, exclude)


@st.composite
def manifests(draw: st.DrawFn) -> list[str]:
    """Return files that declare no key twice."""
    files = []
    for number in range(draw(st.integers(1, 5))):
        text = f"defaults: {{contact: {{job_title: T{number}}}}}\n" if draw(st.booleans()) else ""
        for index in range(draw(st.integers(0, 3))):
            domain = draw(st.sampled_from(["{}.example", "https://WWW.{}.example/"])).format(f"{9 - number}x{index}")
            text += "---\n" * (index > 0 or text != "") + f"accounts: [{{domain: '{domain}', contacts: ["
            text += ", ".join(f"{{email: {c}{index}@{number}.example}}" for c in "ba"[: draw(st.integers(0, 2))])
            text += f"]}}]\ncontacts: [{{email: f{index}@{number}.example}}]\n"
        files.append(text)
    return files


@given(manifests(), st.randoms(use_true_random=False))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_order_of_files_changes_nothing(texts: list[str], chance: random.Random) -> None:
    """Files read in another order give the same resources and notices, in the same order."""
    files = [documents(text, f"{number}.yaml") for number, text in enumerate(texts)]
    found = []
    for _ in range(2):
        collector = Collector()
        for file in files:
            collector.add(file)
        assert [] == collector.diagnostics
        found.append(collector.finish())
        chance.shuffle(files)
    assert found[0] == found[1]
    assert [[*records] for records in found[0].resources.values()] == [
        sorted(records) for records in found[1].resources.values()
    ]
