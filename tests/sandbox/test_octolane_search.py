"""List and search: every operator and alias, sorting, text search, fields and paging."""

from typing import Any

import pytest

from crmctl.sandbox.filters import ALIASES, OPERATORS

COMPANIES = (
    {
        "domain": "ant.example",
        "name": "Ant",
        "founded": 1990,
        "tags": ["a", "b"],
        "last_interaction": "2026-01-01T00:00:00Z",
    },
    {"domain": "bee.example", "name": "Bee 100%", "founded": 2000, "tags": ["b"], "last_interaction": 1772323200},
    {"domain": "cow.example", "name": "", "tags": []},
)
ANT, BEE, COW = "ant.example", "bee.example", "cow.example"

FILTERS: list[tuple[str, str, Any, list[str]]] = [
    ("name", "eq", "Ant", [ANT]),
    ("name", "eq", "ant", []),
    ("name", "is", "Ant", [ANT]),
    ("name", "neq", "Ant", [BEE, COW]),
    ("name", "is_not", "Ant", [BEE, COW]),
    ("industry", "neq", "Tools", [ANT, BEE, COW]),
    ("name", "contains", "N", [ANT]),
    ("name", "contain", "0%", [BEE]),
    ("name", "contains", "_", []),
    ("name", "not_contains", "n", [BEE, COW]),
    ("name", "not_contain", "n", [BEE, COW]),
    ("industry", "not_contains", "n", [ANT, BEE, COW]),
    ("name", "starts_with", "be", [BEE]),
    ("name", "ends_with", "NT", [ANT]),
    ("domain", "in", [ANT, COW, "dog.example"], [ANT, COW]),
    ("domain", "in", [], []),
    ("domain", "is_any_of", [BEE], [BEE]),
    ("domain", "not_in", [ANT, COW], [BEE]),
    ("industry", "not_in", ["Tools"], [ANT, BEE, COW]),
    ("founded", "eq", 1990.0, [ANT]),
    ("founded", "in", [1990, 2000], [ANT, BEE]),
    ("founded", "gt", 1990, [BEE]),
    ("founded", "greater_than", 1990, [BEE]),
    ("founded", "gte", 1990, [ANT, BEE]),
    ("founded", "lt", 2000, [ANT]),
    ("founded", "less_than", 2000, [ANT]),
    ("founded", "lte", 2000, [ANT, BEE]),
    ("founded", "between", [1990, 2000], [ANT, BEE]),
    ("founded", "between", [1991, 1999], []),
    ("last_interaction", "after", "2026-01-01", [BEE]),
    ("last_interaction", "before", "2026-01-01T00:00:01Z", [ANT]),
    ("last_interaction", "eq", 1767225600000, [ANT]),
    ("last_interaction", "between", ["2026-01-01", "2026-03-01T00:00:00+00:00"], [ANT, BEE]),
    ("updated_at", "gte", "2026-05-28T20:26:40.000001Z", [BEE, COW]),
    ("tags", "contains_all", ["a", "b"], [ANT]),
    ("tags", "include_all", ["b"], [ANT, BEE]),
    ("tags", "contains_none", ["a"], [BEE, COW]),
    ("tags", "exclude_all", ["a", "b"], [COW]),
    ("tags", "contains", "a", [ANT]),
    ("tags", "not_contains", "a", [BEE, COW]),
    ("tags", "in", ["a", "x"], [ANT]),
    ("tags", "not_in", ["a", "x"], [BEE, COW]),
]


@pytest.fixture
def zoo(crm: Any) -> Any:
    """Hold three companies, of which the last has hardly a value."""
    crm.create("accounts", *COMPANIES)
    return crm


@pytest.mark.parametrize(("field", "operator", "value", "found"), FILTERS)
def test_a_filter_finds_what_its_operator_says(
    zoo: Any, field: str, operator: str, value: Any, found: list[str]
) -> None:
    """Each operator finds exactly the records it describes."""
    assert found == zoo.find("accounts", field, operator, value)


