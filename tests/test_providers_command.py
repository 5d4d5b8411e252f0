"""`crmctl providers`, and the page that is written about them."""

import json
from pathlib import Path

import pytest
from harness import check_golden
from project import Project

from crmctl.commands.providers import matrix
from crmctl.kinds import KINDS
from crmctl.providers import PROVIDERS
from crmctl.reports import markdown

PAGE = Path(__file__).parent.parent / "docs" / "providers.md"


def test_every_provider_and_kind_has_a_row(project: Project) -> None:
    """In every format, without configuration and key."""
    Path("crmctl.yaml").unlink()
    code, shown, said = project("providers")
    assert (0, "") == (code, said)
    rows = {tuple(line.split()[:2]) for line in shown.splitlines()}
    assert {(provider, kind) for provider in PROVIDERS for kind in KINDS} <= rows
    listed = json.loads(project("providers", "-o", "json")[1])["capabilities"]
    assert [(provider, kind) for provider in PROVIDERS for kind in KINDS] == [
        (row["provider"], row["kind"]) for row in listed
    ]
    assert project("providers", "-o", "markdown")[1].startswith("| provider | kind |")
    assert 64 == project("providers", "-o", "yaml")[0]


@pytest.mark.parametrize(
    ("provider", "kind", "expected"),
    [
        ("octolane", "contact", {"create_batch": 100, "update_batch": 50, "dedupes": True, "assumed": []}),
        ("octolane", "note", {"read": False, "create": True, "evidence": "assumed", "assumed": ["create"]}),
        ("octolane_inbound", "account", {"update": False, "create_batch": 1, "evidence": "documented"}),
        ("thena", "contact", {"batch_by": ["accounts", "type", "thena.source"], "look_up_batch": 1}),
        ("thena", "opportunity", {"read": False, "create": False, "update": False, "evidence": None}),
    ],
)
def test_what_a_row_says(provider: str, kind: str, expected: dict[str, object]) -> None:
    """What the provider declares; what comes with assumed routes alone is marked."""
    [row] = [row for row in matrix() if (row["provider"], row["kind"]) == (provider, kind)]
    assert expected == {name: row[name] for name in expected}


def test_what_is_assumed_is_marked(project: Project) -> None:
    """A star behind what only `assumed_routes` allows."""
    [line] = [line for line in project("providers")[1].splitlines() if line.startswith("octolane ") and "note" in line]
    assert ["octolane", "note", "-", "-", "1*"] == line.split()[:5]


def test_the_page_has_the_table() -> None:
    """docs/providers.md is generated in this part."""
    table = "".join(markdown.capabilities(matrix()))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- matrix -->\n")
    after = rest.partition("<!-- /matrix -->\n")[2]
    assert after
    check_golden(f"{before}<!-- matrix -->\n{table}<!-- /matrix -->\n{after}", PAGE)
