"""The file that `crmctl sandbox serve --faults` takes: what it may say, and what is said of a wrong one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmctl.sandbox.chaos import FAULTS, LASTING, Fault, lasting
from crmctl.sandbox.fault_file import LONGEST, FaultFileError, parse_faults, read_faults


def test_a_file_lists_faults() -> None:
    """YAML, or JSON, which is YAML as well; a number may stand for itself."""
    text = b"""
- {fault: 429, seconds: 2, routes: 'POST /v1/*/bulk', nth: [1, 3]}
- {fault: 500_after, probability: 0.05, times: 4}
- fault: delay
"""
    assert [
        Fault("429", "POST /v1/*/bulk", nth=frozenset({1, 3}), seconds=2.0),
        Fault("500_after", probability=0.05, times=4),
        Fault("delay"),
    ] == parse_faults(text, "faults.yaml")
    assert [Fault("cut", nth=frozenset({2}))] == parse_faults(b'[{"fault": "cut", "nth": 2}]', "faults.json")


def test_what_lasts_is_of_the_whole_crm() -> None:
    """A clock that is wrong, and lists that show late."""
    faults = parse_faults(b"- {fault: clock_skew, seconds: -60}\n- {fault: search_lag, seconds: 2.5}", "f")
    assert {"clock_skew": -60.0, "search_lag": 2.5} == lasting(faults)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{}", "f: not a list"),
        (b"", "f: not a list"),
        (b"- nothing", "f: entry 1: not an object; it has: fault, routes"),
        (b"- {fault: cut}\n- {fault: cut, nht: 3}", "f: entry 2: there is no 'nht' (did you mean 'nth'?)"),
        (b"- {fault: 500_afer}", "there is no fault '500_afer' (did you mean '500_after'?)"),
        (b"- {routes: x}", "there is no fault 'None'"),
        (b"- {fault: cut, nth: 0}", "nth: 0 is no whole number from 1"),
        (b"- {fault: cut, nth: []}", "nth: no request is named"),
        (b"- {fault: cut, nth: true}", "nth: True is no whole number"),
        (b"- {fault: cut, times: 1.5}", "times: 1.5 is no whole number"),
        (b"- {fault: cut, probability: 2}", "probability: 2 is no number from 0 to 1"),
        (b"- {fault: cut, probability: .nan}", "probability: nan is no number"),
        (b"- {fault: cut, probability: 0.5, nth: 1}", "either nth or probability"),
        (b"- {fault: cut, seconds: 1}", "cut takes no seconds"),
        (b"- {fault: delay, seconds: -1}", "seconds: -1 is no number from 0 to 86400"),
        (b"- {fault: cut, routes: ''}", "routes: a pattern"),
        (b"- {fault: search_lag, nth: 1}", "search_lag is of the whole CRM"),
        (b"- {1: 2}", "entry 1: not an object"),
        (b"- [\n", "f:2: "),
        (b"- &a {fault: cut}\n- *a", "no aliases"),
        (b"- !!python/object:os.system {}", "f:1: could not determine a constructor"),
        (b"\xff\xfe\xff", "f: "),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(text: bytes, words: str) -> None:
    """The entry, the member, and what may stand there."""
    with pytest.raises(FaultFileError) as caught:
        parse_faults(text, "f")
    assert words in str(caught.value)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(FaultFileError, match=r"none\.yaml: No such file"):
        read_faults(tmp_path / "none.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (LONGEST + 1))
    with pytest.raises(FaultFileError, match=f"more than {LONGEST} bytes"):
        read_faults(tmp_path / "large.yaml")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_is_a_surprise(text: bytes) -> None:
    """Any bytes are faults, or an error of ours."""
    try:
        faults = parse_faults(text, "f")
    except FaultFileError as error:
        assert str(error).startswith("f")  # noqa: PT017 - one of two right ends
    else:
        assert all(fault.fault in {*FAULTS, *LASTING} for fault in faults)
