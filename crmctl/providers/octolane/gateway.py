"""Octolane's public gateway, `https://api.octolane.com`: all four kinds, by the search and bulk routes.

In: resources, key spellings and field names. Out: pages of live resources, receipts of what was sent. Built on what
docs/octolane.md calls documented; a write's `data` is untyped there, so it is never read.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from crmctl.capability import Capability, Definition
from crmctl.client import Client
from crmctl.errors import Ambiguous, ProviderError, Rejected
from crmctl.kinds import KINDS
from crmctl.provider import NO_IDS, NO_SCOPE, Page, Receipt, Resolution, Scope
from crmctl.providers import DEFAULTS, Endpoint, Options
from crmctl.providers.octolane import KEY_HEADER
from crmctl.providers.octolane.custom_fields import PREFIX, SECTION, Place, Way, declared
from crmctl.providers.octolane.names import DEFINITIONS_PER_REQUEST, FIELD_ROUTES, READS, Names
from crmctl.providers.octolane.opportunities import Opportunities
from crmctl.providers.octolane.records import fit, note_to_native, to_native
from crmctl.providers.octolane.search import LOOK_UP_BATCH, PAGE_SIZE, Searching, is_one_of
from crmctl.providers.octolane.writing import Seen, Writing, declares, is_held, tells
from crmctl.resource import Address, Resource

UPDATE_BATCH = 50

CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {
        **{
            kind: Capability(
                read=True,
                create=True,
                update=True,
                create_batch=100,
                update_batch=UPDATE_BATCH,
                look_up_batch=LOOK_UP_BATCH,
                page_size=PAGE_SIZE,
                dedupes=True,
                tries=True,
                read_route=f"POST /v1/{KINDS[kind].plural}/search",
                create_route=f"POST /v1/{KINDS[kind].plural}/bulk",
                update_route=f"PATCH /v1/{KINDS[kind].plural}/bulk",
                define_route=f"POST {path}",
                define_batch=DEFINITIONS_PER_REQUEST,
                evidence="documented",
            )
            for kind, path in FIELD_ROUTES.items()
        },
        "opportunity": Capability(
            read=True,
            create=True,
            update=True,
            create_batch=100,
            update_batch=UPDATE_BATCH,
            page_size=PAGE_SIZE,
            refs=("account", "contact"),
            read_within="pipeline",
            tries=True,
            tries_each=True,
            read_route="POST /v1/opportunities/search",
            create_route="POST /v1/opportunities/bulk",
            update_route="PATCH /v1/opportunities/bulk",
            evidence="documented",
        ),
        "note": Capability(create=True, create_route="POST /v1/notes/bulk", evidence="assumed"),
    }
)
"""A contact's account can't be written: it follows from its e-mail address's domain.

