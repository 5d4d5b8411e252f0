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

import pytest
from chaos import Storm, storm
from harness import statuses
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from project import CONFIG
from sampling import ALL, SEED, some
from test_matrix import MANIFESTS, PIPELINE

from crmctl import cli
from crmctl.errors import CrmctlError
from crmctl.outcome import Result
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
    | st.sampled_from(["nan", "1e999", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+01:00"])
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


def ask(there: Storm, manifest: str) -> Result | None:
    """Plan and apply; errors of ours are right ends, others are not."""
    with contextlib.suppress(CrmctlError):
        return there.apply(manifest, plan=there.plan(manifest))
    return None


@seed(SEED)
@many
@given(CHANCES, st.sampled_from(sorted(MANIFESTS)), st.lists(VALUES, min_size=1, max_size=3))
def test_answers(chance: random.Random, provider: str, values: list[Any]) -> None:
    """Answers that are nearly what the vendor promises."""
    with storm(provider) as there:
        there.weather.chaos = Liar(chance, values)
        ask(there, MANIFESTS[provider])


ODD: list[Any] = [7, "\ud800", [[]], {}]
"""What stands for nothing anywhere: a number, half a character, a list and an object, of which nothing hashes."""
OPTIONS = [{"label": "Gold", "value": "e-1"}, {"label": "Silver", "value": "e-2"}]
FIELDS: dict[str, Any] = {
    "octolane": [
        {"name": "Level", "attribute_type": "select", "metadata": {"select_options": OPTIONS}},
        {"name": "Regions", "attribute_type": "multi_select", "metadata": {"select_options": OPTIONS}},
        {"name": "Since", "attribute_type": "date"},
        {"name": "Seats", "attribute_type": "number"},
    ],
    "thena": [
        {"name": "Level", "source": "account", "fieldType": "single_choice", "options": ["Gold", "Silver"]},
        {"name": "Regions", "source": "account", "fieldType": "multi_choice", "options": ["Gold", "Silver"]},
        {"name": "Seats", "source": "account", "fieldType": "integer"},
        {"name": "Rank", "source": "customer_contact", "fieldType": "single_line"},
    ],
}
FULL = {
    "octolane": f"""
accounts:
  - domain: acme.example
    name: Acme
    tags: [customer]
    last_interaction: 2027-01-31T00:00:00Z
    custom_fields: {{level: Gold, regions: [Silver, Gold], since: 2027-01-31, seats: 12, fresh: [a, b]}}
    contacts: [{{email: jane@acme.example, first_name: Jane, custom_fields: {{regions: [Gold]}}}}]
    opportunities:
      - name: Renewal
        pipeline: sales
        stage: Proposal
        close_date: 2027-01-31
        primary_contact_email: jane@acme.example
        additional_contact_emails: [sam@freemail.example]
        custom_fields: {{competitor: X, forecast: Open}}
      - {{name: Seats, key: seats, pipeline_id: {PIPELINE}}}
    notes: [{{key: kickoff, text: It went well.}}]
contacts: [{{email: sam@freemail.example}}]
""",
    "octolane_inbound": MANIFESTS["octolane_inbound"],
    "thena": """
accounts:
  - domain: acme.example
    name: Acme
    industry: Tools
    custom_fields: {level: Gold, regions: [Silver, Gold], seats: 12}
    thena: {status: active, annual_revenue: 5, metadata: {a: 1}}
    contacts: [{email: jane@acme.example, first_name: Jane, type: billing, custom_fields: {rank: x}}]
    notes: [{key: kickoff, text: It went well., thena: {visibility: private}}, {key: new, text: New.}]
  - {domain: new.example, name: New}
contacts: [{email: sam@freemail.example, first_name: Sam, accounts: [acme.example, new.example]}]
""",
}
"""What has a field of each form, so that something is done with whatever an answer holds."""


@contextlib.contextmanager
def furnished(provider: str) -> Iterator[Storm]:
    """Open a CRM that has the custom fields and attributes of `FULL`."""
    with storm(provider) as there:
        if provider == "octolane":
            for plural in ("accounts", "contacts"):
                there.request("POST", f"/v1/{plural}/fields/bulk", FIELDS[provider])
        elif provider == "thena":
            there.request("POST", "/v1/accounts/attributes", {"attribute": "account_industry", "value": "Tools"})
            for field in FIELDS[provider]:
                there.request("POST", "/v1/custom-field", field)
        yield there


Place = tuple[str, ...]


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield every place in a value; that of a list's items is one."""
    yield place
    items = value.items() if isinstance(value, dict) else [("*", i) for i in value] if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*place, name))


def put(value: Any, place: Place, odd: Any) -> Any:
    """Return a value that has something else in one place, if it has that place."""
    if not place:
        return odd
    if isinstance(value, list) and place[0] == "*":
        return [put(item, place[1:], odd) for item in value]
    if isinstance(value, dict) and place[0] in value:
        return {**value, place[0]: put(value[place[0]], place[1:], odd)}
    return value


class Forger:
    """A server that puts one odd value into one place of all its answers to a method; `seen` are all places."""

    def __init__(self, where: tuple[str, Place] = ("", ()), odd: Any = None) -> None:
        self.where, self.odd, self.asked = where, odd, 0
        self.seen: set[tuple[str, Place]] = set()

    def __call__(self, method: str, path: str, nth: int) -> Interference:
        del method, path, nth
        self.asked += 1
        assert self.asked < MOST_REQUESTS, "there is no end to it"
        return Interference("after", twist=self.forge)

    def forge(self, request: Request, process: Process, _refuse: Refuse) -> Answer:
        """Answer what is right but in one place."""
        answer = process(request)
        body = json.loads(answer.body)
        self.seen.update((request.method, place) for place in places(body))
        forged = put(body, self.where[1], self.odd) if request.method == self.where[0] else body
        return Answer(answer.status, json.dumps(forged).encode(), answer.headers)


@pytest.mark.parametrize("provider", FULL)
def test_each_place_of_an_answer(provider: str) -> None:
    """Whatever stands in one place of all answers, it is read as what it is, or told."""
    with furnished(provider) as there:
        there.weather.chaos = honest = Forger()
        result = ask(there, FULL[provider])
        assert result is not None
        assert {"created", "updated", "sent", "skipped"} >= {*statuses(result).values()}
    for where, odd in some([(where, odd) for where in sorted(honest.seen) for odd in ODD], 20):
        with furnished(provider) as there:
            there.weather.chaos = Forger(where, odd)
            try:
                ask(there, FULL[provider])
            except Exception as error:
                error.add_note(f"with {odd!r} in {where}")
                raise
