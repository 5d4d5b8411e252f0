"""What an OpenAPI document allows, and what it doesn't, is sent to the sandbox; no answer leaves the document."""

import contextlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

import crmctl.sandbox
from crmctl.sandbox import PROVIDERS, open_sandbox

EXAMPLES = 6
"""Requests per operation: the whole file takes some 12 seconds."""

FOLDER = Path(crmctl.sandbox.__file__).parent
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
GOOD = {
    "pipeline_id": "018f13b3-8239-7ef8-a8f1-93ad10b76110",
    "stage_id": "018f13b3-8239-7ef8-a8f1-93ad10b76203",
    "stage_name": "Proposal",
    "owner_id": "018f13b3-8239-7ef8-a8f1-93ad10b76401",
    "owner_email": "omar@crm.example",
    "domain": "acme.example",
    "account_domain": "acme.example",
    "email": "jane@acme.example",
    "contact_email": "jane@acme.example",
}
"""Values that get a request past the first check, which chance alone hardly ever does."""


@cache
def read_document(provider: str) -> Any:
    document = FOLDER / f"{provider}.openapi.json"
    return json.loads(document.read_text(encoding="utf-8"))


@cache
def read_schema(provider: str) -> Any:
    return schemathesis.openapi.from_dict(read_document(provider))


def put_good_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: GOOD.get(name) or put_good_values(one) for name, one in value.items()}
    return [put_good_values(one) for one in value] if isinstance(value, list) else value


OPERATIONS = [
    pytest.param(provider, path, method, id=f"{provider} {method.upper()} {path}")
    for provider in PROVIDERS
    for path, item in read_document(provider)["paths"].items()
    for method in item
]


@pytest.mark.parametrize(("provider", "path", "method"), OPERATIONS)
def test_no_answer_leaves_the_document(provider: str, path: str, method: str, tmp_path: Path) -> None:
    """Each answer has a status, a content type and a body that the document gives the operation."""
    operation = read_schema(provider)[path][method]
    modes = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    cases = modes.flatmap(lambda mode: operation.as_strategy(generation_mode=mode))

    with contextlib.closing(open_sandbox(provider, tmp_path / "crm.db")) as app:

        @FUZZ
        @given(case=cases, good=st.booleans())
        def send(case: Any, *, good: bool) -> None:
            if good:
                case.body, case.query = put_good_values(case.body), put_good_values(case.query)
                case.path_parameters = put_good_values(case.path_parameters)
            answer = case.call(app=app, base_url="http://crm.test", headers={"x-api-key": "key"})
            case.validate_response(answer, checks=CHECKS)

        send()
