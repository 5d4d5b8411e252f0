"""Print what was measured: a row for each stage, floor and size, and the aims with what became of them.

In: series by name ("validate 10000"). Out: an aligned table that is Markdown as well, or the same as JSON values.
Seconds are medians of whole processes with the least and the most; ratios are medians of the ratios of each round.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from measure import Series

Found = Mapping[str, Series]

ROWS = (
    # name, what it is divided by (their sum), what that is called
    ("bare events", (), ""),
    ("bare json.loads", (), ""),
    ("validate", ("bare events",), "events"),
    *(
        (f"plan {state} {place}", floors, called)
        for state, floors, called in (
            ("new", ("bare events",), "events"),
            ("same", ("bare events", "bare json.loads"), "events + json"),
            ("1 %", ("bare events", "bare json.loads"), "events + json"),
        )
        for place in ("inside", "served")
    ),
    ("obvious", ("plan same served",), "plan same served"),
    ("bare loop", (), ""),
    ("apply served", ("bare events", "bare loop"), "events + loop"),
    ("apply inside", ("bare events", "bare loop"), "events + loop"),
)
COLUMNS = ("stage", "records", "seconds (least-most)", "CPU s", "server CPU s", "requests", "MB", "ratio to its floor")
RECORDS_PER_CONTACT = 1.1
LARGE = 100_000
LINEAR = ("validate", "plan same served", "apply served")


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim: what was measured, the bound, and whether the bound is a least rather than a most."""

    text: str
    measured: float
    bound: float
    at_least: bool = False
    unit: str = " x"

    @property
    def met(self) -> bool:
        """Tell whether it was met."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def print_table(found: Found, sizes: Sequence[int]) -> None:
    """Print everything."""
    print(
        f"{os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()} {platform.python_version()}\n"
    )
    rows = [COLUMNS, *(row for size in sizes for row in _rows(found, size))]
    rows += [_row(found, name, "", "", floor) for name, floor in (("bare python", ""), ("--version", "bare python"))]
    rows.append(_row(found, "plan of ten", "", "10", ""))
    _print(rows)
    print("\nAims:\n")
    lines = [("aim", "bound", "measured", "")]
    for aim in aims(found, sizes):
        bound = f"{'at least' if aim.at_least else 'at most'} {aim.bound:g}{aim.unit}"
        lines.append((aim.text, bound, f"{aim.measured:.3g}{aim.unit}", "met" if aim.met else "MISSED"))
    _print(lines)


def as_json(found: Found, sizes: Sequence[int]) -> dict[str, Any]:
    """Return all samples and the aims as JSON values."""
    names = ("seconds", "cpu", "memory", "phase", "requests", "server_cpu")
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "samples": {
            name: [{what: getattr(sample, what) for what in names} for sample in series.samples]
            for name, series in found.items()
        },
        "aims": [
            {"aim": aim.text, "bound": aim.bound, "at_least": aim.at_least, "measured": aim.measured, "met": aim.met}
            for aim in aims(found, sizes)
        ],
    }


def aims(found: Found, sizes: Sequence[int]) -> list[Aim]:
    """Hold what was measured against what the project aims at."""
    listed: list[Aim] = []
    for size in sizes:
        at = f", {size:,} contacts"
        validate, events, loop = (found[f"{name} {size}"] for name in ("validate", "bare events", "bare loop"))
        plan, apply, obvious = (found[f"{name} {size}"] for name in ("plan same served", "apply served", "obvious"))
        listed += [
            Aim(f"validate / bare events{at}", validate.over(events), 2.5),
            Aim(f"apply, sending and reading back / bare loop{at}", apply.over(loop, what="phase"), 1.3),
        ]
        if size == LARGE:
            listed += [
                Aim(f"obvious stack / plan of what is there{at}", obvious.over(plan), 10, at_least=True),
                Aim(f"peak memory of that plan{at}", plan.median("memory"), 250, unit=" MB"),
            ]
    if len(sizes) > 1:
        small, large = sizes
        for name in LINEAR:
            ratio = found[f"{name} {large}"].median() / found[f"{name} {small}"].median() * small / large
            listed.append(Aim(f"{name}: cost of a record at {large:,} / at {small:,}", ratio, 1.3))
    listed.append(Aim("plan of ten records", found["plan of ten"].median(), 0.3, unit=" s"))
    listed.append(Aim("--version / bare python", found["--version"].over(found["bare python"]), 2))
    return listed


def _rows(found: Found, size: int) -> list[Sequence[str]]:
    records = f"{size * RECORDS_PER_CONTACT:,.0f}"
    return [
        _row(found, name, f" {size}", records, *(f"{floor} {size}" for floor in floors), called=called)
        for name, floors, called in ROWS
    ]


def _row(found: Found, name: str, suffix: str, records: str, *floors: str, called: str = "") -> Sequence[str]:
    series = found[name + suffix]
    least, most = series.spread()
    below = [found[floor] for floor in floors if floor]
    return (
        name,
        records,
        f"{series.median():.3f} ({least:.3f}-{most:.3f})",
        f"{series.median('cpu'):.2f}",
        f"{series.median('server_cpu'):.2f}" if series.values("server_cpu") else "",
        f"{series.median('requests'):.0f}" if series.values("requests") else "",
        f"{series.median('memory'):.0f}",
        f"{series.over(*below):.2f} x {called or floors[0]}" if below else "",
    )


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print(f"| {' | '.join(f'{cell:<{width}}' for cell, width in zip(row, widths, strict=True))} |")
        if number == 0:
            print(f"|{'|'.join('-' * (width + 2) for width in widths)}|")
