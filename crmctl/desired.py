"""Stage 3: checked documents to desired resources: defaults, keys, references, duplicates.

Pure. In: the documents of one file after another. Out: `Desired`, every kind sorted by key, so that the order of files
changes nothing; or diagnostics.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from crmctl.errors import Diagnostic, Findings, UsageError
from crmctl.identity import explain, normalise
from crmctl.kinds import COMPOSED, FORMER_KEY, KINDS, OWN_KEY, SECTIONS, Kind
from crmctl.parser import Document
from crmctl.resource import Address, Fields, Items, Resource, Source, compose


class Notice(NamedTuple):
    """Something a person should know that is no error; `value` goes where the text says `{value}`."""

    source: Source | None
    address: Address
    text: str
    value: Any = None


class Desired(NamedTuple):
    """What the manifests declare: for each kind its resources by key, sorted; and what was read other than written."""

    resources: Mapping[str, Mapping[str, Resource]]
    notices: tuple[Notice, ...] = ()


def select(desired: Desired, only: Sequence[str], exclude: Sequence[str]) -> Desired:
    """Keep what one of the `only` patterns names (everything if there are none) and no `exclude` pattern does.

    A pattern is KIND or KIND/KEY-GLOB.
    """
    if not only and not exclude:
        return desired
    wanted, unwanted = [_pattern(text) for text in only], [_pattern(text) for text in exclude]

    def keep(address: Address) -> bool:
        chosen = not wanted or any(_names(pattern, address) for pattern in wanted)
        return chosen and not any(_names(pattern, address) for pattern in unwanted)

    resources = {
        kind: {key: resource for key, resource in records.items() if keep(resource.address)}
        for kind, records in desired.resources.items()
    }
    return Desired(resources, tuple(notice for notice in desired.notices if keep(notice.address)))


def _pattern(text: str) -> tuple[str, str]:
    kind, _, glob = text.partition("/")
    if kind not in KINDS:
        raise UsageError(f"{text!r} names no kind: write KIND or KIND/KEY-GLOB, KIND being one of {', '.join(KINDS)}")
    # A key that is spelled out may be spelled as in a manifest.
    plain = not any(letter in glob for letter in "*?[%")
    return kind, (normalise(kind, glob) if plain else None) or glob.lower() or "*"


def _names(pattern: tuple[str, str], address: Address) -> bool:
    kind, glob = pattern
    if kind != address.kind:
        return False
    # Whoever copies an address out of a plan has it percent-encoded.
    shown = "%" in glob and fnmatchcase(str(address).removeprefix(f"{kind}/").lower(), glob)
    return shown or fnmatchcase(address.key.lower() if kind in COMPOSED else address.key, glob)


SEVERAL = "accounts"
"""The member of a contact that names all accounts it is linked to; `account` and nesting say one of them."""

PEOPLE = ("primary_contact_email", "additional_contact_emails")
"""The members of an opportunity that name contacts."""

# What a record holds besides plain fields: keys of ours, references, sections, and the records nested in it.
_APART = {
    kind.name: frozenset(
        (
            FORMER_KEY,
            *((OWN_KEY,) if kind.composed else ()),
            *((SEVERAL,) if kind.name == "contact" else ()),
            *SECTIONS,
            *kind.refs,
            *(KINDS[child].plural for child in kind.children),
        )
    )
    for kind in KINDS.values()
}


class Collector:
    """Gathers the resources of many files; `finish` gives the desired state."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Resource]] = {name: {} for name in KINDS}
        self.notices: list[Notice] = []
        self.diagnostics = Findings()

    def add(self, documents: list[Document]) -> None:
        """Take the documents of one file; its `defaults` hold for all of them."""
        roots = [document.root for document in documents if document.root is not None]
        defaults: dict[str, Fields] = {}
        for root in roots:
            declared = root.get("defaults")
            if declared is None:
                continue
            for name, fields in declared.items():
                if name in defaults:
                    message = f"defaults of this kind stand twice in the file (first at {defaults[name].source()})"
                    self.diagnostics.append(Diagnostic(declared.source_of(name), f"{message}: join them"))
                else:
                    defaults[name] = fields
        for root in roots:
            for kind in KINDS.values():
                self.take(kind, root.get(kind.plural), defaults, {})

    def take(
        self, kind: Kind, records: Items | None, defaults: Mapping[str, Fields], inherited: Mapping[str, Address]
    ) -> None:
        """Take a list of records, and those nested in them; `inherited` refers to the record that it is nested in."""
        if not records:
            return
        name, key_field, apart, fallback = kind.name, kind.key_field, _APART[kind.name], defaults.get(kind.name)
        taken = self.resources[name]
        # Nearly all records are plain: they have a key and fields, are sent as they are written, and hold no others.
        plain = not kind.composed and not fallback
        for index, record in enumerate(records):
            written = record[key_field]
            key = normalise(name, written)
            if plain and key == written and apart.isdisjoint(record):
                resource = Resource(Address(name, written), record, inherited, record)
                first = taken.setdefault(written, resource)
                if first is not resource:
                    self.refuse_second(kind, records, index, first)
                continue
            if key is None:
                self.refuse(kind, record)
                address = Address(name, written)
            else:
                resource = self.resource(kind, record, Address(name, key), fallback, inherited)
                address = resource.address
                first = taken.setdefault(address.key, resource)
                if first is not resource:
                    self.refuse_second(kind, records, index, first)
            for child in kind.children:
                if nested := record.get(KINDS[child].plural):
                    self.take(KINDS[child], nested, defaults, {name: address})

    def resource(
        self,
        kind: Kind,
        record: Fields,
        address: Address,
        fallback: Fields | None,
        inherited: Mapping[str, Address],
    ) -> Resource:
        """Return what a record declares; `address` is what its own key says, for a composed one just its name."""
        apart, key_field = _APART[kind.name], kind.key_field
        written = record[key_field]
        refs = self.references(kind, record, fallback, address, inherited) if kind.refs else inherited
        sent = written if kind.composed else self.spelling(kind, record, address)
        fields: Mapping[str, Any] = record
        if fallback or sent != written or not apart.isdisjoint(record):
            fields = self.fields(record, fallback, apart)
            if key_field in fields:
                fields[key_field] = sent
        if SEVERAL in record:
            refs = self.link(record, address, refs)
            fields = {**fields, SEVERAL: sorted({ref.key for ref in refs.values()})}
        if kind.composed:
            address = Address(kind.name, self.own_key(kind, record, fallback, refs, fields))
            refs = self.people(record, refs)
        was = self.former_key(kind, record, address) if FORMER_KEY in record else None
        return Resource(address, fields, refs, record, was=was)

    def fields(self, record: Fields, fallback: Fields | None, apart: frozenset[str]) -> dict[str, Any]:
        """Return the fields that a record declares, then those its file has defaults for; sections are flattened."""
        fields = {name: value for name, value in record.items() if name not in apart}
        for section in SECTIONS:
            for name, value in (record.get(section) or {}).items():
                fields[f"{section}.{name}"] = value
        for name, value in (fallback or {}).items():
            if name in SECTIONS:
                for inner, default in value.items():
                    fields.setdefault(f"{name}.{inner}", default)
            elif name not in record and name not in apart:
                fields[name] = value
        return fields

    def link(self, record: Fields, address: Address, refs: Mapping[str, Address]) -> Mapping[str, Address]:
        """Add the accounts that a contact says it is linked to: all there are, with the one it is nested in."""
        written: Items = record[SEVERAL]
        linked = dict(refs)
        for index, text in enumerate(written):
            key, path = normalise("account", text), f"{SEVERAL}[{index}]"
            if key is None:
                wrong = Diagnostic(written.source_of(index), explain("account", text), address, path, text)
                self.diagnostics.append(wrong)
            elif Address("account", key) not in linked.values():
                linked[path] = Address("account", key)
        return linked

    def own_key(
        self,
        kind: Kind,
        record: Fields,
        fallback: Fields | None,
        refs: Mapping[str, Address],
        fields: Mapping[str, Any],
    ) -> str:
        """Return the composed key of a record: what it belongs to, its pipeline if it has one, and its name there."""
        owners = [refs[referred].key for referred in kind.refs if referred in refs]
        pipeline = fields.get("pipeline", fields.get("pipeline_id"))
        name: str = record.get(OWN_KEY) or record[kind.key_field]
        key = compose(*owners, *(() if pipeline is None else (pipeline,)), name.strip())
        shared: Mapping[str, Any] = fallback or {}
        if not owners and not any(record.get(name, shared.get(name)) for name in kind.refs):
            named = " or ".join(f"`{name}:`" for name in kind.refs)
            message = f"belongs to no record: name its {named}, or nest it there"
            self.diagnostics.append(Diagnostic(record.source(), message, Address(kind.name, key)))
        return key

    def people(self, record: Fields, refs: Mapping[str, Address]) -> Mapping[str, Address]:
        """Add the contacts that an opportunity names: they are written before it."""
        linked = dict(refs)
        for name in PEOPLE:
            written = record.get(name)
            for text in written if isinstance(written, list) else [written]:
                key = normalise("contact", text) if text else None
                if key is not None:
                    linked[f"{name}:{key}"] = Address("contact", key)
        return linked

    def spelling(self, kind: Kind, record: Fields, address: Address) -> str:
        """Return a record's key as it is to be sent: a domain normalised, an e-mail address as written."""
        written: str = record[kind.key_field]
        if kind.key_field == "email":
            return written.strip()
        if address.key != written:
            place = record.source_of(kind.key_field)
            self.notices.append(Notice(place, address, f"{kind.key_field} {{value}} is read as {address.key}", written))
        return address.key

    def former_key(self, kind: Kind, record: Fields, address: Address) -> str | None:
        """Return the key that a record had before, normalised."""
        written = record[FORMER_KEY]
        key = normalise(kind.name, written)
        if key is None or key == address.key:
            problem = explain(kind.name, written) if key is None else "{value} is the key it has now: leave `was` out"
            place = record.source_of(FORMER_KEY)
            self.diagnostics.append(Diagnostic(place, problem, address, FORMER_KEY, written))
            return None
        return key

    def refuse(self, kind: Kind, record: Fields) -> None:
        """Report a key that is none."""
        name, written, place = kind.key_field, record[kind.key_field], record.source_of(kind.key_field)
        problem = explain(kind.name, written)
        self.diagnostics.append(Diagnostic(place, problem, Address(kind.name, written), name, written))

    def refuse_second(self, kind: Kind, records: Items, index: int, first: Resource) -> None:
        """Report a record whose key another one has."""
        before, place = first.source_of(kind.key_field), records[index].source_of(kind.key_field)
        if before == place:
            # An alias, or a mapping that got its key by `<<`: the two are told apart by where they stand.
            before, place = first.source, records.source_of(index)
        message = f"declared twice (first at {before}): keep one"
        self.diagnostics.append(Diagnostic(place, message, first.address))

    def references(
        self,
        kind: Kind,
        record: Fields,
        fallback: Fields | None,
        address: Address,
        inherited: Mapping[str, Address],
    ) -> Mapping[str, Address]:
        """Return what a record refers to: the record it is nested in, or what its reference field names."""
        refs = inherited
        for name, referred in kind.refs.items():
            if inherited:
                if name in record:
                    owner = next(iter(inherited.values()))
                    message = f"a record nested in {owner} belongs to it: leave `{name}` out, or move the record"
                    place = record.source_of(name, value=False)
                    self.diagnostics.append(Diagnostic(place, message, address, name, record[name]))
                continue
            origin = record if name in record or fallback is None else fallback
            written = origin.get(name)
            if written is None:
                continue
            key = normalise(referred, written)
            if key is not None:
                refs = {**refs, name: Address(referred, key)}
                continue
            wrong = Diagnostic(origin.source_of(name), explain(referred, written), address, name, written)
            if origin is record:
                self.diagnostics.append(wrong)
            elif all(found.source != wrong.source for found in self.diagnostics):
                # A default is wrong once, however many records it would have been for.
                self.diagnostics.append(wrong._replace(address=None, field=f"defaults.{kind.name}.{name}"))
        return refs

    def renamed(self, resource: Resource) -> Resource:
        """Return a record with the key that it had while what it belongs to had its former key."""
        kind = KINDS[resource.address.kind]
        owners = [resource.refs[name] for name in kind.refs if name in resource.refs]
        former = [self.former(owner) for owner in owners]
        if former == [owner.key for owner in owners]:
            return resource
        rest = resource.address.key.split("/")[len(owners) :]
        return resource._replace(was="/".join([compose(*former), *rest]))

    def former(self, address: Address) -> str:
        """Return the key that a record had before, or has."""
        declared = self.resources[address.kind].get(address.key)
        return address.key if declared is None or declared.was is None else declared.was

    def finish(self) -> Desired:
        """Return everything taken so far, sorted; former keys that are declared again are diagnostics."""
        for records in self.resources.values():
            claims: dict[str, Resource] = {}
            for resource in records.values():
                if resource.was is None:
                    continue
                other = records.get(resource.was) or claims.get(resource.was)
                claims[resource.was] = resource
                if other is not None:
                    message = f"{{value}} is another record's (at {other.source}): one of them has to go"
                    place = resource.source_of(FORMER_KEY)
                    self.diagnostics.append(Diagnostic(place, message, resource.address, FORMER_KEY, resource.was))
        for kind in COMPOSED:
            self.resources[kind] = {key: self.renamed(resource) for key, resource in self.resources[kind].items()}
        resources = {kind: dict(sorted(records.items())) for kind, records in self.resources.items()}
        return Desired(resources, tuple(sorted(self.notices, key=lambda notice: (notice.address, notice.text))))
