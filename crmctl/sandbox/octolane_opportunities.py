"""Create and patch Octolane's opportunities (docs/octolane.md).

In: items that the contract has passed. Out: as of `Writer`: which record each item came to. An opportunity names its
stage, owner, account and contacts by what a person knows of them; here they become ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmctl.sandbox.bodies import dump_json
from crmctl.sandbox.octolane_keys import normalise_key
from crmctl.sandbox.octolane_owners import Owner, find_owner
from crmctl.sandbox.octolane_stages import Stage, find_stage, read_stages
from crmctl.sandbox.octolane_tables import WRITABLE, BadValueError
from crmctl.sandbox.octolane_wire import Outcome
from crmctl.sandbox.octolane_writes import Row, Writer
from crmctl.sandbox.problems import RequestError

_APART = ("stage_id", "stage_name", "owner_id", "owner_email", "custom_attributes")
"""Members that are not stored as they come."""

_RELATIONS = {"opportunity_account": "account_id", "opportunity_contact": "contact_id"}
_STAKEHOLDERS = "opportunity_other_stakeholders"


@dataclass(slots=True, eq=False, repr=False)
class _Draft:
    """A new opportunity, or one that is there already, and the keys of what it refers to, with their spelling."""

    row: Row
    exists: bool = False
    account: dict[str, str] = field(default_factory=dict)
    contact: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False, repr=False)
class OpportunityWriter(Writer):
    """One bulk write of opportunities within one transaction."""

    _stages: dict[str, list[Stage]] = field(default_factory=dict, init=False)
    _named: dict[tuple[str, str], Row] = field(default_factory=dict, init=False)

    def create(self, items: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Create opportunities, and whatever they refer to that is missing, if the switch says so."""
        drafts: list[_Draft] = []
        for item in items:
            try:
                drafts.append(self._draft(item))
            except (RequestError, BadValueError) as error:
                self._bad(f"{item['opportunity'].get('name')}: {error}", error)
        accounts = self._relate("accounts", [draft.account for draft in drafts])
        contacts = self._relate("contacts", [{**draft.contact, **draft.others} for draft in drafts])
        linked: list[_Draft] = []
        left_out: set[str] = set()
        for draft in drafts:
            try:
                if not draft.exists:
                    self._link(draft, accounts, contacts)
                linked += [draft] * (draft.row["id"] not in left_out)
            except RequestError as error:
                self._bad(f"{draft.row['name']}: {error}", error)
                left_out.add(draft.row["id"])
        self._insert(self.table, [draft.row for draft in linked if not draft.exists])
        self._log("resolved", self.table, [draft.row["id"] for draft in linked if draft.exists])
        return [Outcome(draft.row["id"], created=not draft.exists) for draft in linked]

    def _draft(self, item: Mapping[str, Any]) -> _Draft:
        given, related = item["opportunity"], item.get("related_objects", {})
        pipeline_id, name = item["pipeline_id"].lower(), given.get("name")
        stages = self._stages_of(pipeline_id)
        if not name and self.switches.opportunity_name == "required":
            raise RequestError(400, "name: a new opportunity needs one")
        same = self._find_same(pipeline_id, name)
        if same is not None:
            return _Draft(same, exists=True)
        row: Row = dict.fromkeys(self.table.names)
        row["id"] = row["key"] = self.store.make_id()
        row["pipeline_id"], row["custom"], row["additional_contacts"] = pipeline_id, "{}", "[]"
        _put_stage(
            row,
            find_stage(stages, given.get("stage_id"), given.get("stage_name"), self.switches) or self._first(stages),
        )
        _put_owner(row, find_owner(related.get("owner_id"), related.get("owner_email"), self.switches))
        self._merge(row, {n: v for n, v in given.items() if n not in _APART}, creating=True, fresh=True)
        row.update(self._merge_custom("{}", given.get("custom_attributes", {}), only_blank=False))
        draft = _Draft(
            row,
            account=self._read_key("accounts", related.get("account_domain")),
            contact=self._read_key("contacts", related.get("primary_contact_email")),
        )
        for address in related.get("additional_contact_emails", ()):
            draft.others |= self._read_key("contacts", address)
        row["created_at"] = row["updated_at"] = self.stamps()
        if name:
            self._named.setdefault((pipeline_id, name), row)
        return draft

    def _link(self, draft: _Draft, accounts: Mapping[str, Row], contacts: Mapping[str, Row]) -> None:
        """Put ids in the place of keys."""
        account, contact = self._pick(draft.account, accounts), self._pick(draft.contact, contacts)
        others = {row["id"]: None for key in draft.others if (row := self._pick({key: ""}, contacts))}
        if account is None and contact is not None and self.switches.account_from_contact == "yes":
            draft.row["account_id"] = contact["account_id"]
        elif account is not None:
            draft.row["account_id"] = account["id"]
        if contact is not None:
            draft.row["contact_id"] = contact["id"]
            others.pop(contact["id"], None)
        draft.row["additional_contacts"] = dump_json(list(others))

    def _pick(self, wanted: Mapping[str, str], found: Mapping[str, Row]) -> Row | None:
        for key in wanted:
            if key not in found and self.switches.related_missing == "404":
                raise RequestError(404, f"related_objects: there is no {key}")
            return found.get(key)
        return None

    def _relate(self, kind: str, wanted: Sequence[Mapping[str, str]]) -> dict[str, Row]:
        """Return the rows of what the drafts refer to, by key."""
        merged = {key: spelling for one in wanted for key, spelling in one.items()}
        if not merged:
            return {}
        writer = Writer(self.store, self.connection, kind, self.switches, self.stamps, self.route)
        ids = writer.relate(merged, create=self.switches.related_missing == "create")
        rows = writer.read_rows(list(ids.values()))
        return {key: rows[id_] for key, id_ in ids.items()}

    def _read_key(self, kind: str, spelling: str | None) -> dict[str, str]:
        return {} if spelling is None else {normalise_key(kind, spelling, self.switches)[0]: spelling}

    def _stages_of(self, pipeline_id: str) -> list[Stage]:
        if pipeline_id not in self._stages:
            self._stages[pipeline_id] = read_stages(self.connection, pipeline_id)
        return self._stages[pipeline_id]

    def _first(self, stages: Sequence[Stage]) -> Stage | None:
        """Return the stage of an opportunity that names none."""
        if self.switches.no_stage == "reject":
            raise RequestError(400, "stage_id: a new opportunity needs a stage")
        default = [stage for stage in stages if stage.is_default and self.switches.no_stage == "default"]
        return next(iter([*default, *stages]), None)

    def _find_same(self, pipeline_id: str, name: str | None) -> Row | None:
        """Find the opportunity that a create is taken to mean, where names deduplicate."""
        if self.switches.opportunity_dedupe == "none" or not name:
            return None
        stored = next((row for row in self._find("name", [name]) if row["pipeline_id"] == pipeline_id), None)
        return stored or self._named.get((pipeline_id, name))

    def _read_patch(self, row: Row, item: Mapping[str, Any], *, others: Mapping[str, Row]) -> Mapping[str, Any]:
        """Put new references into a row; each of the three relationship fields replaces its mapping."""
        del others  # opportunities have no key that two could want
        for name, column in _RELATIONS.items():
            if name in item:
                row[column] = item[name] and self._check_ids(name, [item[name]])[0]
        if _STAKEHOLDERS in item:
            row["additional_contacts"] = dump_json(self._check_ids(_STAKEHOLDERS, item[_STAKEHOLDERS] or []))
        self._patch_stage(row, item)
        if "owner_id" in item or "owner_email" in item:
            _put_owner(row, find_owner(item.get("owner_id"), item.get("owner_email"), self.switches))
        custom = item.get("custom_attributes", {})
        plain = {n: v for n, v in item.items() if n not in (*_APART, *_RELATIONS, _STAKEHOLDERS)}
        self._check_custom(item, plain)
        row.update(self._merge_custom(row["custom"], self._without_nulls(custom), only_blank=False))
        return plain

    def _check_custom(self, item: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
        if self.switches.patch_custom == "top_level" and "custom_attributes" in item:
            raise RequestError(400, "custom_attributes: there is no such field")
        if self.switches.patch_custom == "custom_attributes":
            unknown = [name for name in plain if name not in WRITABLE[self.kind]]
            if unknown:
                raise RequestError(400, f"{unknown[0]}: there is no such field")

    def _without_nulls(self, custom: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.switches.patch_null == "clears":
            return custom
        return {name: value for name, value in custom.items() if value is not None}

    def _patch_stage(self, row: Row, item: Mapping[str, Any]) -> None:
        if ("stage_id" not in item and "stage_name" not in item) or self.switches.patch_stage == "ignored":
            return
        if self.switches.patch_stage == "rejected":
            raise RequestError(400, "stage_id: the stage cannot be changed")
        stages = self._stages_of(row["pipeline_id"])
        _put_stage(row, find_stage(stages, item.get("stage_id"), item.get("stage_name"), self.switches))

    def _check_ids(self, name: str, given: Sequence[str]) -> list[str]:
        """Return ids of accounts or contacts as they are stored, each once."""
        ids = list(dict.fromkeys(id_.lower() for id_ in given))
        kind = "accounts" if name == "opportunity_account" else "contacts"
        writer = Writer(self.store, self.connection, kind, self.switches, self.stamps, self.route)
        missing = [id_ for id_ in ids if id_ not in writer.read_rows(ids)]
        if missing:
            raise RequestError(int(self.switches.unknown_reference), f"{name}: there is no {missing[0]}")
        return ids


def _put_stage(row: Row, stage: Stage | None) -> None:
    row["stage_id"], row["stage_name"] = (stage.stage_id, stage.label) if stage else (None, None)


def _put_owner(row: Row, owner: Owner | None) -> None:
    row["owner_id"], row["owner_email"] = owner or (None, None)
