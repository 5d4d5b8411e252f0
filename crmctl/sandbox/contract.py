"""Hold both sides to an OpenAPI document: requests strictly, and on demand the sandbox's own answers.

In: a document as JSON, a method and a path. Out: the `Operation` that serves them, with compiled validators (each
compiled at first use, since one run needs only a few). Operations are found by exact path or by one `{parameter}`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

from crmctl.sandbox.problems import RequestError

_SHOWN_ERRORS = 3
_LONGEST_INTEGER = 20
_METHODS = ("get", "post", "put", "patch", "delete")
_EMAIL = jsonschema_rs.EmailOptions(allow_display_text=False)


class Contract:
    """The operations of one OpenAPI 3.1 document."""

    def __init__(self, document: Path) -> None:
        """Read the document."""
        self._document = json.loads(document.read_text(encoding="utf-8"))
        self.operations: list[Operation] = [
            Operation(self, method.upper(), path, item[method])
            for path, item in self._document["paths"].items()
            for method in _METHODS
            if method in item
        ]
        self._exact = {(operation.method, operation.path): operation for operation in self.operations}
        self._components: dict[str, _Rule] = {}

    def find(self, method: str, path: str) -> "Operation | None":
        """Find the operation that serves a request."""
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        return next((o for o in self.operations if o.method == method and o.matches(path)), None)

    def methods(self, path: str) -> list[str]:
        """List the methods that a path has; none: there is no such path."""
        return [operation.method for operation in self.operations if operation.matches(path)]

    def resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow the `$ref` of a node, if it is one."""
        while "$ref" in node:
            target: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node

    def check(self, name: str, value: Any, what: str) -> None:
        """Raise `RequestError` when a value does not fit the component schema of this name."""
        if name not in self._components:
            self._components[name] = _Rule(self, {"$ref": f"#/components/schemas/{name}"})
        self._components[name].check(value, what)

    def list_members(self, name: str) -> Mapping[str, Any]:
        """Return the schemas of a component's members."""
        members: Mapping[str, Any] = self.resolve({"$ref": f"#/components/schemas/{name}"})["properties"]
        return members

    def compile(self, schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
        """Compile a schema of the document, with the component schemas it refers to: all of them would take 1 ms."""
        components: dict[str, Any] = {}
        self._collect(schema, components)
        whole = {**schema, "components": {"schemas": components}}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True, email_options=_EMAIL, offline=True)

    def _collect(self, node: Any, found: dict[str, Any]) -> None:
        """Find all component schemas that a part of a schema refers to, directly or not."""
        if isinstance(node, list):
            for item in node:
                self._collect(item, found)
        elif isinstance(node, dict):
            if "$ref" in node and (name := node["$ref"].split("/")[3]) not in found:
                found[name] = self._document["components"]["schemas"][name]
                self._collect(found[name], found)
            for part in node.values():
                self._collect(part, found)


