"""Documentation that can't drift: examples are run, and every verb, flag, exit code and switch is described."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from harness import check_golden

from crmctl import cli, errors

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def checkout(folder: Path) -> dict[str, str]:
    """Copy what a clone has to a folder; returns an environment as a newcomer's."""
    for name in ("manifests", "schemas", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("crmctl.yaml", "Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command line as a person would; returns what a terminal would show."""
    finished = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return finished.stdout


def examples(page: Path) -> list[tuple[str, str]]:
    """The commands of a page's console blocks, each with what it should print (`...` for anything)."""
    found: list[tuple[str, str]] = []
    for block in CONSOLE.findall(page.read_text(encoding="utf-8")):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = piece.partition("\n")
            found.append((command, output))
    return found


def matches(expected: str, actual: str) -> bool:
    """Whether an output is as the page has it; a line `...` stands for any lines, `...` in a line for anything."""
    lines = [
        "(?:.*\n)*?" if line == "...\n" else re.escape(line).replace(r"\.\.\.", ".*")
        for line in expected.splitlines(keepends=True)
    ]
    return re.fullmatch("".join(lines), actual) is not None


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    """Every console block is run, in order, in a fresh checkout."""
    environment = checkout(tmp_path)
    for command, expected in examples(page):
        actual = run(command, tmp_path, environment)
        assert matches(expected, actual), f"$ {command}\n{actual}"


def test_make_demo_ends_with_no_changes(tmp_path: Path) -> None:
    """Plan, apply, plan again."""
    environment = checkout(tmp_path)
    shown = run(f"make demo BIN={BIN} --assume-old=.venv/.ready && echo done", tmp_path, environment)
    assert "Plan: 14 to create" in shown
    assert "Applied: 12 created, 0 updated, 0 unchanged, 2 sent" in shown
    assert "No changes. 14 records match" in shown
    # Then the same records in another vendor's CRM, which has no place for opportunities.
    assert "Plan: 12 to create" in shown
    assert "Applied: 12 created, 0 updated, 0 unchanged, 2 skipped" in shown
    assert 'No changes. 12 records match target "support", unmanaged not counted (2 reports).' in shown
    assert shown.endswith("done\n")


def test_every_verb_and_flag_is_described() -> None:
    """docs/cli.md is the help of every verb, word for word."""
    check_golden("".join(_help(cli.main, "crmctl")), ROOT / "docs" / "cli.md")


def _help(command: click.Command, name: str) -> list[str]:
    # Click keeps the help option of a command's first context, which may have been another test's.
    command._help_option = None
    context = click.Context(
        command, info_name=name, max_content_width=100, terminal_width=100, help_option_names=["-h", "--help"]
    )
    title = "# The command line\n\n" if name == "crmctl" else ""
    lines = [f"{title}## {name}\n\n```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            found = command.get_command(context, verb)
            assert found is not None
            lines.append("\n")
            lines += _help(found, f"{name} {verb}")
    return lines


def test_every_flag_has_a_twin_in_the_environment() -> None:
    """--max-creates is CRMCTL_MAX_CREATES, for every verb that has it."""
    for command in _verbs(cli.main):
        for option in command.params:
            if isinstance(option, click.Option) and "--help" not in option.opts and "--version" not in option.opts:
                long = next(name for name in option.opts if name.startswith("--"))
                assert f"CRMCTL_{long[2:].replace('-', '_').upper()}" == option.envvar, (command.name, long)


def _verbs(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.help
        found += _verbs(command) if isinstance(command, click.Group) else [command]
    return found


def test_every_exit_code_is_described() -> None:
    """docs/exit-codes.md has a row for each code that an error carries."""
    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    described = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    carried = {
        error.exit_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")
    }
    assert {0, 2, 3, cli.EXIT_BUG, cli.EXIT_USAGE, cli.EXIT_INTERRUPTED, *carried} == described


def test_every_dependency_is_explained() -> None:
    """docs/dependencies.md says of each library why it is there."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = project.partition("\ndependencies = [")[2].partition("]")[0]
    assert [] == [name for name in re.findall(r'"([a-z0-9-]+)', block) if f"| {name} |" not in text]


def test_links_lead_somewhere() -> None:
    """No page links to a file that is not there."""
    broken = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert [] == broken


def test_manifests_in_the_documentation_are_valid(tmp_path: Path) -> None:
    """Every YAML block that is a manifest passes validate."""
    environment = checkout(tmp_path)
    shutil.rmtree(tmp_path / "manifests")
    (tmp_path / "manifests").mkdir()
    number = 0
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            if {"accounts", "contacts", "opportunities", "notes"} & yaml.safe_load(block).keys():
                number += 1
                (tmp_path / "manifests" / f"{number}.yaml").write_text(block, encoding="utf-8")
                assert "valid" in run("crmctl validate", tmp_path, environment)
                (tmp_path / "manifests" / f"{number}.yaml").unlink()
    assert number > 1


def test_nothing_names_one_machine_or_a_registry() -> None:
    """The project builds anywhere."""
    command = ["/usr/bin/env", "git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    forbidden = ["py" + "pi.org", f"{ROOT}/", f"{Path.home()}/"]
    found = [
        (name, word)
        for name in listed.split("\0")
        if name and (ROOT / name).is_file()
        for word in forbidden
        if word in (ROOT / name).read_text(encoding="utf-8", errors="replace")
    ]
    assert [] == found
