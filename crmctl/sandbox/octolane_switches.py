"""What Octolane's documentation leaves open, as switches of the gateway and the inbound host.

The defaults are the readings that the vendor's wording makes likeliest, else the stricter ones; docs/sandbox.md gives
the reason for each.
"""

from crmctl.sandbox.switches import Switches, choice, number


class OctolaneSwitches(Switches):
    """One undocumented behaviour per field; the first value is the default."""

    existing: str = choice(
        "overwrite", "untouched", "fill_blank", doc="What a create does to the fields of a record that exists."
    )
    same_key_twice: str = choice("merge", "reject", doc="What a key that stands twice in one bulk create comes to.")
    bad_item: str = choice(
        "reject_all", "partial", doc="One bad item in a bulk: refuse the request, or leave the item out silently."
    )
    bulk_data: str = choice("records", "split", "ids", "empty", doc="What `data` of a write holds.")
    created_status: str = choice("200", "201", doc="The status of a successful create or resolve.")
    key_normalisation: str = choice(
        "full",
        "case",
        "none",
        "dedupe_only",
        doc="What becomes of a key: stored bare (scheme, path, port, www. and case gone), stored in lower case, stored "
        "as sent, or stored as sent but compared bare when deduplicating.",
    )
    other_emails: str = choice("plain", "dedupe", doc="Whether `other_emails` of a contact count when deduplicating.")
    contact_makes_account: str = choice(
        "yes", "no", doc="Whether creating a contact makes the account of its e-mail domain."
    )
    free_mail_account: str = choice(
        "no", "yes", doc="Whether that also happens for a free-mail domain (here: freemail.example, freemail.test)."
    )
    unknown_field: str = choice(
        "store",
        "ignore",
        "reject",
        doc="A written member that is no field: becomes a custom field, is dropped, is 400.",
    )
    custom_key: str = choice("either", "property_name", "slug", doc="Which name of a custom field a write has to use.")
    mistyped_custom: str = choice(
        "store", "ignore", "reject", doc="A custom value that does not fit the field's attribute_type."
    )
    option_written: str = choice(
        "either", "value", "label", doc="What names an option of a select in a write; anything else is mistyped."
    )
    option_read: str = choice("value", "label", doc="What an option of a select is read as.")
    repeated_field: str = choice(
        "resolve", "reject", doc="Creating a field definition whose name or property_name exists."
    )
    patch_null: str = choice("clears", "ignored", doc="What null means in a write to an existing record.")
    patch_key: str = choice("allowed", "rejected", "ignored", doc="Whether a PATCH may change domain or email.")
    patch_arrays: str = choice("replace", "append", doc="What an array means in a write to an existing record.")
    unknown_patch_id: str = choice("reject_all", "skip", doc="A PATCH that names a record that does not exist.")
    in_limit: int | None = number(None, doc="How many values `in` and `not_in` take; more are 400.")
    in_case: str = choice(
        "sensitive",
        "insensitive",
        doc="Whether eq, neq, in and not_in on domain, email or an opportunity's name mind case.",
    )
    key_filter: str = choice(
        "yes", "no", doc="Whether domain, email and an opportunity's name can be filtered at all; if not, 400."
    )
    unknown_name: str = choice(
        "reject", "ignore", doc="An unknown name in filters, sort or fields: 400, or as if it were not there."
    )
    over_limit: str = choice("reject", "clamp", doc="A page limit above 500: 400, or read as 500.")
    invalid_cursor: str = choice("400", "restart", doc="A cursor that is damaged, expired or of another query.")
    cursor_lifetime: float | None = number(None, whole=False, doc="Seconds after which a cursor expires.")
    search_lag: float = number(0.0, whole=False, doc="Seconds until list and search see a write.")
    read_fields: str = choice(
        "all",
        "set",
        "documented",
        doc="Which members a record of an answer has: all asked for (null where empty), only those with a value, or "
        "only those the documentation shows.",
    )
    read_timestamps: str = choice(
        "rfc3339", "milliseconds", doc="How interaction timestamps are read: as text, or as Unix milliseconds."
    )
    retry_after: str = choice("none", "seconds", "date", doc="The Retry-After header of a 429.")
    body_limit: int = number(10_485_760, doc="Bytes a request body may have; more is 413.")
    opportunity_dedupe: str = choice(
        "none", "same_name", doc="A create of an opportunity whose name its pipeline has: another one, or that one."
    )
    opportunity_name: str = choice("required", "optional", doc="Whether a new opportunity needs a name.")
    no_stage: str = choice(
        "default", "first", "reject", doc="A new opportunity without a stage: the default stage, the first one, 400."
    )
    named_twice: str = choice(
        "id", "name", "reject", doc="An id beside a name or address of another (stage, owner): which counts, or 400."
    )
    unknown_reference: str = choice(
        "404", "400", doc="The status where a stage does not exist, or what a PATCH relates an opportunity to."
    )
    unknown_owner: str = choice("reject", "ignore", doc="An owner who is no member: 400, or no owner.")
    related_missing: str = choice(
        "create", "ignore", "404", doc="An opportunity's account or contacts that do not exist."
    )
    account_from_contact: str = choice(
        "no", "yes", doc="Whether an opportunity without an account gets that of its primary contact."
    )
    opportunity_fields: str = choice(
        "all",
        "asked",
        "documented",
        doc="Members of an opportunity beyond the documented ones: always read, read when asked for, never read.",
    )
    opportunity_dates: str = choice(
        "milliseconds", "rfc3339", doc="How close_date and next_action_date are read: as Unix milliseconds, or as text."
    )
    opportunity_text: str = choice("name", "ignored", doc="What text search of opportunities looks at.")
    reference_filter: str = choice("yes", "no", doc="Whether account_id and contact_id can be filtered; if not, 400.")
    patch_stage: str = choice("allowed", "rejected", "ignored", doc="Whether a PATCH may move an opportunity.")
    patch_custom: str = choice(
        "either",
        "top_level",
        "custom_attributes",
        doc="Where a PATCH of an opportunity names custom fields; elsewhere they are 400.",
    )
    repeated_stage: str = choice("reject", "create", "resolve", doc="Creating a stage whose label its pipeline has.")
    note_reference: str = choice("404", "create", doc="A note about an account or contact that does not exist.")
    inbound_unknown_member: str = choice(
        "reject", "ignore", doc="A member that the inbound host does not document, in an account or a contact."
    )
    inbound_message: str = choice(
        "same", "distinct", doc="Whether the inbound host says that it found the record, instead of created."
    )
