"""The rules of docs/architecture.md, read off the imports with ast."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "crmctl"
CEILING = 400
MEAN = 150

NOUNS = {"capability", "document", "errors", "kinds", "resource"}
PURE = {
    "capability", "describe", "desired", "diff", "document", "errors", "history", "identity", "judge", "kinds",
    "memory", "undo",
    "outcome", "parser", "plan", "redact", "resource", "retry", "ratelimit", "saved", "syntax", "values",
    "canary", "conflict", "limits", "verification", "batching", "halving", "pace", "window",
}  # fmt: skip
IMPURE = {"asyncio", "os", "time", "httpx", "crmctl.client", "crmctl.provider", "crmctl.providers", "crmctl.config"}
STAGES = {
    "blocked", "manifest", "desired", "describe", "fit", "found", "live", "diff", "plan", "saved", "outcome", "apply",
    "sender", "judge", "journal", "history", "memory", "mirror", "place", "lock", "shelf", "undo", "reconcile",
    "config", "schema", "parser", "syntax", "canary", "conflict", "guard", "limits", "batching", "delivery",
}  # fmt: skip
HOMES = {
    "yaml": {"parser"},
    "jsonschema": {"schema", "wording"},
    "jsonschema_rs": {"schema"},
    "referencing": {"schema", "wording"},
    "deepdiff": {"diff"},
    "httpx": {"client"},
    "filelock": {"lock"},
    "fsspec": {"place"},
    "idna": {"identity"},
    "email_validator": {"identity"},
    "click": {"cli", "commands"},
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, by its dotted name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), ast.parse(path.read_text(encoding="utf-8"))


MODULES = dict(modules())


def imports(tree: ast.Module) -> set[str]:
    """Everything a module imports, at its top or inside its functions, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found.update(
                f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module for alias in node.names
            )
    return found


IMPORTS = {name: imports(tree) for name, tree in MODULES.items()}


def short(name: str) -> str:
    """The first part of a name below the package: `reports.text` is `reports`."""
    return name.removeprefix("crmctl.").partition(".")[0]


def inside(name: str, packages: set[str]) -> bool:
    """Whether a dotted name is one of the packages or below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def offenders(rule: dict[str, set[str]]) -> dict[str, set[str]]:
    """Modules with what they import against a rule, those without offence left out."""
    return {name: found for name, found in rule.items() if found}


def test_no_file_is_longer_than_the_ceiling() -> None:
    """A file that grows beyond 400 lines holds two ideas."""
    root = PACKAGE.parent
    files = [path for folder in ("benchmarks", "crmctl", "examples", "tests") for path in (root / folder).rglob("*.py")]
    assert {} == {path.name: lines for path in files if (lines := _lines(path)) > CEILING}


def test_files_are_short_on_average() -> None:
    """The mean file has fewer than 150 lines."""
    lengths = [_lines(path) for path in PACKAGE.rglob("*.py")]
    assert sum(lengths) / len(lengths) < MEAN


def test_every_file_says_why_it_exists() -> None:
    """Each module opens with a docstring."""
    assert [] == [name for name, tree in MODULES.items() if not ast.get_docstring(tree)]


def test_imports_are_absolute() -> None:
    """Nobody imports relatively, and nobody hides an import from this test behind TYPE_CHECKING."""
    relative = [
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and node.level)
        or (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
    ]
    assert [] == relative


def test_imports_have_no_cycles() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    waiting = {name: {other for other in found if other in MODULES} - {name} for name, found in IMPORTS.items()}
    while ready := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in ready:
            del waiting[name]
    assert {} == waiting


def test_nouns_import_only_nouns() -> None:
    """What everybody uses depends on nobody."""
    allowed = {f"crmctl.{name}" for name in NOUNS}
    found = {
        name: {other for other in IMPORTS[f"crmctl.{name}"] if other.startswith("crmctl.")} - allowed for name in NOUNS
    }
    assert {} == offenders(found)


def test_pure_stages_touch_nothing_outside() -> None:
    """A pure stage imports no client, provider, configuration, event loop, operating system or clock."""
    found = {name: {other for other in IMPORTS[f"crmctl.{name}"] if inside(other, IMPURE)} for name in PURE}
    assert {} == offenders(found)


def test_every_pure_module_is_covered_completely() -> None:
    """`make test` demands every branch of them."""
    makefile = (PACKAGE.parent / "Makefile").read_text(encoding="utf-8")
    [line] = [line for line in makefile.splitlines() if line.startswith("PURE :=")]
    covered = {Path(path).stem for path in line.partition(":= ")[2].split(",")}
    assert set() == PURE - covered


def test_reports_are_pure() -> None:
    """A report imports nouns, redaction and other reports, and no stage."""
    stages = {f"crmctl.{name}" for name in STAGES} | IMPURE
    found = {
        name: {other for other in found if inside(other, stages)}
        for name, found in IMPORTS.items()
        if name.startswith("crmctl.reports")
    }
    assert {} == offenders(found)


def test_stages_import_only_earlier_stages() -> None:
    """A stage imports the stages that made its input, never one that uses its output."""
    order = ["parser", "manifest", "schema", "desired", "live", "diff", "plan", "describe", "outcome", "saved", "apply"]
    found = {
        name: {
            other
            for other in IMPORTS[f"crmctl.{name}"]
            if short(other) in order and order.index(short(other)) >= order.index(name)
        }
        for name in order
    }
    assert {} == offenders(found)


def test_providers_import_no_stage_and_no_other_vendor() -> None:
    """A provider knows its vendor's API, and nothing of what is done with it."""
    stages = {f"crmctl.{name}" for name in STAGES}
    found = {}
    for name, imported in IMPORTS.items():
        if name.startswith("crmctl.providers."):
            vendor = ".".join(name.split(".")[:3])
            others = {o for o in imported if o.startswith("crmctl.providers.") and not inside(o, {vendor})}
            found[name] = {other for other in imported if inside(other, stages)} | others
    assert {} == offenders(found)


