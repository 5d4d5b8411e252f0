"""How much of a large space of cases is tried: a seeded sample, or with CHAOS=all in the environment everything."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

ALL = os.environ.get("CHAOS") == "all"
SEED = int(os.environ.get("CHAOS_SEED", "4"))

Case = TypeVar("Case")


def some(cases: Sequence[Case], number: int) -> list[Case]:
    """Return so many of the cases, the same ones each time; all of them for `make chaos`."""
    if ALL or len(cases) <= number:
        return list(cases)
    chosen = sorted(random.Random(SEED).sample(range(len(cases)), number))  # noqa: S311 - a sample, not a secret
    return [cases[index] for index in chosen]
