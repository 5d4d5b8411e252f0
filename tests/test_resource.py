"""The nouns: how an address and a place read, and where the parts of a manifest stand."""

from crmctl.parser import Shape, parse
from crmctl.resource import Address, Fields, Resource, Source

TEXT = b"a: {b: 1, c: [x, y]}\n"


def root() -> Fields:
    found = parse(TEXT, "m.yaml", Shape())[0][0].root
    assert found is not None
    return found


def test_a_place_reads_as_editors_take_it() -> None:
    """File, line and column are joined by colons."""
    assert "m.yaml:2:7" == str(Source("m.yaml", 2, 7))


def test_places_sort_as_they_are_read() -> None:
    """By file, then line, then column, as numbers."""
    places = [Source("b", 1, 1), Source("a", 10, 1), Source("a", 9, 10), Source("a", 9, 9)]
    assert [Source("a", 9, 9), Source("a", 9, 10), Source("a", 10, 1), Source("b", 1, 1)] == sorted(places)


def test_an_address_is_kind_and_key() -> None:
    """What would make an address ambiguous, or can't be seen, is percent-encoded."""
    assert "contact/jane+x@acme.example" == str(Address("contact", "jane+x@acme.example"))
    assert "contact/o%27b%25r%20n@acme.example" == str(Address("contact", "o'b%r n@acme.example"))
    assert "note/acme.example/kickoff" == str(Address("note", "acme.example/kickoff"))


def test_a_mapping_knows_where_its_parts_stand() -> None:
    """A mapping, its keys and its values have places; what it doesn't have stands where it does."""
    mapping = root()["a"]
    assert Source("m.yaml", 1, 4) == mapping.source()
    assert Source("m.yaml", 1, 5) == mapping.source_of("b", value=False)
    assert Source("m.yaml", 1, 8) == mapping.source_of("b")
    assert Source("m.yaml", 1, 4) == mapping.source_of("z")


def test_a_list_knows_where_its_items_stand() -> None:
    """A list and its items have places."""
    items = root()["a"]["c"]
    assert Source("m.yaml", 1, 14) == items.source()
    assert [Source("m.yaml", 1, 15), Source("m.yaml", 1, 18)] == [items.source_of(index) for index in range(2)]


def test_a_declared_resource_knows_its_place() -> None:
    """A desired resource stands where its record begins, and its fields where they are written."""
    resource = Resource(Address("account", "a.example"), {"b": 1, "d": 2}, origin=root()["a"])
    assert Source("m.yaml", 1, 4) == resource.source
    assert Source("m.yaml", 1, 8) == resource.source_of("b")
    assert Source("m.yaml", 1, 4) == resource.source_of("d")


def test_a_live_resource_has_no_place() -> None:
    """What comes from a CRM is written nowhere."""
    resource = Resource(Address("account", "a.example"), {"b": 1}, remote_id="1")
    assert resource.source is None
    assert resource.source_of("b") is None
