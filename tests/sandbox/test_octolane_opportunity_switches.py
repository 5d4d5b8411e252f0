"""Every value of every switch about opportunities, stages and notes, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
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

Open = Callable[..., Any]
RELATED = {
    "account_domain": "acme.example",
    "primary_contact_email": "jane@acme.example",
    "additional_contact_emails": ["sam@other.example"],
}


def create_twice(crm: Any) -> list[Any]:
    crm.create("opportunities", deal(deal_size=1))
    crm.create("opportunities", deal(deal_size=2), deal("Other"), deal("Other"))
    return [(record["name"], record["deal_size"]) for record in read_deals(crm)]


def test_opportunity_dedupe_none(open_crm: Open) -> None:
    """Every create makes another opportunity."""
    assert [("Renewal", 1), ("Renewal", 2), ("Other", None), ("Other", None)] == create_twice(open_crm())


def test_opportunity_dedupe_same_name(open_crm: Open) -> None:
    """A create of a name that the pipeline has answers that opportunity, as it is."""
    crm = open_crm(opportunity_dedupe="same_name", bulk_data="split")
    assert [("Renewal", 1), ("Other", None)] == create_twice(crm)
    data = crm.create("opportunities", deal(), deal("New"))
    assert [["Renewal"], ["New"]] == [[record["name"] for record in data[part]] for part in ("existing", "created")]


def test_opportunity_name_required(open_crm: Open) -> None:
    """An opportunity without a name is 400."""
    assert [400, 400] == [try_deal(open_crm(), name) for name in (None, "")]


def test_opportunity_name_optional(open_crm: Open) -> None:
    """An opportunity without a name is made, and never taken for another."""
    crm = open_crm(opportunity_name="optional", opportunity_dedupe="same_name")
    assert [200, 200] == [try_deal(crm, None), try_deal(crm, None)]
    assert [None, None] == [record["name"] for record in read_deals(crm)]


def start(crm: Any) -> Any:
    crm.send(
        "POST",
        f"/v1/pipelines/{PIPELINE}/stages/bulk",
        json=[{"label": "Inbox", "stage_order": 1, "is_default": True}],
    )
    return try_deal(crm), [record["stage_name"] for record in read_deals(crm)]


def test_no_stage_default(open_crm: Open) -> None:
    """An opportunity without a stage starts in the default one."""
    assert (200, ["Inbox"]) == start(open_crm())


def test_no_stage_first(open_crm: Open) -> None:
    """An opportunity without a stage starts in the first one."""
    assert (200, ["Lead"]) == start(open_crm(no_stage="first"))


def test_no_stage_reject(open_crm: Open) -> None:
    """An opportunity without a stage is 400."""
    assert (400, []) == start(open_crm(no_stage="reject"))


def name_twice(crm: Any) -> tuple[Any, ...]:
    stage = {"stage_id": STAGE_IDS["Proposal"], "stage_name": "Negotiation"}
    owner = {"owner_id": OWNER_IDS["olga@crm.example"], "owner_email": "omar@crm.example"}
    statuses = try_deal(crm, **stage), try_deal(crm, related=owner)
    agreeing = {"owner_id": OWNER_IDS["omar@crm.example"], "owner_email": "Omar@crm.example"}
    assert 200 == try_deal(crm, "Agreeing", stage_id=STAGE_IDS["Lead"], stage_name="Lead", related=agreeing)
    found = [(r["stage_name"], r["owner_email"]) for r in read_deals(crm) if r["name"] != "Agreeing"]
    return *statuses, found


def test_named_twice_id(open_crm: Open) -> None:
    """The id counts, whatever name stands beside it."""
    assert (200, 200, [("Proposal", None), ("Lead", "olga@crm.example")]) == name_twice(open_crm())


def test_named_twice_name(open_crm: Open) -> None:
    """The name counts, whatever id stands beside it."""
    found = [("Negotiation", None), ("Lead", "omar@crm.example")]
    assert (200, 200, found) == name_twice(open_crm(named_twice="name"))


def test_named_twice_reject(open_crm: Open) -> None:
    """An id and a name of different things are 400."""
    assert (400, 400, []) == name_twice(open_crm(named_twice="reject"))


def refer_to_nothing(crm: Any) -> set[int]:
    made = make_deal(crm)
    return {
        try_deal(crm, stage_name="Nowhere"),
        try_deal(crm, stage_id=ANY_ID),
        patch_deal(crm, made["id"], stage_id=ANY_ID),
        patch_deal(crm, made["id"], opportunity_account=ANY_ID),
        patch_deal(crm, made["id"], opportunity_other_stakeholders=[ANY_ID]),
        crm.send("GET", "/v1/opportunities", params={"pipeline_id": PIPELINE, "stage_id": "x"}).status_code,
    }


def test_unknown_reference_404(open_crm: Open) -> None:
    """A stage, account or contact that does not exist is not found."""
    assert {404} == refer_to_nothing(open_crm())


def test_unknown_reference_400(open_crm: Open) -> None:
    """A stage, account or contact that does not exist is a bad value."""
    assert {400} == refer_to_nothing(open_crm(unknown_reference="400"))


def own(crm: Any) -> list[int]:
    return [try_deal(crm, related={"owner_email": "nobody@crm.example"}), try_deal(crm, related={"owner_id": ANY_ID})]


def test_unknown_owner_reject(open_crm: Open) -> None:
    """An owner who is no member is 400."""
    assert [400, 400] == own(open_crm())


def test_unknown_owner_ignore(open_crm: Open) -> None:
    """An owner who is no member is left out."""
    crm = open_crm(unknown_owner="ignore")
    assert [200, 200] == own(crm)
    assert [None, None] == [record["owner_email"] for record in read_deals(crm)]


def relate(crm: Any) -> tuple[int, list[str], list[Any]]:
    crm.create("accounts", {"domain": "acme.example"})
    status = try_deal(crm, related=RELATED)
    links = [(record["account_id"] is not None, record["contact_id"] is not None) for record in read_deals(crm)]
    return status, [record["email"] for record in crm.records("contacts")], links


def test_related_missing_create(open_crm: Open) -> None:
    """Contacts and accounts that an opportunity names are made."""
    assert (200, ["jane@acme.example", "sam@other.example"], [(True, True)]) == relate(open_crm())


def test_related_missing_ignore(open_crm: Open) -> None:
    """Contacts and accounts that do not exist are left out."""
    crm = open_crm(related_missing="ignore")
    assert (200, [], [(True, False)]) == relate(crm)
    assert [] == read_deals(crm)[0]["additional_contacts"]


def test_related_missing_404(open_crm: Open) -> None:
    """Contacts and accounts that do not exist are 404, and left out with their opportunity where that is asked for."""
    assert (404, [], []) == relate(open_crm(related_missing="404"))
    crm = open_crm(related_missing="404", bad_item="partial", opportunity_dedupe="same_name", database="other.db")
    data = crm.create("opportunities", deal(related=RELATED), deal("Good"), deal())
    assert ["Good"] == [record["name"] for record in data["opportunities"]]


def account_of_a_deal_without(crm: Any) -> Any:
    make_deal(crm, related={"primary_contact_email": "jane@acme.example"})
    return read_deals(crm)[0]["account_id"]


def test_account_from_contact_no(open_crm: Open) -> None:
    """An opportunity that names no account has none."""
    assert account_of_a_deal_without(open_crm()) is None


def test_account_from_contact_yes(open_crm: Open) -> None:
    """An opportunity that names no account has that of its contact."""
    crm = open_crm(account_from_contact="yes")
    assert account_of_a_deal_without(crm) == crm.records("accounts")[0]["id"]


def read_members(crm: Any) -> tuple[bool, bool]:
    make_deal(crm, deal_size=5)
    (plain,), (asked,) = read_deals(crm), read_deals(crm, fields=["name", "deal_size"])
    assert {"id", "name", "pipeline_id", "stage_id", "stage_name", "custom_fields"} <= set(plain)
    return "deal_size" in plain, "deal_size" in asked


def test_opportunity_fields_all(open_crm: Open) -> None:
    """An opportunity is read with all its members."""
    assert (True, True) == read_members(open_crm())


def test_opportunity_fields_asked(open_crm: Open) -> None:
    """Members beyond the documented ones have to be asked for."""
    assert (False, True) == read_members(open_crm(opportunity_fields="asked"))


def test_opportunity_fields_documented(open_crm: Open) -> None:
    """Members beyond the documented ones are never read."""
    assert (False, False) == read_members(open_crm(opportunity_fields="documented"))


def test_opportunity_dates_milliseconds(open_crm: Open) -> None:
    """Dates of opportunities are read as they are written."""
    assert 1801353600000 == make_deal(open_crm(), close_date=1801353600000)["close_date"]


def test_opportunity_dates_rfc3339(open_crm: Open) -> None:
    """Dates of opportunities are read as text."""
    crm = open_crm(opportunity_dates="rfc3339")
    assert "2027-01-31T00:00:00.000000Z" == make_deal(crm, close_date=1801353600000)["close_date"]


def search_text(crm: Any) -> list[str]:
    crm.create("opportunities", deal("Ant"), deal("Bee"))
    query = {"pipeline_id": PIPELINE, "q": "be"}
    listed = crm.send("GET", "/v1/opportunities", params=query).json()["data"]["opportunities"]
    assert sorted(record["name"] for record in listed) == [r["name"] for r in read_deals(crm, query="be")]
    return sorted(record["name"] for record in listed)


def test_opportunity_text_name(open_crm: Open) -> None:
    """Text search finds opportunities by a part of the name."""
    assert ["Bee"] == search_text(open_crm())


def test_opportunity_text_ignored(open_crm: Open) -> None:
    """Text search finds all opportunities."""
    assert ["Ant", "Bee"] == search_text(open_crm(opportunity_text="ignored"))


def filter_reference(crm: Any) -> list[int]:
    item = {"field": "account_id", "operator": "eq", "value": ANY_ID}
    bodies = {"contacts": {"filters": [item]}, "opportunities": {"filters": [item], "pipeline_id": PIPELINE}}
    return [crm.send("POST", f"/v1/{kind}/search", json=body).status_code for kind, body in bodies.items()]


def test_reference_filter_yes(open_crm: Open) -> None:
    """The account of a contact or an opportunity can be filtered."""
    assert [200, 200] == filter_reference(open_crm())


def test_reference_filter_no(open_crm: Open) -> None:
    """A filter on the account is 400."""
    assert [400, 400] == filter_reference(open_crm(reference_filter="no"))


def move(crm: Any) -> tuple[int, str, str | None]:
    made = make_deal(crm)
    status = patch_deal(crm, made["id"], stage_name="Proposal", next_steps="Call.")
    (record,) = read_deals(crm)
    return status, record["stage_name"], record["next_steps"]


def test_patch_stage_allowed(open_crm: Open) -> None:
    """A patch may move an opportunity to another stage."""
    assert (200, "Proposal", "Call.") == move(open_crm())


def test_patch_stage_rejected(open_crm: Open) -> None:
    """A patch that names a stage is 400."""
    assert (400, "Lead", None) == move(open_crm(patch_stage="rejected"))


def test_patch_stage_ignored(open_crm: Open) -> None:
    """A patch that names a stage leaves it alone."""
    assert (200, "Lead", "Call.") == move(open_crm(patch_stage="ignored"))


def patch_custom(crm: Any) -> tuple[int, int, Any]:
    made = make_deal(crm)
    top = patch_deal(crm, made["id"], competitor="Initech")
    inside = patch_deal(crm, made["id"], custom_attributes={"forecast": "e-1a"})
    return top, inside, read_deals(crm)[0]["custom_fields"]


def test_patch_custom_either(open_crm: Open) -> None:
    """A patch names custom fields among the others, or in custom_attributes."""
    assert (200, 200, {"competitor": "Initech", "forecast": "e-1a"}) == patch_custom(open_crm())


def test_patch_custom_top_level(open_crm: Open) -> None:
    """custom_attributes in a patch is 400."""
    assert (200, 400, {"competitor": "Initech"}) == patch_custom(open_crm(patch_custom="top_level"))


def test_patch_custom_custom_attributes(open_crm: Open) -> None:
    """A custom field among the others is 400."""
    assert (400, 200, {"forecast": "e-1a"}) == patch_custom(open_crm(patch_custom="custom_attributes"))


def repeat_stage(crm: Any) -> tuple[int, int]:
    answer = crm.send("POST", f"/v1/pipelines/{PIPELINE}/stages/bulk", json=[{"label": "Lead", "color": "red"}])
    stages = crm.send("GET", f"/v1/pipelines/{PIPELINE}/stages").json()["data"]["stages"]
    return answer.status_code, [stage["label"] for stage in stages].count("Lead")


def test_repeated_stage_reject(open_crm: Open) -> None:
    """A label that the pipeline has is 400."""
    assert (400, 1) == repeat_stage(open_crm())


def test_repeated_stage_create(open_crm: Open) -> None:
    """A label that the pipeline has is there twice."""
    assert (200, 2) == repeat_stage(open_crm(repeated_stage="create"))


def test_repeated_stage_resolve(open_crm: Open) -> None:
    """A label that the pipeline has answers that stage."""
    assert (200, 1) == repeat_stage(open_crm(repeated_stage="resolve"))


def write_note(crm: Any) -> tuple[int, int, int]:
    item = {"text": "A", "account_domain": "acme.example", "contact_email": "jane@other.example"}
    status = crm.send("POST", "/v1/notes/bulk", json=[item]).status_code
    return status, len(crm.records("accounts")), len(crm.records("contacts"))


def test_note_reference_404(open_crm: Open) -> None:
    """A note about an account or a contact that does not exist is 404."""
    assert (404, 0, 0) == write_note(open_crm())


def test_note_reference_create(open_crm: Open) -> None:
    """A note makes the account and the contact that it names."""
    assert (200, 2, 1) == write_note(open_crm(note_reference="create"))


@pytest.mark.parametrize("bulk_data", ["ids", "empty", "split"])
def test_the_shape_of_data_is_that_of_other_writes(open_crm: Open, bulk_data: str) -> None:
    """The switches about answers hold for opportunities too."""
    crm = open_crm(bulk_data=bulk_data, created_status="201")
    answer = crm.send("POST", "/v1/opportunities", json=deal())
    (record,) = read_deals(crm)
    expected = {"ids": {"ids": [record["id"]]}, "empty": {}, "split": {"created": [record], "existing": []}}
    assert (201, expected[bulk_data]) == (answer.status_code, answer.json()["data"])


def test_the_lag_holds_for_opportunities(open_crm: Open) -> None:
    """List and search see an opportunity only after the lag."""
    crm = open_crm(search_lag="10")
    make_deal(crm)
    assert [] == read_deals(crm)
    crm.clock.now += 10
    assert ["Renewal"] == [record["name"] for record in read_deals(crm)]


def test_the_name_is_filtered_as_a_key_is(open_crm: Open) -> None:
    """Case and the right to filter are asked of the same switches as for domains."""
    crm = open_crm(in_case="insensitive")
    make_deal(crm)
    assert ["Renewal"] == find_deals(crm, "name", "in", ["RENEWAL"])
    body = {"pipeline_id": PIPELINE, "filters": [{"field": "name", "operator": "eq", "value": "A"}]}
    assert 400 == open_crm(key_filter="no").send("POST", "/v1/opportunities/search", json=body).status_code


def test_null_may_be_ignored_in_custom_attributes(open_crm: Open) -> None:
    """Where null means nothing, it clears no custom field either."""
    crm = open_crm(patch_null="ignored")
    made = make_deal(crm, custom_attributes={"competitor": "Initech"})
    patch_deal(crm, made["id"], custom_attributes={"competitor": None})
    assert {"competitor": "Initech"} == read_deals(crm)[0]["custom_fields"]
