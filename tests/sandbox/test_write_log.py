"""The log of what was written: what a client's own report can be held against."""

from pathlib import Path
from typing import Any

from deals import deal

from crmctl.sandbox.write_log import read_writes

NOTE = {"text": "The kick-off went well.", "account_domain": "acme.example"}


def test_the_log_tells_every_write_in_order(crm: Any, tmp_path: Path) -> None:
    """Each record that a request created, updated or found stands in the log, refused requests don't."""
    account = crm.create("accounts", {"domain": "acme.example"})["accounts"][0]["id"]
    crm.create("accounts", {"domain": "acme.example"})
    crm.create("accounts", {"domain": "acme.example", "name": "Acme"})
    contact = crm.create("contacts", {"email": "jane@acme.example"}, {"email": "sam@new.example"})["contacts"]
    crm.patch("contacts", {contact[0]["id"]: {"phone": "1"}, contact[1]["id"]: {"phone": None}})
    assert 400 == crm.send("POST", "/v1/accounts/bulk", json=[{"domain": "bad.invalid"}]).status_code
    made = crm.create("opportunities", deal(related={"account_domain": "new.example"}))["opportunities"][0]
    assert 200 == crm.send("POST", "/v1/notes/bulk", json=[NOTE]).status_code
    new = next(record["id"] for record in crm.records("accounts") if record["domain"] == "new.example")
    writes = read_writes(tmp_path / "crm.db")
    assert [tuple(write) for write in writes[:-1]] == [
        ("POST /v1/accounts/bulk", "accounts", account, "created"),
        ("POST /v1/accounts/bulk", "accounts", account, "resolved"),
        ("POST /v1/accounts/bulk", "accounts", account, "updated"),
        ("POST /v1/contacts/bulk", "accounts", new, "created"),
        ("POST /v1/contacts/bulk", "contacts", contact[0]["id"], "created"),
        ("POST /v1/contacts/bulk", "contacts", contact[1]["id"], "created"),
        ("PATCH /v1/contacts/bulk", "contacts", contact[0]["id"], "updated"),
        ("PATCH /v1/contacts/bulk", "contacts", contact[1]["id"], "resolved"),
        ("POST /v1/opportunities/bulk", "opportunities", made["id"], "created"),
    ]
    assert ("POST /v1/notes/bulk", "notes", "created") == (writes[-1].route, writes[-1].kind, writes[-1].outcome)
