"""One plan, one run and some findings that hold everything a report can meet, strangers' text included.

People and companies are invented. A report is compared with its golden file; `CRMCTL_UPDATE_GOLDEN=1` writes that anew.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from crmctl.document import Bundle, Document
from crmctl.errors import Diagnostic
from crmctl.redact import Redactor
from crmctl.reports.text import explain
from crmctl.resource import Address, Source

GOLDEN = Path(__file__).parents[1] / "golden"
PERSONAL = {"account": frozenset[str](), "contact": frozenset({"email", "first_name", "phone", "other_emails"})}

NASTY = "\x1b[2J\u202e<b>|`@team` #12\n::error::x ##[group] https://www.acme.example ![i](u)"


def place(line: int, column: int = 5, file: str = "manifests/acme.yaml") -> dict[str, Any]:
    return {"file": file, "line": line, "column": column}


def field(path: str, before: Any, after: Any, line: int, **more: Any) -> dict[str, Any]:
    return {"path": path, "before": before, "after": after, "source": place(line, 12), **more}


def change(action: str, kind: str, key: str, line: int, *fields: Mapping[str, Any], reason: str = "") -> dict[str, Any]:
    return {
        "kind": kind,
        "key": key,
        "action": action,
        "digest": "a" * 64,
        "desired_digest": "b" * 64,
        "source": place(line),
        "fields": list(fields),
        "reason": reason,
    }


def step(op: str, path: str, before: Any = None, after: Any = None) -> dict[str, Any]:
    return {"op": op, "path": path, "before": before, "after": after}


CHANGES = [
    change(
        "create", "account", "acme.example", 3, field("domain", None, "acme.example", 3), field("name", None, "Acme", 4)
    ),
    change(
        "update",
        "account",
        "müller.example",
        9,
        field("name", "Müller & Söhne", "Müller 株式会社 👩‍💻", 10),
        field("description", "x" * 500, None, 11),
        field(
            "tags",
            ["pilot", "old"],
            ["emea", "old"],
            12,
            details=[step("add", "0", after="emea"), step("remove", "0", before="pilot")],
        ),
        field(
            "custom_fields",
            {"tier": "silver", "seats": 5},
            {"tier": "gold", "seats": 5, "region": None},
            13,
            details=[step("add", "region"), step("change", "tier", "silver", "gold")],
        ),
        field("founded", 1984, 1985.5, 14),
    ),
    change("create", "contact", "jane@acme.example", 21, field("email", None, "Jane@acme.example", 21)),
    {**change("update", "contact", "sam@freelance.example", 0, field("job_title", "CEO", NASTY, 30)), "source": None},
    change(
        "create",
        "account",
        "globex.example",
        33,
        field("domain", None, "globex.example", 33),
        reason="made by the CRM together with contact/jane@globex.example",
    ),
    change(
        "report",
        "note",
        "acme.example/kickoff%20%26%20more",
        50,
        reason="run 20260131T093100Z-5f1c3e sent it and did not find it afterwards: it may be there; say what became "
        "of it: crmctl runs settle 'note/acme.example/kickoff%20%26%20more' --created (or --not-created)",
    ),
    change(
        "report", "contact", "twin@acme.example", 40, reason="the CRM holds 2 records of this key (c1, c2): merge them"
    ),
]
HEAD: dict[str, Any] = {
    "format_version": "1.0",
    "crmctl_version": "0.1.0",
    "created_at": "2026-01-31T09:30:00Z",
    "target": "sandbox",
    "provider": "octolane",
    "redacted": False,
    "manifest_digest": "c" * 64,
    "digest": "d" * 64,
    "summary": {"create": 3, "update": 2, "report": 2, "unchanged": 14, "unmanaged": 2},
    "requests": {"POST /v1/contacts/search": 3, "POST /v1/accounts/bulk": 1, "PATCH /v1/accounts/bulk": 1},
    "definitions": [
        {"kind": "account", "slug": "tier", "type": "string"},
        {"kind": "opportunity", "slug": "renewal", "type": "date", "scope": "018f13b3-8239-7ef8-a8f1-93ad10b76110"},
    ],
    "unreadable": [{"kind": "contact", "field": "phone"}],
    "held": [
        {
            "kind": "contact",
            "key": "jane@acme.example",
            "path": "job_title",
            "policy": "fill_empty",
            "before": "CEO",
            "after": "CTO",
        },
        {
            "kind": "contact",
            "key": "jane@acme.example",
            "path": "accounts",
            "policy": "links unknown",
            "before": None,
            "after": ["acme.example"],
        },
    ],
    "notices": [
        {
            "source": place(3),
            "kind": "account",
            "key": "acme.example",
            "text": "domain https://www.Acme.example/about is read as acme.example",
        },
        {"source": None, "kind": "account", "key": "acme.example", "text": NASTY},
        *(
            {"source": place(line), "kind": "contact", "key": f"p{line}@acme.example", "text": "phone: no such field"}
            for line in range(60, 75)
        ),
    ],
}
RUN: dict[str, Any] = {
    "format_version": "1.0",
    "crmctl_version": "0.1.0",
    "started_at": "2026-01-31T09:31:00Z",
    "finished_at": "2026-01-31T09:31:02Z",
    "target": "sandbox",
    "provider": "octolane",
    "redacted": True,
    "run": "20260131-093100-5f1c",
    "totals": {
        "created": 1,
        "existed": 1,
        "updated": 0,
        "unchanged": 14,
        "sent": 0,
        "failed": 1,
        "unknown": 1,
        "skipped": 1,
    },
    "requests": {"POST /v1/contacts/search": 3, "POST /v1/accounts/bulk": 1},
}


def outcome(status: str, key: str, line: int, error: str = "", remote_id: str | None = None) -> dict[str, Any]:
    return {
        "kind": "contact",
        "key": key,
        "status": status,
        "remote_id": remote_id,
        "source": place(line),
        "error": error,
    }


OUTCOMES = [
    outcome("failed", "anon-000000000001", 21, f"400 Validation failed: {NASTY}"),
    outcome("created", "anon-000000000002", 22, remote_id="c7"),
    outcome("existed", "anon-000000000003", 23, remote_id="c8"),
    outcome("unknown", "anon-000000000004", 24, "no answer in 30 seconds, and not found since"),
    {
        **outcome("skipped", "anon-000000000005", 25, "changed since the plan was made (job_title), so it was left"),
        "clashes": [
            {"path": "job_title", "before": "CEO", "now": NASTY, "after": "CTO"},
            {"path": "phone", "before": None, "now": "anon-000000000006", "after": "anon-000000000007"},
        ],
    },
]
FINDINGS = [
    Diagnostic(
        Source("manifests/acme.yaml", 12, 7),
        "{value} is not an e-mail address: write name@domain",
        Address("contact", "jane@"),
        "email",
        "jane@",
    ),
    Diagnostic(Source("manifests/acme.yaml", 14, 3), "emial is unknown: did you mean email?", None, "emial"),
    Diagnostic(
        Source("::error::.yaml", 1, 1), "{value} is too long", Address("account", "acme.example"), "name", "y" * 99
    ),
    Diagnostic(None, "jane.doe@freelance.example stands here twice", Address("contact", "jane.doe@freelance.example")),
    Diagnostic(
        Source("a.yaml", 2, 1),
        "{value} is no list: write name@domain, such as jane@acme.example",
        Address("account", "acme.example"),
        "tags",
        {"a": NASTY},
    ),
]


@pytest.fixture
def sample_plan() -> Document:
    return Document(HEAD, lambda: iter(CHANGES))


@pytest.fixture
def sample_run() -> Document:
    return Document(RUN, lambda: iter(OUTCOMES))


@pytest.fixture
def nothing_to_do() -> Document:
    summary = {"create": 0, "update": 0, "report": 0, "unchanged": 1, "unmanaged": None}
    lists: dict[str, Any] = {"requests": {}, "definitions": [], "unreadable": [], "held": [], "notices": []}
    return Document({**HEAD, **lists, "summary": summary}, lambda: iter([]))


@pytest.fixture
def failures(redactor: Redactor) -> list[Mapping[str, Any]]:
    """What became of the targets that came to nothing: one has no key, another can't take what is declared."""
    no_key = {"target": "production", "provider": "octolane", "exit_code": 6, "error": "no API key", "diagnostics": []}
    found = [explain(finding, redactor) for finding in FINDINGS[:2]]
    invalid = {"provider": "thena", "exit_code": 1, "error": f"2 errors {NASTY}", "diagnostics": found}
    return [no_key, {"target": "support", **invalid}]


