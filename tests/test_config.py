"""crmctl.yaml and the environment: what they say, what is wrong with them, and that keys are shown nowhere."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import pytest

from crmctl.config import Config, Environment, pseudonym_key, read_config, read_environment
from crmctl.errors import Auth, CrmctlError, InvalidInput, UsageError

SANDBOX = "version: 1\ntargets:\n  box: {provider: octolane, sandbox: box.db}\n"
KEY = "sk-very-secret"


def read(tree: Path, text: str | bytes) -> Config:
    file = tree / "crmctl.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_config(file)


def wrong(tree: Path, text: str | bytes) -> list[str]:
    """Return what is wrong with a configuration, a line each."""
    with pytest.raises(InvalidInput) as caught:
        read(tree, text)
    return [
        f"{found.source} {found.field}: {found.message.replace('{value}', str(found.value))}"
        for found in caught.value.diagnostics
    ]


def test_a_minimal_configuration_has_defaults(tmp_path: Path) -> None:
    """Only the version is needed; manifests are in `manifests`."""
    config = read(tmp_path, "version: 1\n")
    assert Config(tmp_path, ("manifests",), {}, None, 8 << 20) == config


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    """Targets say what differs; what they leave out, the file says for all."""
    config = read(
        tmp_path,
        "version: 1\nmanifests: [a, b.yaml]\nmax_file_bytes: 1e3\ndefault_target: live\n"
        "policies: {account: {name: ignore, tags: ignore}}\nlimits: {max_creates: 5, max_percent: 10}\n"
        "targets:\n  box: {provider: octolane, sandbox: .crmctl/box.db}\n"
        "  live:\n    provider: octolane\n    base_url: http://127.0.0.1:8080\n    api_key_env: KEY\n    settle: 0\n"
        "    timeout: 1.5\n    policies: {account: {tags: overwrite}, contact: {phone: fill_empty}}\n"
        "    limits: {max_creates: null}\n",
    )
    assert (("a", "b.yaml"), 1000, "live") == (config.manifests, config.max_file_bytes, config.default_target)
    box, live = config.targets["box"], config.targets["live"]
    assert (tmp_path / ".crmctl/box.db", None, None) == (box.sandbox, box.base_url, box.api_key_env)
    assert ({"account": {"name": "ignore", "tags": "ignore"}}, 30.0, 30.0) == (box.policies, box.settle, box.timeout)
    assert {"max_creates": 5, "max_percent": 10} == box.limits
    assert (None, "http://127.0.0.1:8080", "KEY", 0.0, 1.5) == (
        live.sandbox, live.base_url, live.api_key_env, live.settle, live.timeout
    )  # fmt: skip
    assert {"account": {"name": "ignore", "tags": "overwrite"}, "contact": {"phone": "fill_empty"}} == live.policies
    assert {"max_creates": None, "max_percent": 10} == live.limits


def test_what_a_target_may_say_of_its_vendor(tmp_path: Path) -> None:
    """Names of pipelines, what is allowed, and where the journal is; left out, nothing is allowed."""
    sales = "018f13b3-8239-7ef8-a8f1-93ad10b76110"
    config = read(
        tmp_path,
        "version: 1\ntargets:\n  box: {provider: octolane_inbound, sandbox: in.db, journal: .crmctl/journal}\n"
        f"  live:\n    provider: octolane\n    pipelines: {{sales: {sales}}}\n    custom_fields: create\n"
        "    strict: true\n    assumed_routes: true\n    journal: s3://crm/journal\n"
        "    policies: {account: {thena.health: ignore, custom_fields.Tier 1: fill_empty}, note: {text: create_only}}\n"
        "  support: {provider: thena, sandbox: thena.db, items: emails, journal: 'file:///var/crm'}\n",
    )
    box, live, support = config.targets.values()
    assert ({}, False, False, "refuse", "objects", tmp_path / ".crmctl/journal") == (
        box.pipelines, box.assumed_routes, box.strict, box.custom_fields, box.items, box.journal
    )  # fmt: skip
    assert ({"sales": sales}, True, True, "create", "objects", "s3://crm/journal") == (
        live.pipelines, live.assumed_routes, live.strict, live.custom_fields, live.items, live.journal
    )  # fmt: skip
    assert {"thena.health": "ignore", "custom_fields.Tier 1": "fill_empty"} == live.policies["account"]
    assert ("emails", "file:///var/crm", tmp_path / "thena.db") == (support.items, support.journal, support.sandbox)
    assert read(tmp_path, SANDBOX).targets["box"].journal is None


def test_how_careful_a_target_is(tmp_path: Path) -> None:
    """All is read back and nothing goes first, unless set; `off` is a word, as in YAML 1.2."""
    config = read(tmp_path, SANDBOX.replace("sandbox: box.db", "sandbox: box.db, verify: off, canary: 5"))
    assert ("off", 5) == (config.targets["box"].verify, config.targets["box"].canary)
    assert ("all", 0) == ((box := read(tmp_path, SANDBOX).targets["box"]).verify, box.canary)


def test_json_is_a_configuration(tmp_path: Path) -> None:
    """JSON is YAML."""
    assert "box" in read(tmp_path, '{"version": 1, "targets": {"box": {"provider": "octolane"}}}').targets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1 : the file is empty: write at least `version: 1`"]),
        ("---\n---\n", ["1:1 : the file is empty"]),
        ("- a", ["1:1 : the top level is no mapping: begin it with a name and a colon, such as `version:`"]),
        (b"version: \xff", ["1:10 : byte 0xff is not UTF-8"]),
        ("version: 1\nmanifests: [", ["2:13 : the file ends within brackets: close them"]),
        ("version: 1\n---\nversion: 1\n", ["3:1 : a second document: join the two, without `---` between them"]),
        ("version: 2\nversion: 1\n", ["1:10 version: 2 is no version this crmctl reads", "2:1 : version stands here"]),
        ("version:\n", ["1:9 : a value is missing: write one"]),
        (
            "version: 1\ndefault_target: prod\n",
            ["2:17 default_target: prod is not configured: name one of `targets` (th"],
        ),
        (SANDBOX + "default_target: Box\n", ["4:17 default_target: Box is not a target's name"]),
        (
            SANDBOX + "default_target: other\n",
            ["4:17 default_target: other is not configured: name one of `targets` (box)"],
        ),
        (
            SANDBOX.replace("box.db", "../box.db"),
            ["3:38 targets.box.sandbox: ../box.db leads out of the configuration's"],
        ),
        (SANDBOX.replace("box.db", "/box.db"), ["3:38 targets.box.sandbox: /box.db leads out"]),
        (SANDBOX.replace("box.db", "link/box.db"), ["3:38 targets.box.sandbox: link/box.db leads out"]),
        (SANDBOX.replace("box.db", "loop"), None),
        (SANDBOX.replace("box.db", "."), ["3:38 targets.box.sandbox: . is a folder: name a file, such as .crmctl/"]),
        (SANDBOX.replace("box.db", "':memory:'"), ["3:38 targets.box.sandbox: :memory: is more than a name to SQLite"]),
        (SANDBOX.replace("box.db", "'./:a'"), ["3:38 targets.box.sandbox: ./:a is more than a name to SQLite"]),
        (SANDBOX.replace("box.db", "'file:a?b'"), ["3:38 targets.box.sandbox: file:a?b is more than a name to SQLit"]),
        (SANDBOX.replace("box.db", "x" * 250), [f"3:38 targets.box.sandbox: {'x' * 250} is longer than the system al"]),
        (SANDBOX.replace("box.db", "x/" * 2048), [f"3:38 targets.box.sandbox: {'x/' * 2048} is longer than the syst"]),
        (
            SANDBOX.replace("sandbox", "journal"),
            ["3:38 targets.box.journal: box.db is a file: name a folder, such as .c"],
        ),
        (
            SANDBOX.replace("sandbox: box.db", "journal: a/../.."),
            ["3:38 targets.box.journal: a/../.. leads out of the co"],
        ),
        (
            SANDBOX.replace("sandbox: box.db", "journal: /var"),
            ["3:38 targets.box.journal: /var leads out of the config"],
        ),
        (
            SANDBOX.replace("sandbox: box.db", "journal: link/a"),
            ["3:38 targets.box.journal: link/a leads out of the con"],
        ),
        (
            SANDBOX.replace("sandbox: box.db", f"journal: {'x' * 256}"),
            [f"3:38 targets.box.journal: {'x' * 256} is longer than the system allows: name a folder, such as"],
        ),
        (SANDBOX.replace("  box:", "  Box:"), ["3:3 targets: Box is not a target's name"]),
        (SANDBOX.replace("octolane", "thina"), ["3:19 targets.box.provider: "]),
        ("version: 1\ntarget: {}\nmax_file_bytes: 0\n", ["2:1 : unknown field target", "3:17 max_file_bytes: 0"]),
        ("version: 1\nmanifests: []\nlimits: {max_percent: 200}\n", ["2:12 manifests: ", "3:23 limits.max_percent: "]),
    ],
)
def test_everything_wrong_is_told_with_its_place(tmp_path: Path, text: str | bytes, expected: list[str] | None) -> None:
    """Each error of the configuration stands at its place, all of them at once and in order."""
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "box.db").touch()
    if expected is None:
        assert tmp_path / "loop" == read(tmp_path, text).targets["box"].sandbox
        return
    found = wrong(tmp_path, text)
    assert [f"crmctl.yaml:{start}" for start in expected] == [
        line[: len(start) + len("crmctl.yaml:")] for line, start in zip(found, expected, strict=True)
    ]


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    """What can't be read is told apart: not there, no file, too large."""
    with pytest.raises(CrmctlError, match=r"crmctl\.yaml: no such file: create it, or name another one with --config"):
        read_config(tmp_path / "crmctl.yaml")
    with pytest.raises(CrmctlError, match=r"can't be read \(Is a directory\): correct that, or name another file with"):
        read_config(tmp_path)
    with pytest.raises(CrmctlError, match="larger than 1048576 bytes: is this"):
        read(tmp_path, "#" * ((1 << 20) + 1))


