"""docs/sandbox.md says what the code does."""

import re
from pathlib import Path

import pytest

import crmctl.sandbox
from crmctl.sandbox import octolane, octolane_inbound
from crmctl.sandbox.contract import Contract
from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.switches import list_switches

DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"
TEXT = DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "allowed", "default"), [line[:3] for line in list_switches(OctolaneSwitches)])
def test_each_switch_is_listed_with_its_values_and_default(name: str, allowed: str, default: str) -> None:
    """The table has one line per switch: name, values, default."""
    values = allowed.replace("|", " \\| ")
    assert f"| `{name}` | {values} | {default} |" in TEXT


def test_no_switch_is_listed_that_does_not_exist() -> None:
    """Every first column of the table of switches is a switch."""
    table = TEXT.split("## Switches", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert listed == [name for name, *_ in list_switches(OctolaneSwitches)]


@pytest.mark.parametrize(
    ("heading", "contract"),
    [("Routes", octolane.read_contract()), ("Inbound routes", octolane_inbound.read_contract())],
)
def test_each_route_is_listed(heading: str, contract: Contract) -> None:
    """The table of routes is that of the OpenAPI document."""
    table = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^\| `(\w+ /[^`]+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(operation.route for operation in contract.operations)


def test_the_sandbox_imports_nothing_of_the_reconciler() -> None:
    """Whatever the sandbox imports of this package is the sandbox."""
    folder = Path(crmctl.sandbox.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    imported = {
        name for text in texts for name in re.findall(r"^\s*(?:from|import) (crmctl[\w.]*)", text, re.MULTILINE)
    }
    assert {name for name in imported if not name.startswith("crmctl.sandbox")} == set()
