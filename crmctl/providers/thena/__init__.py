"""Thena's platform API: accounts, contacts and account notes of `https://platform.thena.ai`.

In: resources, key spellings and field names. Out: pages of live resources, receipts of what was sent. Built on what
docs/providers.md calls documented. What a bulk create answers are counts: they are checked, and nothing is concluded
from them about any one contact. Reads are in `reads.py`, writes in `writes.py`; the fields, `to_native` and
`from_native` in `fields.py`.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from crmctl.capability import Capability, Definition
from crmctl.client import Client
from crmctl.errors import Unsupported
from crmctl.provider import NO_IDS, NO_SCOPE, Page, Receipt, Resolution, Scope
from crmctl.providers import DEFAULTS, Endpoint, Options
from crmctl.providers.thena.customs import CUSTOM, CUSTOM_PATHS, DEFINE_ROUTE, define_custom, resolve_customs
from crmctl.providers.thena.fields import ATTRIBUTES, FIELDS, PLAIN, canonical, read_key
from crmctl.providers.thena.learned import LIMIT, recall
from crmctl.providers.thena.lists import ROUND, SMALLEST, Lists
from crmctl.providers.thena.names import find_default, resolve
from crmctl.providers.thena.reads import SEARCH, Reader
from crmctl.providers.thena.writes import BULK, NOTE_OWNER, SHARED, UPDATE_ROUTES, Writer
from crmctl.resource import Address, Links, Resource

LARGEST_BATCH = 100  # no maximum is documented; the project's own
NO_PLACE = "Thena has no such field"
NO_CLEARING = "can't be cleared, as {} counts where nothing is named: declare that, or leave the field out"

CAPABILITIES: Mapping[str, Capability] = MappingProxyType(
    {
        "account": Capability(
            read=True, create=True, update=True, page_size=LIMIT, ends_empty=True, rekeys=True, needs=("name",),
            doubts=(SMALLEST, ROUND), read_route="GET /v1/accounts", create_route="POST /v1/accounts",
            update_route=UPDATE_ROUTES["account"], evidence="documented",
        ),
        "contact": Capability(
            read=True, create=True, update=True, create_batch=LARGEST_BATCH,
            batch_by=SHARED, look_up_batch=1, page_size=LIMIT, ends_empty=True, dedupes=True,
            refuses_known=True, rekeys=True, refs=("account",), refs_exist=True, needs=("first_name",),
            doubts=(SMALLEST, ROUND), look_up_route=f"GET {SEARCH}",
            read_route="GET /v1/accounts/contacts", create_route=f"POST {BULK}",
            update_route=UPDATE_ROUTES["contact"], evidence="inferred",
        ),
        "note": Capability(
            read=True, create=True, update=True, page_size=LIMIT, ends_empty=True, refs=("account",), refs_exist=True,
            needs=("text",), read_within="account", doubts=(SMALLEST, ROUND),
            read_route="GET /v1/accounts/notes", create_route="POST /v1/accounts/notes",
            update_route=UPDATE_ROUTES["note"], evidence="documented",
        ),
    }
)  # fmt: skip
"""What is documented of a bulk contact are texts; that they are objects is inferred."""


class Thena:
    """Speak to the platform; see `crmctl.provider.Provider` for what the methods promise."""

    endpoint = Endpoint(
        base_url="https://platform.thena.ai",
        hosts=frozenset({"platform.thena.ai"}),
        key_header="x-api-key",
        reads=frozenset(
            {
                *(capability.read_route for capability in CAPABILITIES.values()),
                *(f"GET {path}" for path in CUSTOM_PATHS.values()),
                f"GET {SEARCH}",
                "GET /v1/accounts/attributes",
            }
        ),
    )
    vendor = "thena"

    def __init__(self, client: Client, options: Options = DEFAULTS, learned: dict[str, Any] | None = None) -> None:
        self._client = client
        self._options = options
        self._emails_only = options.items == "emails"
        self._learned = recall(learned)
        self._lists = Lists(client, self._learned)
        self._reader = Reader(self._lists, self._learned)
        self._writer = Writer(client, self._lists, self._learned, emails_only=self._emails_only)

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """Return what can be done with each kind; `page_size` is the size in force after refusals."""
        found = {kind: can._replace(page_size=self._learned.limit) for kind, can in CAPABILITIES.items()}
        if self._learned.capped:
            found = {kind: can._replace(doubts=None) for kind, can in found.items()}
        if self._emails_only:
            found["contact"] = found["contact"]._replace(needs=(), bare=True, evidence="documented")
        if self._options.assumed_routes:
            found |= {kind: found[kind]._replace(define_route=DEFINE_ROUTE) for kind in CUSTOM_PATHS}
        return found

    async def resolve(self, desired: Mapping[str, Mapping[str, Resource]]) -> Resolution:
        """Look up attribute values and custom fields, as far as they are declared."""
        findings = await resolve(self._lists, self._learned, desired, ATTRIBUTES)
        define, assumed = self._options.define, self._options.assumed_routes
        customs = await resolve_customs(self._lists, self._learned, desired, define=define, assumed=assumed)
        return Resolution([*findings, *customs.findings], customs.definitions)

    def fit(self, resource: Resource) -> tuple[Resource, Sequence[tuple[str, str]]]:
        """Return a resource as Thena can hold it: values by the names that reads show, accounts as a field."""
        kind = resource.address.kind
        fields: Mapping[str, Any] = resource.fields
        missing: list[tuple[str, str]] = []
        if not fields.keys() <= PLAIN[kind]:  # most are
            fields, missing = self._fit_fields(kind, fields)
        if kind == "contact" and "account" in resource.refs and "accounts" not in fields:
            fields = {**fields, "accounts": Links([resource.refs["account"].key])}
        if kind == "note" and "account" not in resource.refs:
            missing.append(("", NOTE_OWNER))
        elif kind == "note" and "contact" in resource.refs:
            missing.append(("contact", NOTE_OWNER))
            # So it is known by its account alone, as reads show it.
            resource = resource._replace(refs={"account": resource.refs["account"]})
        return resource if fields is resource.fields else resource._replace(fields=fields), missing

    async def read(
        self, kind: str, spellings: Sequence[str] | None, fields: Sequence[str], scope: Scope = NO_SCOPE
    ) -> AsyncGenerator[Page, None]:
        """Read live records: contacts by key, or everything; of notes, those on the accounts that the scope names.

        Where there are no look-ups by key, everything comes. Deleted records are left out.
        """
        async for page in self._reader.read(kind, spellings, fields, scope):
            yield page

    async def folds_case(self, kind: str) -> bool:
        """Tell whether a look-up finds a contact whose address is stored in another case: ask for an existing one.

        While no contact has an address with a letter there is nothing to miss: True.
        """
        return kind != "contact" or await self._reader.folds_case()

    async def finds_by_text(self, kind: str) -> bool | None:
        """Tell that nothing is found by text: the API has no such search; None while there is nothing to find."""
        return False if await self._reader.find_any(kind) else None

    async def search(self, kind: str, text: str, fields: Sequence[str]) -> AsyncGenerator[Page, None]:
        """Search for a text: contacts by key, since there is no other search, else everything."""
        async for page in self._reader.read(kind, [text], fields, NO_SCOPE):
            yield page

    async def carries(self, kind: str, field: str) -> bool | None:
        """Tell whether reads return a field, as the answers so far have shown."""
        if field.startswith(CUSTOM):
            return self._learned.custom_read.get(kind)
        known = FIELDS[kind].get(field)
        if known is None or known.form == "unread":
            return False
        return self._learned.carried.get((kind, "accounts" if known.form == "links" else known.member))

    async def define(self, definitions: Sequence[Definition]) -> None:
        """Make custom fields, where assumed routes are allowed: what the request looks like is not documented."""
        for definition in definitions:
            if not self._options.assumed_routes:
                raise Unsupported(f"custom field {definition.slug}: Thena documents no request that makes one")
            await define_custom(self._client, self._learned, definition)

    async def create(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Create contacts in bulk, other records one by one; only the latter have no server that dedupes them."""
        sent = tuple(resource.address for resource in batch)
        if sent[0].kind == "contact":
            await self._writer.create_contacts(batch, ids)
            return Receipt(sent)
        found: dict[Address, str] = {}
        for resource in batch:
            row = await self._writer.create_one(resource, ids)
            # A server that knows the domain may answer with somebody else's record, but never with another key.
            if resource.address.kind != "account" or read_key("account", row) in {"", resource.address.key}:
                found[resource.address] = row["id"]
        return Receipt(sent, found)

    async def update(self, batch: Sequence[Resource], ids: Mapping[Address, str] = NO_IDS) -> Receipt:
        """Put records, each by its id; what is named `accounts` replaces all of a contact's accounts."""
        for resource in batch:
            await self._writer.put(resource, ids)
        return Receipt(tuple(resource.address for resource in batch))

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _fit_fields(self, kind: str, fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[tuple[str, str]]]:
        """Return fields as reads show them, themselves if that is what they are, and those without a place."""
        table = FIELDS[kind]
        fitted: dict[str, Any] = {}
        missing: list[tuple[str, str]] = []
        for name, value in fields.items():
            attribute = table[name].attribute if name in table else ""
            default = find_default(self._learned.attributes.get(attribute, ()))
            if default is not None and value in (None, ""):
                missing.append((name, NO_CLEARING.format(default.name)))
            elif name in table or (name.startswith(CUSTOM) and kind in CUSTOM_PATHS):
                fitted[name] = canonical(kind, name, value, self._learned)
            elif not name.startswith("octolane."):
                missing.append((name, NO_PLACE))
        return fields if fitted == fields else fitted, missing
