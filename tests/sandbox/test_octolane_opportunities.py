"""Opportunities: created, read and patched, whatever the switches say."""

from typing import Any

import pytest
from deals import (
    ANY_ID,
    OWNER_IDS,
    PIPELINE,
    STAGE_IDS,
    deal,
    find_deals,
    make_deal,
    patch_deal,
    read_deals,
    try_deal,
)

WHOLE: dict[str, Any] = {
    "deal_size": 40000.5,
    "close_date": 1801353600000,
    "next_action_date": -5,
    "next_steps": "Call.",
    "stage_name": "Proposal",
    "custom_attributes": {"forecast": "e-1a", "custom__competitor": "Initech"},
}
RELATED = {
    "account_domain": "https://www.Acme.example/",
    "primary_contact_email": "Jane@acme.example",
    "additional_contact_emails": ["sam@acme.example", "jane@acme.example", "lee@other.example"],
    "owner_email": "omar@crm.example",
}


def test_every_documented_member_is_stored_and_read(crm: Any) -> None:
    """What a create sends comes back, references as ids."""
    crm.create("contacts", {"email": "sam@acme.example", "first_name": "Sam"})
    made = make_deal(crm, related=RELATED, **WHOLE)
    (record,) = read_deals(crm)
    accounts = {account["domain"]: account["id"] for account in crm.records("accounts")}
    contacts = {contact["email"]: contact["id"] for contact in crm.records("contacts")}
    assert record == made
    assert record == {
        "id": record["id"],
        "name": "Renewal",
        "pipeline_id": PIPELINE,
        "stage_id": STAGE_IDS["Proposal"],
        "stage_name": "Proposal",
        "account_id": accounts["acme.example"],
        "contact_id": contacts["jane@acme.example"],
        "additional_contacts": [
            {
                "contact_id": contacts["sam@acme.example"],
                "contact_first_name": "Sam",
                "contact_last_name": None,
                "contact_email": "sam@acme.example",
            },
            {
                "contact_id": contacts["lee@other.example"],
                "contact_first_name": None,
                "contact_last_name": None,
                "contact_email": "lee@other.example",
            },
        ],
        "deal_size": 40000.5,
        "close_date": 1801353600000,
        "next_action_date": -5,
        "next_steps": "Call.",
        "owner_id": OWNER_IDS["omar@crm.example"],
        "owner_email": "omar@crm.example",
        "created_at": record["created_at"],
        "updated_at": record["created_at"],
        "custom_fields": {"forecast": "e-1a", "competitor": "Initech"},
    }


def test_missing_accounts_and_contacts_are_made_once(crm: Any) -> None:
    """Two opportunities of one request share what is made for them; contacts bring their accounts along."""
    crm.create("opportunities", deal("A", related=RELATED), deal("B", related=RELATED))
    assert ["acme.example", "other.example"] == [account["domain"] for account in crm.records("accounts")]
    assert 3 == len(crm.records("contacts"))
    (first, second) = read_deals(crm)
    assert (first["account_id"], first["contact_id"]) == (second["account_id"], second["contact_id"])


def test_one_opportunity_is_created(crm: Any) -> None:
    """POST /v1/opportunities takes a single opportunity, and every POST makes another one."""
    assert [200, 200] == [try_deal(crm), try_deal(crm)]
    assert ["Renewal", "Renewal"] == [record["name"] for record in read_deals(crm)]


