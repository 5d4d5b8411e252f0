"""Switches: how names and values are read."""

import re
from pathlib import Path
from typing import Any

import pytest

from crmctl.sandbox.octolane_switches import OctolaneSwitches
from crmctl.sandbox.switches import SwitchError, Switches, list_switches, read_switches, split_assignment
from crmctl.sandbox.thena_switches import ThenaSwitches


def test_nothing_given_is_the_defaults() -> None:
    """Without any switch every behaviour is the default one."""
    assert vars(OctolaneSwitches()) == vars(read_switches(OctolaneSwitches, {}))


def test_words_and_numbers_are_read() -> None:
    """A switch takes one of its words, a number, or none."""
    read = read_switches(OctolaneSwitches, {"existing": "untouched", "in_limit": "25", "search_lag": "1.5"})
    assert ("untouched", 25, 1.5) == (read.existing, read.in_limit, read.search_lag)
    assert read_switches(OctolaneSwitches, {"in_limit": "none"}).in_limit is None


def test_an_unknown_name_is_named_with_the_likeliest_one() -> None:
    """A misspelt switch is refused with a suggestion and the list."""
    with pytest.raises(SwitchError, match=r"no switch 'exsting' \(did you mean 'existing'\?\); there are: existing, "):
        read_switches(OctolaneSwitches, {"exsting": "untouched"})


def test_an_unknown_value_is_named_with_the_valid_ones() -> None:
    """A misspelt value is refused with a suggestion and the list."""
    with pytest.raises(SwitchError, match=r"'untuched' \(did you mean 'untouched'\?\); it takes: overwrite\|untouched"):
        read_switches(OctolaneSwitches, {"existing": "untuched"})


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "nan", ""])
def test_a_number_has_to_be_one(text: str) -> None:
    """A switch that counts takes whole numbers from 0."""
    with pytest.raises(SwitchError, match=r"it takes: NUMBER\|none"):
        read_switches(OctolaneSwitches, {"in_limit": text})


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "none"])
def test_seconds_have_to_be_finite(text: str) -> None:
    """A switch in seconds takes finite numbers from 0."""
    with pytest.raises(SwitchError, match=r"switch search_lag has no value .*; it takes: NUMBER$"):
        read_switches(OctolaneSwitches, {"search_lag": text})


def test_an_assignment_is_split_at_the_first_equals_sign() -> None:
    """NAME=VALUE is split; anything else is refused."""
    assert ("existing", "untouched") == split_assignment("existing = untouched")
    for wrong in ("existing", "=untouched", ""):
        with pytest.raises(SwitchError, match="write NAME=VALUE"):
            split_assignment(wrong)


@pytest.mark.parametrize("table", [OctolaneSwitches, ThenaSwitches])
def test_every_default_is_a_valid_value(table: Any) -> None:
    """What the list shows as default can be typed."""
    shown = {name: default for name, _, default, _ in list_switches(table)}
    assert vars(table()) == vars(read_switches(table, shown))


@pytest.mark.parametrize(("vendor", "table"), [("octolane", OctolaneSwitches), ("thena", ThenaSwitches)])
def test_every_value_of_every_switch_has_its_test(vendor: str, table: type[Switches]) -> None:
    """No switch goes untested: beside this file there is a test named after each value."""
    wanted = {f"{name}_{value.lower()}" for name, allowed, _, _ in list_switches(table) for value in allowed.split("|")}
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob(f"test_{vendor}_*_switches.py")]
    assert wanted <= set(re.findall(r"^def test_(\w+)\(", "".join(texts), re.MULTILINE))


def test_a_switch_that_is_none_is_refused_in_code_too() -> None:
    """Whoever writes a test with a misspelt switch hears of it."""
    with pytest.raises(TypeError, match="existng"):
        OctolaneSwitches(existng="merge")
