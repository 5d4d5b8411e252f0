"""A list of faults, read from a small file or made by a test: seeded, and free to combine.

In: faults (`read_faults` checks a file's text). Out: a `Chaos`, which is the `Interfere` function of a sandbox and
remembers in `struck` what it did. docs/sandbox.md lists the faults.
"""

import fnmatch
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import Literal

from crmctl.sandbox.exchange import Answer, Request
from crmctl.sandbox.faults import Interference, Process, Refuse, Twist
from crmctl.sandbox.pages import has_place, has_rows, next_page, same_page

PLACES = 40
"""A body is cut after this many bytes."""
_PAGE = b"<html><body>The service is being updated.</body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when.

    `routes` is a pattern for `METHOD /path`. Of the requests it fits, counted from 1, the `nth` are struck, or each
    with `probability`, or all; in all no more than `times`. `seconds` is how long a fault lasts, where it does.
    """

    fault: str
    routes: str = "*"
    nth: frozenset[int] = frozenset()
    probability: float | None = None
    times: int | None = None
    seconds: float | None = None


Make = Callable[["Chaos", float], Interference]
"""Makes the interference of a fault, given its seconds."""


class Chaos:
    """Decide for each request what goes wrong with it.

    Delays add up; of the other faults that strike one request the first in the list counts. `clock` tells the time of
    hints that are dates. `struck` has the number of each request that was struck (of all requests, from 1), its line,
    and the fault.
    """

    def __init__(self, faults: Sequence[Fault], seed: int, clock: Callable[[], float]) -> None:
        self.struck: list[tuple[int, str, str]] = []
        self.requests = 0
        self.clock = clock
        self.seen_pages: dict[bytes, Answer] = {}
        self._random = random.Random(seed)  # noqa: S311 - repeatable, and nobody's secret
        self._faults = [fault for fault in faults if fault.fault not in LASTING]
        self._fitting = [0] * len(self._faults)
        self._times = [0] * len(self._faults)

    def __call__(self, method: str, path: str, nth: int) -> Interference | None:
        """Return what happens to a request."""
        del nth
        self.requests += 1
        line = f"{method} {path}"
        delay, chosen = 0.0, None
        for number, fault in enumerate(self._faults):
            if not fnmatch.fnmatchcase(line, fault.routes) or not self._strikes(number, fault):
                continue
            if fault.fault == "delay" or chosen is None:
                self._times[number] += 1
                self.struck.append((self.requests, line, fault.fault))
            make, seconds = FAULTS[fault.fault]
            if fault.fault == "delay":
                delay += seconds if fault.seconds is None else fault.seconds
            elif chosen is None:
                chosen = make(self, seconds if fault.seconds is None else fault.seconds)
        if chosen is None:
            # What a later page may be mistaken for has to be remembered.
            keeps = any(fault.fault == "duplicate_page" for fault in self._faults)
            chosen = Interference(when="after", twist=self.keep) if keeps else None
        return _slower(chosen, delay)

    def _strikes(self, number: int, fault: Fault) -> bool:
        self._fitting[number] += 1
        # Drawn in any case, so that what strikes later does not depend on what has struck.
        drawn = self._random.random()
        if fault.times is not None and self._times[number] >= fault.times:
            return False
        if fault.nth:
            return self._fitting[number] in fault.nth
        return fault.probability is None or drawn < fault.probability

    def keep(self, request: Request, process: Process, _refuse: Refuse) -> Answer:
        """Answer as usual, and remember the page."""
        answer = process(request)
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self.seen_pages = {same_page(request): answer}
        return answer

    def repeat(self, request: Request, process: Process, refuse: Refuse) -> Answer:
        """Answer a further page with the one before it."""
        earlier = self.seen_pages.get(same_page(request)) if has_place(request) else None
        return self.keep(request, process, refuse) if earlier is None else earlier


def lasting(faults: Sequence[Fault]) -> Mapping[str, float]:
    """Return the seconds of those faults that are of the whole CRM: `clock_skew` and `search_lag`."""
    return {name: sum(fault.seconds or 0.0 for fault in faults if fault.fault == name) for name in LASTING}


def _slower(chosen: Interference | None, delay: float) -> Interference | None:
    if not delay:
        return chosen
    if chosen is None:
        return Interference(delay=delay)
    return chosen._replace(delay=delay)


def _always(interference: Interference) -> Make:
    return lambda _chaos, _seconds: interference


def _fails(status: int, when: Literal["before", "after"] = "before") -> Make:
    return _always(Interference(when, status=status, message="Something went wrong on purpose"))


def _twisted(twist: Twist) -> Make:
    return _always(Interference("after", twist=twist))


def _limited(hint: Literal["none", "seconds", "date"]) -> Make:
    def make(chaos: Chaos, seconds: float) -> Interference:
        headers: dict[str, str] = {}
        if hint == "seconds":
            headers["retry-after"] = f"{seconds:g}"
        elif hint == "date":
            now = chaos.clock()
            headers["date"] = formatdate(now, usegmt=True)
            headers["retry-after"] = formatdate(now + seconds, usegmt=True)
        return Interference(status=429, headers=headers, message="Too many requests")

    return make


def _truncate(request: Request, process: Process, _refuse: Refuse) -> Answer:
    """Answer with half of the JSON, as if that were all."""
    answer = process(request)
    return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def _skip_page(request: Request, process: Process, _refuse: Refuse) -> Answer:
    """Answer with the page after the one that was asked for."""
    answer = process(request)
    further = next_page(request, answer) if answer.status < HTTPStatus.MULTIPLE_CHOICES else None
    skipped = answer if further is None else process(further)
    return skipped if has_rows(skipped) else answer


def _expire(request: Request, process: Process, refuse: Refuse) -> Answer:
    """Refuse to go on with a list."""
    return refuse(400, "The cursor has expired") if has_place(request) else process(request)


def _halve(request: Request, process: Process, refuse: Refuse) -> Answer:
    """Write the first half of a batch, and say that it went wrong."""
    half = _first_half(request)
    if half is not None:
        process(half)
    return refuse(500, "Something went wrong on purpose, in the middle of it")


def _first_half(request: Request) -> Request | None:
    """Return a write with the first half of its records; None where it has not got two."""
    try:
        body = json.loads(request.body or b"null")
    except ValueError:
        return None
    items = body.get("contacts", body) if isinstance(body, dict) else body
    if not isinstance(items, list | dict) or len(items) < 2:  # noqa: PLR2004 - there is no half of one
        return None
    half = items[: len(items) // 2] if isinstance(items, list) else dict([*items.items()][: len(items) // 2])
    if isinstance(body, dict) and "contacts" in body:
        half = {**body, "contacts": half}
    elif isinstance(body, dict) and not all(isinstance(value, dict) for value in body.values()):
        return None
    return Request(request.method, request.path, request.query, request.headers, json.dumps(half).encode())


FAULTS: Mapping[str, tuple[Make, float]] = MappingProxyType(
    {
        "refuse": (lambda _, seconds: Interference(closed=seconds), 0.5),
        "reset_before": (_always(Interference(drop=True)), 0),
        "reset_after": (_always(Interference("after", drop=True)), 0),
        "delay": (lambda _, seconds: Interference(delay=seconds), 1.0),
        "cut": (_always(Interference("after", cut=PLACES)), 0),
        "429": (_limited("seconds"), 1.0),
        "429_date": (_limited("date"), 2.0),
        "429_no_hint": (_limited("none"), 0),
        "500_before": (_fails(500), 0),
        "500_after": (_fails(500, "after"), 0),
        "502": (_fails(502), 0),
        "502_after": (_fails(502, "after"), 0),
        "503": (_fails(503), 0),
        "504": (_fails(504), 0),
        "504_after": (_fails(504, "after"), 0),
        "wrong_type": (_always(Interference("after", 200, {"content-type": "text/html"}, _PAGE)), 0),
        "truncated_json": (_twisted(_truncate), 0),
        "duplicate_page": (lambda chaos, _: Interference("after", twist=chaos.repeat), 0),
        "missing_page": (_twisted(_skip_page), 0),
        "cursor_expired": (_twisted(_expire), 0),
        "partial_commit": (_twisted(_halve), 0),
    }
)
"""Every fault of a single request: how it is made, and its seconds where none are given."""
LASTING = ("clock_skew", "search_lag")
"""Faults of the whole CRM: its clock is so many seconds ahead, lists show writes so many seconds late."""
TIMED = frozenset({"refuse", "delay", "429", "429_date", *LASTING})
"""The faults that take seconds."""