def test_a_bulk_create_takes_one_to_a_hundred(crm: Any) -> None:
    """0 and 101 items are 400, 100 are taken."""
    statuses = [
        crm.send("POST", "/v1/opportunities/bulk", json=[deal(f"D{n}") for n in range(count)]).status_code
        for count in (0, 100, 101)
    ]
    assert [400, 200, 400] == statuses
    assert 100 == len(read_deals(crm))


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"pipeline_id": PIPELINE},
        {"opportunity": {"name": "A"}},
        {**deal(), "pipeline_id": "sales"},
        {**deal(), "extra": 1},
        deal(extra=1),
        deal(related={"extra": 1}),
        deal(name=""),
        deal(stage_id="Lead"),
        deal(deal_size="40000"),
        deal(deal_size=None),
        deal(close_date="2027-01-31"),
        deal(close_date=1e300),
        deal(custom_attributes={"Tier Level": 1}),
        deal(custom_attributes={"pipeline_id": PIPELINE}),
        deal(custom_attributes=[]),
        deal(related={"account_domain": "nowhere"}),
        deal(related={"account_domain": "acme.invalid"}),
        deal(related={"primary_contact_email": "jane"}),
        deal(related={"additional_contact_emails": ["jane@acme.invalid"]}),
    ],
)
def test_a_bad_opportunity_changes_nothing(crm: Any, payload: dict[str, Any]) -> None:
    """An opportunity that does not fit is 400, alone and in a bulk, and nothing is made for it."""
    related = {"account_domain": "good.example", **payload.get("related_objects", {})}
    with_account = {**payload, "related_objects": related}
    assert 400 == crm.send("POST", "/v1/opportunities", json=with_account).status_code
    assert 400 == crm.send("POST", "/v1/opportunities/bulk", json=[deal("Good"), with_account]).status_code
    assert ([], []) == (read_deals(crm), crm.records("accounts"))


def test_an_unknown_pipeline_is_not_found(crm: Any) -> None:
    """A pipeline that does not exist is 404 wherever it is named."""
    assert [404, 404, 404, 404] == [
        crm.send("POST", "/v1/opportunities", json={**deal(), "pipeline_id": ANY_ID}).status_code,
        crm.send("POST", "/v1/opportunities/bulk", json=[{**deal(), "pipeline_id": ANY_ID}]).status_code,
        crm.send("GET", "/v1/opportunities", params={"pipeline_id": ANY_ID}).status_code,
        crm.send("POST", "/v1/opportunities/search", json={"pipeline_id": ANY_ID}).status_code,
    ]


def test_reads_need_a_pipeline(crm: Any) -> None:
    """A list or search without pipeline_id is 400."""
    assert 400 == crm.send("GET", "/v1/opportunities").status_code
    assert 400 == crm.send("POST", "/v1/opportunities/search", json={}).status_code


def test_a_stage_narrows_list_and_search(crm: Any) -> None:
    """With stage_id only the opportunities in that stage are read."""
    crm.create("opportunities", deal("A"), deal("B", stage_name="Proposal"))
    stage = STAGE_IDS["Proposal"]
    listed = crm.send("GET", "/v1/opportunities", params={"pipeline_id": PIPELINE, "stage_id": stage}).json()
    assert ["B"] == [record["name"] for record in listed["data"]["opportunities"]]
    assert ["B"] == [record["name"] for record in read_deals(crm, stage_id=stage.upper())]


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("name", "eq", "Ant", ["Ant"]),
        ("name", "in", ["Ant", "Cow"], ["Ant", "Cow"]),
        ("name", "contains", "e", ["Bee"]),
        ("stage_name", "eq", "Proposal", ["Bee"]),
        ("stage_id", "in", [STAGE_IDS["Lead"]], ["Ant", "Cow"]),
        ("deal_size", "gte", 5, ["Ant", "Bee"]),
        ("close_date", "before", 1801353600001, ["Bee"]),
        ("close_date", "after", "2027-01-01", ["Bee"]),
        ("close_date", "eq", 1801353600000, ["Bee"]),
        ("close_date", "empty", None, ["Ant", "Cow"]),
        ("owner_email", "eq", "omar@crm.example", ["Cow"]),
        ("competitor", "eq", "Initech", ["Ant"]),
        ("additional_contacts", "empty", None, ["Ant", "Bee", "Cow"]),
    ],
)
def test_opportunities_are_filtered(crm: Any, field: str, operator: str, value: Any, found: list[str]) -> None:
    """Search takes the same filters as for other records."""
    crm.create(
        "opportunities",
        deal("Ant", deal_size=5, custom_attributes={"competitor": "Initech"}),
        deal("Bee", deal_size=50, close_date=1801353600000, stage_name="Proposal"),
        deal("Cow", related={"owner_email": "omar@crm.example"}),
    )
    assert found == find_deals(crm, field, operator, *([] if value is None else [value]))


