"""Write Thena's records: contacts in bulk, accounts and notes one by one, updates by PUT.

In: resources as they fit, and the ids of what they refer to. Out: nothing for a bulk create, whose answer are counts;
the row that is answered to a single one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crmctl.client import Client
from crmctl.errors import Ambiguous, BudgetSpent, Rejected, Unsupported
from crmctl.identity import normalise
from crmctl.providers.thena.fields import CONTACT_TYPE, MARK, to_native, write_value
from crmctl.providers.thena.learned import Learned, Ways
from crmctl.providers.thena.lists import Lists, Row, fits_address, read_row, unwrap
from crmctl.providers.thena.reads import PATHS
from crmctl.providers.thena.ties import CONTACTS, Ties, note_accounts
from crmctl.providers.thena.ways import Choice, improve, list_choices, send
from crmctl.resource import Address, Resource

BULK = f"{CONTACTS}/bulk"
SHARED = ("accounts", "type", "thena.source")
"""What a bulk create says once, for all of its contacts."""
NOTE_OWNER = "Thena's notes belong to accounts alone"
UPDATE_ROUTES: Mapping[str, str] = {
    "account": "PUT /v1/accounts/{id}",
    "contact": "PUT /v1/accounts/contacts/{contactId}",
    "note": "PUT /v1/accounts/notes/{noteId}",
}


class Writer:
    """What is sent to one organisation; `emails_only`: a bulk create takes addresses and nothing else."""

    def __init__(self, client: Client, lists: Lists, learned: Learned, *, emails_only: bool) -> None:
        self._client = client
        self._lists = lists
        self._learned = learned
        self._emails_only = emails_only

    async def create_contacts(self, batch: Sequence[Resource], ids: Mapping[Address, str]) -> None:
        """Create contacts that share their accounts, type and source."""
        shared = batch[0].fields
        for name in SHARED:
            if any(_plain(resource.fields.get(name)) != _plain(shared.get(name)) for resource in batch):
                raise ValueError(f"contacts of one request differ in {name}")
        envelope: dict[str, Any] = {}
        if accounts := await self._list_accounts(batch[0], ids):
            envelope["accountIds"] = accounts
        if shared.get("type"):
            envelope["contactType"] = write_value(self._learned, CONTACT_TYPE, shared["type"], Ways())
        if shared.get("thena.source"):
            envelope["source"] = shared["thena.source"]
        people = [_declared(resource, {"type"}) for resource in batch]

        def build(ways: Ways) -> dict[str, Any]:
            items = [fields["email"] for fields in people]
            if not self._emails_only:
                items = [to_native("contact", fields, self._learned, ways, {}) for fields in people]
            return {"contacts": items, **envelope}

        choices: set[Choice] = set()
        for fields in () if self._emails_only else people:
            choices |= list_choices("contact", fields)
        route = f"POST {BULK}"
        answer = await send(self._client, route, BULK, build, self._learned, choices, repeatable=True)
        counts = unwrap(route, answer)
        numbers = [counts.get(name) if isinstance(counts, dict) else None for name in ("total", "created", "skipped")]
        total, created, skipped = (number if type(number) is int and number >= 0 else -1 for number in numbers)
        if total != len(batch) or created + skipped != total or -1 in {created, skipped}:
            raise Ambiguous(f"{route}: the answer's counts are not those of {len(batch)} contacts: look what is there")

    async def create_one(self, resource: Resource, ids: Mapping[Address, str]) -> Row:
        """Create an account or a note; the answer's schema has its id."""
        kind, path = resource.address.kind, PATHS[resource.address.kind]
        fields = _declared(resource, set())
        choices = list_choices(kind, fields)
        owner: dict[str, Any] = {}
        if kind == "note":
            if "account" not in resource.refs:
                raise Unsupported(f"{resource.address}: {NOTE_OWNER}")
            owner = {"accountId": await self._find_account(resource.refs["account"].key, ids)}
            choices |= {"mark"} if "thena.metadata" not in fields else set()

        def build(ways: Ways) -> dict[str, Any]:
            body = {**owner, **to_native(kind, fields, self._learned, ways, {})}
            if kind == "note" and ways.mark:
                body["metadata"] = {**body.get("metadata", {}), MARK: str(resource.address)}
            return body

        route = f"POST {path}"
        answer = await send(self._client, route, path, build, self._learned, choices, repeatable=False)
        row = read_row(route, answer)
        self._heed(kind, build(self._learned.ways), row)
        return row

    async def put(self, resource: Resource, ids: Mapping[Address, str]) -> None:
        """Put one record; again, in another way, if the answer shows that it did something else."""
        kind = resource.address.kind
        if resource.remote_id is None:
            raise ValueError(f"{resource.address} has no remote id to update by")
        held = self._learned.rows.get((kind, resource.remote_id), {})
        links = {"accountIds": await self._list_accounts(resource, ids)} if "accounts" in resource.fields else {}

        def build(ways: Ways) -> dict[str, Any]:
            body = {**to_native(kind, resource.fields, self._learned, ways, held), **links}
            if kind == "note" and "metadata" in body:
                body["metadata"][MARK] = str(resource.address)
            return body

        route = UPDATE_ROUTES[kind]
        path = f"{PATHS[kind]}/{_quote(resource.remote_id, route)}"
        choices = list_choices(kind, resource.fields)
        tried: set[Ways] = set()
        while self._learned.ways not in tried and (body := build(self._learned.ways)):
            try:
                answer = await send(self._client, route, path, build, self._learned, choices, repeatable=True)
            except BudgetSpent as error:
                if not tried:
                    raise
                raise Ambiguous(f"{route}: done, but maybe not all of it: {error}") from error
            row = read_row(route, answer)
            self._heed(kind, body, row)
            tried.add(self._learned.ways)
            self._learned.ways = improve(kind, resource.fields, body, row, held, self._learned)
        self._learned.rows.pop((kind, resource.remote_id), None)

    def _heed(self, kind: str, body: Mapping[str, Any], row: Row) -> None:
        """Learn from the answer to a write which members come back at all, and what an account is called."""
        for member, value in body.items():
            if value not in (None, "", [], {}) and (member in row or (kind, member) not in self._learned.carried):
                self._learned.carried[kind, member] = member in row
        if kind == "account":
            note_accounts(self._learned, [row])

    async def _list_accounts(self, resource: Resource, ids: Mapping[Address, str]) -> list[str]:
        links: Iterable[str] = resource.fields.get("accounts") or ()
        return sorted({await self._find_account(key, ids) for key in links})

    async def _find_account(self, key: str, ids: Mapping[Address, str]) -> str:
        """Return an account's id, from its key or as it is; raise Rejected when there is no such account."""
        if (known := ids.get(Address("account", key))) is not None:
            return known
        learned = self._learned
        if key in learned.account_names or normalise("account", key) is None:
            return key
        if key not in learned.account_ids and not learned.all_accounts:
            await Ties(self._lists, learned).read_accounts()
        found = learned.account_ids.get(key, set())
        if len(found) != 1:
            raise Rejected(f"account/{key}: Thena has {len(found) or 'no'} such accounts, so nothing was sent")
        return next(iter(found))


def _declared(resource: Resource, without: set[str]) -> dict[str, Any]:
    """Return what a create sends: there is nothing to clear."""
    return {name: value for name, value in resource.fields.items() if value is not None and name not in without}


def _plain(value: Any) -> Any:
    """Return a value that is equal for the same accounts in another order."""
    return sorted(value) if isinstance(value, list) else value or None


def _quote(remote_id: str, route: str) -> str:
    """Return an id as one segment of a path; it comes from the CRM, and must lead nowhere else."""
    if not remote_id.strip(".") or not fits_address(remote_id):
        raise Rejected(f"{route}: {remote_id[:40]!a} is no id: nothing was sent")
    return quote(remote_id, safe="")