def test_a_target_is_chosen(tmp_path: Path) -> None:
    """By name, else the default one, else the only one."""
    two = SANDBOX + "  zoo: {provider: octolane}\n"
    assert "box" == read(tmp_path, SANDBOX).target(None).name
    assert "zoo" == read(tmp_path, two).target("zoo").name
    assert "zoo" == read(tmp_path, two + "default_target: zoo\n").target(None).name
    with pytest.raises(UsageError, match=r"no target: pass --target NAME, or set default_target \(targets: box, zoo\)"):
        read(tmp_path, two).target(None)
    with pytest.raises(UsageError, match=r"target 'Box' is not configured \(targets: box\)"):
        read(tmp_path, SANDBOX).target("Box")
    with pytest.raises(UsageError, match=r"no target: .*\(targets: none is configured\)"):
        read(tmp_path, "version: 1\n").target(None)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        *(({"CI": value}, True) for value in ("1", "true", "TRUE", "yes", "woodpecker")),
        *(({"CI": value}, False) for value in ("", "0", "false", "False")),
        ({}, False),
    ],
)
def test_ci(variables: Mapping[str, str], expected: bool) -> None:  # noqa: FBT001 - a table's column
    """CI is on when it says anything but nothing, 0 or false."""
    assert expected is Environment(variables).ci