def test_opportunities_are_found_by_their_relations(crm: Any) -> None:
    """Account and contacts can be filtered by id."""
    made = make_deal(crm, related=RELATED)
    make_deal(crm, "Other")
    assert ["Renewal"] == find_deals(crm, "account_id", "eq", made["account_id"])
    assert ["Renewal"] == find_deals(crm, "contact_id", "in", [made["contact_id"]])
    other = made["additional_contacts"][0]["contact_id"]
    assert ["Renewal"] == find_deals(crm, "additional_contacts", "contains", other)


def test_opportunities_page_sort_and_choose_fields(crm: Any) -> None:
    """Cursor, sort, text and fields work as for other records, and a cursor keeps to its pipeline and stage."""
    crm.create("opportunities", *(deal(f"D{n}", deal_size=n) for n in range(5)))
    scope = {"pipeline_id": PIPELINE, "sort": "name:desc", "limit": 2, "fields": ["name", "deal_size"]}
    page = crm.search("opportunities", **scope)
    names = [record["name"] for record in page["opportunities"]]
    while page["has_more"]:
        page = crm.search("opportunities", **scope, cursor=page["next_cursor"])
        names += [record["name"] for record in page["opportunities"]]
    assert names == ["D4", "D3", "D2", "D1", "D0"]
    assert {"id", "name", "deal_size"} == set(page["opportunities"][0])
    first = crm.search("opportunities", **scope)["next_cursor"]
    body = {**scope, "cursor": first, "stage_id": STAGE_IDS["Lead"]}
    assert 400 == crm.send("POST", "/v1/opportunities/search", json=body).status_code
    assert ["D3"] == [record["name"] for record in read_deals(crm, query="d3")]


def test_a_list_pages_by_cursor(crm: Any) -> None:
    """A list goes on where the cursor says, the last change first."""
    crm.create("opportunities", *(deal(f"D{n}") for n in range(3)))
    query: dict[str, Any] = {"pipeline_id": PIPELINE, "limit": 2, "fields": "name"}
    first = crm.send("GET", "/v1/opportunities", params=query).json()["data"]
    query["cursor"] = first["next_cursor"]
    second = crm.send("GET", "/v1/opportunities", params=query).json()["data"]
    assert ["D2", "D1", "D0"] == [r["name"] for page in (first, second) for r in page["opportunities"]]


def test_definitions_of_custom_fields_come_with_the_reads(crm: Any) -> None:
    """Two fields of opportunities are built in; what is sent beyond them becomes a field too."""
    make_deal(crm, custom_attributes={"budget": 5})
    definitions = crm.search("opportunities", pipeline_id=PIPELINE)["custom_field_definitions"]
    types = {slug: definition["attribute_type"] for slug, definition in definitions.items()}
    assert types == {"budget": "number", "competitor": "string", "forecast": "select"}
    assert ["Likely", "Open"] == [option["label"] for option in definitions["forecast"]["metadata"]["options"]]


def test_a_patch_changes_what_it_names(crm: Any) -> None:
    """A field that a patch does not name stays, null clears."""
    made = make_deal(crm, related=RELATED, **WHOLE)
    patch = {
        "name": "Renamed",
        "deal_size": 1,
        "close_date": None,
        "stage_name": "Closed won",
        "owner_email": "olga@crm.example",
        "competitor": None,
        "custom_attributes": {"forecast": "e-2b"},
    }
    assert 200 == patch_deal(crm, made["id"].upper(), **patch)
    (record,) = read_deals(crm)
    assert record == {
        **made,
        "name": "Renamed",
        "deal_size": 1,
        "close_date": None,
        "stage_id": STAGE_IDS["Closed won"],
        "stage_name": "Closed won",
        "owner_id": OWNER_IDS["olga@crm.example"],
        "owner_email": "olga@crm.example",
        "custom_fields": {"forecast": "e-2b"},
        "updated_at": record["updated_at"],
    }
    assert record["updated_at"] > made["updated_at"]


