"""What the tests of the parser share: texts in, values or complaints out."""

from collections.abc import Iterator
from typing import Any

from hypothesis import settings

from crmctl import schema
from crmctl.parser import Shape, parse
from crmctl.resource import Fields, Items

QUICK = settings(max_examples=150, derandomize=True, deadline=None)
ANY = Shape()
MANIFEST = schema.shape()
VALID = """\
# A manifest with a bit of everything.
defaults:
  contact: &usual {job_title: CTO, tags: [a, 'b']}
accounts:
  - domain: acme.example
    name: "Acmé \\u00e9 😀"
    founded: 1984
    contacts:
      - &jane {<<: *usual, email: jane@acme.example, phone: 0301}
      - <<: [*jane, *usual]
        email: joe@acme.example
        full_name: >-
          Joe
          Doe
---
contacts: []
"""


def read(text: str | bytes, shape: Shape = ANY) -> Any:
    """Return the one document of a text, which has to be right."""
    data = text if isinstance(text, bytes) else text.encode()
    documents, diagnostics = parse(data, "m.yaml", shape)
    assert [] == diagnostics
    (document,) = documents
    return document.root


def wrong(text: str | bytes, shape: Shape = ANY) -> list[str]:
    """Return what is wrong with a text, a line each."""
    data = text if isinstance(text, bytes) else text.encode()
    return [
        f"{found.source}: {found.message.replace('{value}', str(found.value))}"
        for found in parse(data, "m.yaml", shape)[1]
    ]


def places(value: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield everything in a value with its line and column, keys and values alike."""
    if isinstance(value, Fields):
        for key, member in value.items():
            place, name = value.source_of(key), value.source_of(key, value=False)
            yield key, name.line, name.column
            yield member, place.line, place.column
            yield from places(member)
    elif isinstance(value, Items):
        for index, item in enumerate(value):
            place = value.source_of(index)
            yield item, place.line, place.column
            yield from places(item)
