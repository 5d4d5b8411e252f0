"""The example scripts, run as a newcomer would run them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from crmctl.cli import run

SCRIPT = Path(__file__).parent.parent / "examples" / "accounts_from_csv.py"
CONFIG = "{version: 1, default_target: sandbox, targets: {sandbox: {provider: octolane, sandbox: .crmctl/crm.db}}}\n"

SPREADSHEET = """\
name,website,sector,since
Acme,https://www.Acme.example/about?utm=mail,Tools,1999
"Acme ""Cloud"", Inc.",acme.example,Software,
Ärzte & Söhne 🩺,http://doc.aerzte.example:8080/,on,
1984,1984.example.,no,2004
on,//on.example/a//b,,
@home,home.example,,
*star: [x] {y},star.example,,
- dash # no comment,www.shop.dash.example,,
"Two
lines",lines.example,"tab\there",
"Globex\x85\u2028",globex.example,,
'Initech',https://bücher.example,,
Nowhere,n/a,,
Umbrella,,Pharma,
Hooli, Inc.,hooli.example,Search,2009
"""

ACCOUNTS = {
    "acme.example": {"name": "Acme", "industry": "Tools", "founded": 1999},
    "doc.aerzte.example": {"name": "Ärzte & Söhne 🩺", "industry": "on"},
    "1984.example": {"name": "1984", "industry": "no", "founded": 2004},
    "on.example": {"name": "on"},
    "home.example": {"name": "@home"},
    "star.example": {"name": "*star: [x] {y}"},
    "shop.dash.example": {"name": "- dash # no comment"},
    "lines.example": {"name": "Two lines", "industry": "tab here"},
    "globex.example": {"name": "Globex"},
    "xn--bcher-kva.example": {"name": "'Initech'"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with the spreadsheet and a configuration of an embedded CRM."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    Path("companies.csv").write_text(SPREADSHEET, encoding="utf-8-sig", newline="\r\n")
    Path("crmctl.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def convert(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = [sys.executable, "-X", "utf8", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def planned() -> dict[str, dict[str, object]]:
    """Return the declared fields of all records that a plan would write, but for their keys."""
    assert run(["plan", "-q", "-o", "json=plan.json"]) == 0
    changes = json.loads(Path("plan.json").read_bytes())["changes"]
    return {
        change["key"]: {field["path"]: field["after"] for field in change["fields"] if field["path"] != "domain"}
        for change in changes
    }


@pytest.mark.usefixtures("folder")
def test_spreadsheet_to_crm() -> None:
    """Every row of a spreadsheet arrives in the CRM as it is written, is joined, or is named; then nothing is left."""
    columns = ("--column", "sector=industry", "--column", "since=founded")
    converted = convert("companies.csv", "manifests", "--per-file", "4", *columns)
    assert converted.stdout == "10 accounts in 3 files; 1 rows joined, 3 left out\n"
    assert converted.stderr.splitlines() == [
        "left out: line 14: Nowhere: 'n/a' holds no domain",
        "left out: line 15: Umbrella: '' holds no domain",
        "left out: line 16: Hooli: more cells than the header has: quote what holds a delimiter",
        'joined: Acme "Cloud", Inc. into Acme (acme.example)',
    ]
    assert converted.returncode == 1
    assert run(["validate"]) == 0
    assert planned() == ACCOUNTS
    assert run(["apply", "--auto-approve"]) == 0
    assert planned() == {}


@pytest.mark.usefixtures("folder")
def test_joined_rows() -> None:
    """Of several rows of one domain the first counts, later ones fill its gaps and leave their names in a comment."""
    rows = ["name;website;sector", "Acme;acme.example;", "Acme #2;www.acme.example;Tools", "Acme 3;acme.example;Toys"]
    Path("rows.csv").write_text("\n".join(rows), encoding="utf-8")
    converted = convert("rows.csv", "out", "--delimiter", ";", "--column", "sector=industry")
    assert (converted.returncode, converted.stdout) == (0, "1 accounts in 1 files; 2 rows joined, 0 left out\n")
    assert Path("out/accounts-1.yaml").read_text(encoding="utf-8").splitlines() == [
        "accounts:",
        '  # also here: "Acme #2"',
        '  # also here: "Acme 3"',
        '  - domain: "acme.example"',
        '    name: "Acme"',
        '    industry: "Tools"',
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("companies.csv", "."), "File exists: '.'"),
        (("nothing.csv", "out"), "No such file or directory: 'nothing.csv'"),
        (
            ("companies.csv", "out", "--column", "colour=logo"),
            "no column colour: there is name, website, sector, since",
        ),
        (("companies.csv", "out", "--column", "colour"), "colour: write COLUMN=FIELD"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], message: str) -> None:
    """A mistake on the command line is named, and nothing is written."""
    converted = convert(*arguments)
    assert (converted.returncode, converted.stdout) == (2, "")
    assert message in converted.stderr
    assert not Path("out").exists()
