"""What a provider can do with one kind of record, as a value: stages plan by it, providers declare it."""

from typing import NamedTuple


class Capability(NamedTuple):
    """What a provider can do with one kind; every default is "cannot".

    `create_batch` and `update_batch` are records per request, `batch_by` the fields whose values all records of one
    create have to share; `bare`: a create takes the key alone, and an update has to follow. `look_up_batch` is how many
    key spellings one keyed read may ask for (0: no keyed read), `page_size` how many records a page of everything has
    (0: not known), `ends_empty` whether an empty one comes last. `dedupes` says that creating an existing key
    again makes no second record, `refuses_known` that a batch of which everything exists may be refused. `rekeys`: an
    update may change the key. `refs` are kinds that a record may refer to by ids, which reading and writing need;
    `refs_exist`: they have to be there. `needs` are fields without which none can be created. `makes` is the kind of
    the record that comes along with one: the account of a contact's e-mail domain. The routes (`POST /v1/...`) are for
    counting and for the read allow-list; `define_route` makes custom fields. `evidence` is documented, inferred or
    assumed.

    What else counting needs: `look_up_route` where keyed reads have their own; `read_within` is what everything is read
    for, one by one: the kind of the owners, or the pipeline; `doubts`: a list this short (at least, and a multiple of)
    is asked for once more. `tries`: custom fields are read once they are made, and once they are first written;
    `tries_each`: both by a create and by an update. `define_batch` is how many are made by a request.
    """

    read: bool = False
    create: bool = False
    update: bool = False
    create_batch: int = 1
    update_batch: int = 1
    batch_by: tuple[str, ...] = ()
    bare: bool = False
    look_up_batch: int = 0
    page_size: int = 0
    ends_empty: bool = False
    dedupes: bool = False
    refuses_known: bool = False
    rekeys: bool = False
    refs: tuple[str, ...] = ()
    refs_exist: bool = False
    needs: tuple[str, ...] = ()
    makes: str = ""
    read_route: str = ""
    create_route: str = ""
    update_route: str = ""
    define_route: str = ""
    look_up_route: str = ""
    read_within: str = ""
    doubts: tuple[int, int] | None = None
    tries: bool = False
    tries_each: bool = False
    define_batch: int = 1
    evidence: str = "undocumented"

    @property
    def looks_first(self) -> bool:
        """Tell whether it is looked once more before records are created, as nothing else keeps them from doubling."""
        return self.read and not self.dedupes


class Definition(NamedTuple):
    """A custom field that is declared, is not there, and is to be made: its slug, and the type its values suggest."""

    kind: str
    slug: str
    type: str
    scope: str = ""
    """What it belongs to besides its kind: the id of a pipeline, say."""
