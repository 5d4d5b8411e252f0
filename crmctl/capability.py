"""What a provider can do with one kind of record, as a value: stages plan by it, providers declare it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capability:
    """What a provider can do with one kind; every default is "cannot".

    `create_batch` and `update_batch` are records per request, `look_up_batch` how many key spellings one keyed read may
    ask for (0: no keyed read). `dedupes` says that creating an existing key again makes no second record, `rekeys` that
    an update may change the key. The routes (`POST /v1/...`) are for counting and for the read allow-list. `refs` are
    the references that can be written. `evidence` is documented, inferred or assumed.
    """

    read: bool = False
    create: bool = False
    update: bool = False
    create_batch: int = 1
    update_batch: int = 1
    look_up_batch: int = 0
    dedupes: bool = False
    rekeys: bool = False
    refs: tuple[str, ...] = ()
    read_route: str = ""
    create_route: str = ""
    update_route: str = ""
    evidence: str = "undocumented"
