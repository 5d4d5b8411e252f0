"""Create, resolve and patch: what holds whatever the switches say."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from crmctl.sandbox.octolane_keys import bare_domain
from crmctl.sandbox.octolane_tables import WRITABLE

ANY_ID = "00000000-0000-4000-8000-00000000ffff"
VALUES = {"text": "x", "number": 1999, "boolean": True, "list": ["a"], "time": "2026-01-01T00:00:00.000000Z"}


@pytest.mark.parametrize(("kind", "key"), [("accounts", "acme.example"), ("contacts", "jane@acme.example")])
def test_every_documented_member_is_stored_and_read(crm: Any, kind: str, key: str) -> None:
    """What a create sends comes back under the same names."""
    item = {name: VALUES[type_] for name, type_ in WRITABLE[kind].items()}
    item["domain" if kind == "accounts" else "email"] = key
    crm.create(kind, item)
    (record,) = crm.records(kind)
    assert item == {name: record[name] for name in item}


def test_creating_again_makes_no_second_record(crm: Any) -> None:
    """A create of an existing key resolves it, and does not count as a change when nothing differs."""
    item = {"domain": "acme.example", "name": "Acme", "tags": "a", "last_interaction": 1, "tier": "gold"}
    first = crm.create("accounts", item)
    assert first == crm.create("accounts", item)


def test_one_account_is_created_or_resolved(crm: Any) -> None:
    """POST /v1/accounts takes a single account."""
    for _ in range(2):
        answer = crm.send("POST", "/v1/accounts", json={"domain": "acme.example"})
        assert 200 == answer.status_code
        assert answer.json()["success"] is True
    assert 1 == len(crm.records("accounts"))


@pytest.mark.parametrize(("kind", "good", "bad"), [("accounts", 100, 101), ("contacts", 100, 0)])
def test_a_bulk_create_takes_one_to_a_hundred(crm: Any, kind: str, good: int, bad: int) -> None:
    """0 and 101 items are 400, 100 are taken."""

    def status(count: int) -> int:
        items = [
            {"domain": f"a{n}.example"} if kind == "accounts" else {"email": f"a{n}@x.example"} for n in range(count)
        ]
        return int(crm.send("POST", f"/v1/{kind}/bulk", json=items).status_code)

    assert (200, 400) == (status(good), status(bad))


def test_a_patch_changes_what_it_names(crm: Any) -> None:
    """A field that a patch does not name stays."""
    (record,) = crm.create("accounts", {"domain": "acme.example", "name": "Acme", "type": "customer"})["accounts"]
    (patched,) = crm.patch("accounts", {record["id"]: {"name": "Acme Inc", "tags": ["a"], "founded": 1999}})["accounts"]
    expected = {**record, "name": "Acme Inc", "tags": ["a"], "founded": 1999, "updated_at": patched["updated_at"]}
    assert expected == patched
    assert patched["updated_at"] > record["updated_at"]


def test_a_patch_finds_ids_in_capitals(crm: Any) -> None:
    """A UUID may be written in capitals."""
    (record,) = crm.create("accounts", {"domain": "acme.example"})["accounts"]
    crm.patch("accounts", {record["id"].upper(): {"name": "Acme"}})
    assert ["Acme"] == [record["name"] for record in crm.records("accounts")]


def test_a_patch_takes_fifty_records(crm: Any) -> None:
    """50 records are taken, 51 are 400."""
    ids = [
        record["id"] for record in crm.create("accounts", *({"domain": f"a{n}.example"} for n in range(51)))["accounts"]
    ]

    def status(count: int) -> int:
        body = {id_: {"name": "A"} for id_ in ids[:count]}
        return int(crm.send("PATCH", "/v1/accounts/bulk", json=body).status_code)

    assert (200, 400) == (status(50), status(51))


@pytest.mark.parametrize(
    "patch",
    [
        {"founded": 3},
        {"name": 5},
        {"domain": None},
        {"domain": "bad.invalid"},
        {"domain": "other.example"},
        {"id": ANY_ID},
        {"created_at": "2026-01-01T00:00:00Z"},
        {"custom_fields": {"tier": "gold"}},
        {"last_interaction": "9999-99-99T00:00:00Z"},
        {"last_interaction": 1e300},
        {"estimated_revenue": 1e999},
        {"Tier Level": "gold"},
    ],
)
def test_a_bad_patch_changes_nothing(crm: Any, patch: dict[str, Any]) -> None:
    """A patch with a bad value is 400, and the good one beside it is not done either."""
    made = crm.create("accounts", {"domain": "acme.example"}, {"domain": "other.example"})["accounts"]
    body = {made[1]["id"]: {"name": "Other"}, made[0]["id"]: patch}
    text = json.dumps(body)
    answer = crm.send("PATCH", "/v1/accounts/bulk", content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, made) == (400, crm.records("accounts"))


def test_a_patch_is_not_keyed_by_anything_but_uuids(crm: Any) -> None:
    """A key that is no UUID is 400."""
    assert 400 == crm.send("PATCH", "/v1/accounts/bulk", json={"acme.example": {"name": "A"}}).status_code


def test_keys_can_move_within_one_patch_only_to_free_ones(crm: Any) -> None:
    """A patch cannot give a record the key of another one of the same patch."""
    one, two = crm.create("accounts", {"domain": "a.example"}, {"domain": "b.example"})["accounts"]
    body = {one["id"]: {"domain": "b.example"}, two["id"]: {"domain": "c.example"}}
    assert 400 == crm.send("PATCH", "/v1/accounts/bulk", json=body).status_code
    crm.patch("accounts", dict(reversed(body.items())))
    assert ["b.example", "c.example"] == [record["domain"] for record in crm.records("accounts")]


@pytest.mark.parametrize("domain", ["bad.invalid", "https://www.Bad.INVALID/x", "", "localhost", "a b.example", "."])
def test_a_domain_that_cannot_be_is_refused(crm: Any, domain: str) -> None:
    """The server refuses what is no domain name, and everything under .invalid."""
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=[{"domain": domain}]).status_code


@pytest.mark.parametrize("address", ["jane@bad.invalid", "jane", "jane@", "jane@localhost", "Jane <jane@a.example>"])
def test_an_address_that_cannot_be_is_refused(crm: Any, address: str) -> None:
    """The server refuses what is no e-mail address, and everything under .invalid."""
    assert 400 == crm.send("POST", "/v1/contacts/bulk", json=[{"email": address}]).status_code


@pytest.mark.parametrize("member", ["name", "account_id", "id", "updated_at"])
def test_what_only_the_server_sets_cannot_be_written(open_crm: Callable[..., Any], member: str) -> None:
    """A contact with a read-only member is 400, or loses it where unknown fields are ignored."""
    body = [{"email": "jane@acme.example", member: "x"}]
    assert 400 == open_crm().send("POST", "/v1/contacts/bulk", json=body).status_code
    ignoring = open_crm(unknown_field="ignore")
    ignoring.create("contacts", *body)
    assert "x" not in ignoring.records("contacts")[0].values()


@pytest.mark.parametrize(
    "text", ["plain", "ünïcode", "\U0001f600", "' OR 1=1 --", '"quoted"', "back\\slash", "a\nb", "\u202e", "{}"]
)
def test_any_text_comes_back_as_it_was(crm: Any, text: str) -> None:
    """Text is stored and found again, whatever it contains."""
    crm.create("accounts", {"domain": "acme.example", "name": text, "tags": [text], "note": {"a": [text]}})
    (record,) = crm.records("accounts", filters=[{"field": "name", "operator": "eq", "value": text}])
    assert (text, [text], {"note": {"a": [text]}}) == (record["name"], record["tags"], record["custom_fields"])
    assert ["acme.example"] == crm.find("accounts", "name", "contains", text)


def test_numbers_come_back_as_they_were(crm: Any) -> None:
    """Whole numbers, fractions and very large numbers are stored."""
    for value in (0, -5, 1.5, 12345678901234567, 1 << 80, 1e20):
        crm.create("accounts", {"domain": "acme.example", "estimated_revenue": value})
        assert crm.records("accounts")[0]["estimated_revenue"] == pytest.approx(value, rel=1e-15)


def test_ids_and_times_are_the_servers(crm: Any) -> None:
    """Ids are UUIDs; times are UTC with microseconds, each later than the one before."""
    crm.create("accounts", *({"domain": f"a{n}.example"} for n in range(3)))
    crm.create("contacts", {"email": "jane@a1.example"})
    records = [*crm.records("accounts"), *crm.records("contacts")]
    assert [str(uuid.UUID(record["id"])) for record in records] == [record["id"] for record in records]
    assert [record["updated_at"] for record in records] == [f"2026-05-28T20:26:40.00000{n}Z" for n in range(4)]


def test_times_go_on_though_the_clock_goes_back(crm: Any) -> None:
    """A clock that was set back does not make older timestamps."""
    (first,) = crm.create("accounts", {"domain": "a.example"})["accounts"]
    crm.clock.now -= 3600
    (second,) = crm.create("accounts", {"domain": "b.example"})["accounts"]
    assert second["updated_at"] > first["updated_at"]


@pytest.mark.parametrize(
    ("spelling", "bare"),
    [
        ("acme.example", "acme.example"),
        ("  HTTPS://www.Acme.example:443/about?x#y ", "acme.example"),
        ("acme.example.", "acme.example"),
        ("www.acme.example", "acme.example"),
        ("shop.acme.example/x", "shop.acme.example"),
    ],
)
def test_a_domain_is_stripped_bare(spelling: str, bare: str) -> None:
    """Scheme, port, path, www, the last dot and case go."""
    assert bare == bare_domain(spelling)
