"""Plan as one would without crmctl, from the libraries everybody knows; what crmctl's plan is compared with.

CSafeLoader reads the manifests, jsonschema checks every record, httpx reads all pages of the CRM one after the other,
DeepDiff compares every pair. In: a folder made by data.py and the address of a served sandbox. Out: one line of totals.
"""

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml
from deepdiff import DeepDiff
from floors import HEADERS, KINDS, query
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SCHEMAS = Path(__file__).parent.parent / "schemas"
NAMES = {"accounts": "account", "contacts": "contact"}


def main(folder: Path, url: str) -> None:
    """Plan, and say what came out."""
    desired = load(folder)
    wrong = check(desired)
    create = update = equal = 0
    with httpx.Client(base_url=url, headers=HEADERS, timeout=60, trust_env=False) as client:
        for kind, records in desired.items():
            live = read(client, kind)
            for key, record in records.items():
                found = live.get(key)
                if found is None:
                    create += 1
                elif DeepDiff({name: found.get(name) for name in record}, record):
                    update += 1
                else:
                    equal += 1
    print(f"{wrong} wrong, {create} to create, {update} to update, {equal} unchanged")


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every declared record by kind and key."""
    desired: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for path in sorted(folder.glob("*.yaml")):
        for account in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["accounts"]:
            for contact in account.pop("contacts"):
                desired["contacts"][contact["email"]] = contact
            desired["accounts"][account["domain"]] = account
    return desired


def check(desired: dict[str, dict[str, Any]]) -> int:
    """Return how many findings jsonschema has."""
    wrong = 0
    schemas = [json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8")) for name in NAMES.values()]
    resources = [(schema["$id"], DRAFT202012.create_resource(schema)) for schema in schemas]
    registry: Any = Registry().with_resources(resources)
    for schema, records in zip(schemas, desired.values(), strict=True):
        validator = Draft202012Validator(schema, registry=registry)
        for record in records.values():
            wrong += sum(1 for _ in validator.iter_errors(record))
    return wrong


def read(client: httpx.Client, kind: str) -> dict[str, Any]:
    """Return every record of a kind by key."""
    key, _ = KINDS[kind]
    body, live = query(kind), {}
    while True:
        answer = client.post(f"/v1/{kind}/search", json=body)
        answer.raise_for_status()
        data = answer.json()["data"]
        live.update({record[key]: record for record in data[kind]})
        if not data["has_more"]:
            return live
        body["cursor"] = data["next_cursor"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