def test_relationship_fields_replace_their_mapping(crm: Any) -> None:
    """Account, primary contact and further contacts are replaced, and cleared by null or an empty list."""
    made = make_deal(crm, related=RELATED)
    (account,) = crm.create("accounts", {"domain": "new.example"})["accounts"]
    (ada, bo) = crm.create("contacts", {"email": "ada@new.example"}, {"email": "bo@new.example"})["contacts"]

    def patch(**fields: Any) -> tuple[Any, Any, list[str]]:
        assert 200 == patch_deal(crm, made["id"], **fields)
        (record,) = read_deals(crm)
        others = [contact["contact_id"] for contact in record["additional_contacts"]]
        return record["account_id"], record["contact_id"], others

    account_id, contact_id = made["account_id"], made["contact_id"]
    assert patch(opportunity_other_stakeholders=[bo["id"]]) == (account_id, contact_id, [bo["id"]])
    assert patch(opportunity_account=account["id"].upper()) == (account["id"], contact_id, [bo["id"]])
    assert patch(opportunity_contact=ada["id"]) == (account["id"], ada["id"], [bo["id"]])
    assert patch(opportunity_account=None, opportunity_contact=None) == (None, None, [bo["id"]])
    assert patch(opportunity_other_stakeholders=[]) == (None, None, [])
    patch(opportunity_other_stakeholders=[ada["id"], bo["id"], ada["id"]])
    assert patch(name="Same") == (None, None, [ada["id"], bo["id"]])
    assert patch(opportunity_other_stakeholders=None) == (None, None, [])


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"opportunity_account": ANY_ID}, 404),
        ({"opportunity_contact": ANY_ID}, 404),
        ({"opportunity_other_stakeholders": [ANY_ID]}, 404),
        ({"stage_id": ANY_ID}, 404),
        ({"stage_name": "Nowhere"}, 404),
        ({"opportunity_account": "acme.example"}, 400),
        ({"pipeline_id": PIPELINE}, 400),
        ({"account_id": ANY_ID}, 400),
        ({"additional_contacts": []}, 400),
        ({"name": None}, 400),
        ({"close_date": "2027-01-31"}, 400),
        ({"owner_email": "nobody@crm.example"}, 400),
        ({"custom_attributes": {"Tier Level": 1}}, 400),
    ],
)
def test_a_bad_patch_changes_nothing(crm: Any, patch: dict[str, Any], status: int) -> None:
    """A patch with a bad value is refused, and the good one beside it is not done either."""
    made = [make_deal(crm, name) for name in ("A", "B")]
    body = {made[1]["id"]: {"name": "C"}, made[0]["id"]: {"deal_size": 5, **patch}}
    answer = crm.send("PATCH", "/v1/opportunities/bulk", json=body)
    assert (answer.status_code, made) == (status, read_deals(crm))


def test_a_patch_takes_fifty_opportunities(crm: Any) -> None:
    """50 are taken, 51 are 400."""
    ids = [record["id"] for record in crm.create("opportunities", *(deal(f"D{n}") for n in range(51)))["opportunities"]]
    statuses = [
        crm.send("PATCH", "/v1/opportunities/bulk", json={id_: {"deal_size": 1} for id_ in ids[:count]}).status_code
        for count in (50, 51)
    ]
    assert [200, 400] == statuses


def test_a_patch_that_changes_nothing_leaves_updated_at_alone(crm: Any) -> None:
    """Sending what is there already is no change."""
    made = make_deal(crm, **WHOLE)
    assert 200 == patch_deal(crm, made["id"], close_date=WHOLE["close_date"], stage_name="Proposal")
    assert [made] == read_deals(crm)


def test_other_additional_contacts_follow_their_contact(crm: Any) -> None:
    """The names of further contacts are read from the contacts themselves."""
    made = make_deal(crm, related=RELATED)
    crm.patch("contacts", {made["additional_contacts"][0]["contact_id"]: {"last_name": "Doe"}})
    assert "Doe" == read_deals(crm)[0]["additional_contacts"][0]["contact_last_name"]