class Operation:
    """One method of one path: what it takes and what it answers."""

    def __init__(self, contract: Contract, method: str, path: str, node: Mapping[str, Any]) -> None:
        """Take an operation object out of the document."""
        self._contract, self._node = contract, node
        self.method, self.path = method, path
        self.route, self.id = f"{method} {path}", str(node["operationId"])
        self._parts = path.split("/")

    def matches(self, path: str) -> bool:
        """Tell whether a path is this one, `{parameters}` standing for one non-empty step each."""
        parts = path.split("/")
        return len(parts) == len(self._parts) and all(
            ours == theirs or (ours.startswith("{") and theirs != "")
            for ours, theirs in zip(self._parts, parts, strict=True)
        )

    def read_path(self, path: str) -> dict[str, str]:
        """Return what stands for the `{parameters}` of a path that matches, each checked."""
        pairs = zip(self._parts, path.split("/"), strict=True)
        values = {ours[1:-1]: theirs for ours, theirs in pairs if ours.startswith("{")}
        for name, rule in self._path_parameters.items():
            rule.check(values[name], f"path parameter {name}")
        return values

    @cached_property
    def takes_body(self) -> bool:
        """Tell whether a request carries a body."""
        return "requestBody" in self._node

    def read_parameters(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Check a query string: no unknown names, no repetition unless an array is allowed, all that is required.

        Whole numbers and booleans are read where they are asked for.
        """
        values: dict[str, Any] = {}
        for name, text in pairs:
            if name not in self._parameters:
                raise RequestError(400, f"query parameter {name}: unknown")
            kinds, _ = self._parameters[name]
            if name in values and "array" not in kinds:
                raise RequestError(400, f"query parameter {name}: given twice")
            if name in values:
                values[name] = [*(values[name] if isinstance(values[name], list) else [values[name]]), text]
            else:
                values[name] = _read_text(text, kinds)
        for name in self._required:
            if name not in values:
                raise RequestError(400, f"query parameter {name}: missing")
        for name, value in values.items():
            self._parameters[name][1].check(value, f"query parameter {name}")
        return values

    def check_body(self, body: Any) -> None:
        """Raise `RequestError` when a body does not fit."""
        self._body.check(body, "body")

    def find_bad_items(self, body: Any) -> set[Any]:
        """Return the indexes (of an array) or keys (of an object) that do not fit; the whole must fit but for them."""
        self._shell.check(body, "body")
        entries: Iterable[tuple[Any, Any]] = enumerate(body) if isinstance(body, list) else body.items()
        return {name for name, item in entries if not self._item.fits(item)}

    def find_violations(self, status: int, body: Any) -> list[str]:
        """Say where an answer of ours leaves the document; the body of an empty answer is None."""
        responses = self._node["responses"]
        if str(status) not in responses:
            return [f"{self.route}: answers {status}, which the document does not know"]
        if status not in self._answers:
            content = self._contract.resolve(responses[str(status)]).get("content")
            schema = content["application/json"]["schema"] if content else {"type": "null"}
            self._answers[status] = _Rule(self._contract, schema)
        return [f"{self.route}: {status}: {text}" for text in self._answers[status].list_errors(body)]

    def _list_parameters(self, place: str) -> list[Mapping[str, Any]]:
        nodes = (self._contract.resolve(node) for node in self._node.get("parameters", ()))
        return [node for node in nodes if node["in"] == place]

    @cached_property
    def _parameters(self) -> dict[str, tuple[Sequence[str], "_Rule"]]:
        return {
            node["name"]: (_list_types(node["schema"]), _Rule(self._contract, node["schema"]))
            for node in self._list_parameters("query")
        }

    @cached_property
    def _path_parameters(self) -> dict[str, "_Rule"]:
        return {node["name"]: _Rule(self._contract, node["schema"]) for node in self._list_parameters("path")}

    @cached_property
    def _required(self) -> list[str]:
        return [node["name"] for node in self._list_parameters("query") if node.get("required")]

    @cached_property
    def _answers(self) -> dict[int, "_Rule"]:
        return {}

    @cached_property
    def _body_schema(self) -> Mapping[str, Any]:
        return dict(self._node["requestBody"]["content"]["application/json"]["schema"])

    @cached_property
    def _body(self) -> "_Rule":
        return _Rule(self._contract, self._body_schema)

    @cached_property
    def _shell(self) -> "_Rule":
        schema = self._contract.resolve(self._body_schema)
        shell = {name: part for name, part in schema.items() if name not in ("items", "additionalProperties")}
        return _Rule(self._contract, shell)

    @cached_property
    def _item(self) -> "_Rule":
        schema = self._contract.resolve(self._body_schema)
        return _Rule(self._contract, schema.get("items") or schema["additionalProperties"])


class _Rule:
    """One compiled schema, and its errors in words."""

    def __init__(self, contract: Contract, schema: Mapping[str, Any]) -> None:
        self._validator = contract.compile(schema)

    def fits(self, value: Any) -> bool:
        try:
            return self._validator.is_valid(value)
        except ValueError:  # nested too deep to be looked at
            return False

    def check(self, value: Any, what: str) -> None:
        if self.fits(value):
            return
        shown = "; ".join(self.list_errors(value)[:_SHOWN_ERRORS])
        raise RequestError(400, f"{what}: {shown}")

    def list_errors(self, value: Any) -> list[str]:
        try:
            return [
                f"/{'/'.join(map(str, error.instance_path))}: {error.message}"
                for error in self._validator.iter_errors(value)
            ]
        except ValueError as error:
            return [f"/: {error}"]


def _list_types(schema: Mapping[str, Any]) -> list[str]:
    return [part["type"] for part in schema.get("anyOf", (schema,))]


def _read_text(text: str, kinds: Sequence[str]) -> Any:
    if "integer" in kinds and _is_integer(text):
        return int(text)
    return text == "true" if "boolean" in kinds and text in ("true", "false") else text


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii() and len(text) < _LONGEST_INTEGER
