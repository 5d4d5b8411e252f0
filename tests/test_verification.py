"""How much of what was sent is read back, by the kind and by the batch."""

from crmctl.capability import Capability
from crmctl.verification import demanded, identified, sample

PLAIN = Capability(read=True, create=True, dedupes=True)


def test_what_must_be_known_is_always_verified() -> None:
    """What is created once, what takes no more than a key, and what others need the id of."""
    assert "off" == demanded("off", "account", PLAIN, set())
    assert "sample" == demanded("sample", "account", PLAIN, {"contact"})
    assert "all" == demanded("off", "account", PLAIN, {"account"})
    assert "all" == demanded("off", "note", Capability(read=True, create=True), set())
    assert "all" == demanded("sample", "contact", Capability(dedupes=True, bare=True), set())


def test_ids_are_needed_of_what_changed_records_refer_to() -> None:
    """And of kinds with composed keys, which are found by them."""
    assert {"opportunity", "note"} == identified([], {"contact": Capability(refs=("account",))})


def test_a_sample_is_every_tenth_record() -> None:
    """The same ones each time, and at least one of each batch."""
    batch = list(range(25))
    assert batch == sample(batch, "all")
    assert [0, 10, 20] == sample(batch, "sample")
    assert [] == sample(batch, "off")
    assert [7] == sample([7], "sample")
