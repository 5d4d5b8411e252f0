"""What tests of opportunities and notes share: the built-in pipeline, and deals to create in it."""

from typing import Any

PIPELINE = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
STAGES = ("Lead", "Qualified", "Proposal", "Negotiation", "Closed won", "Closed lost")
STAGE_IDS = {name: f"018f13b3-8239-7ef8-a8f1-93ad10b7620{number}" for number, name in enumerate(STAGES, 1)}
OWNERS = ("olga@crm.example", "omar@crm.example", "robin@crm.example")
OWNER_IDS = {email: f"018f13b3-8239-7ef8-a8f1-93ad10b7640{number}" for number, email in enumerate(OWNERS, 1)}
ANY_ID = "00000000-0000-4000-8000-00000000ffff"


def deal(name: str | None = "Renewal", *, related: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Write the payload of one opportunity."""
    opportunity = members if name is None else {"name": name, **members}
    payload: dict[str, Any] = {"pipeline_id": PIPELINE, "opportunity": opportunity}
    return payload if related is None else {**payload, "related_objects": related}


def make_deal(crm: Any, name: str | None = "Renewal", **members: Any) -> Any:
    """Create one opportunity, and return it."""
    return crm.create("opportunities", deal(name, **members))["opportunities"][0]


def try_deal(crm: Any, name: str | None = "Renewal", **members: Any) -> int:
    """Create one opportunity, and return the status."""
    return int(crm.send("POST", "/v1/opportunities", json=deal(name, **members)).status_code)


def read_deals(crm: Any, **body: Any) -> list[Any]:
    """Search the pipeline, oldest first."""
    return list(crm.records("opportunities", pipeline_id=PIPELINE, **body))


def find_deals(crm: Any, field: str, operator: str, *value: Any) -> list[str]:
    """Search by one filter, and return the names found."""
    item = {"field": field, "operator": operator, **({"value": value[0]} if value else {})}
    return sorted(record["name"] for record in read_deals(crm, filters=[item]))


def patch_deal(crm: Any, id_: str, **patch: Any) -> int:
    """Patch one opportunity, and return the status."""
    return int(crm.send("PATCH", "/v1/opportunities/bulk", json={id_: patch}).status_code)
