"""What Thena's documentation leaves open about accounts, contacts and notes, as switches.

The defaults are the readings that the vendor's wording makes likeliest, else the stricter ones; docs/sandbox.md gives
the reason for each.
"""

from crmctl.sandbox.switches import Switches, choice, number


class ThenaSwitches(Switches):
    """One undocumented behaviour per field; the first value is the default."""

    envelope: str = choice("wrapped", "bare", doc="Whether answers come as {data, status, message, timestamp} or bare.")
    created_status: str = choice("201", "200", doc="The status of a POST that creates an account or a note.")
    filter_status: str = choice("201", "200", doc="The status of contacts/filter/ids.")
    delete_answer: str = choice(
        "record", "message", "nothing", doc="What a DELETE answers: 200 with the record or a message, or an empty 204."
    )
    first_page: str = choice(
        "0", "1", "1_strict", doc="The number of the first page; where it is 1, page 0 is page 1 as well, or 400."
    )
    default_limit: int = number(10, doc="Records of a page that is asked for without a limit.")
    limit_cap: int = number(100, doc="The most records of a page.")
    over_limit: str = choice("clamp", "reject", doc="A limit above the cap: silently the cap, or 400.")
    list_order: str = choice(
        "oldest", "newest", "changed", doc="Lists by time of creation, either way, or the last change first."
    )
    list_deleted: str = choice("no", "yes", doc="Whether lists and search show what was deleted.")
    search_lag: float = number(0.0, whole=False, doc="Seconds until lists and search see a write.")
    search_match: str = choice("exact", "partial", doc="Whether contacts/search takes a part of an e-mail address.")
    search_case: str = choice("sensitive", "insensitive", doc="Whether contacts/search minds case.")
    unknown_ids: str = choice("skip", "404", doc="Ids in contacts/filter/ids that do not exist.")
    account_read: str = choice("allowed", "forbidden", doc="Whether the organisation's tier has GET of one account.")
    unknown_field: str = choice("reject", "ignore", doc="A member that a request does not have.")
    error_message: str = choice("text", "list", doc="Whether `message` of a 400 is a text or a list of texts.")
    email_identity: str = choice("insensitive", "sensitive", doc="Whether addresses that differ in case are one.")
    email_kept: str = choice("sent", "lower", doc="Whether an address is stored as sent or in lower case.")
    deleted_email: str = choice("free", "blocks", doc="Whether a deleted contact's address can be used again.")
    taken_email: str = choice(
        "409", "400", "existing", doc="A new contact whose address is taken: refused, or the contact that has it."
    )
    taken_domain: str = choice(
        "second", "existing", "409", doc="A new account whose domain is taken: one more, the one that has it, refused."
    )
    domain_kept: str = choice(
        "sent", "stripped", "bare", doc="A domain is stored as sent, without a leading @, or bare and in lower case."
    )
    bulk_items: str = choice("objects", "emails", doc="What a bulk create takes; the other is 400.")
    bulk_status: str = choice("201", "200", doc="The status of a bulk create that created something.")
    all_duplicates: str = choice("200", "201", "400", doc="The status of a bulk create whose contacts all exist.")
    bulk_limit: int | None = number(None, doc="How many contacts a bulk create takes; more are 400.")
    bulk_bad_item: str = choice(
        "reject", "skip", doc="A contact that does not fit: 400 for all, or counted as skipped."
    )
    bulk_repeated: str = choice("skip", "reject", doc="An address twice in one bulk create: once, or 400.")
    bulk_not_found: str = choice(
        "before", "after", doc="Whether the 404 of a bulk create comes before or after contacts were written."
    )
    link_skipped: str = choice("no", "yes", doc="Whether contacts that exist are added to a bulk create's accountIds.")
    contact_type_by: str = choice("id", "either", doc="Whether contactType takes the id only, or the value as well.")
    attribute_by: str = choice(
        "either", "id", "value", doc="What names a status, classification, health, industry or type of note."
    )
    contact_accounts: str = choice("objects", "names", doc="The accounts of a contact: {id, name}, or names alone.")
    metadata: str = choice("kept", "dropped", doc="Whether metadata of accounts and contacts is stored.")
    note_metadata: str = choice("kept", "dropped", doc="Whether metadata of notes is stored.")
    metadata_update: str = choice("replace", "merge", doc="What metadata in a PUT does to what is stored.")
    custom_update: str = choice("merge", "replace", doc="What customFieldValues in a PUT do to what is stored.")
    custom_write: str = choice(
        "field_id",
        "custom_field_id",
        "either",
        doc="Custom values are written as {fieldId, value} or as they are read.",
    )
    custom_read: str = choice(
        "objects", "strings", doc="Custom values are read as {customFieldId, data, metadata}, or as texts."
    )
    custom_data: str = choice("value", "list", doc="`data` of a custom value: the value, or [{value}].")
    mistyped_custom: str = choice("reject", "store", doc="A custom value that does not fit its fieldType.")
    put_null: str = choice("clears", "ignored", "rejected", doc="What null means in a write.")
    put_empty: str = choice("stored", "clears", doc="What an empty text means in a write.")
    put_absent: str = choice("stays", "cleared", doc="What becomes of a member that a PUT does not name.")
    read_blank: str = choice("null", "empty", doc="How a text without a value is read.")
    read_numbers: str = choice("number", "text", doc="How annualRevenue and employees are read.")
    limit_headers: str = choice("yes", "no", doc="Whether answers below the rate limit have the X-RateLimit headers.")
    retry_after: str = choice("none", "seconds", doc="The Retry-After header of a 429.")
    body_limit: int = number(10_485_760, doc="Bytes a request body may have; more is 413.")
