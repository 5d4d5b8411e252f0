"""What values mean: times, sets, nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.values import empty, instant, is_date, is_date_time, meaning, same

NOON = 1_801_396_800_000_000  # 2027-01-31T12:00:00Z, in microseconds

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)
compares = st.sampled_from([None, "set", "instant"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2027-01-31T12:00:00Z", NOON),
        ("2027-01-31t12:00:00z", NOON),
        ("2027-01-31T12:00:00.000Z", NOON),
        ("2027-01-31T12:00:00.1234567Z", NOON + 123_456),
        ("2027-01-31T12:00:00.123456789Z", NOON + 123_456),
        ("2027-01-31T12:00:00.5Z", NOON + 500_000),
        ("2027-01-31T14:00:00+02:00", NOON),
        ("2027-01-31T06:30:00-05:30", NOON),
        ("2027-01-31T12:00:00-00:00", NOON),
        ("2027-01-31", NOON - 12 * 3_600_000_000),
        ("1970-01-01", 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("2016-12-31T15:59:60-08:00", 1_483_228_800_000_000),
        (1_801_396_800, NOON),
        (1_801_396_800.25, NOON + 250_000),
        (1_801_396_800_000, NOON),
        (-1, -1_000_000),
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (-100_000_000_000, -100_000_000_000_000),
    ],
)
def test_spellings_of_an_instant(value: Any, expected: int) -> None:
    """RFC 3339, ISO dates, seconds, and milliseconds from 1e11 name an instant in microseconds."""
    assert expected == instant(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "tomorrow",
        [],
        {},
        "2027-02-30",
        "2027-13-01",
        "0000-01-01",
        "2027-1-31",
        "2027-01-31\n",
        "2027-01-31T12:00:00",
        "2027-01-31 12:00:00Z",
        "2027-01-31T12:00Z",
        "2027-01-31T24:00:00Z",
        "2027-01-31T12:60:00Z",
        "2027-01-31T12:00:61Z",
        "2027-02-30T12:00:00Z",
        "2027-01-31T12:00:60Z",
        "2027-01-31T12:00:00.Z",
        "2027-01-31T12:00:00.1234567890Z",
        "2027-01-31T12:00:00+24:00",
        "2027-01-31T12:00:00+0100",
        "2027-01-31T12:00:00Z\n",
        "\uff12\uff10\uff12\uff17-01-31",
        float("nan"),
        float("inf"),
        -float("inf"),
        1e308,
        10**400,
        -(10**400),
        253_402_300_800_000,
        -62_135_596_800_001,
    ],
)
def test_what_names_no_instant(value: Any) -> None:
    """Dates no calendar has, times without an offset and numbers beyond year 9999 name no instant."""
    assert instant(value) is None


def test_the_formats_are_the_two_spellings_in_text() -> None:
    """A date-time is no date, a date is no date-time, and neither is any other text."""
    assert (is_date_time("2027-01-31T12:00:00Z"), is_date("2027-01-31T12:00:00Z")) == (True, False)
    assert (is_date_time("2027-01-31"), is_date("2027-01-31")) == (False, True)
    assert (is_date_time("2027-02-30T12:00:00Z"), is_date("2027-02-30")) == (False, False)
    assert (is_date_time("2016-12-31T23:59:60Z"), is_date_time("2016-12-31T22:59:60Z")) == (True, False)
    assert (is_date_time("1801396800"), is_date("1801396800")) == (False, False)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - naive on purpose: UTC
def test_every_time_reads_as_python_reads_it(moment: datetime, minutes: int) -> None:
    """An instant is what the standard library says it is, whatever offset it is written with."""
    utc = moment.replace(tzinfo=UTC)
    sign, offset = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    local = (moment + timedelta(minutes=minutes)).isoformat()
    expected = (utc - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert expected == instant(f"{local}{sign}{offset[0]:02}:{offset[1]:02}")
    assert same(f"{moment.isoformat()}Z", f"{local}{sign}{offset[0]:02}:{offset[1]:02}", "instant")


@given(st.text() | st.integers() | st.floats())
def test_nothing_makes_an_instant_raise(value: Any) -> None:
    """Any text and any number gets an answer, and the formats agree with it."""
    found = instant(value)
    if isinstance(value, str):
        assert (found is not None) == (is_date(value) or is_date_time(value))


@pytest.mark.parametrize(
    ("left", "right", "compare"),
    [
        ("a", "a", None),
        (None, "", None),
        (None, [], None),
        ("", {}, None),
        (1, 1.0, None),
        ([1, "a"], [1.0, "a"], None),
        ({"a": 1, "b": None}, {"a": 1.0}, None),
        ({"a": None}, None, None),
        ("a", ["a"], "set"),
        (["a", "b"], ["b", "a", "a"], "set"),
        (["a", ""], ("a",), "set"),
        ([], None, "set"),
        ("", [None], "set"),
        ([1, "a"], ["a", 1.0], "set"),
        ([{"a": 1}], [{"a": 1.0, "b": None}], "set"),
        ("2027-01-31T12:00:00Z", 1_801_396_800, "instant"),
        (1_801_396_800_000, "2027-01-31T13:00:00+01:00", "instant"),
        ("2027-01-31", "2027-01-31T00:00:00.000Z", "instant"),
        ("soon", "soon", "instant"),
        (None, "", "instant"),
    ],
)
def test_same(left: Any, right: Any, compare: str | None) -> None:
    """Different spellings of one meaning are the same, from either side."""
    assert same(left, right, compare)
    assert same(right, left, compare)


@pytest.mark.parametrize(
    ("left", "right", "compare"),
    [
        ("a", "A", None),
        ("1", 1, None),
        (True, 1, None),
        (False, 0, None),
        (False, None, None),
        (0, None, None),
        ([True], [1], None),
        ({"a": True}, {"a": 1}, None),
        (["a", "b"], ["b", "a"], None),
        ("a", ["a"], None),
        ({"a": 1}, {"a": 1, "b": 2}, None),
        (["a"], ["a", "b"], "set"),
        (["a"], None, "set"),
        ([1], [True], "set"),
        ("2027-01-31", "2027-02-01", "instant"),
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000001Z", "instant"),
        ("2027-01-31", None, "instant"),
        ("soon", "2027-01-31", "instant"),
        (0, None, "instant"),
    ],
)
def test_not_the_same(left: Any, right: Any, compare: str | None) -> None:
    """What a CRM would tell apart is not the same, from either side."""
    assert not same(left, right, compare)
    assert not same(right, left, compare)


def test_empty() -> None:
    """Null, no text, no items and no members are nothing; zero and false are something."""
    nothing: list[Any] = [None, "", [], {}, {"a": None}]
    something: list[Any] = [0, False, " ", [None], {"a": 0}]
    assert all(map(empty, nothing))
    assert not any(map(empty, something))


@given(values, compares)
def test_every_value_is_the_same_as_itself(value: Any, compare: str | None) -> None:
    """`same` is reflexive for any JSON value, and a meaning can be hashed."""
    assert same(value, value, compare)
    assert meaning(value, compare) == meaning(value, compare)
    assert hash(meaning(value, compare)) == hash(meaning(value, compare))


@given(st.lists(scalars, max_size=5), st.randoms(use_true_random=False))
def test_a_set_is_the_same_in_any_order(items: list[Any], random: Any) -> None:
    """Neither order nor repetition matters in a set."""
    shuffled = items + items[:2]
    random.shuffle(shuffled)
    assert same(items, shuffled, "set")