def test_empty_means_null_blank_or_no_items(zoo: Any) -> None:
    """`empty` finds records without a value, `not_empty` the others; neither takes a value."""
    assert [[COW], [ANT, BEE]] == [zoo.find("accounts", "name", op) for op in ("empty", "not_empty")]
    assert [[COW], [ANT, BEE]] == [zoo.find("accounts", "founded", op) for op in ("empty", "not_empty")]
    assert [[COW], [ANT, BEE]] == [zoo.find("accounts", "tags", op) for op in ("empty", "not_empty")]
    assert 400 == search_status(zoo, {"field": "name", "operator": "empty", "value": "x"})


def test_every_documented_operator_is_tried() -> None:
    """The table above leaves no operator or alias out."""
    assert {*OPERATORS, *ALIASES} == {operator for _, operator, _, _ in FILTERS} | {"empty", "not_empty"}


def test_filters_are_joined_by_and(zoo: Any) -> None:
    """A record has to pass all filters."""
    both = [
        {"field": "founded", "operator": "gte", "value": 1990},
        {"field": "tags", "operator": "contains_none", "value": ["a"]},
    ]
    assert [BEE] == [record["domain"] for record in zoo.records("accounts", filters=both)]


def test_custom_fields_are_filtered_by_slug(zoo: Any) -> None:
    """Custom fields of every type can be filtered, in any mixture."""
    zoo.create(
        "accounts",
        {"domain": ANT, "tier": "gold", "seats": 5, "vip": True, "regions": ["n", "s"]},
        {"domain": BEE, "tier": "lead", "seats": 50, "vip": False, "regions": ["s"]},
    )
    assert [ANT] == zoo.find("accounts", "tier", "eq", "gold")
    assert [ANT] == zoo.find("accounts", "tier", "in", ["gold"])
    assert [BEE, COW] == zoo.find("accounts", "tier", "not_in", ["gold"])
    assert [BEE] == zoo.find("accounts", "seats", "gt", 5)
    assert [ANT] == zoo.find("accounts", "vip", "is", True)
    assert [ANT] == zoo.find("accounts", "regions", "contains_all", ["n"])
    assert [COW] == zoo.find("accounts", "regions", "empty")
    assert [COW] == zoo.find("accounts", "regions", "contains_none", ["s"])


def test_a_list_filter_survives_a_value_that_is_no_list(zoo: Any) -> None:
    """A custom list field that holds a mistyped value is found by no list filter."""
    zoo.create("accounts", {"domain": ANT, "regions": ["n"]}, {"domain": BEE, "regions": "n"})
    assert [ANT] == zoo.find("accounts", "regions", "in", ["n"])


def test_booleans_are_filtered(crm: Any) -> None:
    """A boolean field equals true or false, or nothing."""
    crm.create("contacts", {"email": "a@x.example", "email_verified": True}, {"email": "b@x.example"})
    assert ["a@x.example"] == crm.find("contacts", "email_verified", "eq", True)
    assert ["b@x.example"] == crm.find("contacts", "email_verified", "is_not", True)
    assert ["b@x.example"] == crm.find("contacts", "email_verified", "empty")


def search_status(crm: Any, *filters: dict[str, Any], **body: Any) -> int:
    return int(crm.send("POST", "/v1/accounts/search", json={"filters": list(filters), **body}).status_code)


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("name", "eq", 5),
        ("name", "eq", None),
        ("name", "eq", ["Ant"]),
        ("name", "in", "Ant"),
        ("name", "in", [5]),
        ("name", "gt", "A"),
        ("name", "contains_all", ["Ant"]),
        ("founded", "eq", "1990"),
        ("founded", "eq", True),
        ("founded", "contains", "19"),
        ("founded", "between", [1990]),
        ("founded", "between", 1990),
        ("last_interaction", "after", "yesterday"),
        ("last_interaction", "after", 1e300),
        ("last_interaction", "starts_with", "2026"),
        ("tags", "eq", ["a"]),
        ("tags", "contains_all", "a"),
        ("custom_fields", "eq", "x"),
        ("name", "like", "Ant"),
    ],
)
def test_an_unsuitable_operator_or_value_is_refused(zoo: Any, field: str, operator: str, value: Any) -> None:
    """A filter whose operator or value does not suit the field is 400."""
    assert 400 == search_status(zoo, {"field": field, "operator": operator, "value": value})


