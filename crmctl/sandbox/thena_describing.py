"""Answer the routes about what describes Thena's records: attribute values and custom fields (docs/thena.md)."""

from collections.abc import Callable, Mapping

from crmctl.sandbox.contract import Operation
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.store import Store
from crmctl.sandbox.thena_attributes import Attributes, render_value
from crmctl.sandbox.thena_fields import CustomFields
from crmctl.sandbox.thena_reads import read_page
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_wire import Wire, read_id, read_parameters


class Describing:
    """These routes over one store."""

    def __init__(self, store: Store, switches: ThenaSwitches, wire: Wire) -> None:
        """Take what the API has; `handlers` are by operation id."""
        self._store, self._switches, self._wire = store, switches, wire
        self.handlers: Mapping[str, Callable[[Operation, Request], Answer]] = {
            "getAccountAttributeValues": self._list_values,
            "createAccountAttributeValue": self._create_value,
            "updateAccountAttributeValue": self._update_value,
            "deleteAccountAttributeValue": self._delete_value,
            "getAccountCustomFields": self._list_account_fields,
            "getAllCustomFields": self._list_fields,
            "createCustomField": self._create_field,
        }

    def _list_values(self, operation: Operation, request: Request) -> Answer:
        attribute = read_parameters(operation, request)["attribute"]
        with self._store.reading() as connection:
            values = Attributes(connection, self._switches).list_values(attribute)
        return self._wire.succeed(200, [render_value(value) for value in values])

    def _create_value(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            value = Attributes(connection, self._switches).create(self._store, body, self._wire.now())
        return self._wire.succeed(201, render_value(value))

    def _update_value(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            attributes = Attributes(connection, self._switches)
            value = attributes.update(read_id(operation, request), body, self._wire.now())
        return self._wire.succeed(200, render_value(value))

    def _delete_value(self, operation: Operation, request: Request) -> Answer:
        force = read_parameters(operation, request)["forceDelete"]
        with self._store.writing() as connection:
            stamps = self._store.stamps(connection)
            attributes = Attributes(connection, self._switches)
            value = attributes.delete(self._store, read_id(operation, request), force=force, stamps=stamps)
        return self._wire.confirm_deletion(render_value(value))

    def _list_account_fields(self, operation: Operation, request: Request) -> Answer:
        read_parameters(operation, request)
        with self._store.reading() as connection:
            fields = CustomFields(connection, "account", self._switches).list_definitions()
        return self._wire.wrap(200, fields)

    def _list_fields(self, operation: Operation, request: Request) -> Answer:
        given = read_parameters(operation, request)
        page = read_page(given, self._switches, first="0")
        with self._store.reading() as connection:
            fields = CustomFields(connection, given["source"], self._switches).list_definitions()
        return self._wire.wrap(200, fields[page.offset : page.offset + page.limit])

    def _create_field(self, operation: Operation, request: Request) -> Answer:
        body = self._wire.read_body(operation, request)
        with self._store.writing() as connection:
            field = CustomFields(connection, body["source"], self._switches).define(self._store, body)
        return self._wire.wrap(201, field)
