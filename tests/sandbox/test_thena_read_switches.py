"""Every value of every switch about Thena's answers and reads, one test each: `test_<switch>_<value>`."""

from collections.abc import Callable
from typing import Any

Open = Callable[..., Any]
CONTACTS = "/v1/accounts/contacts"


def status_of(crm: Any, method: str, path: str, **body: Any) -> int:
    response = crm.send(method, f"/v1/{path}", json=body)
    return int(response.status_code)


def test_envelope_wrapped(open_thena: Open) -> None:
    """Answers stand in an envelope, errors don't."""
    thena = open_thena()
    answer = thena.send("GET", CONTACTS).json()
    assert {"data": [], "status": True, "message": "Success", "timestamp": "2026-05-28T20:26:40.000Z"} == answer
    assert {"statusCode", "message", "error"} == set(thena.send("PUT", CONTACTS + "/nope", json={}).json())


def test_envelope_bare(open_thena: Open) -> None:
    """Answers are bare, but for custom fields, whose envelope is documented."""
    thena = open_thena(envelope="bare")
    assert [] == thena.send("GET", CONTACTS).json()
    made = thena.send("POST", CONTACTS, json={"firstName": "Ada", "email": "ada@acme.example"}).json()
    assert "ada@acme.example" == made["email"]
    bulk = {"contacts": [{"firstName": "Ada", "email": "ada@acme.example"}]}
    assert {"total": 1, "created": 0, "skipped": 1} == thena.send("POST", CONTACTS + "/bulk", json=bulk).json()
    assert [] == thena.get("custom-field", source="account")


def created_statuses(thena: Any) -> list[int]:
    account = thena.account("first.example")["id"]
    return [
        status_of(thena, "POST", "accounts", name="Acme", primaryDomain="acme.example"),
        status_of(thena, "POST", "accounts/notes", accountId=account, content="x"),
        status_of(thena, "POST", "accounts/contacts", firstName="Ada", email="ada@acme.example"),
    ]


def test_created_status_201(open_thena: Open) -> None:
    """A new account and a new note are 201, as contacts are."""
    assert [201, 201, 201] == created_statuses(open_thena())


def test_created_status_200(open_thena: Open) -> None:
    """A new account and a new note are 200; 201 is documented for contacts."""
    assert [200, 200, 201] == created_statuses(open_thena(created_status="200"))


def test_filter_status_201(open_thena: Open) -> None:
    """Reading by id is a POST and answers 201."""
    assert 201 == status_of(open_thena(), "POST", "accounts/contacts/filter/ids", ids=[])


def test_filter_status_200(open_thena: Open) -> None:
    """Reading by id answers 200."""
    assert 200 == status_of(open_thena(filter_status="200"), "POST", "accounts/contacts/filter/ids", ids=[])


def test_delete_answer_record(open_thena: Open) -> None:
    """A deletion answers with what was deleted."""
    thena = open_thena()
    made = thena.contact()
    assert made["id"] == thena.delete(f"accounts/contacts/{made['id']}")["id"]


def test_delete_answer_message(open_thena: Open) -> None:
    """A deletion answers with a message."""
    thena = open_thena(delete_answer="message")
    assert {"message": "Deleted"} == thena.delete(f"accounts/contacts/{thena.contact()['id']}")


def test_delete_answer_nothing(open_thena: Open) -> None:
    """A deletion answers 204 without a body."""
    thena = open_thena(delete_answer="nothing")
    answer = thena.send("DELETE", f"{CONTACTS}/{thena.contact()['id']}")
    assert (204, b"") == (answer.status_code, answer.content)


def pages(thena: Any, *numbers: int) -> list[list[str]]:
    for name in "abcde":
        thena.contact(f"{name}@acme.example")
    read = [thena.get("accounts/contacts", page=number, limit=2) for number in numbers]
    return [[contact["email"][0] for contact in page] for page in read]


def test_first_page_0(open_thena: Open) -> None:
    """Pages count from 0, which is also the page of a request without one."""
    thena = open_thena()
    assert [["a", "b"], ["c", "d"], ["e"], []] == pages(thena, 0, 1, 2, 3)
    assert "a@acme.example" == thena.emails()[0]
    assert [] == thena.get("accounts/contacts", page=10**18)


def test_first_page_1(open_thena: Open) -> None:
    """Pages count from 1, and page 0 is the first page as well."""
    thena = open_thena(first_page="1")
    assert [["a", "b"], ["a", "b"], ["c", "d"], ["e"], []] == pages(thena, 0, 1, 2, 3, 4)
    assert "a@acme.example" == thena.emails()[0]


