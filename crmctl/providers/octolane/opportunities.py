"""Opportunities: read pipeline by pipeline, found again after a create, prepared for sending (docs/octolane.md).

In: what is declared, and the ids of accounts and contacts. Out: live records known by account, pipeline and name, and
bodies of creates and updates. Nothing in Octolane identifies an opportunity but its id.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from crmctl.errors import Rejected
from crmctl.provider import Page, Record, Scope
from crmctl.providers.octolane.custom_fields import SECTION, Place, Way, declared
from crmctl.providers.octolane.deals import KIND, MEMBERS, from_native, people_of, read_id, to_native, to_patch
from crmctl.providers.octolane.names import Names
from crmctl.providers.octolane.search import PAGE_SIZE, Searching, is_one_of
from crmctl.providers.octolane.writing import Seen
from crmctl.resource import Address, Resource, recognise


class Opportunities:
    """Read opportunities, and prepare what is sent of them."""

    def __init__(self, search: Searching, names: Names, learned: dict[str, Any]) -> None:
        self._search = search
        self._names = names
        self._pipeline_of: dict[str, str] = learned.setdefault("pipeline_of", {})
        self._bare: dict[str, bool] = learned.setdefault("bare", {})
        self._carries: dict[str, bool] = learned.setdefault("opportunities_carry", {})

    async def read(self, fields: Sequence[str], scope: Scope) -> AsyncGenerator[Page, None]:
        """Read all opportunities of the pipelines that are declared."""
        wanted = {_identify(resource.fields) for resource in scope.desired.values()}
        known = {remote_id: address for address, remote_id in scope.ids.items()}
        for pipeline in sorted({pipeline for pipeline, _ in wanted}):
            async for records in self._follow(pipeline, fields):
                alike = [record for record in records if _identify(record, pipeline) in wanted]
                known.update(await self._find_related(alike, known, fields))
                yield self._page(pipeline, records, fields, known)

    async def carries(self, field: str) -> bool | None:
        """Tell whether reads return a field, by a record of any pipeline that has a value there."""
        pipelines = sorted({*self._pipeline_of.values(), *self._names.stages})
        for pipeline in [] if field in self._carries else pipelines:
            custom = self._search.catalogue.find(Place(KIND, pipeline), field)
            member = custom.slug if custom else MEMBERS.get(field, (field,))[-1]
            asked = field if custom else member
            chosen = {"pipeline_id": pipeline}
            carried = await self._search.shows(KIND, chosen, member, asked, custom=custom is not None)
            if carried is not None:
                self._carries[field] = carried
                break
        return self._carries.get(field)

    def to_create(self, resource: Resource, way: Way) -> dict[str, Any]:
        """Return the body of one create."""
        return to_native(resource, self._names, self._search.catalogue, self._search.stored, way)

    def to_updates(self, batch: Sequence[Resource], people: Mapping[str, str], way: Way) -> dict[str, dict[str, Any]]:
        """Return the body of an update: a patch for each record's id; `people` are contacts' ids by e-mail address.

        Raises Rejected where a contact is named that is not there, since a patch takes nothing but ids.
        """
        patches = {}
        for resource in batch:
            remote_id = resource.remote_id or ""
            pipeline = self._pipeline_of.get(remote_id, "")
            patches[remote_id] = to_patch(resource, pipeline, people, self._names, self._search.catalogue, way)
        return patches

    async def find_people(self, batch: Sequence[Resource], ids: Mapping[Address, str]) -> Mapping[str, str]:
        """Return the ids of the contacts that a batch names, by e-mail address, as far as they are there."""
        named = sorted({email for resource in batch for email in people_of(resource)})
        found = {email: ids[address] for email in named if (address := Address("contact", email)) in ids}
        missing = [email for email in named if email not in found]
        if missing:
            async for page in self._search.read("contact", missing, ()):
                found.update({record.key: record.remote_id for record in page.records if record.key in missing})
        return found

    async def find_updated(self, resource: Resource, paths: Sequence[str]) -> Mapping[str, Any] | None:
        """Return custom fields of the live record that has a resource's id; None if it is not found."""
        pipeline = self._pipeline_of.get(resource.remote_id or "", "")
        found = await self._find(pipeline, "id", [resource.remote_id or ""], paths)
        return self._spread(pipeline, paths, found[0]) if found else None

    async def find_created(
        self, batch: Sequence[Resource], ids: Mapping[Address, str], paths: Sequence[str]
    ) -> list[Seen]:
        """Return what was just created, with its custom fields, as far as there is no doubt which record it is.

        That is the only one of its account, pipeline and name that no read has shown before.
        """
        seen = []
        for pipeline in sorted({_identify(resource.fields)[0] for resource in batch}):
            wanted: dict[tuple[str, str], list[Resource]] = {}
            for resource in batch:
                place, name = _identify(resource.fields)
                account = ids.get(resource.refs["account"]) if "account" in resource.refs else None
                if place == pipeline and account:
                    wanted.setdefault((account, name), []).append(resource)
            live: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
            names = sorted({name for _, name in wanted})
            for record in await self._find(pipeline, "name", names, ["account_id", *paths]) if names else ():
                if record["id"] not in self._pipeline_of:
                    live.setdefault((read_id(record.get("account_id")), _identify(record)[1]), []).append(record)
            for known_as, records in live.items():
                if len(records) == 1 == len(wanted.get(known_as, ())):
                    self._pipeline_of[records[0]["id"]] = pipeline
                    values = self._spread(pipeline, paths, records[0])
                    seen.append(Seen(wanted[known_as][0], records[0]["id"], values))
        return seen

    def _spread(self, pipeline: str, paths: Sequence[str], record: Mapping[str, Any]) -> dict[str, Any]:
        return self._search.catalogue.spread(Place(KIND, pipeline), paths, record.get(SECTION))

    async def _find(
        self, pipeline: str, member: str, values: Sequence[str], fields: Sequence[str]
    ) -> Sequence[Mapping[str, Any]]:
        chosen = {"pipeline_id": pipeline, **is_one_of(member, values)}
        try:
            return await self._search.find(KIND, chosen, fields, limit=PAGE_SIZE)
        except Rejected:  # a member that cannot be filtered by
            return []

    async def _follow(self, pipeline: str, fields: Sequence[str]) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Read the pages of a pipeline; where sorting or choosing fields is refused, without either."""
        chosen = {"pipeline_id": pipeline}
        asked = _members(fields)
        begun = False
        try:
            async for records in self._search.follow(KIND, chosen, asked, bare=self._bare.get(KIND, False)):
                begun = True
                yield records
        except Rejected as error:
            if begun or error.status != HTTPStatus.BAD_REQUEST or self._bare.get(KIND):
                raise
        else:
            return
        async for records in self._search.follow(KIND, chosen, asked, bare=True):
            self._bare[KIND] = True
            yield records

    async def _find_related(
        self, records: Iterable[Mapping[str, Any]], known: Mapping[str, Address], fields: Sequence[str]
    ) -> dict[str, Address]:
        """Return accounts and contacts of live records that nothing else has told of, by their ids."""
        members = {"account": "account_id", "contact": "contact_id"}
        if "primary_contact_email" not in fields:
            del members["contact"]
        found: dict[str, Address] = {}
        for kind, member in members.items():
            ids = {read_id(record.get(member)) for record in records} - known.keys() - {""}
            keys = await self._search.find_keys(kind, sorted(ids)) if ids else {}
            found.update({remote_id: Address(kind, key) for remote_id, key in keys.items()})
        return found

    def _page(
        self, pipeline: str, records: Iterable[Mapping[str, Any]], fields: Sequence[str], known: Mapping[str, Address]
    ) -> Page:
        found = []
        members: set[str] = set()
        for record in records:
            values = from_native(record, fields, self._names.stages.get(pipeline, {}), known)
            place = Place(KIND, pipeline)
            values.update(self._search.catalogue.spread(place, declared(fields), record.get(SECTION)))
            if "pipeline_id" in fields:
                values["pipeline_id"] = pipeline
            account = known.get(read_id(record.get("account_id")))
            key = "" if account is None else recognise(KIND, [account.key], {"pipeline_id": pipeline, **record})
            found.append(Record(key, values, record["id"]))
            members.update(values)
            self._pipeline_of[record["id"]] = pipeline
        return Page(found, members)


def _identify(fields: Mapping[str, Any], pipeline: str = "") -> tuple[str, str]:
    """Return the pipeline and name of an opportunity, as `recognise` takes them."""
    return pipeline or fields.get("pipeline_id") or "", str(fields.get("name") or "").strip()


def _members(fields: Iterable[str]) -> list[str]:
    """Return the members to ask for; those that tell which record it is come along."""
    return ["pipeline_id", "account_id", *(member for field in fields for member in MEMBERS.get(field, (field,)))]