@pytest.fixture
def plans(sample_plan: Document, nothing_to_do: Document, failures: list[Mapping[str, Any]]) -> Bundle:
    """The plans for four targets, of which two failed."""
    head = {name: HEAD[name] for name in ("format_version", "crmctl_version", "created_at")}
    second = Document({**nothing_to_do.head, "target": "staging"}, nothing_to_do.entries)
    return Bundle("plans", head, [sample_plan, second], failures)


@pytest.fixture
def runs(sample_run: Document, failures: list[Mapping[str, Any]]) -> Bundle:
    """What became of the plans for three targets, of which one could be applied."""
    head = {name: RUN[name] for name in ("format_version", "crmctl_version", "started_at", "finished_at")}
    return Bundle("runs", head, [sample_run], failures)


@pytest.fixture
def refused() -> Bundle:
    """What an apply has to say that was refused: a plan beyond a limit."""
    head = {name: RUN[name] for name in ("format_version", "crmctl_version", "started_at", "finished_at")}
    error = "updating 45 of 100 matched records (45 %) is more than max_percent allows (30 %): nothing was sent"
    failure = {"target": "sandbox", "provider": "octolane", "exit_code": 5, "error": error, "diagnostics": []}
    return Bundle("runs", head, [], [failure])


@pytest.fixture
def findings() -> list[Diagnostic]:
    return FINDINGS


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(b"key", PERSONAL, on=True)


@pytest.fixture
def open_redactor() -> Redactor:
    return Redactor(b"key", PERSONAL, on=False)


@pytest.fixture
def big_plan() -> Callable[[int], Document]:
    def make(size: int) -> Document:
        head = {**HEAD, "summary": {"create": size, "update": 0, "report": 0, "unchanged": 0, "unmanaged": None}}
        names = (f"p{number:06}@acme.example" for number in range(size))
        creates = [change("create", "contact", name, 1, field("email", None, name, 1)) for name in names]
        return Document(head, lambda: iter(creates))

    return make


@pytest.fixture
def golden() -> Callable[[Iterable[str], str], None]:
    """Return a comparison of a report with its golden file."""

    def compare(pieces: Iterable[str], name: str) -> None:
        text = "".join(pieces)
        if os.environ.get("CRMCTL_UPDATE_GOLDEN"):
            (GOLDEN / name).write_text(text, encoding="utf-8", newline="\n")
        assert (GOLDEN / name).read_bytes().decode("utf-8") == text

    return compare
