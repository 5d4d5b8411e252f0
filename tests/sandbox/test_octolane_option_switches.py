"""Options of a select: which of their two names a write takes, and which one is read."""

from typing import Any

import pytest

OPTIONS = [{"label": "Gold", "value": "e-1"}, {"label": "Silver", "value": "e-2"}]
FIELDS = [
    {"name": name, "attribute_type": kind, "property_name": name, "metadata": {"select_options": OPTIONS}}
    for name, kind in (("tier", "select"), ("regions", "multi_select"))
]


def write(crm: Any, **values: Any) -> Any:
    """Define two selects, write them, and return what is read: None where the write was refused."""
    crm.send("POST", "/v1/accounts/fields/bulk", json=FIELDS)
    answer = crm.send("POST", "/v1/accounts/bulk", json=[{"domain": "a.example", **values}])
    assert answer.status_code in {200, 400}
    return crm.records("accounts")[0]["custom_fields"] if answer.status_code == 200 else None


def test_option_written_either(open_crm: Any) -> None:
    """Both names of an option mean it, wherever there may be several as well."""
    crm = open_crm(mistyped_custom="reject")
    assert {"tier": "e-1", "regions": ["e-1", "e-2"]} == write(crm, tier="Gold", regions=["e-1", "Silver"])


def test_option_written_value(open_crm: Any) -> None:
    """A label is nothing that a write knows."""
    assert {"tier": "e-1"} == write(open_crm(option_written="value", mistyped_custom="reject"), tier="e-1")
    assert write(open_crm(option_written="value", mistyped_custom="reject"), tier="Gold") is None


def test_option_written_label(open_crm: Any) -> None:
    """A value is nothing that a write knows."""
    assert {"regions": ["e-1"]} == write(
        open_crm(option_written="label", mistyped_custom="ignore"), tier="e-1", regions=["Gold"]
    )


def test_option_read_value(open_crm: Any) -> None:
    """A select is read as the value, also where it was written as the label; what is no option stays as it came."""
    assert {"tier": "e-2", "regions": ["e-1", "?"]} == write(open_crm(), tier="Silver", regions=["e-1", "?"])


def test_option_read_label(open_crm: Any) -> None:
    """A select is read as the label, also where it was written as the value."""
    assert {"tier": "Gold", "regions": ["Silver"]} == write(
        open_crm(option_read="label"), tier="e-1", regions=["Silver"]
    )


@pytest.mark.parametrize("value", [["Gold"], [["e-1"]], {"label": "Gold"}, 5, "gold"])
def test_what_is_no_option_is_mistyped(open_crm: Any, value: Any) -> None:
    """Whatever shape it has."""
    assert write(open_crm(mistyped_custom="reject"), tier=value) is None
    assert {} == write(open_crm(mistyped_custom="ignore"), tier=value)
