import hmac
import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.redact import Redactor

PERSONAL = {"account": frozenset[str](), "contact": frozenset({"email", "first_name", "other_emails", "phone"})}
KEY = b"a key of the tests"
ON, OFF = Redactor(KEY, PERSONAL, on=True), Redactor(KEY, PERSONAL, on=False)
JANE = ON.address("contact", "jane@acme.example")


def test_a_pseudonym_is_stable_under_one_key_and_unlike_under_another() -> None:
    """It means the same person everywhere, and can't be guessed without the key."""
    assert re.fullmatch("anon-[0-9a-f]{12}", JANE)
    assert Redactor(KEY, PERSONAL, on=True).address("contact", "jane@acme.example") == JANE
    assert Redactor(b"other", PERSONAL, on=True).address("contact", "jane@acme.example") != JANE
    assert ON.address("contact", "sam@acme.example") != JANE


def test_case_and_outer_spaces_make_no_difference() -> None:
    """The key and the spelling that is sent mean the same person."""
    assert ON.value("contact", "email", " Jane@Acme.Example ") == JANE


def test_only_a_personal_key_field_makes_the_key_personal() -> None:
    """A contact is known by an e-mail address, an account by a domain."""
    assert ON.address("account", "acme.example") == "acme.example"
    assert ON.address("other", "x jane@acme.example") == f"x {JANE}"
    assert Redactor(KEY, {"contact": frozenset({"phone"})}, on=True).address("contact", "jane") == "jane"


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_nothing_stays_nothing(value: Any) -> None:
    """That a field is empty tells nobody who it is about."""
    assert value == ON.value("contact", "email", value)


def test_lists_and_mappings_are_replaced_item_by_item() -> None:
    """How many there are, and which are equal, can still be seen."""
    value = {"work": ["jane@acme.example", None], "count": (1, "1")}
    one = ON.value("contact", "phone", "1")
    assert ON.value("contact", "other_emails", value) == {"work": [JANE, None], "count": [one, one]}


@pytest.mark.parametrize("field", ["phone", "industry"])
def test_names_in_a_mapping_lose_addresses(field: str) -> None:
    """People key lists of people by e-mail address; other names say what stands there."""
    shown = ON.value("contact", field, {"a": {"Jane@acme.example": None, "work": None}})
    assert {"a": {JANE: None, "work": None}} == shown


@pytest.mark.parametrize("field", ["phone", "custom_fields.phone", "phone[0]", "a.phone.b"])
def test_a_path_is_personal_if_a_part_of_it_is(field: str) -> None:
    """Paths into lists and objects are as personal as the field."""
    assert ON.value("contact", field, "x") != "x"


def test_fields_that_are_not_personal_lose_addresses_alone() -> None:
    """A description is no personal field, and people write addresses into it."""
    assert ON.value("account", "description", ["ask Jane@acme.example", 5]) == [f"ask {JANE}", 5]
    assert ON.value("account", "description", "ask Jane@acme.example") == f"ask {JANE}"
    assert ON.value("account", "phone", "x") == "x"


def test_an_unknown_kind_counts_as_all_kinds() -> None:
    """A finding about a record without a name may be about a person."""
    assert ON.value("", "phone", "x") != "x"
    assert ON.value("", "industry", "x") == "x"
    assert Redactor(KEY, {}, on=True).value("", "phone", "x") == "x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jane@acme.example", "{}"),
        ("'Jane@acme.example' is bad.", "'{}' is bad."),
        ("<JANE@ACME.EXAMPLE>, twice", "<{}>, twice"),
        ("contact/jane@acme.example: email", "contact/{}: email"),
        ("GET /v1/x?email=jane%40acme.example&a=1", "GET /v1/x?email={}&a=1"),
        ('{"email":"jane\\u0040acme.example"}', '{"email":"{}"}'),
        ("mailto:jane@acme.example.", "mailto:{}."),
        ("*jane@acme.example*", "*{}*"),
        ("@team, 5 @ 3, a %40", "@team, 5 @ 3, a %40"),
    ],
)
def test_addresses_in_free_text_get_the_pseudonym_of_their_record(text: str, shown: str) -> None:
    """Wherever a server puts an address, it reads as the address in the plan."""
    assert shown.replace("{}", JANE) == ON.text(text)


