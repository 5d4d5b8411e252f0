"""What is declared at the moment, and what a CRM has to look like for it: the model behind tests/test_stateful.py.

As simple as can be: records by name, fields by column; no plan, no journal, no request.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos import NAMES, PLURALS

Row = Mapping[str, Any]
Place = tuple[str, str]
"""Where a row is: its table and its id."""
Rows = Mapping[Place, Row]

ACCOUNTS = 2
COLUMNS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "octolane": {
        "account": {"name": "name", "description": "description"},
        "contact": {"first_name": "first_name", "last_name": "last_name"},
        "opportunity": {"deal_size": "deal_size"},
        "note": {},
    },
    "octolane_inbound": {
        "account": {},
        "contact": {"first_name": "first_name", "last_name": "last_name"},
        "opportunity": {},
        "note": {},
    },
    "thena": {
        "account": {"name": "name", "description": "description"},
        "contact": {"first_name": "firstName", "last_name": "lastName"},
        "note": {},
    },
}
"""The fields that records may declare, and the columns that hold them."""
OTHERS = {
    "octolane": {"accounts": "industry", "contacts": "seniority", "opportunities": "next_steps"},
    "thena": {"accounts": "website", "contacts": "phoneNumber", "notes": "visibility"},
}
"""A column of each table that no manifest ever declares."""
DERIVED = {"octolane": {"contacts": {"name", "full_name"}}, "thena": {"notes": {"metadata"}}}
"""What the CRM derives from what is declared, and where crmctl leaves its mark."""
NEEDED = {("thena", "account", "name"), ("thena", "contact", "first_name")}
DEDUPED = {
    "octolane": {"account", "contact"},
    "octolane_inbound": {"account", "contact"},
    "thena": {"contact"},
}
NUMBERS = {"account": ACCOUNTS, "contact": 3, "opportunity": 2, "note": 2}
RENAMED = {
    "octolane": {"contact", "opportunity"},
    "octolane_inbound": {"contact"},
    "thena": {"account", "contact", "note"},
}
"""What may get another key, or another name where the key is ours alone; none that can be neither read nor changed."""
Policies = Mapping[str, Mapping[str, Any]]


@dataclass
class Record:
    """A record that may be declared; `turn` is how often it was renamed, `was` the turn it is declared to have had."""

    kind: str
    number: int
    declared: bool = False
    nested: bool = True
    turn: int = 0
    was: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    def name(self, turn: int | None = None) -> str:
        """Return what it is known by: its key, or its name where the key is ours."""
        turn = self.turn if turn is None else turn
        later = f"-{turn}" if turn else ""
        if self.kind == "account":
            return f"firm{self.number}{later}.example"
        if self.kind == "contact":
            return f"jo{self.number}{later}@firm{self.number % ACCOUNTS}.example"
        return f"{self.kind} {self.number}{later}"

    @property
    def plural(self) -> str:
        """Return its table."""
        return PLURALS[self.kind]


class World:
    """All records that may be declared, for one provider."""

    def __init__(self, provider: str, kinds: Iterable[str], policies: Policies) -> None:
        self.provider = provider
        self.vendor = provider.partition("_")[0]
        self.columns = COLUMNS[provider]
        self.policies = policies
        self.records = [Record(kind, n) for kind in kinds if kind in self.columns for n in range(NUMBERS[kind])]

    def owner(self, record: Record) -> Record | None:
        """Return the account that a record belongs to."""
        accounts = [one for one in self.records if one.kind == "account" and one.number == record.number % ACCOUNTS]
        return accounts[0] if accounts and record.kind != "account" else None

    def current(self) -> list[Record]:
        """Return what is declared: deals and notes stand in their account."""
        return [
            one
            for one in self.records
            if one.declared and (one.kind in {"account", "contact"} or ((o := self.owner(one)) and o.declared))
        ]

    def say(self, record: Record, fields: Mapping[str, Any]) -> None:
        """Declare a record with these fields, as far as its kind has them; what none is without is always there."""
        record.declared = True
        record.fields = {
            name: fields.get(name) or "red" if (self.provider, record.kind, name) in NEEDED else fields[name]
            for name in self.columns[record.kind]
            if name in fields or (self.provider, record.kind, name) in NEEDED
        }

    def manifest(self) -> str:
        """Return the manifest."""
        accounts: list[dict[str, Any]] = []
        inside: dict[int, dict[str, Any]] = {}
        contacts: list[dict[str, Any]] = []
        for record in self.current():
            said: dict[str, Any] = {_MEMBERS[record.kind]: record.name(), **record.fields}
            owner = self.owner(record)
            if record.kind in {"account", "contact"} and record.was is not None:
                said["was"] = record.name(record.was)
            if record.kind in {"opportunity", "note"}:
                said["key"] = f"k{record.number}"
            if record.kind == "opportunity":
                said["pipeline"] = "sales"
            if record.kind == "account":
                inside[record.number] = said
                accounts.append(said)
            elif owner is None or not owner.declared or (record.kind == "contact" and not record.nested):
                contacts.append(said)
            else:
                inside[owner.number].setdefault(record.plural, []).append(said)
        return json.dumps({"accounts": accounts, "contacts": contacts})

    def wanted(self, record: Record) -> dict[str, tuple[Any, str]]:
        """Return, by column, what a record declares and under which policy."""
        policies = self.policies.get(record.kind, {})
        return {
            self.columns[record.kind][name]: (value, policies.get(name, "overwrite"))
            for name, value in record.fields.items()
        }

    def name(self, place: Place, row: Row) -> str:
        """Return what a row is known by."""
        return str(row[NAMES[self.vendor][place[0]]]).lower()

    def named(self, rows: Rows, plural: str, name: str) -> list[Place]:
        """Return where the records of a name are."""
        return [place for place, row in rows.items() if place[0] == plural and self.name(place, row) == name]

    def links(self, record: Record, rows: Rows) -> set[str]:
        """Return the ids of the accounts that a contact has to be linked to."""
        owner = self.owner(record)
        nested = record.kind == "contact" and record.nested and owner is not None and owner.declared
        if self.vendor != "thena" or owner is None or not nested:
            return set()
        return {id_ for _, id_ in self.named(rows, "accounts", owner.name())}

    def address(self, record: Record) -> str:
        """Return the address of a record with a key."""
        return f"{record.kind}/{record.name()}"

    def check_step(self, planned: Rows, before: Rows, after: Rows, created: set[str]) -> None:
        """See that a run has changed nothing but what is declared, and nothing that was changed since it was planned.

        `created` are the addresses that were to be created: what a plan has not found has no values to be kept.
        """
        assert before.keys() <= after.keys()
        declared = {(one.plural, one.name()): one for one in self.current()}
        for place in after:
            old, new = before.get(place), after[place]
            if old == new:
                continue
            record = declared.get((place[0], self.name(place, new)))
            if record is None:
                # An account that the CRM makes along with a contact, or a contact's account with a deal.
                assert place[0] == "accounts", (place, old, new)
                assert old is None, (place, old, new)
                continue
            wanted = self.wanted(record)
            if old is not None:
                self.check_change(record, place, old, new, wanted)
            for column, (value, policy) in wanted.items():
                if old is None:
                    assert same(new[column], None if policy == "ignore" else value), (record, new)
                elif self.address(record) in created:
                    assert same(new[column], value) or same(new[column], old[column]), (record, old, new)
                elif place in planned and not same(planned[place][column], old[column]):
                    assert same(new[column], old[column]), ("somebody else's", record, old, new)
                else:
                    assert same(new[column], old[column]) or same(new[column], after_policy(policy, old[column], value))
            if old is not None and "accountIds" in new:
                linked = {*json.loads(old["accountIds"])}
                assert linked <= {*json.loads(new["accountIds"])} <= linked | self.links(record, after)

    def check_change(self, record: Record, place: Place, old: Row, new: Row, wanted: Mapping[str, Any]) -> None:
        """See that a record is the one that is declared, and that no other columns of it have changed."""
        if record.kind in {"account", "contact"}:
            former = set() if record.was is None else {record.name(record.was)}
            assert self.name(place, old) in {record.name(), *former}, (record, old, new)
        else:
            assert self.name(place, old).startswith(f"{record.kind} {record.number}"), (record, old, new)
        changed = {column for column in new if old[column] != new[column]}
        bookkeeping = {"key", "bareDomain", "foldedEmail", "accountIds", NAMES[self.vendor][place[0]]}
        derived = DERIVED[self.vendor].get(place[0], set())
        assert changed <= {*wanted, *bookkeeping, *derived}, (record, old, new)

    def expect(self, before: Rows) -> tuple[dict[tuple[str, str], dict[str, Any]], set[str]]:
        """Return what has to be there in the end, by table and name; and the addresses that a plan can but report."""
        expected: dict[tuple[str, str], dict[str, Any]] = {}
        reported: set[str] = set()
        for record in self.current():
            wanted = self.wanted(record)
            found = self.named(before, record.plural, record.name())
            name = record.name()
            if not found and record.was is not None:
                found = self.named(before, record.plural, record.name(record.was))
                if found and self.vendor == "octolane":
                    # Octolane documents no way to give a record another key.
                    name = record.name(record.was)
                    reported.add(self.address(record))
            there = before[found[0]] if found else None
            values = {
                column: value if there is None else after_policy(policy, there[column], value)
                for column, (value, policy) in wanted.items()
                if there is not None or policy != "ignore"
            }
            differs = there is not None and any(not same(there[column], value) for column, value in values.items())
            if differs and self.provider == "octolane_inbound":
                reported.add(self.address(record))
            if self.address(record) in reported and there is not None:
                values = {column: there[column] for column in values}
            expected[record.plural, name] = values
        return expected, reported


_MEMBERS = {"account": "domain", "contact": "email", "opportunity": "name", "note": "text"}


def after_policy(policy: str, before: Any, wanted: Any) -> Any:
    """Return what a field has to hold that held something before."""
    if policy == "overwrite" or (policy == "fill_empty" and same(before, None)):
        return wanted
    return before


def same(left: Any, right: Any) -> bool:
    """Tell whether two values are one: nothing and an empty text are."""
    return (left or None) == (right or None)
