"""Custom fields: known by slug, made on request, compared like any other; and what is not there is an error."""

import pytest
from harness import actions, crm, statuses

from crmctl.capability import Definition
from crmctl.errors import InvalidInput
from crmctl.providers import Options

GOLD = "accounts: [{domain: acme.example, name: Acme, custom_fields: {tier: gold, seats: 4}}]"
DEFINE = Options(define=True)


def test_a_field_that_is_not_there_is_an_error_where_it_stands() -> None:
    """Before anything is compared, all of them at once."""
    with crm() as there, pytest.raises(InvalidInput) as caught:
        there.plan(GOLD)
    found = caught.value.diagnostics
    assert ["custom_fields.tier", "custom_fields.seats"] == [one.field for one in found]
    columns = [GOLD.index("gold") + 1, GOLD.index("4") + 1]
    assert [f"manifests/test.yaml:1:{column}" for column in columns] == [str(one.source) for one in found]


def test_a_field_is_made_where_the_target_says_so() -> None:
    """The plan says so and counts it; the fields are made before the records, and only once."""
    with crm(options=DEFINE) as there:
        plan = there.plan(GOLD)
        assert {Definition("account", "tier", "string"), Definition("account", "seats", "number")} == {
            *plan.definitions
        }
        assert plan.pending
        assert 1 == plan.requests["POST /v1/accounts/fields/bulk"]
        assert {"account/acme.example": "created"} == statuses(there.apply(GOLD, plan=plan))
        again = there.plan(GOLD)
        assert () == again.definitions
        assert {} == actions(again)
        [account] = there.records("accounts")
        assert {"tier": "gold", "seats": 4} == account["custom_fields"]


def test_a_field_that_differs_is_an_update_of_that_field() -> None:
    """As `custom_fields.tier`, so that policies can name it too."""
    with crm(options=DEFINE) as there:
        there.apply(GOLD)
        silver = GOLD.replace("gold", "silver")
        [change] = there.plan(silver).changes
        assert [("custom_fields.tier", "gold", "silver")] == [(f.path, f.before, f.after) for f in change.fields]
        assert {"account/acme.example": "updated"} == statuses(there.apply(silver))
    with crm(options=DEFINE, policies={"account": {"custom_fields.tier": "create_only"}}) as there:
        there.apply(GOLD)
        plan = there.plan(silver)
        assert {} == actions(plan)
        assert ["custom_fields.tier"] == [held.path for held in plan.held]


def test_a_misspelt_field_gets_a_suggestion() -> None:
    """What is there is named, even where fields may be made."""
    with crm(options=DEFINE) as there:
        there.apply(GOLD)
    with crm() as there:
        there.request("POST", "/v1/accounts/fields/bulk", [{"name": "Tier", "attribute_type": "string"}])
        with pytest.raises(InvalidInput) as caught:
            there.plan("accounts: [{domain: acme.example, custom_fields: {teir: gold}}]")
        [found] = caught.value.diagnostics
        assert "tier" in found.message


PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
SELECT = {
    "name": "Level", "attribute_type": "select",
    "metadata": {"select_options": [{"label": "Gold", "value": "e-1"}, {"label": "Silver", "value": "e-2"}]},
}  # fmt: skip
CHOSEN = """
accounts:
  - domain: acme.example
    custom_fields: {level: Gold}
    opportunities: [{name: Renewal, pipeline: sales, custom_fields: {forecast: Likely}}]
"""


@pytest.mark.parametrize("written", ["either", "value", "label"])
@pytest.mark.parametrize("read", ["value", "label"])
@pytest.mark.parametrize("mistyped", ["store", "ignore", "reject"])
@pytest.mark.parametrize("name", ["property_name", "slug"])
def test_options_end_as_declared_however_they_are_written_and_read(
    written: str, read: str, mistyped: str, name: str
) -> None:
    """By value or by label, under either name of the field, whatever becomes of what is neither."""
    switches = {"option_written": written, "option_read": read, "mistyped_custom": mistyped, "custom_key": name}
    with crm(switches, options=Options(pipelines={"sales": PIPELINE}), journal=True) as there:
        there.request("POST", "/v1/accounts/fields/bulk", [SELECT])
        other = CHOSEN.replace("Gold", "Silver").replace("Likely", "Open")
        for manifest, status in ((CHOSEN, "created"), (other, "updated")):
            assert {status} == set(statuses(there.apply(manifest)).values())
            assert {} == actions(there.plan(manifest))


@pytest.mark.parametrize("mistyped", ["store", "ignore", "reject"])
def test_an_option_that_shows_late_keeps_its_value(mistyped: str) -> None:
    """While searches lag behind, other ways to write it are tried; the likeliest has the last word."""
    options = [{"label": "Gold", "value": "e-1"}, {"label": "Silver", "value": "e-2"}]
    field = {"name": "Level", "attribute_type": "select", "metadata": {"select_options": options}}
    manifest = "accounts: [{domain: acme.example, custom_fields: {level: %s}}]"
    ended = []
    for lag in ("0", "2"):
        switches = {"mistyped_custom": mistyped, "search_lag": lag, "option_written": "value"}
        with crm(switches, options=Options(), journal=True) as there:
            there.request("POST", "/v1/accounts/fields/bulk", [field])
            there.apply(manifest % "Gold")
            there.clock.now += 3600
            assert {"account/acme.example": "updated"} == statuses(there.apply(manifest % "Silver"))
            ended.append(there.records("accounts")[0]["custom_fields"])
            assert {} == actions(there.plan(manifest % "Silver"))
    assert ended[0] == ended[1]