@pytest.mark.parametrize(
    "text", ["jané.doe+x@müller.example", "o'neil@x", "jane@", '"jane doe"@acme.example', "a%2b@b"]
)
def test_odd_addresses_are_replaced_whole(text: str) -> None:
    """Unicode, quotes, tags, encoded or half an address: nothing of it is left."""
    assert re.fullmatch("anon-[0-9a-f]{12}", ON.text(text))


def test_known_values_are_replaced_in_free_text() -> None:
    """What a server may quote of a record goes too: long values anywhere, short ones as words."""
    name, al, number = (ON.value("contact", "phone", value) for value in ("Jane", "Al", "4930"))
    known = ["Jane", "Al", None, True, "", {"phone": 4930}]
    assert ON.text("JANE (Al) also: +4930", *known) == f"{name} ({al}) also: +{number}"


def test_an_address_is_not_torn_by_a_known_part_of_it() -> None:
    """Known first names stand in addresses; the address is one pseudonym all the same."""
    assert ON.text("jane@acme.example, jane", "jane") == f"{JANE}, {ON.value('contact', 'phone', 'jane')}"


def test_a_known_address_is_replaced_whole() -> None:
    """What no pattern would take for one address is replaced if it is known to be one."""
    odd = "sales/emea@acme.example"
    assert ON.text(f"no {odd} here", odd) == f"no {ON.address('contact', odd)} here"


@pytest.mark.parametrize("piece", ["x", "'", '"', "a%", "a@", "%40", "a.", "@", '"a'])
def test_long_text_takes_linear_time(piece: str) -> None:
    """A server's answer can't stop a run: 400,000 characters are searched in far less than a second."""
    assert ON.text(piece * 100_000)


def test_off_changes_nothing() -> None:
    """On one's own terminal one sees the data."""
    value = ["jane@acme.example"]
    assert OFF.value("contact", "email", value) is value
    assert OFF.address("contact", "jane@acme.example") == "jane@acme.example"
    assert OFF.text("jane@acme.example", "jane") == "jane@acme.example"


@pytest.mark.parametrize("key", [b"", b"short", b"k" * 64, b"k" * 65])
def test_digests_are_hmac_sha256(key: bytes) -> None:
    """Keys of any length work as RFC 2104 says."""
    message = b"crmctl digest\0" + b"\0\1a" + b"\0\1b"
    assert hmac.new(key, message, "sha256").hexdigest() == Redactor(key, {}, on=True).digest("a", "b")


def test_digests_do_not_depend_on_redaction() -> None:
    """A plan made in CI can be applied by hand."""
    assert ON.digest("a") == OFF.digest("a")


def test_a_digest_is_never_a_pseudonym() -> None:
    """Each purpose has its own domain, so one can't be used to look up the other."""
    assert ON.digest("jane@acme.example")[:12] != JANE.removeprefix("anon-")


def test_lone_surrogates_are_no_error() -> None:
    """A server may send what is no Unicode."""
    assert ON.digest("\ud800") != ON.digest("\ud801")
    assert ON.value("contact", "phone", "\ud800") != ON.value("contact", "phone", "\ud801")


SMALL = [list(parts) for size in range(4) for parts in product(("", "a", "\0", "\1", "\0\1"), repeat=size)]


def test_different_parts_have_different_digests() -> None:
    """Where one part ends and the next begins counts, whatever they hold."""
    assert len(SMALL) == len({ON.digest(*parts) for parts in SMALL})


@given(st.emails(), st.text("abc .,:/\"'", max_size=5))
def test_no_address_survives(email: str, around: str) -> None:
    """Whatever stands around it, the domain and the local part as such are gone."""
    shown = ON.text(f"{around} {email} {around}", email)
    assert email not in shown