def test_more_than_fifty_filters_are_refused(zoo: Any) -> None:
    """50 filters are taken, 51 are 400."""
    one = {"field": "name", "operator": "not_empty"}
    assert (200, 400) == (search_status(zoo, *[one] * 50), search_status(zoo, *[one] * 51))


def test_more_than_a_hundred_fields_are_refused(zoo: Any) -> None:
    """100 fields are taken, 101 are 400."""
    assert (200, 400) == (search_status(zoo, fields=["name"] * 100), search_status(zoo, fields=["name"] * 101))


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (None, [COW, BEE, ANT]),
        ("domain", [ANT, BEE, COW]),
        ("domain:asc", [ANT, BEE, COW]),
        ("domain:desc", [COW, BEE, ANT]),
        ({"field": "domain"}, [ANT, BEE, COW]),
        ({"field": "domain", "direction": "desc"}, [COW, BEE, ANT]),
        (["domain:desc"], [COW, BEE, ANT]),
        ([{"field": "name", "direction": "desc"}, "domain"], [BEE, ANT, COW]),
        ([], [COW, BEE, ANT]),
    ],
)
def test_every_form_of_sort_is_read(zoo: Any, sort: Any, order: list[str]) -> None:
    """A sort is a field, a field with a direction, an object or an array; by default the newest change comes first."""
    body = {} if sort is None else {"sort": sort}
    assert order == [record["domain"] for record in zoo.search("accounts", **body)["accounts"]]


@pytest.mark.parametrize(
    "sort", ["domain:up", "founded", {"direction": "asc"}, [["domain"]], 5, "", {"field": 5}, ["domain:up"]]
)
def test_a_sort_that_cannot_be_read_is_refused(zoo: Any, sort: Any) -> None:
    """A sort of another form, or by a field that is not sortable, is 400."""
    assert 400 == search_status(zoo, sort=sort)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("accounts", ["updated_at", "created_at", "name", "domain", "id"]),
        (
            "contacts",
            ["updated_at", "created_at", "name", "first_name", "last_name", "email", "account_id", "id"],
        ),
    ],
)
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_every_sortable_field_pages_without_gap_or_repetition(
    crm: Any, kind: str, fields: list[str], direction: str
) -> None:
    """Whatever the order, with equal and missing values, small pages add up to the whole."""
    if kind == "accounts":
        crm.create(kind, *({"domain": f"a{n}.example", "name": "Ant" if n % 2 else None} for n in range(7)))
    else:
        crm.create(kind, *({"email": f"a{n}@x.example", "first_name": "A" if n % 2 else None} for n in range(7)))
    for field in fields:
        whole = [record["id"] for record in crm.records(kind, sort=f"{field}:{direction}")]
        assert 7 == len(set(whole))
        assert whole == [record["id"] for record in follow(crm, kind, sort=f"{field}:{direction}", limit=2)]


def test_mixed_directions_page_too(crm: Any) -> None:
    """A sort by several fields in different directions pages without gap or repetition."""
    crm.create("accounts", *({"domain": f"a{n}.example", "name": f"N{n % 3}"} for n in range(7)))
    sort = ["name:desc", "domain:asc"]
    found = [record["domain"] for record in follow(crm, "accounts", sort=sort, limit=2)]
    assert found == [f"a{n}.example" for n in (2, 5, 1, 4, 0, 3, 6)]


def follow(crm: Any, kind: str, **body: Any) -> list[Any]:
    page = crm.search(kind, **body)
    records = list(page[kind])
    while page["has_more"]:
        page = crm.search(kind, **body, cursor=page["next_cursor"])
        records += page[kind]
    assert page["next_cursor"] is None
    return records