def test_first_page_1_strict(open_thena: Open) -> None:
    """Pages count from 1, and page 0 is 400."""
    thena = open_thena(first_page="1_strict")
    assert [["a", "b"], ["e"]] == pages(thena, 1, 3)
    assert 400 == thena.send("GET", CONTACTS, params={"page": 0}).status_code


def test_default_limit_number(open_thena: Open) -> None:
    """A page that is asked for without a limit has this many records."""
    thena = open_thena(default_limit="3")
    pages(thena)
    assert 3 == len(thena.get("accounts/contacts"))


def test_limit_cap_number(open_thena: Open) -> None:
    """No page has more records, and the next one goes on after it."""
    thena = open_thena(limit_cap="3")
    pages(thena)
    read = [thena.get("accounts/contacts", limit=100, page=number) for number in (0, 1)]
    assert [3, 2] == [len(page) for page in read]


def test_over_limit_clamp(open_thena: Open) -> None:
    """A larger limit is the cap, and nothing says so."""
    assert 200 == open_thena().send("GET", CONTACTS, params={"limit": 101}).status_code


def test_over_limit_reject(open_thena: Open) -> None:
    """A larger limit is 400."""
    thena = open_thena(over_limit="reject")
    assert [200, 400] == [thena.send("GET", CONTACTS, params={"limit": limit}).status_code for limit in (100, 101)]


def listed(thena: Any) -> list[str]:
    made = [thena.contact(f"{name}@acme.example") for name in "abc"]
    thena.clock.now += 1
    thena.put(f"accounts/contacts/{made[1]['id']}", firstName="Bo")
    return [email[0] for email in thena.emails()]


def test_list_order_oldest(open_thena: Open) -> None:
    """Lists begin with what was created first."""
    assert ["a", "b", "c"] == listed(open_thena())


def test_list_order_newest(open_thena: Open) -> None:
    """Lists begin with what was created last."""
    assert ["c", "b", "a"] == listed(open_thena(list_order="newest"))


def test_list_order_changed(open_thena: Open) -> None:
    """Lists begin with what was changed last."""
    assert ["b", "c", "a"] == listed(open_thena(list_order="changed"))


def deleted_listed(thena: Any) -> tuple[list[Any], list[Any]]:
    thena.delete(f"accounts/contacts/{thena.contact()['id']}")
    return thena.emails(), thena.get("accounts/contacts/search", email="ada@acme.example")


def test_list_deleted_no(open_thena: Open) -> None:
    """What was deleted is neither listed nor found."""
    assert ([], []) == deleted_listed(open_thena())


def test_list_deleted_yes(open_thena: Open) -> None:
    """What was deleted is listed and found all the same, and nothing marks it."""
    emails, found = deleted_listed(open_thena(list_deleted="yes"))
    assert (["ada@acme.example"], 1) == (emails, len(found))


def test_search_lag_number(open_thena: Open) -> None:
    """Lists and search see a write later; reading by id sees it at once."""
    thena = open_thena(search_lag="5")
    made, account = thena.contact(), thena.account()
    search = {"email": "ada@acme.example"}
    assert ([], [], []) == (thena.emails(), thena.get("accounts"), thena.get("accounts/contacts/search", **search))
    assert [made] == thena.post("accounts/contacts/filter/ids", ids=[made["id"]])
    assert account == thena.get(f"accounts/{account['id']}")
    thena.clock.now += 5
    assert ([made], [account]) == (thena.get("accounts/contacts/search", **search), thena.get("accounts"))
    thena.put(f"accounts/contacts/{made['id']}", firstName="Augusta")
    assert [made] == thena.get("accounts/contacts")


def search(thena: Any, text: str) -> list[str]:
    thena.contact("Ada@acme.example")
    return [contact["email"] for contact in thena.get("accounts/contacts/search", email=text)]


def test_search_match_exact(open_thena: Open) -> None:
    """A search finds whole addresses."""
    assert [] == search(open_thena(), "acme.example")
    assert [] == search(open_thena(database="other.db"), "%")


def test_search_match_partial(open_thena: Open) -> None:
    """A search finds parts of addresses."""
    assert ["Ada@acme.example"] == search(open_thena(search_match="partial"), "@acme")


def test_search_case_sensitive(open_thena: Open) -> None:
    """A search minds case."""
    thena = open_thena()
    assert [] == search(thena, "ada@acme.example")
    assert 1 == len(thena.get("accounts/contacts/search", email="Ada@acme.example"))


def test_search_case_insensitive(open_thena: Open) -> None:
    """A search ignores case."""
    assert ["Ada@acme.example"] == search(open_thena(search_case="insensitive"), "aDA@acme.example")


