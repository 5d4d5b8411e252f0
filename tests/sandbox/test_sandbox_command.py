"""`crmctl sandbox`: serve, reset and stats as a user meets them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from crmctl.commands.sandbox import sandbox
from crmctl.errors import CrmctlError
from crmctl.sandbox import open_sandbox

PROGRAM = "from crmctl.commands.sandbox import sandbox; sandbox(prog_name='crmctl sandbox')"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("CRMCTL_")}


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(sandbox, arguments)


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `crmctl sandbox serve` as a process of its own, and give it and its url."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**CLEAN, **environment}
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_listens_and_stops_when_told(tmp_path: Path, stop: signal.Signals) -> None:
    """The url alone goes to stdout, once connections are taken; Ctrl-C and SIGTERM are a normal end."""
    with serving("--db", str(tmp_path / "new" / "crm.db"), "--api-key", "right") as (process, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            statuses = [
                client.get("/v1/accounts", headers={"x-api-key": key}).status_code for key in ("right", "wrong")
            ]
        process.send_signal(stop)
        rest, told = process.communicate(timeout=10)
    assert ([200, 401], "", 0) == (statuses, rest, process.returncode)
    assert f"{{provider: octolane, base_url: {url}, api_key_env: SANDBOX_API_KEY}}" in told
    assert "right" not in told
    assert ["crm.db"] == [path.name for path in (tmp_path / "new").iterdir()]


def test_serve_can_be_stopped_at_once(tmp_path: Path) -> None:
    """A signal that comes right after the url ends it as well."""
    with serving("--db", str(tmp_path / "crm.db")) as (process, _):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert 0 == process.returncode


def test_serve_takes_its_options_from_the_environment(tmp_path: Path) -> None:
    """Every option has a variable; several switches are separated by spaces."""
    environment = {
        "CRMCTL_DB": str(tmp_path / "crm.db"),
        "CRMCTL_API_KEY": "right",
        "CRMCTL_RATE_LIMIT": "1",
        "CRMCTL_SWITCH": "retry_after=seconds created_status=201",
    }
    with serving(**environment) as (process, url):
        with httpx.Client(base_url=url, headers={"x-api-key": "right"}, trust_env=False) as client:
            answers = [client.post("/v1/accounts", json={"domain": "a.example"}) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert [201, 429] == [answer.status_code for answer in answers]
    assert "1" == answers[1].headers["retry-after"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--switch", "exsting=untouched"], "did you mean 'existing'?"),
        (["--switch", "existing=untuched"], "it takes: overwrite|untouched|fill_blank"),
        (["--switch", "existing"], "write NAME=VALUE"),
        (["--provider", "octopus"], "there are: octolane, octolane_inbound, thena"),
        (["--provider", "thena", "--switch", "existing=untouched"], "there is no switch 'existing'"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--latency", "-1"], "-1.0 is not in the range"),
        (["--latency", "nan"], "nan is not a finite number"),
        (["--latency", "inf"], "inf is not a finite number"),
        (["--rate-limit", "nan"], "nan is not a finite number"),
        (["--api-key", ""], "leave it out to accept any key"),
    ],
)
def test_wrong_input_is_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    """What cannot be is refused before anything is made, with the valid choices."""
    result = run("serve", "--db", str(tmp_path / "crm.db"), *arguments)
    assert (2, "") == (result.exit_code, result.stdout)  # the top level makes it 64
    assert message in result.stderr
    assert [] == list(tmp_path.iterdir())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port in use is an expected failure, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--db", str(tmp_path / "crm.db"), "--port", str(port))
    assert isinstance(result.exception, CrmctlError)
    assert f"127.0.0.1:{port}: Address already in use; choose another --port, or 0 for a free one" == str(
        result.exception
    )


@pytest.mark.parametrize("verb", ["serve", "stats"])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, verb: str) -> None:
    """A file of another kind is an expected failure."""
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 100, encoding="utf-8")
    result = run(verb, "--db", str(file))
    assert isinstance(result.exception, CrmctlError)
    assert "not a database" in str(result.exception)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """Make a database with one account and a few requests."""
    database = tmp_path / "crm.db"
    app = open_sandbox("octolane", database)
    app._store.count_request("GET /v1/accounts", 200)
    for _ in range(12):
        app._store.count_request("POST /v1/accounts/bulk", 200)
    app.close()
    return database


def test_stats_are_aligned_text(used: Path) -> None:
    """Requests by route and status, then records by kind."""
    assert run("stats", "--db", str(used)).stdout == (
        "requests\n"
        "  GET /v1/accounts 200         1\n"
        "  POST /v1/accounts/bulk 200  12\n"
        "records\n"
        "  accounts       0\n"
        "  contacts       0\n"
        "  notes          0\n"
        "  opportunities  0\n"
    )


def test_stats_are_json_on_request(used: Path) -> None:
    """The same as JSON, by flag or variable."""
    expected: Any = {
        "requests": [
            {"route": "GET /v1/accounts", "status": 200, "count": 1},
            {"route": "POST /v1/accounts/bulk", "status": 200, "count": 12},
        ],
        "records": {"accounts": 0, "contacts": 0, "notes": 0, "opportunities": 0},
    }
    assert expected == json.loads(run("stats", "--db", str(used), "--json").stdout)
    assert expected == json.loads(run("stats", CRMCTL_DB=str(used), CRMCTL_JSON="1").stdout)


def test_stats_tell_vendors_apart(used: Path) -> None:
    """Where two vendors share the file, the vendor stands before the route and the kind."""
    app = open_sandbox("thena", used)
    app._store.count_request("GET /v1/accounts", 200)
    app.close()
    shown = run("stats", "--db", str(used)).stdout
    assert "  octolane GET /v1/accounts 200         1\n" in shown
    assert "  thena GET /v1/accounts 200            1\n" in shown
    records = json.loads(run("stats", "--db", str(used), "--json").stdout)["records"]
    assert {"thena accounts": 0, "thena contacts": 0, "thena notes": 0}.items() <= records.items()
    assert 0 == records["octolane accounts"]


def test_every_provider_can_be_served(tmp_path: Path) -> None:
    """What a target has to look like names the provider; the switches are that provider's own."""
    with serving("--provider", "thena", "--db", str(tmp_path / "crm.db"), "--switch", "envelope=bare") as (
        process,
        url,
    ):
        with httpx.Client(base_url=url, headers={"x-api-key": "any"}, trust_env=False) as client:
            assert [] == client.get("/v1/accounts").json()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)
    assert f"{{provider: thena, base_url: {url}, api_key_env: SANDBOX_API_KEY}}" in told


