"""One command for several targets: which they are, and what went wrong with those that come to nothing.

The manifests are read once. One target that fails keeps no other from going on; where there is just one, its failure is
the command's.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from crmctl import __version__
from crmctl.commands.files import read_file
from crmctl.commands.options import Common
from crmctl.commands.run import Run
from crmctl.commands.sending import AS_THE_TARGET_SAYS, Sending
from crmctl.config import Config, Target
from crmctl.describe import FORMAT_VERSION, document, moment
from crmctl.document import Bundle, Document
from crmctl.errors import CrmctlError, InvalidInput, UsageError
from crmctl.lock import SharedClaim, TargetLock
from crmctl.plan import Plan
from crmctl.reconcile import Loaded, Session, make_plan, open_session, take_lock
from crmctl.reports.text import explain
from crmctl.saved import bind, read_plans

Done = TypeVar("Done")


class Planned(NamedTuple):
    """A plan, with what it was made from and for."""

    config: Config
    session: Session
    loaded: Loaded
    plan: Plan

    def document(self, *, with_digests: bool, with_places: bool) -> Document:
        """Return the plan as reports and plan files take it."""
        redactor = self.session.redactor
        return document(self.plan, redactor, with_digests=with_digests, with_places=with_places)


class Targets:
    """The targets of one command, in the order they were named.

    `named` are those of a plan file, which leaves no choice. `several`: whether to report them as several, which more
    than one always are.
    """

    def __init__(self, run: Run, config: Config, named: Sequence[str] = (), *, several: bool = False) -> None:
        self.run = run
        self.config = config
        self.redactor = run.redactor
        self.chosen = choose(run.flags, config, named)
        self.several = several or len(self.chosen) > 1
        self.failed: dict[str, Mapping[str, Any]] = {}
        self.started = datetime.now(UTC)
        self.locks: dict[str, TargetLock] = {}
        self.facts: Mapping[str, str] = {}

    def lock(self, timeout: float) -> None:
        """Take the lock of each target until the command ends; a target that another run holds has failed."""
        context = click.get_current_context()
        shared: dict[str, SharedClaim] = {}

        def take(target: Target) -> Target:
            lock = take_lock(
                target, self.run.environment, self.config.tree, shared, timeout=timeout, waiting=self.run.say
            )
            context.call_on_close(lock.release)
            self.locks[target.name] = lock
            return target

        self.chosen = self.each(take, self.chosen)

    def plan(
        self,
        loaded: Loaded | Callable[[Session], Loaded],
        *,
        parallelism: int = 1,
        settle: float | None = None,
        sending: Sending = AS_THE_TARGET_SAYS,
    ) -> list[Planned]:
        """Read each CRM and make a plan for it; what is desired may depend on the target."""

        def make(target: Target) -> Planned:
            session = self.open(target, parallelism=parallelism, settle=settle, sending=sending)
            partial = bool(self.run.flags.only or self.run.flags.exclude)
            desired = loaded if isinstance(loaded, Loaded) else loaded(session)
            made = asyncio.run(make_plan(session, desired, self.run.explain, partial=partial))
            return Planned(self.config, session, desired, made)

        return self.each(make, self.chosen)

    def open(
        self,
        target: Target,
        *,
        parallelism: int = 1,
        settle: float | None = None,
        sending: Sending = AS_THE_TARGET_SAYS,
    ) -> Session:
        """Prepare a target, and speak of people as it does from now on."""
        run = self.run
        session = open_session(
            sending.override(target),
            run.environment,
            redact=run.redact,
            parallelism=parallelism,
            on_wait=run.wait,
            tree=self.config.tree,
            settle=settle,
            max_requests=sending.max_requests,
        )
        run.redactor = session.redactor
        return replace(session, lock=self.locks.get(target.name), facts=self.facts)

    def each(self, do: Callable[[Any], Done], items: Sequence[Any]) -> list[Done]:
        """Do something for each target, or what each has come to; returns what became of those that did not fail."""
        done: list[Done] = []
        for item in items:
            with self.attempt(item):
                done.append(do(item))
        return done

    @contextmanager
    def attempt(self, item: Target | Planned) -> Iterator[None]:
        """Do something for one target: where there are several, what goes wrong is noted, and is its failure alone."""
        with self.about(item) as target:
            try:
                yield
            except CrmctlError as error:
                if not self.several:
                    raise
                self.fail(target, error, error.exit_code)

    @contextmanager
    def about(self, item: Target | Planned) -> Iterator[Target]:
        """Name a target, where there are several, in whatever is said, and speak of people as it does."""
        if isinstance(item, Planned):
            target, self.run.redactor = item.session.target, item.session.redactor
        else:
            target, self.run.redactor = item, self.redactor
        if self.several:
            self.run.subject = target.name
        try:
            yield target
        finally:
            self.run.subject = ""

    def fail(self, target: Target, error: CrmctlError | str, exit_code: int) -> None:
        """Note that a target comes to nothing, and say so."""
        self.note(target, error, exit_code)
        self.run.say(str(error), always=True)

    def refuse(self, target: Target, error: CrmctlError, name: str) -> Document | Bundle:
        """Return the report of a plan or a run that came to nothing; `name` says which."""
        self.note(target, error, error.exit_code)
        return self.gather(name, [])

    def note(self, target: Target, error: CrmctlError | str, exit_code: int) -> None:
        """Note that a target comes to nothing."""
        redactor = self.run.redactor
        findings = error.diagnostics if isinstance(error, InvalidInput) else ()
        self.failed[target.name] = {
            "target": target.name,
            "provider": target.provider,
            "exit_code": exit_code,
            "error": redactor.text(str(error)),
            "diagnostics": [explain(finding, redactor) for finding in findings],
        }

    def exit_codes(self) -> list[int]:
        """Return the exit codes of the targets that have failed."""
        return [failure["exit_code"] for failure in self.failed.values()]

    def gather_plans(self, planned: Sequence[Planned], documents: Sequence[Document]) -> Document | Bundle:
        """Return the documents of plans as a plan file has them: those of several targets are signed together."""
        if self.several:
            documents = bind(documents, [one.session.redactor for one in planned])
        return self.gather("plans", documents)

    def gather(self, name: str, documents: Sequence[Document]) -> Document | Bundle:
        """Return the document of the only target, or the bundle of several; `name` says what they are.

        The only one may have come to nothing: then there is the bundle of that.
        """
        if not self.several and documents:
            return documents[0]
        times = {"created_at": moment(self.started)}
        if name == "runs":
            now = datetime.now(UTC)
            times = {"started_at": moment(self.started, "milliseconds"), "finished_at": moment(now, "milliseconds")}
        head = {"format_version": FORMAT_VERSION, "crmctl_version": __version__, **times}
        return Bundle(name, head, documents, tuple(self.failed.values()))


def choose(flags: Common, config: Config, named: Sequence[str] = ()) -> list[Target]:
    """Return the targets that flags ask for; each once, whatever is said how often."""
    names: Sequence[str | None] = named or flags.target or (None,)
    if flags.all_targets and not named:
        if flags.target:
            raise UsageError("--all-targets means every target: leave --target (CRMCTL_TARGET) out")
        if not config.targets:
            raise UsageError("--all-targets: no target is configured: add one to `targets`")
        names = list(config.targets)
    return [config.target(name) for name in dict.fromkeys(names)]


def open_plans(path: Path, flags: Common) -> Document | Bundle:
    """Read a plan file, or of several plans those for the targets that flags name."""
    saved = read_plans(read_file(path), str(path))
    documents = saved.documents if isinstance(saved, Bundle) else (saved,)
    known = {document.head["target"]: document for document in documents}
    for name in flags.target:
        if name not in known:
            raise UsageError(f"the plan file is for target {', '.join(known)}, not {name}: leave --target out")
    chosen = [known[name] for name in dict.fromkeys(flags.target)]
    if isinstance(saved, Document) or not chosen:
        return saved
    return chosen[0] if len(chosen) == 1 else saved._replace(documents=chosen, failed=())
