"""Somebody else, who writes to the CRM by its API: records of their own, records that are declared as well.

Nothing happens to their requests, and they wait until lists show what they did.
"""

from collections.abc import Mapping
from typing import Any

from test_matrix import PIPELINE
from watched import Watched
from world import ACCOUNTS, DEDUPED, Record

from crmctl.sandbox import open_sandbox
from crmctl.sandbox.asgi import Sandbox


class Others:
    """Whoever else uses the CRM; lists show a write after `lag` seconds. `lied_to`: lists may leave records out."""

    def __init__(self, there: Watched, *, lag: int, lied_to: bool) -> None:
        self.there = there
        self.world = there.world
        self.lag = lag
        self.lied_to = lied_to
        self.app: Sandbox | None = None
        if there.provider == "octolane_inbound":
            # They use the API that can change something; it is of the same server, whose clock may be wrong.
            self.app = open_sandbox(
                "octolane",
                there.folder / "crm.db",
                switches={"search_lag": str(lag)},
                clock=there.sandbox._store.clock,
                sleep=there.clock.sleep,
            )
            self.app._store._make_id = there.make_id

    def close(self) -> None:
        """Give back what was opened."""
        if self.app is not None:
            self.app.close()

    def make(self, record: Record, value: str) -> None:
        """Make a record, unless there is one of this name, or a list that lies would have two made of it."""
        there = self.there
        ours = there.ours[record.plural, record.number] or (record.was is not None and there.named(record, record.was))
        once = record.kind not in DEDUPED[self.world.provider]
        if there.named(record) or (once and (ours or self.lied_to)):
            return
        if there.session_reads(record.kind):  # what nobody could see
            self.write(record.plural, record.name(), value, record.number)

    def write(self, plural: str, name: str, value: str, number: int = 0) -> None:
        """Make a record as somebody else."""
        if self.world.vendor == "thena":
            body: Any = {"primaryDomain": name, "name": value}
            if plural == "contacts":
                body = {"email": name.upper(), "firstName": value}
            elif plural == "notes":
                accounts = self.world.named(self.there.table(), "accounts", f"firm{number % ACCOUNTS}.example")
                if not accounts:
                    return
                body = {"accountId": accounts[0][1], "content": name}
            self.speak("POST", "/v1/accounts" + ("" if plural == "accounts" else f"/{plural}"), body)
        elif plural == "opportunities":
            deal = {"name": name, "deal_size": 3, "stage_name": "Lead"}
            related = {"account_domain": f"firm{number % ACCOUNTS}.example"}
            item = {"pipeline_id": PIPELINE, "opportunity": deal, "related_objects": related}
            self.speak("POST", "/v1/opportunities/bulk", [item])
        elif plural == "accounts":
            self.speak("POST", "/v1/accounts/bulk", [{"domain": name, "name": value}])
        else:
            self.speak("POST", "/v1/contacts/bulk", [{"email": name.upper(), "last_name": value}])

    def change(self, plural: str, id_: str, values: Mapping[str, Any]) -> None:
        """Change a record as somebody else."""
        if self.world.vendor == "thena":
            path = "/v1/accounts" if plural == "accounts" else f"/v1/accounts/{plural}"
            self.speak("PUT", f"{path}/{id_}", values)
        else:
            self.speak("PATCH", f"/v1/{plural}/bulk", {id_: values})

    def speak(self, method: str, path: str, body: Any) -> None:
        """Send a request that nothing happens to, and wait until lists show what it did."""
        there = self.there
        weather, there.weather.chaos = there.weather.chaos, None
        app = there.app
        there.app = self.app or app
        try:
            there.request(method, path, body)
        finally:
            there.weather.chaos, there.app = weather, app
        there.clock.now += self.lag
