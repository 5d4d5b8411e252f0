"""Find out which accounts a contact belongs to, by id: answers show `{id, name}`, or names alone (§7).

A PUT replaces all of a contact's accounts, so what can't be told for certain must not be written.
"""

from collections.abc import Iterable
from typing import Any

from crmctl.errors import Rejected
from crmctl.providers.thena.fields import read_key
from crmctl.providers.thena.learned import Learned
from crmctl.providers.thena.lists import Lists, Row

ACCOUNTS, CONTACTS = "/v1/accounts", "/v1/accounts/contacts"


class Ties:
    """The accounts of the contacts of one read.

    A name that one account bears is that account. Where several do, their contacts are listed: that tells.
    """

    def __init__(self, lists: Lists, learned: Learned) -> None:
        self._lists = lists
        self._learned = learned
        self._contacts: dict[str, frozenset[str]] = {}

    async def trace(self, row: Row) -> list[str] | None:
        """Return the ids of a contact's accounts; None when they can't be established."""
        entries = row.get("accounts")
        if not isinstance(entries, list):
            return [] if entries is None and "accounts" in row else None
        ids: list[str] = []
        names: list[str] = []
        for entry in entries:
            account_id, name = _identify(entry)
            if account_id:
                ids.append(account_id)
                self._learned.account_names.setdefault(account_id, name)
            elif name in self._learned.account_names:
                ids.append(name)  # the texts are ids
            elif name:
                names.append(name)
            else:
                return None
        found = await self._trace_names(row["id"], names) if names else []
        return None if found is None else [*ids, *found]

    async def _trace_names(self, contact_id: str, names: list[str]) -> list[str] | None:
        known = self._learned.account_names
        unknown = set(names) - set(known.values())
        if not self._learned.all_accounts or unknown - self._learned.nameless:
            await self.read_accounts()
            self._learned.nameless |= unknown - set(known.values())
        found: list[str] = []
        for name in set(names):
            bearers = [account for account, called in known.items() if called == name]
            alone = len(bearers) == 1
            found += [bearer for bearer in bearers if alone or contact_id in await self._list_contacts(bearer)]
        return found if sorted(known[account] for account in found) == sorted(names) else None

    async def read_accounts(self) -> None:
        """Learn the names and keys of all accounts."""
        async for rows in self._lists.walk(ACCOUNTS):
            note_accounts(self._learned, rows)
        self._learned.all_accounts = True

    async def _list_contacts(self, account_id: str) -> frozenset[str]:
        if account_id not in self._contacts:
            pages = self._lists.walk(CONTACTS, {"accountId": account_id})
            try:
                found = [row["id"] async for rows in pages for row in rows]
            except Rejected:  # a deleted account, maybe: who is in none of the others can't be traced then
                found = []
            self._contacts[account_id] = frozenset(found)
        return self._contacts[account_id]


def note_accounts(learned: Learned, rows: Iterable[Row]) -> None:
    """Keep what accounts are called, and their keys unless they are deleted."""
    for row in rows:
        if (key := read_key("account", row)) and not row.get("deletedAt"):
            learned.account_keys[row["id"]] = key
            learned.account_ids.setdefault(key, set()).add(row["id"])
        if isinstance(row.get("name"), str):
            learned.account_names[row["id"]] = row["name"]
            learned.nameless.discard(row["name"])


def _identify(entry: Any) -> tuple[str, str]:
    """Return the id and the name that an entry of `accounts` tells, empty where it doesn't."""
    if isinstance(entry, str):
        return "", entry
    if not isinstance(entry, dict):
        return "", ""
    account_id, name = entry.get("id"), entry.get("name")
    return account_id if isinstance(account_id, str) else "", name if isinstance(name, str) else ""
