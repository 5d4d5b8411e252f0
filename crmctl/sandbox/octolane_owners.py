"""Members of the organisation, who may own opportunities: no route lists them, so three are built in."""

from typing import NamedTuple

from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.problems import RequestError


class Owner(NamedTuple):
    """One member."""

    id: str
    email: str


OWNERS = (
    Owner("018f13b3-8239-7ef8-a8f1-93ad10b76401", "olga@crm.example"),
    Owner("018f13b3-8239-7ef8-a8f1-93ad10b76402", "omar@crm.example"),
    Owner("018f13b3-8239-7ef8-a8f1-93ad10b76403", "robin@crm.example"),
)


def find_owner(id_: str | None, email: str | None, switches: OctolaneSwitches) -> Owner | None:
    """Find the member that an id, an address or both stand for; None when there is none, or nobody is named."""
    by_id = _find("id", id_, switches)
    by_email = _find("email", email, switches)
    if by_id and by_email and by_id != by_email:
        if switches.named_twice == "reject":
            raise RequestError(400, "owner_id and owner_email differ")
        return by_id if switches.named_twice == "id" else by_email
    return by_id or by_email


def _find(attribute: str, wanted: str | None, switches: OctolaneSwitches) -> Owner | None:
    if wanted is None:
        return None
    for owner in OWNERS:
        if getattr(owner, attribute) == wanted.lower():
            return owner
    if switches.unknown_owner == "reject":
        raise RequestError(400, f"owner_{attribute}: {wanted} is no member")
    return None
