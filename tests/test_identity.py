"""Keys: one normal form per domain and e-mail address, whoever wrote it however."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crmctl.identity import LONGEST, cut, explain, is_email, normalise, spellings

KINDS = ("account", "contact")

anything = st.text(st.characters(), max_size=80)
domain_like = st.from_regex(r"(https?://)?(www\.)?[\w.-]{1,30}(:[0-9]{1,5})?(/\w*)?", fullmatch=True)
email_like = st.builds("{}@{}.{}".format, st.text(max_size=12), st.text(max_size=12), st.sampled_from(["test", "日本"]))
written = anything | domain_like | email_like


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("acme.example", "acme.example"),
        ("https://www.Acme.example/about", "acme.example"),
        (" WWW.ACME.test. ", "acme.test"),
        ("//acme.example", "acme.example"),
        ("acme.example:8080", "acme.example"),
        ("http://acme.example:/a@b?c#d", "acme.example"),
        ("acme.example?utm=x", "acme.example"),
        ("acme.example\\about", "acme.example"),
        ("www.www.acme.example", "acme.example"),
        ("www.example", "www.example"),
        ("shop.acme.example", "shop.acme.example"),
        ("r3---sn.acme.example", "r3---sn.acme.example"),
        ("3m.example", "3m.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("\uff57\uff57\uff57\uff0e\uff41\uff43\uff4d\uff45\uff0eexample", "acme.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("acme.local", "acme.local"),
        ("acme.invalid", "acme.invalid"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_domains(spelling: str, expected: str) -> None:
    """A domain loses scheme, path, port, www., trailing dot and upper case, and becomes ASCII."""
    assert expected == normalise("account", spelling)


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("localhost", "no dot"),
        ("com.", "no dot"),
        ("192.0.2.1", "IP address"),
        ("https://192.0.2.1:80/", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("jane@acme.example", "has an @"),
        ("https://jane:secret@acme.example/", "has an @"),
        ("_dmarc.acme.example", "underscore"),
        ("acme .example", "not a domain"),
        ("ac\nme.example", "not a domain"),
        ("acme..example", "not a domain"),
        ("acme.example..", "not a domain"),
        ("-acme.example", "not a domain"),
        ("acme.123", "not a domain"),
        ("☃.example", "not a domain"),
        ("xn--a.example", "not a domain"),
        ("\uff11\uff19\uff12.0.2.1", "not a domain"),
        ("mailto:acme.example", "not a domain"),
        ("\ud800.example", "not a domain"),
        ("a" * 64 + ".example", "not a domain"),
        ("a." * 130 + "example", "not a domain"),
        ("ü" * 100_000, "longer than 2048"),
    ],
)
def test_what_is_no_domain(spelling: str, reason: str) -> None:
    """What can't be an organisation's domain has no key, and the reason is told without repeating the spelling."""
    assert normalise("account", spelling) is None
    assert reason in explain("account", spelling)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("jane@acme.example", "jane@acme.example"),
        (" Jane.Doe@Acme.Example\n", "jane.doe@acme.example"),
        ("jane+crm_1@acme.test", "jane+crm_1@acme.test"),
        ("o'brien@acme.local", "o'brien@acme.local"),
        ("a/b=c@acme.invalid", "a/b=c@acme.invalid"),
        ("a@b.c", "a@b.c"),
        ("jane@www.acme.example", "jane@www.acme.example"),
        ("jane@Bücher.example", "jane@xn--bcher-kva.example"),
        ("jane@XN--bcher-KVA.example", "jane@xn--bcher-kva.example"),
        ("JÖRG@acme.example", "jörg@acme.example"),
        ("jo\u0308rg@acme.example", "jörg@acme.example"),
        ("x" * 64 + "@acme.example", "x" * 64 + "@acme.example"),
    ],
)
def test_emails(spelling: str, expected: str) -> None:
    """An e-mail address loses outer space and upper case; its domain becomes ASCII."""
    assert expected == normalise("contact", spelling)
    assert is_email(spelling)


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("", "is empty"),
        ("jane", "no @"),
        ("jane@", "no dot"),
        ("jane@localhost", "no dot"),
        ("@acme.example", "not an e-mail address"),
        ("jane doe@acme.example", "a space"),
        ('"jane doe"@acme.example', "a space"),
        ('"jane"@acme.example', "not an e-mail address"),
        ("Jane <jane@acme.example>", "more than an e-mail address"),
        ("mailto:jane@acme.example", "more than an e-mail address"),
        ("jane@@acme.example", "not an e-mail address"),
        (".jane@acme.example", "not an e-mail address"),
        ("ja..ne@acme.example", "not an e-mail address"),
        ("jane@acme.example.", "not an e-mail address"),
        ("jane@-acme.example", "not an e-mail address"),
        ("jane@☃.example", "not an e-mail address"),
        ("jane@192.0.2.1", "not an e-mail address"),
        ("jane@[192.0.2.1]", "not an e-mail address"),
        ("ja\u202ene@acme.example", "not an e-mail address"),
        ("\ud800@acme.example", "not an e-mail address"),
        ("x" * 65 + "@acme.example", "not an e-mail address"),
        ("jane@" + "a" * 60 + ("." + "a" * 60) * 3 + ".example", "not an e-mail address"),
        ("ö@" * 100_000, "longer than 320"),
    ],
)
def test_what_is_no_email(spelling: str, reason: str) -> None:
    """What is no e-mail address has no key, and the reason is told without repeating the spelling."""
    assert normalise("contact", spelling) is None
    assert not is_email(spelling)
    assert reason in explain("contact", spelling)


@pytest.mark.parametrize("kind", KINDS)
@given(spelling=written)
@example("www.www.example")
@example("İ@x.test")
@example("ΑΣ@x.test")
@example("a.\u3002b")
def test_normalising_a_key_returns_the_key(kind: str, spelling: str) -> None:
    """Any text gets an answer; a key is its own normal form, is what its look-up asks for first, and is short."""
    key = normalise(kind, spelling)
    assert explain(kind, spelling)
    if key is not None:
        assert key == normalise(kind, key)
        assert key == spellings(kind, key, spelling)[0]
        assert len(key) <= LONGEST[kind]


@given(domain=domain_like | anything)
def test_a_contacts_domain_is_judged_like_an_accounts(domain: str) -> None:
    """Where a bare domain is a key of an account, an address in it is a key of a contact."""
    key = normalise("account", domain)
    if key is not None and len(key) < 200:
        assert f"jane@{key}" == normalise("contact", f"Jane@{key}")


@pytest.mark.parametrize(
    ("kind", "spelling", "expected"),
    [
        ("account", "acme.example", ("acme.example",)),
        ("account", "https://Acme.example", ("acme.example", "https://Acme.example")),
        ("account", " acme.example ", ("acme.example",)),
        ("account", "Bücher.example", ("xn--bcher-kva.example", "Bücher.example", "bücher.example")),
        ("account", "bücher.example", ("xn--bcher-kva.example", "bücher.example")),
        ("account", "xn--bcher-kva.example", ("xn--bcher-kva.example", "bücher.example")),
        ("contact", "Jane@acme.example", ("jane@acme.example", "Jane@acme.example")),
        ("contact", "jane@bücher.example", ("jane@xn--bcher-kva.example", "jane@bücher.example")),
    ],
)
def test_spellings(kind: str, spelling: str, expected: tuple[str, ...]) -> None:
    """A look-up asks for the key first, then for the spelling as written and for the Unicode form, each once."""
    key = normalise(kind, spelling)
    assert key is not None
    assert expected == spellings(kind, key, spelling)


def test_spellings_of_a_key_that_nobody_wrote() -> None:
    """An empty spelling asks for nothing but the key."""
    assert spellings("account", "acme.example", "") == ("acme.example",)


@pytest.mark.parametrize(
    ("groups", "size", "expected"),
    [
        ([], 3, []),
        ([()], 3, []),
        ([("a",), ("b", "c"), ("d", "e")], 3, [["a", "b", "c"], ["d", "e"]]),
        ([("a", "b"), ("c", "d"), ("e",)], 3, [["a", "b"], ["c", "d", "e"]]),
        ([("a",), ("b", "c", "d", "e", "f")], 2, [["a"], ["b", "c"], ["d", "e"], ["f"]]),
        ([("a",), ("b",)], 1, [["a"], ["b"]]),
    ],
)
def test_groups_stay_together(groups: list[tuple[str, ...]], size: int, expected: list[list[str]]) -> None:
    """A group is split only when it alone is larger than a request."""
    assert expected == list(cut(groups, size))


@given(st.lists(st.lists(st.text(max_size=2), max_size=5)), st.integers(1, 6))
def test_requests_hold_every_spelling_in_order(groups: list[list[str]], size: int) -> None:
    """Nothing is lost, nothing is reordered, and no request is empty or too large."""
    requests = list(cut(groups, size))
    assert [item for group in groups for item in group] == [item for request in requests for item in request]
    assert all(0 < len(request) <= size for request in requests)


def test_plain_keys_import_no_library() -> None:
    """Neither idna nor email_validator is loaded for keys in plain ASCII."""
    program = (
        "import sys; from crmctl.identity import normalise;"
        "normalise('account', 'https://www.Acme.example/'); normalise('contact', \"O'Brien@Acme.example\");"
        "print({'idna', 'email_validator'} & {*sys.modules})"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"