def test_stats_of_nothing_are_an_error(tmp_path: Path) -> None:
    """Without a database there is nothing to count, and none is made."""
    result = run("stats", "--db", str(tmp_path / "crm.db"))
    assert "no such database" in str(result.exception)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["serve", "stats", "reset"])
def test_a_name_that_is_too_long_is_no_bug(verb: str) -> None:
    """No file has a name of 300 bytes."""
    assert isinstance(run(verb, "--db", "x" * 300).exception, CrmctlError)


def test_reset_deletes_no_file_of_somebody_else(tmp_path: Path) -> None:
    """What is no database is left alone, and said to be."""
    notes = tmp_path / "notes.txt"
    notes.write_text("keep")
    assert "not a database" in str(run("reset", "--db", str(notes)).exception)
    assert "keep" == notes.read_text()


def test_reset_deletes_quietly(used: Path) -> None:
    """A reset says nothing, whether there is a database or not."""
    for _ in range(2):
        result = run("reset", "--db", str(used))
        assert (0, "") == (result.exit_code, result.output)
        assert not used.exists()


def test_help_does_not_load_the_sandbox() -> None:
    """Asking for help costs no database and no schema compiler."""
    check = "import sys; import crmctl.commands.sandbox; sys.exit('crmctl.sandbox' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", check], check=False).returncode
    result = run("serve", "--help")
    for option in ("--provider", "--port", "--db", "--api-key", "--rate-limit", "--latency", "--switch"):
        assert option in result.stdout
