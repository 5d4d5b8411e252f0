"""Make the manifests that the benchmarks run on: invented people and companies on reserved domains.

In: how many contacts, and a folder. Out: a tree that crmctl takes as it is, always the same: `crmctl.yaml`,
`manifests/` with 100 accounts and their 1,000 contacts a file (ten contacts an account, six fields and some 185 bytes a
contact, its share of an account included), and `changed/`, the same but for the job title of every hundredth contact.
Run alone it makes such a tree to look at: `data.py FOLDER [CONTACTS]`.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ACCOUNTS_PER_FILE, CONTACTS_PER_ACCOUNT, CHANGED_EVERY = 100, 10, 100
SEED = 20_260_101

FIRST = (
    "Ada",
    "Bela",
    "Caro",
    "Dario",
    "Edda",
    "Fiete",
    "Gesa",
    "Henk",
    "Ilka",
    "Jörn",
    "Kaja",
    "Lars",
    "Maja",
    "Nils",
)
LAST = ("Albers", "Brandt", "Claasen", "Ewers", "Friese", "Groß", "Harms", "Iversen", "Jansen", "Kröger", "Möller")
TITLES = (
    *("Accountant", "Buyer", "Chief Executive", "Designer", "Head of Sales", "Marketing Lead"),
    *("Operations Lead", "Project Manager", "Engineer", "Writer"),
)
CHANGED_TITLE = "Managing Director"
SENIORITIES = ("junior", "senior", "lead", "director")
INDUSTRIES = ("Construction", "Education", "Logistics", "Retail", "Software")

CONFIGURATION = """\
version: 1
manifests: [{manifests}]
default_target: {target}
targets:
  inside: {{provider: octolane, sandbox: {database}}}
  served: {{provider: octolane, base_url: "{url}", api_key_env: SANDBOX_API_KEY}}
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A generated tree and what is in it; `data` is the size of `manifests/` in bytes."""

    folder: Path
    contacts: int
    data: int

    @property
    def records(self) -> int:
        """Return how many records the manifests declare."""
        return self.contacts + max(1, self.contacts // CONTACTS_PER_ACCOUNT)

    @property
    def changed(self) -> int:
        """Return how many records `changed/` declares otherwise."""
        return self.contacts // CHANGED_EVERY

    @property
    def database(self) -> Path:
        """Return where the CRM of this tree is, embedded or served."""
        return self.folder / "crm.db"

    def configure(self, *, manifests: str = "manifests", url: str = "") -> None:
        """Write a configuration: against the server at `url` if given, else against the embedded CRM."""
        text = CONFIGURATION.format(
            manifests=manifests,
            target="served" if url else "inside",
            database=self.database.name,
            url=url or "http://127.0.0.1:9",
        )
        (self.folder / "crmctl.yaml").write_text(text, encoding="utf-8")


def make_tree(folder: Path, contacts: int) -> Tree:
    """Write all files of a tree; never more than one of them is in memory."""
    chance = random.Random(SEED)
    size = 0
    for name in ("manifests", "changed"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    accounts = max(1, contacts // CONTACTS_PER_ACCOUNT)
    for first in range(0, accounts, ACCOUNTS_PER_FILE):
        numbers = range(first, min(accounts, first + ACCOUNTS_PER_FILE))
        plain = "".join(["accounts:\n", *(line for number in numbers for line in _account(chance, number, contacts))])
        file = f"{first // ACCOUNTS_PER_FILE:05}.yaml"
        (folder / "manifests" / file).write_text(plain, encoding="utf-8")
        (folder / "changed" / file).write_text(_change(plain), encoding="utf-8")
        size += len(plain.encode())
    tree = Tree(folder, contacts, size)
    tree.configure()
    return tree


def _account(chance: random.Random, number: int, contacts: int) -> Iterator[str]:
    domain = f"co-{number:05}.example"
    yield f"  - domain: {domain}\n"
    yield f"    name: {chance.choice(LAST)} & {chance.choice(LAST)} {number}\n"
    yield f"    industry: {chance.choice(INDUSTRIES)}\n"
    yield "    contacts:\n"
    start = number * CONTACTS_PER_ACCOUNT
    for index in range(start, min(contacts, start + CONTACTS_PER_ACCOUNT)):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        yield f"      - email: p{index:06}@{domain}\n"
        yield f"        first_name: {first}\n"
        yield f"        last_name: {last}\n"
        yield f"        job_title: {chance.choice(TITLES)}\n"
        yield f'        phone: "+4930{chance.randrange(10_000_000):07}"\n'
        yield f"        seniority: {chance.choice(SENIORITIES)}\n"


def _change(text: str) -> str:
    """Give every hundredth contact another job title; a file begins with contact number 0 of a thousand."""
    lines = text.splitlines(keepends=True)
    titles = [place for place, line in enumerate(lines) if line.startswith("        job_title: ")]
    for place in titles[::CHANGED_EVERY]:
        lines[place] = f"        job_title: {CHANGED_TITLE}\n"
    return "".join(lines)


if __name__ == "__main__":
    made = make_tree(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)  # noqa: PLR2004  optional
    print(f"{made.records} records, {made.data / made.contacts:.0f} bytes a contact, below {made.folder}")
