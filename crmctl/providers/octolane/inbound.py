"""Octolane's older Inbound API, `https://enrich.octolane.com`: create one record a request, read as on the gateway.

In: resources, key spellings and field names. Out: pages of live resources, receipts with the ids that answers type. It
updates nothing. Opportunities and notes are named by its documentation, which shows no body of either.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from crmctl.capability import Capability, Definition
from crmctl.client import Client
from crmctl.errors import Unsupported
from crmctl.kinds import KINDS
from crmctl.provider import NO_IDS, Receipt, Resolution
from crmctl.providers import DEFAULTS, Endpoint, Options
from crmctl.providers.octolane import KEY_HEADER, OPPORTUNITY_FIELDS, deals, records
from crmctl.providers.octolane.custom_fields import Way
from crmctl.providers.octolane.names import Names
from crmctl.providers.octolane.search import LOOK_UP_BATCH, PAGE_SIZE, Searching
from crmctl.providers.octolane.writing import Writing
from crmctl.resource import Address, Resource

READABLE = Capability(
    read=True, create=True, look_up_batch=LOOK_UP_BATCH, page_size=PAGE_SIZE, dedupes=True, evidence="documented"
)

CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {
        "account": READABLE._replace(
            read_route="POST /v2/inbound/accounts/search",
            create_route="POST /v1/inbound/accounts",
        ),
        "contact": READABLE._replace(
            makes="account",
            read_route="POST /v2/inbound/contacts/search",
            create_route="POST /v1/inbound/contacts",
        ),
        "opportunity": Capability(create=True, create_route="POST /v1/inbound/opportunities", evidence="assumed"),
        "note": Capability(create=True, create_route="POST /v1/inbound/notes", evidence="assumed"),
    }
)
"""Creating a contact makes the account of its e-mail domain."""

WRITABLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "account": frozenset({"domain"}),
        "contact": frozenset({"email", "first_name", "last_name"}),
        "opportunity": OPPORTUNITY_FIELDS,
        "note": frozenset({"text"}),
    }
)
"""What a create of each kind takes."""

IDS = MappingProxyType({"account": "company_id", "contact": "people_id"})
"""What answers call the id of a record."""

NOT_TAKEN = "the Inbound API takes no such field"


class Inbound(Searching):
    """Speak to the Inbound API; see `crmctl.provider.Provider` for what the methods promise."""

    root = "/v2/inbound"
    vendor = "octolane"
    endpoint = Endpoint(
        base_url="https://enrich.octolane.com",
        hosts=frozenset({"enrich.octolane.com"}),
        key_header=KEY_HEADER,
        reads=frozenset(can.read_route for can in CAPABILITIES.values() if can.read),
    )

    table = CAPABILITIES

    def __init__(self, client: Client, options: Options = DEFAULTS, learned: dict[str, Any] | None = None) -> None:
        known: dict[str, Any] = {} if learned is None else learned
        super().__init__(client, options, known)
        self._names = Names(client, self, options, known)
        self._writing = Writing(client, known)

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        """Look up the pipelines' names; stages can't be listed here, so the server judges them."""
        deals = desired.get("opportunity", {}).values() if "opportunity" in self.capabilities else ()
        return Resolution(self._names.pipelines.check(deals))

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        """Leave out what a create doesn't take."""
        kind = resource.address.kind
        writable = WRITABLE[kind]
        own = self._names.fit_opportunity if kind == "opportunity" else self._fit_record
        fitted, missing = own(resource)
        if fitted.fields.keys() <= writable:
            return fitted, missing
        fields = {name: value for name, value in fitted.fields.items() if name in writable}
        refused = [(name, NOT_TAKEN) for name in fitted.fields if name not in writable]
        return fitted._replace(fields=fields), [*missing, *refused]

    async def define(self, definitions: Sequence[Definition]) -> None:
        """Refuse: there is no route for it."""
        raise Unsupported(f"the Inbound API makes no custom fields, such as {definitions[0].slug}")

    async def create(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Create or resolve records, one a request; only accounts and contacts are deduped."""
        del ids  # what a create refers to, it refers to by key
        found: dict[Address, str] = {}
        for resource in batch:
            kind = resource.address.kind
            answer = await self._writing.send(
                "POST", f"/v1/inbound/{KINDS[kind].plural}", self._to_native(resource), repeatable=kind in IDS
            )
            data = answer.get("data")
            remote_id = data.get(IDS.get(kind, "")) if isinstance(data, dict) else None
            if isinstance(remote_id, str) and remote_id:
                found[resource.address] = remote_id
        return Receipt(tuple(resource.address for resource in batch), found)

    async def update(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Refuse: there is no route for it."""
        del ids
        raise Unsupported(f"{batch[0].address}: the Inbound API updates nothing")

    def _fit_record(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        return records.fit(resource, self.catalogue)

    def _to_native(self, resource: Resource) -> dict[str, Any]:
        kind = resource.address.kind
        if kind == "opportunity":
            return deals.to_native(resource, self._names, self.catalogue, self.stored, Way())
        if kind == "note":
            return records.note_to_native(resource, self.stored)
        return records.to_native(resource, self.catalogue, Way(), creating=True)
