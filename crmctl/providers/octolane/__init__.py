"""What Octolane's surfaces share: the key's header, and the fields a record has (docs/octolane.md).

Names are the vendor's own: manifests use the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

KEY_HEADER = "x-api-key"

TIMESTAMPS = frozenset(
    {
        "first_email_interaction",
        "last_email_interaction",
        "first_meeting_interaction",
        "last_meeting_interaction",
        "last_interaction",
        "next_meeting",
    }
)
"""Fields of both kinds that hold a point in time: RFC 3339, or a number of Unix seconds or milliseconds."""

FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "account": TIMESTAMPS
        | {"domain", "name", "industry", "logo", "linkedin", "twitter", "twitter_followers", "description"}
        | {"primary_location", "founded", "estimated_revenue", "total_fund_raised", "employee_range", "type", "tags"},
        "contact": TIMESTAMPS
        | {"email", "first_name", "last_name", "full_name", "job_title", "phone", "seniority", "linkedin", "twitter"}
        | {"twitter_followers", "current_company", "type", "avatar_url", "email_verified", "other_emails"},
        "note": frozenset({"text"}),
    }
)
"""The documented fields of each kind; of a note, which none are documented of, the one that it can't do without."""

OPPORTUNITY_FIELDS = frozenset(
    {"name", "pipeline_id", "stage", "deal_size", "close_date", "next_action_date", "next_steps", "owner_email"}
    | {"primary_contact_email", "additional_contact_emails", "octolane.owner_id"}
)
"""What an opportunity can hold, in the words of manifests, as it is compared."""

PEOPLE = ("primary_contact_email", "additional_contact_emails")
"""The fields of an opportunity that name contacts."""

DATES = frozenset({"close_date", "next_action_date"})
"""The fields of an opportunity that are written as a number of Unix milliseconds."""
