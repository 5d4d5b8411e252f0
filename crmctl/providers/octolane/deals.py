"""Opportunities as manifests say them, as Octolane reads them, and as it takes them (docs/octolane.md). Pure.

In: declared resources, or live records. Out: bodies of creates and updates, or fields in the words of manifests.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from crmctl.errors import Rejected
from crmctl.identity import normalise
from crmctl.providers.octolane import DATES, OPPORTUNITY_FIELDS, PEOPLE
from crmctl.providers.octolane.catalogue import Catalogue
from crmctl.providers.octolane.custom_fields import Place, Way
from crmctl.providers.octolane.names import Names, is_id
from crmctl.resource import Address, Resource
from crmctl.values import instant

KIND = "opportunity"

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "stage": ("stage_id", "stage_name"),
    "primary_contact_email": ("contact_id",),
    "additional_contact_emails": ("additional_contacts",),
    "octolane.owner_id": ("owner_id",),
}
"""The members of a live record that say a field; any other field is a member itself."""

RELATED: Mapping[str, str] = {
    **{name: name for name in PEOPLE},
    "owner_email": "owner_email",
    "octolane.owner_id": "owner_id",
}
"""The fields that a create has among its `related_objects`."""

PATCHED: Mapping[str, str] = {
    "primary_contact_email": "opportunity_contact",
    "additional_contact_emails": "opportunity_other_stakeholders",
    "octolane.owner_id": "owner_id",
}
"""What an update calls fields; any other has its own name."""


def read_id(value: Any) -> str:
    """Return an id as an answer has it; nothing for what is none."""
    return value if isinstance(value, str) else ""


def people_of(resource: Resource) -> Iterable[str]:
    """Return the e-mail addresses of the contacts that an opportunity names."""
    primary = resource.fields.get("primary_contact_email")
    return [*([primary] if primary else []), *_list(resource.fields.get("additional_contact_emails"))]


def _list(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def to_native(
    resource: Resource, names: Names, catalogue: Catalogue, stored: Mapping[Address, str], way: Way
) -> dict[str, Any]:
    """Return the body of a create: what is nothing is left out, as a new record has nothing to clear.

    `stored` has the keys that are stored in another spelling than the normalised one.
    """
    fields = {name: value for name, value in resource.fields.items() if value is not None}
    pipeline = fields.get("pipeline_id", "")
    own: dict[str, Any] = {}
    related: dict[str, Any] = {}
    if "account" in resource.refs:
        account = resource.refs["account"]
        related["account_domain"] = stored.get(account, account.key)
    for name, value in fields.items():
        if name in PEOPLE:
            people = [stored.get(Address("contact", email), email) for email in _list(value)]
            related[name] = people if name == "additional_contact_emails" else people[0]
        elif name in RELATED:
            related[RELATED[name]] = value
        elif name == "stage":
            own.update(_stage(pipeline, value, names))
        elif name != "pipeline_id" and name in OPPORTUNITY_FIELDS:
            own[name] = _to_native_value(name, value)
    if custom := catalogue.write(Place(KIND, pipeline), fields, way):
        own["custom_attributes"] = custom
    return {"pipeline_id": pipeline, "opportunity": own, **({"related_objects": related} if related else {})}


def to_patch(
    resource: Resource, pipeline: str, people: Mapping[str, str], names: Names, catalogue: Catalogue, way: Way
) -> dict[str, Any]:
    """Return the patch of one record."""
    patch: dict[str, Any] = {}
    for name, value in resource.fields.items():
        if name == "pipeline_id":
            raise Rejected(f"{resource.address}: Octolane documents no way to move an opportunity to another pipeline")
        if name == "stage":
            patch.update(_stage(pipeline, value, names))
        elif name == "primary_contact_email":
            patch[PATCHED[name]] = _find_person(resource, value, people) if value else None
        elif name == "additional_contact_emails":
            patch[PATCHED[name]] = [_find_person(resource, email, people) for email in _list(value)]
        elif name in OPPORTUNITY_FIELDS:
            patch[PATCHED.get(name, name)] = _to_native_value(name, value)
    custom = catalogue.write(Place(KIND, pipeline), resource.fields, way)
    return {**patch, **({"custom_attributes": custom} if custom and way.nested else custom)}


def _stage(pipeline: str, label: Any, names: Names) -> dict[str, Any]:
    """Return a stage as it is written: by id where that is known."""
    stage_id = label if is_id(label) else names.stage_id(pipeline, label)
    return {"stage_name": label} if stage_id is None else {"stage_id": stage_id}


def _find_person(resource: Resource, email: str, people: Mapping[str, str]) -> str:
    key = normalise("contact", email) or email
    if key not in people:
        raise Rejected(f"{resource.address}: Octolane has no contact {email}, and an update takes only those there are")
    return people[key]


def _to_native_value(name: str, value: Any) -> Any:
    """Return points in time as Unix milliseconds (docs/octolane.md)."""
    point = instant(value) if name in DATES else None
    return value if point is None else point // 1000


def from_native(
    record: Mapping[str, Any], fields: Iterable[str], stages: Mapping[str, str], known: Mapping[str, Address]
) -> dict[str, Any]:
    """Return the asked fields that a live record carries, custom ones apart; contacts by e-mail, stages by label."""
    values: dict[str, Any] = {}
    for field in fields:
        carried = [member for member in MEMBERS.get(field, (field,)) if member in record]
        if not carried:
            continue
        value = record[carried[0]]
        if field == "stage":
            value = stages.get(read_id(value)) or record.get("stage_name")
        elif field == "primary_contact_email":
            value = known[read_id(value)].key if read_id(value) in known else value
        elif field == "additional_contact_emails":
            value = [_read_email(person) for person in value] if isinstance(value, list) else value
        values[field] = value
    return values


def _read_email(person: Any) -> Any:
    email = person.get("contact_email") if isinstance(person, dict) else person
    return (normalise("contact", email) or email) if isinstance(email, str) else email
