"""docs/sandbox-thena.md says what the code does."""

import re
from pathlib import Path

from crmctl.sandbox.switches import list_switches
from crmctl.sandbox.thena_switches import ThenaSwitches
from crmctl.sandbox.thena_wire import read_contract

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox-thena.md").read_text(encoding="utf-8")


def read_table(title: str, pattern: str) -> list[tuple[str, ...]]:
    """Read the first columns of the table below a title."""
    table = TEXT.split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    return re.findall(pattern, table, re.MULTILINE)


def test_the_switches_are_listed() -> None:
    """The table has one line per switch, in order: name, values, default."""
    listed = read_table("Switches", r"^\| `(\w+)` \| (.+?) \| ([\w.]+) \|")
    known = [
        (name, allowed.replace("|", " \\| "), default) for name, allowed, default, _ in list_switches(ThenaSwitches)
    ]
    assert known == listed


def test_the_routes_are_listed() -> None:
    """The table of routes is that of the OpenAPI document."""
    listed = read_table("Routes", r"^\| `(\w+ /[^`]+)` \|")
    assert sorted(operation.route for operation in read_contract().operations) == sorted(map(str, listed))
