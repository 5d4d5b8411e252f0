"""Patterns that are compiled late: the same as others, once somebody uses them."""

import re
import subprocess
import sys
from typing import Any

import pytest

from crmctl.patterns import Pattern, compiled_late


def test_a_late_pattern_is_like_any_other() -> None:
    """Flags, methods and attributes; compiled once, and also while others are still to be compiled late."""
    with compiled_late():
        late: Any = re.compile("a(?P<rest>b+)", re.IGNORECASE)
        assert isinstance(late, Pattern)
        assert (found := late.match("ABB")) is not None
    assert "BB" == found["rest"]
    assert {"rest": 1} == dict(late.groupindex)
    assert "search" not in vars(late)
    assert late.search("xab")
    assert "search" in vars(late)
    assert isinstance(re.compile("a+"), re.Pattern)


def test_an_import_that_fails_leaves_nothing_behind() -> None:
    """Patterns are compiled at once again."""
    with pytest.raises(ZeroDivisionError), compiled_late():
        _ = 1 / 0
    assert isinstance(re.compile("b+"), re.Pattern)


def test_pyyaml_works_with_late_patterns() -> None:
    """Its pure Python parts use them, the C parser none: nothing has been compiled when a manifest was parsed."""
    program = (
        "from crmctl.parser import Shape, parse; import yaml;"
        "documents, wrong = parse(b'accounts: [{domain: a.example, founded: 1984}]', 'a.yaml', Shape());"
        "assert documents and not wrong;"
        "print(type(yaml.reader.Reader.NON_PRINTABLE).__name__, [*vars(yaml.reader.Reader.NON_PRINTABLE)]);"
        "print(yaml.safe_load('{a: 1, b: 2001-02-03, c: no, d: 1.5, e: x}'))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    late, loaded = shown.stdout.splitlines()
    assert "Pattern ['_arguments']" == late
    assert "{'a': 1, 'b': datetime.date(2001, 2, 3), 'c': False, 'd': 1.5, 'e': 'x'}" == loaded
