"""No input and no answer makes crmctl fall over: no traceback, no endless run.

Manifests, configuration and plan files that are nearly right, and servers that answer nearly what they should.
`make test` tries a few, `make fuzz` thousands.
"""

import contextlib
import io
import json
import os
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from chaos import Storm, storm
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from project import CONFIG
from sampling import ALL, SEED
from test_matrix import MANIFESTS

from crmctl import cli
from crmctl.errors import CrmctlError
from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.faults import Interference, Process, Refuse

EXPECTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 64}
MOST_REQUESTS = 600
many = settings(
    max_examples=int(os.environ.get("FUZZ", "2000")) if ALL else 25, deadline=None, database=None,
    suppress_health_check=[*HealthCheck],
)  # fmt: skip
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["", " ", "a@b.example", "x.test", "\x00", "\ud800", "=1+1", "2027-01-31", 2**70, -1, "~", "::"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
CHANCES = st.integers(0, 2**32).map(random.Random)
"""Not those of hypothesis: what is drawn depends on answers, which hold random ids."""
SNIPPETS = [b"*a", b"&a ", b"<<: ", b"!!binary ", b"? ", b"---\n", b"\t", b"\xff", b"\x00", b"{", b"[", b": ", b"|\n"]


def mutate(value: Any, with_: Any, chance: random.Random) -> Any:
    """Put something else into one place of a value, or take something away there."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(sorted(value, key=str))
        if chance.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: mutate(value[key], with_, chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        index = chance.randrange(len(value))
        return [*value[:index], mutate(value[index], with_, chance), *value[index + 1 :]]
    return with_


def spoil(text: bytes, chance: random.Random) -> bytes:
    """Change a few bytes of a text."""
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randint(0, len(text)), chance.choice([0, 0, 1, 5, 60])
        text = text[:at] + chance.choice([*SNIPPETS, text[at : at + 40], b""]) + text[at + length :]
    return text


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Work in a project of its own, with no environment but a key."""
    before = os.environ.copy()
    for name in [name for name in os.environ if name.startswith("CRMCTL_") or name == "CI"]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        Path("crmctl.yaml").write_text(CONFIG)
        Path("manifests").mkdir()
        try:
            yield Path(name)
        finally:
            os.environ.clear()
            os.environ.update(before)


def run(*arguments: str) -> tuple[int, str]:
    """Run crmctl; it may refuse, and never falls over."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(arguments)
    assert code in EXPECTED, err.getvalue()
    assert "Traceback" not in err.getvalue()
    return code, out.getvalue()


@seed(SEED)
@many
@given(CHANCES, st.sampled_from(sorted(MANIFESTS)), st.none() | VALUES)
def test_manifests(chance: random.Random, provider: str, value: Any) -> None:
    """Bytes that are nearly a manifest."""
    text = spoil(MANIFESTS[provider].encode(), chance)
    if value is not None:
        text = json.dumps(mutate({"accounts": [{"domain": "a.example", "contacts": [{}]}]}, value, chance)).encode()
    with folder():
        Path("manifests", "m.yaml").write_bytes(text)
        run("validate", "-o", "json")


@seed(SEED)
@many
@given(CHANCES, st.none() | VALUES)
def test_configurations(chance: random.Random, value: Any) -> None:
    """Bytes that are nearly a configuration, and values in its places."""
    whole = {
        "version": 1, "manifests": ["manifests"], "default_target": "t",
        "targets": {"t": {"provider": "octolane", "sandbox": ".crmctl/s.db", "settle": 1, "pipelines": {"a": "b"},
                          "max_percent": 3, "policies": {"account": {"name": "ignore"}}}},
    }  # fmt: skip
    text = spoil(CONFIG.encode(), chance) if value is None else json.dumps(mutate(whole, value, chance)).encode()
    with folder():
        Path("crmctl.yaml").write_bytes(text)
        Path("manifests", "m.yaml").write_text("accounts: [{domain: a.example}]")
        run("validate", "-o", "json")


@cache
def saved() -> bytes:
    """Return a plan file."""
    with folder():
        Path("manifests", "m.yaml").write_text(
            "accounts: [{domain: a.example, name: A, contacts: [{email: a@a.example}]}]"
        )
        run("plan", "--out", "plan.json")
        return Path("plan.json").read_bytes()


@seed(SEED)
@many
@given(CHANCES, st.none() | VALUES)
def test_plan_files(chance: random.Random, value: Any) -> None:
    """Bytes that are nearly a plan file: shown or refused; and never applied, since it is signed."""
    text = spoil(saved(), chance) if value is None else json.dumps(mutate(json.loads(saved()), value, chance)).encode()
    with folder():
        Path("plan.json").write_bytes(text)
        Path("manifests", "m.yaml").write_text("accounts: [{domain: a.example, name: A}]")
        run("show", "plan.json")
        run("show", "plan.json", "-o", "markdown")
        run("apply", "plan.json", "-q")


def test_a_plan_file_whose_member_is_misspelled_lacks_it() -> None:
    """Where unknown members are allowed nobody else complains of it."""
    with folder():
        Path("plan.json").write_bytes(saved().replace(b'"changes"', b'"chan[ges"'))
        assert 1 == run("show", "plan.json")[0]


class Liar:
    """A server whose answers are nearly right: some have something else in one place."""

    def __init__(self, chance: random.Random, values: list[Any]) -> None:
        self.chance, self.values, self.asked = chance, values, 0

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        del method, path, nth
        self.asked += 1
        assert self.asked < MOST_REQUESTS, "there is no end to it"
        return Interference("after", twist=self.lie) if self.chance.random() < 0.3 else None

    def lie(self, request: Request, process: Process, _refuse: Refuse) -> Answer:
        """Answer nearly what is right."""
        answer = process(request)
        if self.chance.random() < 0.3:
            return Answer(answer.status, spoil(answer.body, self.chance), answer.headers)
        lie = mutate(json.loads(answer.body or b"null"), self.chance.choice(self.values), self.chance)
        return Answer(answer.status, json.dumps(lie).encode(), answer.headers)


def ask(there: Storm, provider: str) -> None:
    """Plan and apply; errors of ours are right ends, others are not."""
    with contextlib.suppress(CrmctlError):
        plan = there.plan(MANIFESTS[provider])
        there.apply(MANIFESTS[provider], plan=plan)


@seed(SEED)
@many
@given(CHANCES, st.sampled_from(sorted(MANIFESTS)), st.lists(VALUES, min_size=1, max_size=3))
def test_answers(chance: random.Random, provider: str, values: list[Any]) -> None:
    """Answers that are nearly what the vendor promises."""
    with storm(provider) as there:
        there.weather.chaos = Liar(chance, values)
        ask(there, provider)
