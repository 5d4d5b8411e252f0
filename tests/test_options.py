"""The types of flags: numbers that are numbers, from the command line and the environment."""

import click
import pytest
from click.testing import CliRunner

from crmctl import cli
from crmctl.commands.options import FiniteRange, flag


@click.command()
@flag("--settle", type=FiniteRange(0, 3600))
@flag("--latency", type=FiniteRange(min=0), default=0.0)
def tiny(settle: float | None, latency: float) -> None:
    click.echo(f"{settle} {latency}")


@pytest.mark.parametrize("value", ["nan", "NaN", "-nan", "inf", "1e999", "-inf", "-1"])
@pytest.mark.parametrize("name", ["settle", "latency"])
def test_what_is_no_number_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """NaN is neither below nor above any bound, so click lets it pass; from the environment as well."""
    monkeypatch.setattr(cli, "main", tiny)
    assert 64 == cli.run([f"--{name}", value])
    monkeypatch.setenv(f"CRMCTL_{name.upper()}", value)
    assert 64 == cli.run([])


def test_numbers_within_bounds_are_taken() -> None:
    """Bounds included, and nothing stays nothing."""
    outputs = [CliRunner().invoke(tiny, arguments).output for arguments in ([], ["--settle", "3600", "--latency", "1"])]
    assert ["None 0.0\n", "3600.0 1.0\n"] == outputs
