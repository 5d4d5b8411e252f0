"""Measure every stage of crmctl as a whole process, beside the floor under it and the obvious way to do the same.

    run.py [--quick] [--json FILE]      10,000 and 100,000 contacts; with --quick only the former

In: nothing; the manifests are made anew in a temporary folder. Out: one table, and the aims with what was measured. A
round runs each thing once, so that floors and stages share the machine's good and bad moments, and ratios are taken
within rounds. Missing an aim is printed and is no failure: the exit code is 0.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from data import Tree, make_tree
from measure import CRMCTL, HERE, PYTHON, Sample, Series, run, serving
from report import LARGE, as_json, print_table

FLOORS, OBVIOUS = str(HERE / "floors.py"), str(HERE / "obvious.py")
Found = defaultdict[str, Series]


@dataclass(frozen=True, slots=True)
class Size:
    """How often everything is measured at one size: rounds of applies, and of everything else."""

    contacts: int
    applies: int
    rounds: int


QUICK = (Size(10_000, applies=3, rounds=5),)
FULL = (*QUICK, Size(LARGE, applies=2, rounds=2))
SHORT_RUNS = 15  # of what takes a fraction of a second
OBVIOUS_ROUNDS = 2


def main() -> None:
    """Measure, print, and write the JSON file if asked to."""
    parser = argparse.ArgumentParser(description="Measure crmctl against its floors and the obvious stack.")
    parser.add_argument("--quick", action="store_true", help="10,000 contacts only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there as well")
    arguments = parser.parse_args()
    # Where it is ignored (a background job, nohup), what we start would ignore it too, and asyncio behaves otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    found: Found = defaultdict(Series)
    sizes = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="crmctl-bench-") as folder:
        measure_start(Path(folder, "ten"), found)
        for size in sizes:
            tree = make_tree(Path(folder, str(size.contacts)), size.contacts)
            measure_applies(tree, size, found)
            measure_plans(tree, size, found)
    contacts = [size.contacts for size in sizes]
    print_table(found, contacts)
    print(f"\nMeasured in {time.monotonic() - begun:.0f} s.")
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(found, contacts), indent=2) + "\n", encoding="utf-8")


def measure_start(folder: Path, found: Found) -> None:
    """Measure what is over before it is felt: `--version`, and a plan of ten records."""
    make_tree(folder, 9)
    run((CRMCTL, "plan"), folder)
    say("start")
    for _ in range(SHORT_RUNS):
        found["bare python"].samples.append(run((PYTHON, "-c", "pass"), folder))
        found["--version"].samples.append(run((CRMCTL, "--version"), folder))
        found["plan of ten"].samples.append(run((CRMCTL, "plan"), folder))


def measure_applies(tree: Tree, size: Size, found: Found) -> None:
    """Measure applies of everything, each into an empty CRM; the last leaves `full.db` behind."""
    run((PYTHON, FLOORS, "prepare", "."), tree.folder)
    for count in range(size.applies):
        say(f"{size.contacts}: apply, round {count + 1} of {size.applies}")
        for name, work, served in (
            ("bare loop", lambda url: timed(run((PYTHON, FLOORS, "loop", url, "."), tree.folder)), True),
            ("apply served", lambda url: apply(tree, url), True),
            ("apply inside", lambda url: apply(tree, url), False),
        ):
            sample = against(tree, None, work, served=served)
            found[f"{name} {size.contacts}"].samples.append(sample)
        shutil.copy(tree.database, tree.folder / "full.db")


def measure_plans(tree: Tree, size: Size, found: Found) -> None:
    """Measure all that only reads, and the floors under it; the obvious stack twice at most, since it takes so long."""
    full, pages = tree.folder / "full.db", tree.folder / "pages.jsonl"
    against(tree, full, lambda url: run((PYTHON, FLOORS, "save", url, str(pages)), tree.folder), served=True)
    plan = (CRMCTL, "plan")
    for count in range(size.rounds):
        say(f"{size.contacts}: validate and plan, round {count + 1} of {size.rounds}")
        tree.configure()
        commands: tuple[tuple[str, Sequence[str]], ...] = (
            ("bare events", (PYTHON, FLOORS, "events", "manifests")),
            ("bare json.loads", (PYTHON, FLOORS, "json", str(pages))),
            ("validate", (CRMCTL, "validate")),
        )
        for name, command in commands:
            found[f"{name} {size.contacts}"].samples.append(run(command, tree.folder))
        for state, start, manifests in (
            ("new", None, "manifests"),
            ("same", full, "manifests"),
            ("1 %", full, "changed"),
        ):
            for place in ("inside", "served"):

                def work(url: str, manifests: str = manifests) -> Sample:
                    tree.configure(manifests=manifests, url=url)
                    return run(plan, tree.folder)

                sample = against(tree, start, work, served=place == "served")
                found[f"plan {state} {place} {size.contacts}"].samples.append(sample)
        if count < OBVIOUS_ROUNDS:
            sample = against(tree, full, lambda url: run((PYTHON, OBVIOUS, "manifests", url), tree.folder), served=True)
            found[f"obvious {size.contacts}"].samples.append(sample)


def against(tree: Tree, start: Path | None, work: Callable[[str], Sample], *, served: bool) -> Sample:
    """Do some work against a CRM that is empty, or a copy of `start`; count the requests that reached it.

    `work` is given the address of the server, or nothing if the CRM is to be embedded.
    """
    for leftover in tree.folder.glob(f"{tree.database.name}*"):
        leftover.unlink()
    if start is not None:
        shutil.copy(start, tree.database)
    before = requests(tree.database)
    if not served:
        return replace(work(""), requests=requests(tree.database) - before)
    with serving(tree.database) as server:
        sample = work(server.url)
    return replace(sample, requests=requests(tree.database) - before, server_cpu=server.cpu)


def apply(tree: Tree, url: str) -> Sample:
    """Apply everything; the report says how long sending and reading back took."""
    tree.configure(url=url)
    report = tree.folder / "applied.json"
    sample = run((CRMCTL, "apply", "--auto-approve", "-o", "text", "-o", f"json={report}"), tree.folder)
    head: dict[str, str] = {}
    with report.open(encoding="utf-8") as stream:
        # One member a line, the outcomes last: the file need not be read whole.
        for line in stream:
            if '"outcomes"' in line:
                break
            name, _, value = line.strip().rstrip(",").partition(": ")
            head[name.strip('"')] = value.strip('"')
    begun, ended = (datetime.fromisoformat(head[name]) for name in ("started_at", "finished_at"))
    return replace(sample, phase=(ended - begun).total_seconds())


def timed(sample: Sample) -> Sample:
    """Take the seconds that a floor has printed."""
    return replace(sample, phase=float(sample.output))


def requests(database: Path) -> int:
    """Return how many requests a sandbox has answered in its life."""
    if not database.exists():
        return 0
    sample = run((CRMCTL, "sandbox", "stats", "--json", "--db", str(database)), database.parent)
    return sum(route["count"] for route in json.loads(sample.output)["requests"])


def say(text: str) -> None:
    """Say on standard error what is being measured."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
