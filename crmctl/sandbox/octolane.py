"""Play Octolane's public gateway (docs/octolane.md).

In: a request and the operation of `octolane.openapi.json` that serves it. Out: the documented answer, in the envelope
`{"success", "message", "data"}`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from crmctl.sandbox.bodies import dump_json, read_query
from crmctl.sandbox.contract import Contract, Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.octolane_definitions import list_definitions, read_definitions
from crmctl.sandbox.octolane_host import Handler, OctolaneHost
from crmctl.sandbox.octolane_reads import read_records
from crmctl.sandbox.octolane_stages import create_stages, describe_stages, read_stages
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.octolane_wire import Outcome, read_body, succeed
from crmctl.sandbox.store import Store

DOCUMENT = Path(__file__).with_name("octolane.openapi.json")


class OctolaneGateway(OctolaneHost):
    """The gateway over one store."""

    def __init__(self, store: Store, *, api_key: str | None, switches: OctolaneSwitches) -> None:
        """Take the only key that is accepted; None accepts any that is not empty."""
        super().__init__(store, read_contract(), api_key=api_key, switches=switches)
        self.handlers = {
            **_for_kind("accounts", self.list_page, "listAccountsV1"),
            **_for_kind("contacts", self.list_page, "listContactsV1"),
            **_for_kind("opportunities", self.list_page, "listOpportunitiesV1"),
            **_for_kind("accounts", self.search_page, "searchAccountsV1Compatibility"),
            **_for_kind("contacts", self.search_page, "searchContactsV1"),
            **_for_kind("opportunities", self.search_page, "searchOpportunitiesV1"),
            **_for_kind("accounts", self._create_one, "createOrResolveAccountV1"),
            **_for_kind("opportunities", self._create_one, "createOpportunityV1"),
            **_for_kind("accounts", self._create_many, "bulkCreateAccountsV1"),
            **_for_kind("contacts", self._create_many, "bulkCreateContactsV1"),
            **_for_kind("opportunities", self._create_many, "bulkCreateOpportunitiesV1"),
            **_for_kind("notes", self._create_many, "bulkCreateNotesV1"),
            **_for_kind("accounts", self._patch_many, "bulkUpdateAccountsV1"),
            **_for_kind("contacts", self._patch_many, "bulkUpdateContactsV1"),
            **_for_kind("opportunities", self._patch_many, "bulkUpdateOpportunitiesV1"),
            **_for_kind("accounts", self._list_fields, "listAccountFieldsV1"),
            **_for_kind("accounts", self._create_fields, "bulkCreateAccountFieldsV1"),
            **_for_kind("contacts", self._create_fields, "bulkCreateContactFieldsV1"),
            **_for_kind("contacts", self._update_fields, "bulkUpdateContactFieldsV1"),
            **_for_kind("opportunities", self._update_fields, "bulkUpdatePipelineFieldsV1"),
            "listPipelineStagesV1": self._list_stages,
            "bulkCreatePipelineStagesV1": self._create_stages,
        }

    def _create_one(self, kind: str, operation: Operation, request: Request) -> Answer:
        item = read_body(operation, request)
        operation.check_body(item)
        return self._create(kind, operation, [item])

    def _create_many(self, kind: str, operation: Operation, request: Request) -> Answer:
        items = read_body(operation, request)
        bad = self._check_items(operation, items)
        return self._create(kind, operation, [item for index, item in enumerate(items) if index not in bad])

    def _create(self, kind: str, operation: Operation, items: Sequence[Mapping[str, Any]]) -> Answer:
        with self.store.writing() as connection:
            writer = self.open_writer(connection, kind, operation)
            outcomes = writer.create(items)
            data = self._describe(connection, kind, outcomes)
        verb = "created or resolved" if kind in ("accounts", "contacts") else "created"
        return self._created(f"{kind.capitalize()} {verb}", data)

    def _patch_many(self, kind: str, operation: Operation, request: Request) -> Answer:
        patches = read_body(operation, request)
        bad = self._check_items(operation, patches)
        with self.store.writing() as connection:
            good = {id_: patch for id_, patch in patches.items() if id_ not in bad}
            outcomes = self.open_writer(connection, kind, operation).patch(good)
            data = self._describe(connection, kind, outcomes)
        return succeed(200, f"{kind.capitalize()} updated", data)

    def _check_items(self, operation: Operation, body: Any) -> set[Any]:
        """Return the items to leave out: none, unless the switch lets bad ones be skipped."""
        if self.switches.bad_item == "partial":
            return operation.find_bad_items(body)
        operation.check_body(body)
        return set()

    def _describe(self, connection: Any, kind: str, outcomes: Sequence[Outcome]) -> str:
        """Write `data` of a write, whose shape the documentation leaves open."""
        if self.switches.bulk_data == "empty":
            return "{}"
        ids = list(dict.fromkeys(outcome.id for outcome in outcomes))
        if self.switches.bulk_data == "ids":
            return dump_json({"ids": ids})
        records = read_records(connection, kind, ids, self.switches)
        if self.switches.bulk_data == "records":
            return f'{{"{kind}":[{",".join(records[outcome.id] for outcome in outcomes)}]}}'
        created = [records[outcome.id] for outcome in outcomes if outcome.created]
        existing = [records[outcome.id] for outcome in outcomes if not outcome.created]
        return f'{{"created":[{",".join(created)}],"existing":[{",".join(existing)}]}}'

    def _created(self, message: str, data: str) -> Answer:
        return succeed(int(self.switches.created_status), message, data)

    def _list_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        operation.read_parameters(read_query(request.query))
        with self.store.reading() as connection:
            fields = list_definitions(read_definitions(connection, kind), kind)
        return succeed(200, "Fields fetched", dump_json({"fields": fields}))

    def _create_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        items = read_body(operation, request)
        operation.check_body(items)
        return self._created("Fields created", self._define(kind, items, "create"))

    def _update_fields(self, kind: str, operation: Operation, request: Request) -> Answer:
        scope = operation.read_path(request.path)
        items = read_body(operation, request)
        operation.check_body(items)
        if "pipeline_id" in scope:
            with self.store.reading() as connection:
                read_stages(connection, scope["pipeline_id"])
        return succeed(200, "Fields updated", self._define(kind, items, "update"))

    def _define(self, kind: str, items: Sequence[Mapping[str, Any]], verb: str) -> str:
        from crmctl.sandbox.octolane_custom_fields import CustomFields  # noqa: PLC0415 - for writes alone

        with self.store.writing() as connection:
            fields = CustomFields(connection, kind, self.switches, self.store.make_id)
            act = fields.create if verb == "create" else fields.update
            names = [act(item).property_name for item in items]
            described = {
                field["property_name"]: field for field in list_definitions(read_definitions(connection, kind), kind)
            }
        return dump_json({"fields": [described[name] for name in names]})

    def _list_stages(self, operation: Operation, request: Request) -> Answer:
        operation.read_parameters(read_query(request.query))
        pipeline_id = operation.read_path(request.path)["pipeline_id"]
        with self.store.reading() as connection:
            stages = read_stages(connection, pipeline_id)
        return succeed(200, "Pipeline stages fetched", dump_json({"stages": describe_stages(stages)}))

    def _create_stages(self, operation: Operation, request: Request) -> Answer:
        pipeline_id = operation.read_path(request.path)["pipeline_id"]
        items = read_body(operation, request)
        operation.check_body(items)
        with self.store.writing() as connection:
            stages = create_stages(connection, pipeline_id, items, self.switches, self.store.make_id)
        return self._created("Pipeline stages created", dump_json({"stages": describe_stages(stages)}))


@cache
def read_contract() -> Contract:
    """Read the OpenAPI document, once per process: compiled validators are shared by all sandboxes in it."""
    return Contract(DOCUMENT)


def _for_kind(kind: str, handle: Callable[[str, Operation, Request], Answer], operation_id: str) -> dict[str, Handler]:
    return {operation_id: partial(handle, kind)}