def test_no_color() -> None:
    """NO_COLOR counts with any value but none."""
    assert [False, False, True, True] == [
        Environment(variables).no_color for variables in ({}, {"NO_COLOR": ""}, {"NO_COLOR": "0"}, {"NO_COLOR": "1"})
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, []), ("", []), (" , ", []), ("a.example", ["a.example"]), (" a.example ,b:80,", ["a.example", "b:80"])],
)
def test_allowed_hosts(value: str | None, expected: list[str]) -> None:
    """CRMCTL_ALLOW_HOSTS is a list with commas; spaces and empty items don't count."""
    assert expected == Environment({} if value is None else {"CRMCTL_ALLOW_HOSTS": value}).allowed_hosts


def test_allowed_journals() -> None:
    """CRMCTL_ALLOW_JOURNALS is a list with commas."""
    assert [] == Environment({}).allowed_journals
    assert ["s3://crm", "file:///v"] == Environment({"CRMCTL_ALLOW_JOURNALS": "s3://crm, file:///v"}).allowed_journals


def test_a_key_comes_from_the_variable_that_is_named() -> None:
    """Spaces and line breaks around a key, as files of secrets have them, don't belong to it."""
    assert KEY == Environment({"A": f" {KEY}\n"}).api_key("A")
    for variables in ({}, {"A": ""}, {"A": " \n"}):
        with pytest.raises(Auth, match="no API key: set A in the environment"):
            Environment(variables).api_key("A")


