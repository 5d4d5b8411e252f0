"""What `make mutants` switches off is still there: nobody runs it as often as the code changes."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_mutant_has_something_to_switch_off(mutant: Mutant) -> None:
    """The code stands in its file once, is Python without it too, and the tests that ought to notice are there."""
    sound = (ROOT / "crmctl" / mutant.file).read_text(encoding="utf-8")
    assert 1 == sound.count(mutant.old)
    assert ast.dump(ast.parse(sound)) != ast.dump(ast.parse(sound.replace(mutant.old, mutant.new)))
    assert [] == [name for name in mutant.tests if not (ROOT / name).exists()]


def test_each_mutant_has_a_name_of_its_own() -> None:
    """A row of the table names one guard."""
    assert {1} == set(Counter(mutant.guard for mutant in MUTANTS).values())
