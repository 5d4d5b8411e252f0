"""Send batches, and find out how a server wants custom fields written: the documentation leaves that open.

In: a batch, and what makes its body in one way or another. Out: answers, which are mostly untyped, and errors.
The documented hints are followed first (by property name); where that is refused or shows no effect, the other ways are
tried, and what works is kept for the run. That is at most a few requests more, and none without custom fields.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from crmctl.client import Client
from crmctl.errors import Ambiguous, BudgetSpent, Rejected
from crmctl.providers.octolane.custom_fields import Way, declared
from crmctl.resource import Resource
from crmctl.values import empty, same

Build = Callable[[Way], Any]
Look = Callable[[Resource, Sequence[str]], Awaitable[Mapping[str, Any] | None]]

PROBES = 3
"""How often it is looked whether custom fields took effect; then the likeliest way is taken for granted."""


class Seen(NamedTuple):
    """A live record that was just created from a resource, with its custom fields."""

    resource: Resource
    remote_id: str
    values: Mapping[str, Any]


class Writing:
    """Send writes of one surface."""

    def __init__(self, client: Client, learned: dict[str, Any]) -> None:
        self._client = client
        self._ways: dict[tuple[str, str], Way] = learned.setdefault("ways", {})
        self._probes: dict[tuple[str, str], int] = learned.setdefault("probes", {})

    async def send(self, method: str, path: str, body: Any, *, repeatable: bool) -> Mapping[str, Any]:
        """Send one body and return the answer; raise Ambiguous for one that contradicts itself."""
        route = f"{method} {path}"
        answer: Mapping[str, Any] = await self._client.request(
            method, path, route=route, json=body, repeatable=repeatable
        )
        if answer.get("success") is False:
            raise Ambiguous(f"{route}: answered as done and as not done: look at what is there")
        return answer

    async def write(
        self, method: str, path: str, batch: Sequence[Resource], build: Build, *, repeatable: bool = True
    ) -> Way:
        """Send a batch in the first way that is not refused, and return that way.

        What is not `repeatable` is sent again only if it is a record alone: of that, nothing can have arrived.
        """
        refusal: Rejected | None = None
        sent: list[Any] = []
        for way in self._list_ways(method, batch):
            body = build(way)
            if body in sent:
                continue
            sent.append(body)
            try:
                await self.send(method, path, body, repeatable=repeatable)
            except Rejected as error:
                refusal = refusal or error
                if not repeatable and len(batch) > 1:
                    break
            else:
                return way
        raise refusal or Rejected(f"{method} {path}: there is nothing to send")

    async def update(self, path: str, batch: Sequence[Resource], build: Build, look: Look) -> None:
        """Patch a batch; while it is not known how custom fields are written, see whether they took effect.

        If not, they are sent in the other ways as well. What is merely late to show is then sent more than once.
        """
        way = await self.write("PATCH", path, batch, build)
        kind = batch[0].address.kind
        sample = next((resource for resource in batch if tells(resource)), None)
        if sample is None or not self.wonders("PATCH", kind):
            return
        try:
            await self._vary_until_held(path, kind, build, way, sample, look)
        except BudgetSpent as error:
            raise Ambiguous(f"PATCH {path}: done, but maybe not its custom fields: {error}") from error

    async def _vary_until_held(
        self, path: str, kind: str, build: Build, way: Way, sample: Resource, look: Look
    ) -> None:
        """Look whether custom fields took effect, and send them in the other ways until they have."""
        sent: list[Any] = []
        varied = False
        for other in _vary(way, kind):
            body = build(other)
            if body in sent:
                continue
            try:
                if sent:
                    await self.send("PATCH", path, body, repeatable=True)
                    varied = True
            except Rejected:  # this is not it: what was sent first stands
                continue
            finally:
                sent.append(body)
            shows = await self._holds(sample, look)
            if shows:
                self.settle("PATCH", kind, other)
            if shows is not False:
                return
        if varied:  # none shows yet: what is likeliest has to be the last word
            with suppress(Rejected):
                await self.send("PATCH", path, sent[0], repeatable=True)

    def wonders(self, method: str, kind: str) -> bool:
        """Tell whether it is worth looking if custom fields took effect; each time counts."""
        if (method, kind) in self._ways:
            return False
        self._probes[method, kind] = self._probes.get((method, kind), 0) + 1
        return self._probes[method, kind] <= PROBES

    def settle(self, method: str, kind: str, way: Way) -> None:
        """Take note of a way in which custom fields took effect."""
        self._ways[method, kind] = way
        if kind != "opportunity":  # of which a create has them elsewhere than a patch
            self._ways["POST", kind] = self._ways["PATCH", kind] = way

    async def _holds(self, resource: Resource, look: Look) -> bool | None:
        """Tell whether a live record has the custom fields that were sent; None if it is not found."""
        live = await look(resource, declared(resource.fields))
        return None if live is None else is_held(resource, live)

    def _list_ways(self, method: str, batch: Sequence[Resource]) -> list[Way]:
        """Return the ways to try, likeliest first: one, if it is known or makes no difference."""
        kind = batch[0].address.kind
        known = self._ways.get((method, kind))
        if known is not None or not declares(batch):
            return [known or Way()]
        by_slug = any(way.by_slug for way in self._ways.values())  # as it is elsewhere
        return [
            Way(slug, label, nested)
            for slug in (by_slug, not by_slug)
            for nested in _places(method, kind)
            for label in (False, True)
        ]


def _places(method: str, kind: str) -> tuple[bool, ...]:
    """Return whether custom fields may be nested."""
    return (False, True) if (method, kind) == ("PATCH", "opportunity") else (False,)


def _vary(way: Way, kind: str) -> list[Way]:
    """Return a way of a patch, and the others in which custom fields may have to be named."""
    places = [way.nested, *(place for place in _places("PATCH", kind) if place != way.nested)]
    return [
        Way(slug, label, nested)
        for label in (way.by_label, not way.by_label)
        for nested in places
        for slug in (way.by_slug, not way.by_slug)
    ]


def is_held(resource: Resource, live: Mapping[str, Any]) -> bool:
    """Tell whether a live record has the custom fields of a resource."""
    return all(same(resource.fields[path], live.get(path)) for path in declared(resource.fields))


def tells(resource: Resource) -> bool:
    """Tell whether a resource has a custom field whose value would show."""
    return any(not empty(resource.fields[path]) for path in declared(resource.fields))


def declares(batch: Sequence[Resource]) -> bool:
    """Tell whether any of some resources declares a custom field: names are the same in most."""
    return bool(declared(set[str]().union(*(resource.fields for resource in batch))))
