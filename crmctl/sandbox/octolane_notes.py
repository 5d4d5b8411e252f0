"""Create Octolane's notes (docs/octolane.md): a text, attached to an account, a contact or both. Nothing reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from crmctl.sandbox.octolane_keys import normalise_key
from crmctl.sandbox.octolane_wire import Outcome
from crmctl.sandbox.octolane_writes import Row, Writer
from crmctl.sandbox.problems import RequestError

_REFERENCES = {"account_domain": ("accounts", "account_id"), "contact_email": ("contacts", "contact_id")}


class NoteWriter(Writer):
    """One bulk write of notes within one transaction."""

    def create(self, items: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """Create notes; each is a new one, whatever its text."""
        rows: list[Row] = []
        for item in items:
            try:
                rows.append(self._draft(item))
            except RequestError as error:
                self._bad(f"{item['text'][:20]}: {error}", error)
        self._insert(self.table, rows)
        return [Outcome(row["id"], created=True) for row in rows]

    def _draft(self, item: Mapping[str, Any]) -> Row:
        row: Row = dict.fromkeys(self.table.names)
        row["text"], row["custom"] = item["text"], "{}"
        keys = {
            name: normalise_key(kind, item[name], self.switches)[0]
            for name, (kind, _) in _REFERENCES.items()
            if name in item
        }
        for name, key in keys.items():
            kind, column = _REFERENCES[name]
            row[column] = self._relate(kind, name, key, item[name])
        row["id"] = row["key"] = self.store.make_id()
        row["created_at"] = row["updated_at"] = self.stamps()
        return row

    def _relate(self, kind: str, name: str, key: str, spelling: str) -> str:
        writer = Writer(self.store, self.connection, kind, self.switches, self.stamps, self.route)
        ids = writer.relate({key: spelling}, create=self.switches.note_reference == "create")
        if key not in ids:
            raise RequestError(404, f"{name}: there is no {spelling}")
        return ids[key]
