#!/usr/bin/env python3
"""Turn a spreadsheet of companies into crmctl manifests; Python alone is all it needs.

In: a CSV file with the columns `name` and `website`, and whatever columns `--column COLUMN=FIELD` names. Out: a new
folder of manifests, 200 accounts each, in the order of the spreadsheet. Rows of one domain become one account: the
first row counts, later ones fill what it leaves empty, and their names are kept as a comment and listed on standard
error. A row without a domain is left out, listed too, and makes the exit code 1. So no row is lost in silence.

    python accounts_from_csv.py companies.csv manifests/companies --column sector=industry
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass
class Account:
    """One account, and the names of the further rows that were joined into it."""

    domain: str
    fields: dict[str, str]
    joined: list[str] = field(default_factory=list)


def read_accounts(
    lines: Iterable[str], columns: dict[str, str], delimiter: str = ","
) -> tuple[list[Account], list[str]]:
    """Return the accounts of a CSV file, and a sentence about every row that can't be one.

    `columns` maps further columns to fields. Raises ValueError when a column is missing or the file is no CSV.
    """
    rows = csv.DictReader(lines, restval="", strict=True, delimiter=delimiter)
    columns = {"name": "name", **columns}
    header = rows.fieldnames or []
    missing = [column for column in ("website", *columns) if column not in header]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}: there is {', '.join(header) or 'nothing'}")
    accounts: dict[str, Account] = {}
    left_out: list[str] = []
    for row in rows:
        fields = {name: " ".join(row[column].split()) for column, name in columns.items()}
        fields = {name: cell for name, cell in fields.items() if cell}
        domain = find_domain(row["website"])
        name = fields.get("name", "a row without a name")
        if any(row.get(None, ())):
            left_out.append(
                f"line {rows.line_num}: {name}: more cells than the header has: quote what holds a delimiter"
            )
        elif domain is None:
            left_out.append(f"line {rows.line_num}: {name}: {row['website']!r} holds no domain")
        elif domain in accounts:
            accounts[domain].fields = {**fields, **accounts[domain].fields}
            accounts[domain].joined.append(name)
        else:
            accounts[domain] = Account(domain, fields)
    return list(accounts.values()), left_out


def find_domain(website: str) -> str | None:
    """Return the domain of a URL as crmctl would read it: two spellings of one domain have to meet here, not there."""
    website = website.strip()
    try:
        host = urlsplit(website if SCHEME.match(website) else f"//{website}").hostname or ""
    except ValueError:  # brackets that hold no IPv6 address
        return None
    host = host.removesuffix(".")
    if host.count(".") > 1:  # www.com is a domain of its own
        host = host.removeprefix("www.")
    return host if "." in host else None


def render(accounts: Iterable[Account], roles: Iterable[str] = ()) -> str:
    """Return one manifest; each account gets a contact for each role, `press` being press@ its domain."""
    lines = ["accounts:"]
    for account in accounts:
        lines += [f"  # also here: {quote(name)}" for name in account.joined]
        lines.append(f"  - domain: {quote(account.domain)}")
        lines += [f"    {name}: {quote(cell)}" for name, cell in account.fields.items()]
        lines += ["    contacts:"] * bool(roles)
        for role in roles:
            address = quote(f"{role}@{account.domain}")
            lines.append(f"      - {{email: {address}, first_name: {quote(role.capitalize())}}}")
    return "\n".join(lines) + "\n"


def quote(cell: str) -> str:
    """Write a cell as a YAML scalar. A number needs no quotes: crmctl takes it as text where the field is a text."""
    if NUMBER.fullmatch(cell):
        return cell
    # A JSON text is a YAML text, but for a few characters that YAML wants escaped.
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(cell, ensure_ascii=False))


def write_manifests(accounts: list[Account], folder: Path, per_file: int, roles: Iterable[str] = ()) -> int:
    """Write the manifests into a new folder and return how many there are."""
    folder.mkdir(parents=True)
    starts = range(0, len(accounts), per_file)
    digits = len(str(len(starts)))
    for number, start in enumerate(starts, 1):
        manifest = folder / f"accounts-{number:0{digits}}.yaml"
        manifest.write_text(render(accounts[start : start + per_file], roles), encoding="utf-8", newline="\n")
    return len(starts)


def pair(text: str) -> tuple[str, str]:
    """Read COLUMN=FIELD."""
    column, equals, name = text.rpartition("=")
    if not (column and equals and name):
        raise argparse.ArgumentTypeError(f"{text}: write COLUMN=FIELD")
    return column, name


def main() -> int:
    """Read the command line, write the manifests, and say what became of every row."""
    parser = argparse.ArgumentParser(description="Turn a spreadsheet of companies into crmctl manifests.")
    parser.add_argument("csv", type=Path, help="the spreadsheet, saved as CSV in UTF-8")
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--column", type=pair, action="append", default=[], metavar="COLUMN=FIELD", help="repeatable")
    parser.add_argument("--delimiter", default=",", metavar="CHARACTER", help="what stands between cells; default ,")
    parser.add_argument("--per-file", type=int, default=200, metavar="N", help="accounts in one manifest; default 200")
    parser.add_argument("--role", action="append", default=[], metavar="NAME", help="a contact NAME@ each; repeatable")
    arguments = parser.parse_args()
    try:
        with arguments.csv.open(encoding="utf-8-sig", newline="") as lines:
            accounts, left_out = read_accounts(lines, dict(arguments.column), arguments.delimiter)
        files = write_manifests(accounts, arguments.folder, max(1, arguments.per_file), arguments.role)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        parser.error(str(error))
    for sentence in left_out:
        sys.stderr.write(f"left out: {sentence}\n")
    for account in accounts:
        for name in account.joined:
            sys.stderr.write(f"joined: {name} into {account.fields.get('name')} ({account.domain})\n")
    joined = sum(len(account.joined) for account in accounts)
    sys.stdout.write(f"{len(accounts)} accounts in {files} files; {joined} rows joined, {len(left_out)} left out\n")
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