What a note consists of isn't documented: one a request, so that a refusal concerns no other, and only on request.
"""


class Gateway(Searching):
    """Speak to the gateway; see `crmctl.provider.Provider` for what the methods promise."""

    root = "/v1"
    vendor = "octolane"
    endpoint = Endpoint(
        base_url="https://api.octolane.com",
        hosts=frozenset({"api.octolane.com"}),
        key_header=KEY_HEADER,
        reads=frozenset({*(can.read_route for can in CAPABILITIES.values() if can.read), *READS}),
    )

    table = CAPABILITIES

    def __init__(self, client: Client, options: Options = DEFAULTS, learned: dict[str, Any] | None = None) -> None:
        known: dict[str, Any] = {} if learned is None else learned
        super().__init__(client, options, known)
        self._names = Names(client, self, options, known)
        self._opportunities = Opportunities(self, self._names, known)
        self._writing = Writing(client, known)

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        """Look up the pipelines, stages and custom fields that the resources name."""
        return await self._names.resolve(desired)

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        """Leave out what Octolane does not document, and say names as reads do."""
        if resource.address.kind == "opportunity":
            return self._names.fit_opportunity(resource)
        return fit(resource, self.catalogue)

    def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str], scope: Scope = NO_SCOPE
    ) -> AsyncGenerator[Page, None]:
        """Read live records: accounts and contacts by key or all of them, opportunities of the declared pipelines."""
        if kind == "opportunity":
            return self._opportunities.read(fields, scope)
        return super().read(kind, spellings, fields, scope)

    async def carries(self, kind: str, field: str) -> bool | None:
        """Tell whether reads return a field at all; None when no live record has a value to tell by."""
        if kind == "opportunity":
            return await self._opportunities.carries(field)
        return await super().carries(kind, field)

    async def define(self, definitions: Sequence[Definition]) -> None:
        """Make custom fields that do not exist."""
        await self._names.define(definitions)

    async def create(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Create or resolve records. Octolane dedupes accounts and contacts, so only these may be sent again.

        What a create refers to, it refers to by key; `ids` help to recognise what was created.
        """
        kind = batch[0].address.kind
        path = f"/v1/{KINDS[kind].plural}/bulk"
        if kind == "note":
            await self._writing.send(
                "POST", path, [note_to_native(note, self.stored) for note in batch], repeatable=False
            )
        else:
            repeatable = CAPABILITIES[kind].dedupes
            way = await self._writing.write(
                "POST", path, batch, lambda way: self._to_creates(batch, way), repeatable=repeatable
            )
            try:
                await self._see(path, batch, ids, way)
            except ProviderError as error:
                raise Ambiguous(
                    f"POST {path}: done, but not its custom fields: {error}", status=error.status
                ) from error
        return Receipt(tuple(resource.address for resource in batch))

    async def update(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Patch records by their ids."""
        kind = batch[0].address.kind
        path = f"/v1/{KINDS[kind].plural}/bulk"
        for resource in batch:
            if resource.remote_id is None:
                raise ValueError(f"{resource.address} has no remote id to update by")
        if kind == "opportunity":
            deals = self._opportunities
            people = await deals.find_people(batch, ids)
            await self._writing.update(
                path, batch, lambda way: deals.to_updates(batch, people, way), deals.find_updated
            )
        else:
            await self._writing.update(path, batch, lambda way: self._to_updates(batch, way), self._find_updated)
        return Receipt(tuple(resource.address for resource in batch))

    def _to_creates(self, batch: Sequence[Resource], way: Way) -> list[dict[str, Any]]:
        if batch[0].address.kind == "opportunity":
            return [self._opportunities.to_create(resource, way) for resource in batch]
        return [to_native(resource, self.catalogue, way, creating=True) for resource in batch]

    def _to_updates(self, batch: Sequence[Resource], way: Way) -> dict[str, dict[str, Any]]:
        return {resource.remote_id or "": to_native(resource, self.catalogue, way) for resource in batch}

    async def _see(self, path: str, batch: Sequence[Resource], ids: Mapping[Address, str], way: Way) -> None:
        """While it is not known how custom fields are written: see whether they took effect, else update them."""
        kind = batch[0].address.kind
        wanted = [resource for resource in batch if tells(resource)] if declares(batch) else []
        if not wanted or not self._writing.wonders("POST", kind):
            return
        seen = await self._find_created(wanted, ids)
        if not seen and CAPABILITIES[kind].dedupes:
            # They may have been left out for a custom field's name: without any they are not, and may come again.
            plain = [resource._replace(fields=_without_custom(resource)) for resource in wanted]
            await self._writing.send("POST", path, self._to_creates(plain, way), repeatable=True)
            seen = await self._find_created(wanted, ids)
        if any(is_held(resource, values) for resource, _, values in seen):
            self._writing.settle("POST", kind, way)
        left = [
            Resource(resource.address, _custom(resource), remote_id=remote_id)
            for resource, remote_id, values in seen
            if not is_held(resource, values)
        ]
        for start in range(0, len(left), UPDATE_BATCH):
            await self.update(left[start : start + UPDATE_BATCH])

    async def _find_created(self, batch: Sequence[Resource], ids: Mapping[Address, str]) -> list[Seen]:
        """Return the live records that some resources were just created as."""
        kind = batch[0].address.kind
        paths = sorted({path for resource in batch for path in declared(resource.fields)})
        if kind == "opportunity":
            return await self._opportunities.find_created(batch, ids, paths)
        wanted = {resource.address.key: resource for resource in batch}
        records = [record async for page in self.read(kind, sorted(wanted), paths) for record in page.records]
        found = {record.remote_id: record for record in records if record.key in wanted}
        return [Seen(wanted[record.key], remote_id, record.fields) for remote_id, record in found.items()]

    async def _find_updated(self, resource: Resource, paths: Sequence[str]) -> Mapping[str, Any] | None:
        """Return custom fields of the live account or contact that has a resource's id; None if it is not found."""
        kind = resource.address.kind
        try:
            found = await self.find(kind, is_one_of("id", [resource.remote_id or ""]), paths, limit=1)
        except Rejected:  # ids that cannot be filtered by
            return None
        return self.catalogue.spread(Place(kind), paths, found[0].get(SECTION)) if found else None


def _custom(resource: Resource) -> dict[str, Any]:
    """Return the custom fields of a resource."""
    return {path: resource.fields[path] for path in declared(resource.fields)}


def _without_custom(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.fields.items() if not name.startswith(PREFIX)}
