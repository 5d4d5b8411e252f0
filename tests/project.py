"""What the tests of the command line share: a project's configuration and manifest."""

from collections.abc import Callable
from pathlib import Path

CONFIG = """
version: 1
default_target: sandbox
targets:
  sandbox: {provider: octolane, sandbox: .crmctl/sandbox.db}
  production: {provider: octolane}
"""
MANIFEST = """
accounts:
  - domain: a.example
    name: A
    contacts:
      - {email: jane@a.example, first_name: Janette}
"""

Project = Callable[..., tuple[int, str, str]]
"""Runs a command line in a project: (exit code, standard output, standard error)."""


def write(text: str, name: str = "test.yaml") -> None:
    Path("manifests", name).write_text(text)