def test_unknown_ids_skip(open_thena: Open) -> None:
    """Ids that do not exist are left out."""
    thena = open_thena()
    assert 1 == len(thena.post("accounts/contacts/filter/ids", ids=["nope", thena.contact()["id"]]))


def test_unknown_ids_404(open_thena: Open) -> None:
    """One id that does not exist refuses all."""
    thena = open_thena(unknown_ids="404")
    id_ = thena.contact()["id"]
    assert 404 == thena.refused("POST", "accounts/contacts/filter/ids", ids=["nope", id_])
    assert 1 == len(thena.post("accounts/contacts/filter/ids", ids=[id_]))


def test_account_read_allowed(open_thena: Open) -> None:
    """One account can be read."""
    thena = open_thena()
    assert "Acme" == thena.get(f"accounts/{thena.account()['id']}")["name"]


def test_account_read_forbidden(open_thena: Open) -> None:
    """The organisation's tier has no reading of one account; lists work."""
    thena = open_thena(account_read="forbidden")
    account = thena.account()
    assert 403 == thena.send("GET", f"/v1/accounts/{account['id']}").status_code
    assert [account] == thena.get("accounts")


def messages(thena: Any) -> list[Any]:
    return [
        thena.send("POST", "/v1/accounts", json={"name": "A"}).json()["message"],
        thena.send("POST", "/v1/accounts/notes", json={"accountId": "nope", "content": "x"}).json()["message"],
    ]


def test_error_message_text(open_thena: Open) -> None:
    """The message of a refusal is a text."""
    assert [str, str] == [type(message) for message in messages(open_thena())]


def test_error_message_list(open_thena: Open) -> None:
    """The message of a 400 is a list of texts, of a 404 still a text."""
    assert [list, str] == [type(message) for message in messages(open_thena(error_message="list"))]


def accounts_of_contact(thena: Any) -> Any:
    return thena.contact(accountIds=[thena.account()["id"]])["accounts"]


def test_contact_accounts_objects(open_thena: Open) -> None:
    """A contact shows ids and names of its accounts."""
    [account] = accounts_of_contact(open_thena())
    assert ({"id", "name"}, "Acme") == (set(account), account["name"])


def test_contact_accounts_names(open_thena: Open) -> None:
    """A contact shows names of its accounts alone."""
    assert ["Acme"] == accounts_of_contact(open_thena(contact_accounts="names"))


def blanks(thena: Any) -> list[Any]:
    contact, account = thena.contact(), thena.account()
    return [contact["lastName"], account["description"], account["industry"], account["employees"]]


def test_read_blank_null(open_thena: Open) -> None:
    """Texts without a value are null."""
    assert [None, None, None, None] == blanks(open_thena())


def test_read_blank_empty(open_thena: Open) -> None:
    """Texts without a value are empty; picklists and numbers are null."""
    assert ["", "", None, None] == blanks(open_thena(read_blank="empty"))


def test_read_numbers_number(open_thena: Open) -> None:
    """Numbers are numbers."""
    assert (2.5, None) == numbers(open_thena())


def numbers(thena: Any) -> tuple[Any, Any]:
    account = thena.account(annualRevenue=2.5)
    return account["annualRevenue"], account["employees"]


def test_read_numbers_text(open_thena: Open) -> None:
    """Numbers are texts, where there is one."""
    assert ("2.5", None) == numbers(open_thena(read_numbers="text"))


def limited(open_thena: Open, **switches: str) -> Any:
    thena = open_thena(options={"rate_limit": 1.0}, **switches)
    thena.send("GET", CONTACTS)
    return thena.send("GET", CONTACTS)


def test_limit_headers_yes(open_thena: Open) -> None:
    """A 429 tells the limit."""
    assert "1780000001" == limited(open_thena).headers["x-ratelimit-reset"]


def test_limit_headers_no(open_thena: Open) -> None:
    """A 429 tells nothing."""
    answer = limited(open_thena, limit_headers="no")
    assert (429, None) == (answer.status_code, answer.headers.get("x-ratelimit-reset"))


def test_retry_after_none(open_thena: Open) -> None:
    """A 429 has no Retry-After."""
    assert "retry-after" not in limited(open_thena).headers


def test_retry_after_seconds(open_thena: Open) -> None:
    """A 429 says in seconds how long to wait."""
    assert "1" == limited(open_thena, retry_after="seconds").headers["retry-after"]


def test_body_limit_number(open_thena: Open) -> None:
    """A larger body is 413."""
    answer = open_thena(body_limit="10").send("POST", "/v1/accounts", json={"name": "Acme Limited"})
    assert (413, 413) == (answer.status_code, answer.json()["statusCode"])