@pytest.mark.parametrize("allowed", ["A", "B,A", " A , B ", "", "  "])
def test_the_environment_may_allow_a_variable(allowed: str) -> None:
    """A listed variable may be named, and every one where there is no list."""
    assert KEY == Environment({"A": KEY, "CRMCTL_KEY_VARIABLES": allowed}).api_key("A")


@pytest.mark.parametrize(("allowed", "named"), [("B", "B"), ("a, AA", "a, AA"), (",", "none")])
def test_the_environment_may_forbid_a_variable(allowed: str, named: str) -> None:
    """A variable that is not in the list is not read, and the list is told instead of the key."""
    with pytest.raises(UsageError) as caught:
        Environment({"A": KEY, "CRMCTL_KEY_VARIABLES": allowed}).api_key("A")
    assert f"api_key_env: CRMCTL_KEY_VARIABLES does not allow A: name one it does ({named})" == str(caught.value)


def test_the_environment_is_what_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change of the environment changes nothing."""
    monkeypatch.setenv("CRMCTL_TEST", "1")
    environment = read_environment()
    monkeypatch.delenv("CRMCTL_TEST")
    assert "1" == environment.variables["CRMCTL_TEST"]


def test_a_key_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither what is read nor what is raised has a key in its text."""
    environment = Environment({"A": KEY, "CRMCTL_KEY_VARIABLES": "B", "CRMCTL_PSEUDONYM_KEY": KEY})
    with pytest.raises(UsageError) as caught:
        environment.api_key("A")
    with pytest.raises(InvalidInput) as refused:
        read(tmp_path, f"version: 1\ntargets:\n  live: {{provider: octolane, api_key_env: {KEY}}}\n")
    shown = [environment, caught.value, refused.value, *refused.value.diagnostics]
    assert [] == [thing for thing in shown if KEY in f"{thing!r} {thing}"]


def test_the_key_of_pseudonyms() -> None:
    """It is the one that is set, else derived from the API key, else the sandbox's, else made up.

    Of a sandbox it is always another once the sandbox is.
    """
    bare, keyed = Environment({"CRMCTL_PSEUDONYM_KEY": ""}), Environment({"CRMCTL_PSEUDONYM_KEY": "p"})
    assert b"p" == pseudonym_key(keyed, KEY, None)
    of_sandboxes = {pseudonym_key(environment, None, key) for environment in (bare, keyed) for key in (b"e", b"f")}
    assert 4 == len(of_sandboxes - {b"p"})
    derived = hmac.new(KEY.encode(), b"crmctl pseudonyms", hashlib.sha256).digest()
    assert derived == pseudonym_key(bare, KEY, b"e")
    assert b"e" == pseudonym_key(bare, None, b"e")
    made_up = pseudonym_key(bare, None, None)
    assert 32 == len(made_up)
    assert made_up != pseudonym_key(bare, None, None)


def test_an_api_key_that_is_no_text_makes_a_key_of_pseudonyms() -> None:
    """The environment gives its bytes as lone surrogates; that such a key is no key is told when it is used."""
    odd = b"\xff".decode(errors="surrogateescape")
    assert pseudonym_key(Environment({}), odd, None) == pseudonym_key(Environment({}), odd, b"e")


def test_the_key_of_pseudonyms_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random bytes that are no text are a key like any other."""
    monkeypatch.setenv("CRMCTL_PSEUDONYM_KEY", b"\xff\xfe\x80".decode(errors="surrogateescape"))
    assert b"\xff\xfe\x80" == pseudonym_key(read_environment(), None, None)


def test_a_list_where_a_version_belongs_is_an_error_like_any_other(tmp_path: Path) -> None:
    """A value without a hash is no reason to fall over."""
    (tmp_path / "crmctl.yaml").write_text("version: []\n")
    with pytest.raises(InvalidInput) as caught:
        read_config(tmp_path / "crmctl.yaml")
    assert ["version"] == [diagnostic.field for diagnostic in caught.value.diagnostics]