def test_the_sandbox_is_an_honest_other_side() -> None:
    """The sandbox imports nothing of the reconciler, and only the client and its own command import it."""
    outward = {
        name: {o for o in found if o.startswith("crmctl") and not inside(o, {"crmctl.sandbox"})}
        for name, found in IMPORTS.items()
        if inside(name, {"crmctl.sandbox"})
    }
    inward = [
        name
        for name, found in IMPORTS.items()
        if any(inside(o, {"crmctl.sandbox"}) for o in found) and not inside(name, {"crmctl.sandbox"})
    ]
    assert {} == offenders(outward)
    assert ["crmctl.client", "crmctl.commands.sandbox"] == sorted(inward)


def test_every_library_has_one_home() -> None:
    """Outside the sandbox each library is imported in one place."""
    found = {
        library: {
            name
            for name, imported in IMPORTS.items()
            if any(inside(other, {library}) for other in imported)
            and not inside(name, {"crmctl.sandbox"})
            and short(name) not in homes
        }
        for library, homes in HOMES.items()
    }
    assert {} == offenders(found)


def test_only_commands_print() -> None:
    """Standard output is the result, and only the verbs know it."""
    printing = [
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and _called(node) in {"print", "sys.stdout.write", "sys.stderr.write"}
        and short(name) not in {"commands", "cli", "__main__"}
    ]
    assert [] == printing


def test_only_the_configuration_reads_the_environment() -> None:
    """os.environ is read in one place."""
    reading = [
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert {"crmctl.config"} == set(reading)


def test_help_pays_for_click_alone() -> None:
    """`--help` imports no heavy library, and `--version` not even click."""
    heavy = ("click", "yaml", "httpx", "jsonschema", "jsonschema_rs", "deepdiff", "asyncio", "sqlite3")
    program = (
        "import sys; from crmctl.__main__ import main\n"
        f"try: sys.argv = ['crmctl', '{{}}']; main()\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    # What measures coverage in processes brings libraries of its own.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    seen = {
        flag: subprocess.run(
            [sys.executable, "-c", program.format(flag)], capture_output=True, text=True, check=True, env=unmeasured
        ).stdout.splitlines()[-1]
        for flag in ("--version", "--help")
    }
    assert {"--version": "[]", "--help": "['click']"} == seen


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func)
