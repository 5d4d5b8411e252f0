"""What a provider can do with one kind of record, as a value: stages plan by it, providers declare it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capability:
    """What a provider can do with one kind; every default is "cannot".

    `create_batch` and `update_batch` are records per request. `look_up_batch` is how many key spellings one keyed read
    may ask for (0: no keyed read), `page_size` how many records a page of a full read has. `batch_by` names the fields
    that must be equal within a batch. `dedupes` says that creating an existing key again makes no second record.
    The routes (`POST /v1/...`) are for counting and for the read allow-list. `refs` are the references that can be
    written. `rekeys` says that an update may change the key.
    `evidence` is documented, inferred or assumed.
    """

    read: bool = False
    create: bool = False
    update: bool = False
    create_batch: int = 1
    update_batch: int = 1
    look_up_batch: int = 0
    page_size: int = 1
    batch_by: tuple[str, ...] = ()
    dedupes: bool = False
    rekeys: bool = False
    refs: tuple[str, ...] = ()
    read_route: str = ""
    list_route: str = ""
    create_route: str = ""
    update_route: str = ""
    evidence: str = "undocumented"
