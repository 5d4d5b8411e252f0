"""Every undocumented behaviour of an API by itself, and every two of them together in as few combinations as may be."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

from crmctl.sandbox import switches_of
from crmctl.sandbox.switches import list_declared

NUMBERS: Mapping[str, Sequence[str]] = {
    "in_limit": ["1", "3"],
    "cursor_lifetime": ["1"],
    "search_lag": ["0.3", "20"],
    "body_limit": ["2000"],
    "default_limit": ["1"],
    "limit_cap": ["1", "3"],
    "bulk_limit": ["1", "2"],
}


def tables(provider: str) -> dict[str, list[str]]:
    """Return the values of each switch of an API, the default first."""
    found = {}
    for name, switch in list_declared(switches_of(provider)).items():
        found[name] = list(switch.values or [str(switch.default), *NUMBERS[name]])
    return found


def singles(provider: str) -> Iterator[tuple[str, str]]:
    """Yield every value of every switch."""
    for name, values in tables(provider).items():
        for value in values:
            if value != "None":
                yield name, value


def pairwise(provider: str, leave_out: Sequence[tuple[str, str]] = ()) -> list[dict[str, str]]:
    """Return combinations in which any two values of two switches meet at least once; greedy, and always the same.

    `leave_out` are values that no client can do anything about: one would hide what the others do.
    """
    table = {
        name: [value for value in values if (name, value) not in leave_out] for name, values in tables(provider).items()
    }
    open_ = {
        ((a, x), (b, y)) for a, b in combinations(table, 2) for x in table[a] for y in table[b]
    }  # fmt: skip
    found: list[dict[str, str]] = []
    while open_:
        first, second = min(open_)
        chosen = dict([first, second])
        for name, values in table.items():
            if name in chosen:
                continue
            gains = {value: _gain((name, value), chosen, open_) for value in values}
            chosen[name] = max(gains, key=gains.__getitem__)
        items = list(chosen.items())
        open_ -= {(one, other) for one in items for other in items}
        found.append({name: value for name, value in chosen.items() if value not in ("None", table[name][0])})
    return found


def _gain(one: tuple[str, str], chosen: Mapping[str, str], open_: Collection[object]) -> int:
    """Return how many open pairs a value makes with what is chosen."""
    return sum((one, other) in open_ or (other, one) in open_ for other in chosen.items())
