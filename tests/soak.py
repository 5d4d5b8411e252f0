"""Apply again and again for half an hour: 10,000 records, edits in between, 5 % of all requests spoiled (`make soak`).

SOAK_MINUTES shortens it. Prints a line a round; at the end what was lost (nothing), what was doubled (nothing), and
how memory went. Exits 1 if one of these is not so.
"""

import gc
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from chaos import Storm, storm
from test_matrix import doubled

from crmctl.sandbox.chaos import FAULTS, Fault

ACCOUNTS, CONTACTS, DEALS, NOTES = 2000, 6900, 1000, 100
EDITS = 100
LISTS_THAT_LIE = {"missing_page", "duplicate_page"}
FLAT = 1.15
"""Memory after the last round, as a multiple of what it was after the third, may be so much."""


class World:
    """What is declared at the moment: a number per record, which its fields show."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.accounts = [0] * ACCOUNTS
        self.contacts = [0] * CONTACTS
        self.deals = [0] * DEALS

    def edit(self) -> None:
        """Declare some records otherwise."""
        for records in (self.accounts, self.contacts, self.deals):
            for _ in range(EDITS):
                records[self.chance.randrange(len(records))] += 1

    def manifest(self) -> str:
        """Return the manifest."""
        lines = ["accounts:"]
        lines += [f"  - {{domain: firm{n}.example, name: Firm {v}}}" for n, v in enumerate(self.accounts)]
        lines += ["contacts:"]
        lines += [
            f"  - {{email: c{n}@firm{n % ACCOUNTS}.example, first_name: Jo, last_name: N{v}}}"
            for n, v in enumerate(self.contacts)
        ]
        lines += ["opportunities:"]
        lines += [
            f"  - {{name: Deal {n}, pipeline: sales, account: firm{n}.example, deal_size: {v + 1}}}"
            for n, v in enumerate(self.deals)
        ]
        lines += ["notes:"]
        lines += [f"  - {{key: k, account: firm{n}.example, text: Note {n}}}" for n in range(NOTES)]
        return "\n".join(lines)

    def expected(self) -> dict[str, set[str]]:
        """Return what has to be there, as `held` tells it."""
        return {
            "octolane_accounts": {f"firm{n}.example Firm {v}" for n, v in enumerate(self.accounts)},
            "octolane_contacts": {f"c{n}@firm{n % ACCOUNTS}.example N{v}" for n, v in enumerate(self.contacts)},
            "octolane_opportunities": {f"Deal {n} {v + 1}" for n, v in enumerate(self.deals)},
            "octolane_notes": {f"Note {n}" for n in range(NOTES)},
        }


def held(there: Storm) -> dict[str, set[str]]:
    """Return what is there."""
    columns = {
        "octolane_accounts": "domain || ' ' || name",
        "octolane_contacts": "email || ' ' || last_name",
        "octolane_opportunities": "name || ' ' || CAST(deal_size AS INTEGER)",
        "octolane_notes": "text",
    }
    return {
        table: {row[0] for row in there.rows(f"SELECT {column} FROM {table}")}  # noqa: S608 - ours
        for table, column in columns.items()
    }


def meddle(there: Storm, chance: random.Random) -> None:
    """Change some records as somebody else does."""
    found = there.rows("SELECT id FROM octolane_accounts")
    if found:
        chosen = chance.sample(found, min(40, len(found)))
        there.request("PATCH", "/v1/accounts/bulk", {id_: {"name": "Meddled"} for (id_,) in chosen})


def resident(there: Storm) -> float:
    """Return the memory of this process in MiB, without the cache of the CRM's database, which may take 16."""
    there.sandbox._store._connection.execute("PRAGMA shrink_memory")
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(minutes: float, number: int = 4) -> int:
    """Soak; returns the exit code."""
    chance = random.Random(number)  # noqa: S311 - repeatable, and nobody's secret
    world, struck, memory, lost = World(chance), Counter[str](), list[float](), 0
    faults = [Fault(name, probability=0.05 / len(FAULTS)) for name in FAULTS if name not in LISTS_THAT_LIE]
    requests = settled = 0
    with storm("octolane", used=False) as there:
        there.request("POST", "/v1/accounts/bulk", [{"domain": "other.example"}])
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end or len(memory) < 4:
            began = time.monotonic()
            manifest = world.manifest()
            chaos = there.let_loose(faults, len(memory))
            result = there.attempt(manifest)
            requests += chaos.requests
            struck.update(fault for _, _, fault in chaos.struck)
            left = there.calm(manifest)
            missing = sum(len(wanted - held(there)[table]) for table, wanted in world.expected().items())
            lost += missing + len(left) + len(doubled(there, "octolane"))
            settled = len(there.asked)
            memory.append(resident(there))
            said = "stopped" if result is None or result.stopped else "through"
            print(f"round {len(memory):3}: {said}, {chaos.requests} requests, {len(chaos.struck)} spoiled, "  # noqa: T201
                  f"{missing} missing, {memory[-1]:.0f} MiB, {time.monotonic() - began:.1f} s", flush=True)  # fmt: skip
            world.edit()
            meddle(there, chance)
    growth = memory[-1] / memory[2]
    print(f"{len(memory)} rounds, {ACCOUNTS + CONTACTS + DEALS + NOTES} records, {requests} requests, "  # noqa: T201
          f"{sum(struck.values())} spoiled, {settled} settled by a person, {lost} lost or doubled, "
          f"memory {memory[2]:.0f} -> {memory[-1]:.0f} MiB (x{growth:.2f})")  # fmt: skip
    print(dict(struck.most_common()))  # noqa: T201
    return int(lost > 0 or growth > FLAT)


if __name__ == "__main__":
    sys.exit(main(float(os.environ.get("SOAK_MINUTES", "30"))))
