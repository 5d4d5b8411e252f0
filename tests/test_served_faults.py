"""`crmctl sandbox serve --faults`: the real command, and the real client against it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project

SERVE = [sys.executable, "-m", "crmctl", "sandbox", "serve", "--port", "0", "--db", "crm.db"]


@pytest.mark.usefixtures("project")
def test_a_served_crm_in_bad_weather_is_brought_into_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One apply comes through lost answers and refusals, and the second plan is empty."""
    faults = [
        {"fault": "500_after", "routes": "POST *bulk", "nth": 1},
        {"fault": "429", "seconds": 0.05, "nth": [2, 5]},
        {"fault": "reset_before", "nth": 4},
        {"fault": "clock_skew", "seconds": 3600},
    ]
    Path("faults.json").write_text(json.dumps(faults))
    with subprocess.Popen(
        [*SERVE, "--faults", "faults.json", "--seed", "3"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            target = f"{{provider: octolane, base_url: '{url}', api_key_env: TEST_KEY}}"
            Path("crmctl.yaml").write_text(f"version: 1\ndefault_target: t\ntargets: {{t: {target}}}\n")
            monkeypatch.setenv("TEST_KEY", "k")
            code, out, err = project("apply", "--auto-approve", "-o", "json")
            assert 0 == code, err
            assert 2 == json.loads(out)["totals"]["created"]
            assert 0 == project("plan", "--detailed-exitcode")[0]
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("text", "words"),
    [("- {fault: earthquake}", "faults.yaml: entry 1: there is no fault 'earthquake'"), ("{", "faults.yaml:1")],
)
def test_a_wrong_file_of_faults_is_a_usage_error(project: Project, text: str, words: str) -> None:
    """Exit code 64, and nothing is served."""
    Path("faults.yaml").write_text(text)
    code, _, err = project("sandbox", "serve", "--port", "0", "--faults", "faults.yaml")
    assert 64 == code
    assert words in err
    assert not os.path.exists(".crmctl/sandbox.db")  # noqa: PTH110 - as short as it gets