@pytest.mark.parametrize(("text", "found"), [("BEE", [BEE]), ("100%", [BEE]), ("ow.ex", [COW]), ("%", [BEE])])
def test_text_is_searched_in_name_and_domain(zoo: Any, text: str, found: list[str]) -> None:
    """`q` and `query` find accounts by a part of the name or the domain, whatever the case."""
    for name in ("q", "query"):
        assert found == [record["domain"] for record in zoo.records("accounts", **{name: text})]
    listed = zoo.send("GET", "/v1/accounts", params={"q": text}).json()["data"]["accounts"]
    assert found == [record["domain"] for record in listed]


def test_contacts_are_searched_by_name_and_email(crm: Any) -> None:
    """The name of a contact is its full name, or the first and the last."""
    crm.create(
        "contacts",
        {"email": "a@x.example", "first_name": "Ada", "last_name": "Byron"},
        {"email": "b@x.example", "full_name": "Bo Carter", "first_name": "Robert"},
    )
    assert ["Ada Byron", "Bo Carter"] == [record["name"] for record in crm.records("contacts")]
    assert [["a@x.example"], ["b@x.example"]] == [
        [record["email"] for record in crm.records("contacts", query=text)] for text in ("da by", "b@")
    ]


def test_query_and_q_may_not_differ(zoo: Any) -> None:
    """Two texts in one search are 400."""
    assert (200, 400) == (search_status(zoo, q="a", query="a"), search_status(zoo, q="a", query="b"))


def test_without_fields_every_stored_member_comes_back(zoo: Any) -> None:
    """A record has all members, lists and timestamps in one form."""
    (record,) = zoo.records("accounts", q="bee")
    assert 25 == len(record)
    assert (["b"], "2026-03-01T00:00:00.000000Z") == (record["tags"], record["last_interaction"])


@pytest.mark.parametrize(
    "query", ["fields=name,founded", "fields=name&fields=founded", "fields=name,%20founded&fields=id"]
)
def test_a_list_takes_fields_in_both_forms(zoo: Any, query: str) -> None:
    """A list takes fields separated by commas, or repeated, and returns those and the id."""
    (record, *_) = zoo.send("GET", f"/v1/accounts?{query}").json()["data"]["accounts"]
    assert {"id", "name", "founded"} == set(record)


def test_a_slug_among_the_fields_brings_the_custom_fields(zoo: Any) -> None:
    """A custom field can be asked for by its slug."""
    zoo.create("accounts", {"domain": ANT, "tier": "gold"})
    (record,) = zoo.records("accounts", q="ant", fields=["tier"])
    assert record == {"id": record["id"], "custom_fields": {"tier": "gold"}}


def test_a_page_has_a_hundred_records_unless_asked(crm: Any) -> None:
    """The limit is 100 by default, and the page says so."""
    for start in (0, 100):
        crm.create("accounts", *({"domain": f"a{start + n}.example"} for n in range(60)))
    for page in (crm.search("accounts"), crm.send("GET", "/v1/accounts").json()["data"]):
        assert (100, 100, True) == (len(page["accounts"]), page["limit"], page["has_more"])


def test_a_list_pages_by_cursor(zoo: Any) -> None:
    """A list goes on where the cursor says, until there is no more."""
    first = zoo.send("GET", "/v1/accounts?limit=2").json()["data"]
    second = zoo.send("GET", "/v1/accounts", params={"limit": 2, "cursor": first["next_cursor"]}).json()["data"]
    assert [[COW, BEE], [ANT]] == [[record["domain"] for record in page["accounts"]] for page in (first, second)]
    assert (False, None) == (second["has_more"], second["next_cursor"])


def test_a_record_changed_while_paging_is_not_read_twice(crm: Any) -> None:
    """Under the default sort a record that changes moves in front of the cursor."""
    crm.create("accounts", *({"domain": f"a{n}.example"} for n in range(4)))
    first = crm.search("accounts", limit=2)
    crm.patch("accounts", {first["accounts"][0]["id"]: {"name": "New"}})
    second = crm.search("accounts", limit=2, cursor=first["next_cursor"])
    ids = [record["id"] for page in (first, second) for record in page["accounts"]]
    assert 4 == len(set(ids))
