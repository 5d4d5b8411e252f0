"""Stages of a pipeline, and the custom fields of its opportunities."""

from typing import Any

import pytest
from deals import ANY_ID, PIPELINE, STAGE_IDS, STAGES, read_deals, try_deal

PATH = f"/v1/pipelines/{PIPELINE}"


def list_stages(crm: Any) -> list[Any]:
    return list(crm.send("GET", f"{PATH}/stages").json()["data"]["stages"])


def create_stages(crm: Any, *items: dict[str, Any]) -> Any:
    return crm.send("POST", f"{PATH}/stages/bulk", json=list(items))


def test_the_pipeline_has_the_usual_stages(crm: Any) -> None:
    """Stages come by stage_order, with all their members; the first is the default."""
    stages = list_stages(crm)
    assert list(STAGES) == [stage["label"] for stage in stages]
    assert stages[0] == {
        "stage_id": STAGE_IDS["Lead"],
        "pipeline_id": PIPELINE,
        "label": "Lead",
        "stage_order": 1,
        "color": "#6B7280",
        "is_active": True,
        "is_default": True,
        "probability": 10,
    }
    assert ["Lead"] == [stage["label"] for stage in stages if stage["is_default"]]


def test_stages_are_created(crm: Any) -> None:
    """A stage without an order goes to the end, one with an order to its place, and can be used."""
    answer = create_stages(
        crm, {"label": "Paused"}, {"label": "Scored", "stage_order": 2, "color": "red", "probability": 30}
    )
    (paused, scored) = answer.json()["data"]["stages"]
    assert (7, None, None) == (paused["stage_order"], paused["color"], paused["probability"])
    assert ("red", 30, False) == (scored["color"], scored["probability"], scored["is_default"])
    assert [*STAGES[:2], "Scored", *STAGES[2:], "Paused"] == [stage["label"] for stage in list_stages(crm)]
    assert 200 == try_deal(crm, stage_name="Scored")


def test_a_new_default_stage_takes_over(crm: Any) -> None:
    """There is one default stage, and opportunities without a stage start there."""
    create_stages(crm, {"label": "Inbox", "is_default": True, "stage_type": "default"})
    assert ["Inbox"] == [stage["label"] for stage in list_stages(crm) if stage["is_default"]]
    try_deal(crm)
    assert ["Inbox"] == [record["stage_name"] for record in read_deals(crm)]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"label": f"S{n}"} for n in range(101)],
        [{}],
        [{"label": "x" * 256}],
        [{"label": "A", "color": "x" * 33}],
        [{"label": "A", "stage_order": 0}],
        [{"label": "A", "stage_order": 10**30}],
        [{"label": "A", "probability": 101}],
        [{"label": "A", "stage_type": "won"}],
        [{"label": "Good"}, {"label": "Lead"}],
    ],
)
def test_bad_stages_are_refused(crm: Any, items: list[dict[str, Any]]) -> None:
    """Stages that the document does not allow are 400, and none of them is made."""
    assert 400 == create_stages(crm, *items).status_code
    assert 6 == len(list_stages(crm))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "stages", None),
        ("POST", "stages/bulk", [{"label": "A"}]),
        ("POST", "fields/bulk/update", [{"property_name": "custom__competitor", "name": "Rival"}]),
    ],
)
def test_the_pipeline_has_to_exist(crm: Any, method: str, path: str, body: Any) -> None:
    """An unknown pipeline is 404, what is no id is 400."""
    options = {} if body is None else {"json": body}
    assert [404, 400] == [
        crm.send(method, f"/v1/pipelines/{id_}/{path}", **options).status_code for id_ in (ANY_ID, "sales")
    ]


def test_stages_take_no_query(crm: Any) -> None:
    """A query string is 400."""
    assert 400 == crm.send("GET", f"{PATH}/stages?limit=5").status_code


def test_fields_of_opportunities_are_changed(crm: Any) -> None:
    """A custom field of the pipeline is renamed; its property_name and slug stay."""
    item = {"property_name": "custom__competitor", "name": "Rival"}
    (field,) = crm.send("POST", f"{PATH}/fields/bulk/update", json=[item]).json()["data"]["fields"]
    assert ("Rival", "custom__competitor") == (field["current_name"], field["property_name"])
    definitions = crm.search("opportunities", pipeline_id=PIPELINE)["custom_field_definitions"]
    assert "Rival" == definitions["competitor"]["current_name"]
    renamed = crm.send("POST", f"{PATH}/fields/bulk/update", json=[{"property_name": "deal_size", "name": "Value"}])
    assert 200 == renamed.status_code
    assert 400 == crm.send("POST", f"{PATH}/fields/bulk/update", json=[{"property_name": "nope"}]).status_code


def test_nothing_but_the_documented_is_there(crm: Any) -> None:
    """No route lists pipelines, changes a stage or creates a field of opportunities."""
    assert [404, 404, 405, 404] == [
        crm.send("GET", "/v1/pipelines").status_code,
        crm.send("PATCH", f"{PATH}/stages/{STAGE_IDS['Lead']}", json={}).status_code,
        crm.send("POST", f"{PATH}/stages", json=[]).status_code,
        crm.send("POST", f"{PATH}/fields/bulk", json=[]).status_code,
    ]
