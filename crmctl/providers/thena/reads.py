"""Read Thena's records: accounts and contacts page by page, contacts by e-mail, notes account by account.

In: a kind, key spellings, names of fields, and the scope. Out: pages of live records.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from crmctl.errors import Rejected
from crmctl.identity import normalise
from crmctl.provider import Page, Record, Scope
from crmctl.providers.thena.fields import FIELDS, from_native, read_key, read_mark, to_write_back
from crmctl.providers.thena.learned import Learned
from crmctl.providers.thena.lists import NOT_FOUND, Lists, Row
from crmctl.providers.thena.ties import ACCOUNTS, CONTACTS, Ties, note_accounts
from crmctl.resource import Address, Resource, recognise

PATHS: Mapping[str, str] = {"account": ACCOUNTS, "contact": CONTACTS, "note": "/v1/accounts/notes"}
SEARCH = f"{CONTACTS}/search"


class View:
    """A scope, looked at from the side of answers: keys by account id, and resources by key and former key.

    Scopes come a thousand times with the same ids: what is known of those is taken from the view `before`.
    """

    def __init__(self, scope: Scope, before: "View | None" = None) -> None:
        self.scope = scope
        self.number = len(scope.ids)
        self.keys: Mapping[str, str]
        self.former: Mapping[str, Resource]
        if before is not None and before.scope.ids is scope.ids and before.number == self.number:
            self.keys = before.keys
        else:
            self.keys = {id_: address.key for address, id_ in scope.ids.items() if address.kind == "account"}
        if before is not None and before.scope.desired is scope.desired:
            self.former = before.former
        else:
            self.former = {one.was: one for one in scope.desired.values() if one.was is not None}

    def find(self, key: str) -> Resource | None:
        """Return what is declared of a record."""
        return self.scope.desired.get(key) or self.former.get(key)


class Reader:
    """The records of one organisation."""

    def __init__(self, lists: Lists, learned: Learned) -> None:
        self._lists = lists
        self._learned = learned
        self._view = View(Scope())

    async def read(
        self, kind: str, spellings: Sequence[str] | None, names: Sequence[str], scope: Scope
    ) -> AsyncGenerator[Page, None]:
        """Yield live records; see `Provider.read`."""
        fields = tuple(names)
        view = self._view = View(scope, self._view)
        ties = Ties(self._lists, self._learned)
        if kind == "note":
            for owner in sorted(
                {resource.refs["account"] for resource in scope.desired.values() if "account" in resource.refs}
            ):
                if owner in scope.ids:
                    async for rows in self._lists.walk(PATHS[kind], {"accountId": scope.ids[owner]}):
                        yield await self._make_page(kind, rows, fields, view, ties, owner)
        elif kind == "contact" and spellings is not None:
            for spelling in spellings:
                yield await self._make_page(kind, await self._search(spelling), fields, view, ties)
        else:
            async for rows in self._lists.walk(PATHS[kind]):
                if kind == "account":
                    note_accounts(self._learned, rows)
                yield await self._make_page(kind, rows, fields, view, ties)
            self._learned.all_accounts = self._learned.all_accounts or kind == "account"

    async def folds_case(self) -> bool:
        """Search for an existing contact with the case of its address swapped."""
        if self._learned.folds_case is None:
            sample = await self._find_sample()
            if sample is None:
                return True
            found = await self._search(sample["email"].swapcase(), exact=False)
            self._learned.folds_case = any(row["id"] == sample["id"] for row in found)
        return self._learned.folds_case

    async def find_any(self, kind: str) -> bool:
        """Tell whether there is any record of a kind."""
        if kind not in {"account", "contact"}:
            return False
        async with aclosing(self._lists.walk(PATHS[kind])) as pages:
            async for _ in pages:
                return True
        return False

    async def _find_sample(self) -> Row | None:
        """Return a contact whose address has a letter."""
        async with aclosing(self._lists.walk(CONTACTS)) as pages:
            async for rows in pages:
                for row in rows:
                    email = row.get("email")
                    if isinstance(email, str) and email.isascii() and email.swapcase() != email:
                        return row
        return None

    async def _search(self, spelling: str, *, exact: bool = True) -> list[Row]:
        """Return the contacts of an address; how the search matches is not documented, so it is compared here."""
        try:
            rows = await self._lists.get(SEARCH, {"email": spelling})
        except Rejected as error:
            if error.status != NOT_FOUND:
                raise
            rows = []
        key = normalise("contact", spelling)
        return [row for row in rows if not exact or read_key("contact", row) == key]

    async def _make_page(
        self,
        kind: str,
        rows: Sequence[Row],
        fields: tuple[str, ...],
        view: View,
        ties: Ties,
        owner: Address | None = None,
    ) -> Page:
        """Return a page of the rows that are not deleted."""
        records: list[Record] = []
        members: set[str] = set()
        unseen = {"accounts" if field.form == "links" else field.member for field in FIELDS[kind].values()}
        unseen = {member for member in unseen if not self._learned.carried.get((kind, member))}
        for row in rows:
            if row.get("deletedAt"):
                continue
            record, carried = await self._make_record(kind, row, fields, view, ties, owner)
            records.append(record)
            members |= carried
            for member in [member for member in unseen if member in row]:
                self._learned.carried[kind, member] = True
                unseen.discard(member)
        return Page(records, members)

    async def _make_record(
        self,
        kind: str,
        row: Row,
        fields: tuple[str, ...],
        view: View,
        ties: Ties,
        owner: Address | None,
    ) -> tuple[Record, set[str]]:
        """Return the record of a row, and the fields that it carries."""
        remote_id: str = row["id"]
        key = read_key(kind, row) if owner is None else read_mark(row).removeprefix("note/")
        wanted = view.find(key)
        declared: Mapping[str, Any] = {} if wanted is None else wanted.fields
        found, carried = from_native(kind, row, fields, self._learned, declared)
        accounts: list[str] | None = None
        if "accounts" in fields and kind == "contact" and (wanted is not None or not view.scope.desired):
            accounts = await ties.trace(row)
            if accounts is None:
                self._learned.unlinked.add(remote_id)
            else:
                self._learned.unlinked.discard(remote_id)
                carried.add("accounts")
                found["accounts"] = await self._name_accounts(accounts, declared.get("accounts"), view, ties)
        differs = any(found.get(name, value) != value for name, value in declared.items())
        if differs or (wanted is None and kind == "note"):
            self._learned.rows[kind, remote_id] = to_write_back(kind, row, accounts)
        if owner is None:
            return Record(key, found, remote_id), carried
        text = from_native(kind, row, ("text",), self._learned, {})[0]
        return Record(recognise(kind, [owner.key], text), found, remote_id, read_mark(row)), carried

    async def _name_accounts(self, ids: Sequence[str], declared: Any, view: View, ties: Ties) -> list[str]:
        """Return accounts by their keys, where those are known; an account that is declared elsewhere is looked for."""
        keys = {account_id: view.keys.get(account_id) for account_id in ids}
        if None in keys.values() and not self._learned.all_accounts:
            elsewhere = [key for key in declared or () if Address("account", key) not in view.scope.ids]
            if elsewhere:
                await ties.read_accounts()
        return sorted(key or self._name_account(account_id) for account_id, key in keys.items())

    def _name_account(self, account_id: str) -> str:
        """Return the key of an account, or its id if it has none of its own."""
        key = self._learned.account_keys.get(account_id, "")
        return key if len(self._learned.account_ids.get(key, ())) == 1 else account_id
