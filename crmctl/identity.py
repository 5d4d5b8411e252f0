"""What identifies a record: a domain or an e-mail address, normalised once and on both sides.

In goes a spelling as somebody wrote it, in a manifest or in the CRM; out comes the key, or why it is none. Plain keys
are settled by one strict ASCII pattern; maintained libraries settle the rest and are imported only for it. A contact's
domain is judged by the same rules as an account's, so the two cannot disagree.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

LONGEST = {"account": 2048, "contact": 320}
"""Characters beyond which a spelling is refused unread: a URL may be longer than its domain, an address hardly."""

LONGEST_DOMAIN, LONGEST_EMAIL, LONGEST_LOCAL_PART = 253, 254, 64  # octets: RFC 1035, RFC 5321
SHORT = 63  # the longest label: a spelling no longer than this has no label that is too long

A_LABEL = "xn--"  # an encoded international label, which only idna can judge
PLAIN_LABEL = r"[a-z0-9]++(?:-++[a-z0-9]++)*+"
PLAIN_DOMAIN = rf"(?:{PLAIN_LABEL}\.)++[a-z][a-z0-9]*+(?:-++[a-z0-9]++)*+"
LOCAL_PART = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]++)*+"

# A last label that begins with a letter keeps IP addresses out; single labels name no organisation.
HOST = r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Everything around the host is dropped, but for credentials: a secret in a manifest is to be seen, not hidden.
URL = r"(?is)(?:(?:[a-z][a-z0-9+.-]*+:)?//)?([^/?#\\@:\[\]]+)(?::[0-9]{0,5})?(?:[/?#\\].*)?"
# Only the patterns for plain keys are compiled here; `re` does it with the others when the first key is not plain.
_plain = {
    "account": re.compile(rf"(?!www\.){PLAIN_DOMAIN}").fullmatch,
    "contact": re.compile(rf"{LOCAL_PART}@{PLAIN_DOMAIN}").fullmatch,
}
_is_plain_email = _plain["contact"]


def normalise(kind: str, written: str) -> str | None:
    """Return the key that a spelling stands for, or None when it can stand for none; never raises.

    An account's key is its domain in lower case, without scheme, path, query, port, leading `www.` and trailing dot; a
    contact's is its e-mail address, trimmed and in lower case. International domains become A-labels (UTS 46), other
    letters NFC. Normalising a key returns the key.
    """
    if kind not in _plain:
        return written.strip() or None  # a name of ours: the other parts of a composed key come from elsewhere
    if len(written) <= SHORT and A_LABEL not in written and _plain[kind](written):
        return written
    if len(written) > LONGEST[kind] or _holds_surrogate(written):
        return None
    text = written.strip()
    return _normalise_domain(text) if kind == "account" else _normalise_email(text)


def is_email(text: str) -> bool:
    """Tell whether a text is an e-mail address; the `email` format of the schemas."""
    if len(text) <= SHORT and A_LABEL not in text and _is_plain_email(text):  # once per contact of the input
        return True
    return normalise("contact", text) is not None


def _normalise_domain(text: str) -> str | None:
    match = re.fullmatch(URL, text)
    host = match and _encode_host(match[1])
    if not host:
        return None
    host = host.removesuffix(".")
    while host.startswith("www.") and host.count(".") > 1:  # www.example is a domain of its own
        host = host[4:]
    return host if len(host) <= LONGEST_DOMAIN and re.fullmatch(HOST, host) else None


def _normalise_email(text: str) -> str | None:
    local_part, _, domain = text.rpartition("@")
    host = _encode_host(domain)
    if not host or not re.fullmatch(HOST, host):
        return None
    name = _normalise_local_part(local_part)
    if name is None:
        return None
    key = f"{name}@{host}"
    return key if len(key.encode()) <= LONGEST_EMAIL else None


def _normalise_local_part(text: str) -> str | None:
    if text.isascii() and len(text) <= LONGEST_LOCAL_PART and re.fullmatch(LOCAL_PART, text.lower()):
        return text.lower()
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - 60 ms that plain addresses save

    try:
        # The library's own list of special domains would refuse .test, .invalid and .local: it sees a neutral one.
        valid = validate_email(f"{text}@example.com", check_deliverability=False, strict=True)
    except EmailNotValidError:
        return None
    return unicodedata.normalize("NFC", valid.local_part.lower())


def _encode_host(host: str) -> str | None:
    """Return a host in lower-case ASCII; None when IDNA refuses it."""
    lowered = host.lower()
    if lowered.isascii() and A_LABEL not in lowered:
        return lowered
    import idna  # noqa: PLC0415 - only international names pay for its tables

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        return None


def _holds_surrogate(text: str) -> bool:
    """Tell whether a text holds half a character, which no API can be sent and no library expects."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def spellings(kind: str, key: str, written: str) -> tuple[str, ...]:
    """Return what a keyed look-up should ask for, the key first: how the CRM compares keys is not documented.

    The key, the spelling as written, and for an international domain its Unicode form; no duplicates.
    """
    if written == key and A_LABEL not in key:
        return (key,)
    found = {key: None, (written.strip() or key): None}
    if A_LABEL in key:
        import idna  # noqa: PLC0415 - only international names pay for its tables

        name, at, host = key.rpartition("@") if kind == "contact" else ("", "", key)
        found[f"{name}{at}{idna.decode(host)}"] = None
    return tuple(found)


