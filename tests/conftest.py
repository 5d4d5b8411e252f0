"""The fixtures of the whole suite."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from project import CONFIG, MANIFEST, Project, write

from crmctl import cli

# How long an example takes is the machine's business, not a fact about crmctl.
settings.register_profile("crmctl", deadline=None)
settings.load_profile("crmctl")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """A folder with a configuration and a manifest; calling it runs crmctl there: (exit code, stdout, stderr)."""
    for name in [name for name in os.environ if name.startswith("CRMCTL_") or name in {"CI", "OCTOLANE_API_KEY"}]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crmctl.yaml").write_text(CONFIG)
    (tmp_path / "manifests").mkdir()
    write(MANIFEST)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
