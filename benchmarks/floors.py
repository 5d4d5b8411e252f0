"""Do the least that a stage cannot do without, each in a process of its own: what crmctl's figures are divided by.

    floors.py events FOLDER             every event of PyYAML's C parser, over the bytes of every manifest
    floors.py json FILE                 json.loads of every page (one a line) that reading all records takes
    floors.py save URL FILE             fetch those pages and keep them; not measured
    floors.py loop URL FOLDER           create all records over HTTP and read them back: same batches, same look-ups,
                                        four requests in flight, answers decoded; nothing checked, kept or journalled.
                                        Prints the seconds from the first request to the last answer

`loop` takes its requests from `FOLDER/requests.jsonl`, which `floors.py prepare FOLDER` makes from the manifests.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import yaml

CREATE_BATCH, PAGE_SIZE, IN_FLIGHT = 100, 500, 4
HEADERS = {"x-api-key": "bench", "content-type": "application/json"}
KINDS = {
    "accounts": ("domain", ("domain", "industry", "name")),
    "contacts": ("email", ("email", "first_name", "job_title", "last_name", "phone", "seniority")),
}
"""Per kind: what identifies a record, and the fields that the generated manifests declare."""


def events(folder: Path) -> None:
    """Run the C parser to its end over every manifest."""
    end = yaml.StreamEndEvent
    for path in sorted(folder.glob("*.yaml")):
        loader = yaml.CSafeLoader(path.read_bytes())
        while type(loader.get_event()) is not end:
            pass
        loader.dispose()


def decode(pages: Path) -> None:
    """Decode every page."""
    with pages.open("rb") as stream:
        for page in stream:
            json.loads(page)


def query(kind: str) -> dict[str, Any]:
    """Return the search that crmctl reads a kind with."""
    key, fields = KINDS[kind]
    return {"sort": "id:asc", "limit": PAGE_SIZE, "fields": list(dict.fromkeys(("id", key, *fields)))}


async def read_pages(url: str, kind: str) -> AsyncIterator[bytes]:
    """Yield the body of every page of a kind."""
    import httpx  # noqa: PLC0415 - the floors of parser and decoder don't pay for it

    body = query(kind)
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60, trust_env=False) as client:
        while True:
            answer = await client.post(f"/v1/{kind}/search", content=json.dumps(body))
            answer.raise_for_status()
            yield answer.content
            data = answer.json()["data"]
            if not data["has_more"]:
                return
            body["cursor"] = data["next_cursor"]


async def save(url: str, pages: Path) -> None:
    """Keep every page of both kinds, one a line."""
    with pages.open("wb") as stream:
        for kind in KINDS:
            async for page in read_pages(url, kind):
                stream.write(page.replace(b"\n", b" ") + b"\n")


def prepare(folder: Path) -> None:
    """Write the requests of an apply of all records, a line each: kind, batch, look-up."""
    with (folder / "requests.jsonl").open("w", encoding="utf-8") as stream:
        for kind, (key, _) in KINDS.items():
            batch: list[dict[str, Any]] = []
            for record in _records(folder, kind):
                batch.append(record)
                if len(batch) == CREATE_BATCH:
                    _write(stream, kind, key, batch)
                    batch = []
            if batch:
                _write(stream, kind, key, batch)


def _records(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    for path in sorted((folder / "manifests").glob("*.yaml")):
        for account in yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)["accounts"]:
            contacts = account.pop("contacts")
            yield from [account] if kind == "accounts" else contacts


def _write(stream: Any, kind: str, key: str, batch: list[dict[str, Any]]) -> None:
    wanted = {"field": key, "operator": "in", "value": [record[key] for record in batch]}
    stream.write(json.dumps([kind, batch, {"filters": [wanted], **query(kind)}]) + "\n")


async def loop(url: str, folder: Path) -> None:
    """Send all requests of an apply, one kind after the other."""
    import httpx  # noqa: PLC0415 - as above

    with (folder / "requests.jsonl").open(encoding="utf-8") as stream:
        work = [json.loads(line) for line in stream]
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=60, trust_env=False) as client:

        async def take(waiting: Iterator[Any]) -> None:
            for kind, batch, look_up in waiting:
                for path, body in ((f"/v1/{kind}/bulk", batch), (f"/v1/{kind}/search", look_up)):
                    answer = await client.post(path, content=json.dumps(body))
                    answer.raise_for_status()
                    answer.json()

        begun = time.perf_counter()
        for kind in KINDS:
            waiting = iter([item for item in work if item[0] == kind])
            async with asyncio.TaskGroup() as group:
                for _ in range(IN_FLIGHT):
                    group.create_task(take(waiting))
        print(time.perf_counter() - begun)


def main(verb: str, *rest: str) -> None:
    """Do what the command line says."""
    if verb == "events":
        events(Path(rest[0]))
    elif verb == "json":
        decode(Path(rest[0]))
    elif verb == "prepare":
        prepare(Path(rest[0]))
    elif verb == "save":
        asyncio.run(save(rest[0], Path(rest[1])))
    else:
        asyncio.run(loop(rest[0], Path(rest[1])))


if __name__ == "__main__":
    main(*sys.argv[1:])