def cut(groups: Iterable[Sequence[str]], size: int) -> Iterator[list[str]]:
    """Pack groups of spellings into requests of at most `size`, in order.

    A group stays together, so one answer settles one record; only a group that is itself larger than `size` is split.
    """
    packed: list[str] = []
    for group in groups:
        if packed and len(packed) + len(group) > size:
            yield packed
            packed = []
        packed += group
        while len(packed) > size:
            yield packed[:size]
            packed = packed[size:]
    if packed:
        yield packed


def explain(kind: str, written: str) -> str:
    """Say why a spelling is no key and what to write, as the message of a diagnostic.

    `{value}` stands for the spelling, which is never formatted in: it may be personal, or hold control characters.
    """
    text = written.strip()
    if not text:
        return "is empty: write " + ("a domain such as acme.example" if kind == "account" else "name@domain")
    if len(written) > LONGEST[kind]:
        return f"is longer than {LONGEST[kind]} characters: write the bare {_noun(kind)}"
    return _explain_domain(text) if kind == "account" else _explain_email(text)


def _noun(kind: str) -> str:
    return "domain" if kind == "account" else "e-mail address"


def _explain_domain(text: str) -> str:
    match = re.fullmatch(URL, text)
    host = match[1].strip().removesuffix(".") if match else ""
    if "@" in text:
        return "{value} has an @, as an e-mail address or a password has: write the bare domain, such as acme.example"
    if "[" in text or re.fullmatch(r"[0-9.]+", host):
        return "{value} is an IP address: write the organisation's domain, such as acme.example"
    if host and "." not in host:
        return "{value} has no dot, so it is no public domain: write it in full, such as acme.example"
    if "_" in host:
        return "{value} has an underscore, which no domain has: write the organisation's domain, such as acme.example"
    return "{value} is not a domain: write one such as acme.example"


def _explain_email(text: str) -> str:
    if "<" in text or text.lower().startswith("mailto:"):
        return "{value} is more than an e-mail address: write name@domain alone"
    if "@" not in text:
        return "{value} is not an e-mail address, it has no @: write name@domain"
    if re.search(r"\s", text):
        return "{value} is not an e-mail address, it has a space: write name@domain"
    if "." not in text.rpartition("@")[2]:
        return "{value} is not an e-mail address, its domain has no dot: write it in full, such as name@acme.example"
    return "{value} is not an e-mail address: write name@domain"
