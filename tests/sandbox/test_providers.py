"""The literal registry of what can be played."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crmctl.sandbox import PROVIDERS, open_sandbox, switches_of
from crmctl.sandbox.switches import SwitchError, list_switches


@pytest.mark.parametrize("provider", list(PROVIDERS))
def test_every_provider_opens(provider: str, tmp_path: Path) -> None:
    """Each entry leads to an API, its tables and its switches."""
    app = open_sandbox(provider, tmp_path / "crm.db", switches={"search_lag": "1"})
    app.close()
    assert {"search_lag", "body_limit"} <= {name for name, *_ in list_switches(switches_of(provider))}
    with pytest.raises(SwitchError):
        open_sandbox(provider, tmp_path / "crm.db", switches={"nope": "1"})


def test_surfaces_of_one_vendor_share_records(open_crm: Any, open_any: Any) -> None:
    """What the gateway has made, the inbound host has under the same id."""
    gateway = open_crm()
    gateway.create("accounts", {"domain": "acme.example"})
    [account] = gateway.records("accounts")
    inbound = open_any("octolane_inbound", type(gateway))
    answer = inbound.send("GET", "/v2/inbound/accounts").json()["data"]
    assert [account["id"]] == [record["id"] for record in answer["accounts"]]


def test_a_vendor_is_imported_when_it_is_opened() -> None:
    """Importing the package loads no vendor's code."""
    check = "import sys, crmctl.sandbox as s; sys.exit(any('octolane' in n or 'thena' in n for n in sys.modules))"
    assert 0 == subprocess.run([sys.executable, "-c", check], check=False).returncode
