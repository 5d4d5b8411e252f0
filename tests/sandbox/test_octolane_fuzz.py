"""Whatever is sent, the answer is one that the document knows."""

from typing import Any

import pytest
from deals import PIPELINE, make_deal, read_deals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmctl.sandbox.filters import ALIASES, OPERATORS
from crmctl.sandbox.octolane_tables import READABLE

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["", "2026-01-01", "2026-01-01T00:00:00Z", "jane@a.example", "a.example", "x.invalid", "%"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)
NAMES = st.sampled_from(
    [*READABLE["contacts"], *READABLE["opportunities"], "domain", "tier", "seats", "vip", "regions", "nope", ""]
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
FILTERS = st.fixed_dictionaries(
    {"field": NAMES, "operator": st.sampled_from([*OPERATORS, *ALIASES])}, optional={"value": VALUES}
)
SORTS = NAMES | st.builds("{}:{}".format, NAMES, st.sampled_from(["asc", "desc"]))
PATCHED = ("opportunity_account", "opportunity_other_stakeholders", "stage_id", "owner_email", "custom_attributes")
PATCHES = st.dictionaries(NAMES | st.sampled_from(PATCHED), VALUES, max_size=4)
SEARCHES = st.fixed_dictionaries(
    {},
    optional={
        "filters": st.lists(FILTERS, max_size=2),
        "sort": SORTS | st.lists(SORTS, max_size=2) | VALUES,
        "limit": st.integers(1, 500) | st.just(5.0) | VALUES,
        "fields": st.lists(NAMES, max_size=3),
        "query": SCALARS,
        "cursor": st.none() | st.text(max_size=5),
    },
)
KINDS = st.sampled_from(["accounts", "contacts"])
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXPECTED = {200, 400}


@pytest.fixture
def filled(open_crm: Any) -> Any:
    """Hold a few records with custom fields of every type."""
    crm = open_crm(bad_item="partial")
    custom = {"tier": "gold", "seats": 5, "vip": True, "regions": ["n"]}
    crm.create("accounts", {"domain": "a.example", **custom}, {"domain": "b.example", "regions": "n"})
    crm.create("contacts", {"email": "jane@a.example", **custom}, {"email": "sam@b.example", "seats": "many"})
    make_deal(crm, custom_attributes=custom)
    return crm


@FUZZ
@given(kind=KINDS, body=SEARCHES | VALUES)
def test_no_search_makes_the_server_fail(filled: Any, kind: str, body: Any) -> None:
    """A search is answered, or refused."""
    assert filled.send("POST", f"/v1/{kind}/search", json=body).status_code in EXPECTED


@FUZZ
@given(kind=KINDS, body=st.lists(OBJECTS, max_size=3) | VALUES)
def test_no_create_makes_the_server_fail(filled: Any, kind: str, body: Any) -> None:
    """A create is done, or refused."""
    keyed = [{"domain": "a.example", "email": "jane@a.example", **item} for item in body] if is_bulk(body) else body
    for sent in (body, keyed):
        assert filled.send("POST", f"/v1/{kind}/bulk", json=sent).status_code in EXPECTED


def is_bulk(body: Any) -> bool:
    return isinstance(body, list) and all(isinstance(item, dict) for item in body)


@FUZZ
@given(kind=KINDS, patch=OBJECTS)
def test_no_patch_makes_the_server_fail(filled: Any, kind: str, patch: dict[str, Any]) -> None:
    """A patch is done, or refused."""
    id_ = filled.records(kind)[0]["id"]
    assert filled.send("PATCH", f"/v1/{kind}/bulk", json={id_: patch}).status_code in EXPECTED


@FUZZ
@given(body=SEARCHES, patch=PATCHES)
def test_no_opportunity_makes_the_server_fail(filled: Any, body: Any, patch: dict[str, Any]) -> None:
    """A search or a patch of opportunities is answered, or refused."""
    search = {**body, "pipeline_id": PIPELINE}
    assert filled.send("POST", "/v1/opportunities/search", json=search).status_code in EXPECTED
    id_ = read_deals(filled)[0]["id"]
    assert filled.send("PATCH", "/v1/opportunities/bulk", json={id_: patch}).status_code in {200, 400, 404}
    custom = {"pipeline_id": PIPELINE, "opportunity": {"name": "A", "custom_attributes": patch}}
    assert filled.send("POST", "/v1/opportunities", json=custom).status_code in EXPECTED


@FUZZ
@given(kind=KINDS, query=st.text("abcfilmqrstu=&%+,;0123456789é", max_size=20))
def test_no_query_string_makes_the_server_fail(filled: Any, kind: str, query: str) -> None:
    """A list is answered, or refused."""
    assert filled.send("GET", f"/v1/{kind}", params=query).status_code in EXPECTED
