"""The guards, and how each is switched off: what `mutations.py` shows the suite to notice.

A mutant replaces one piece of a file; `tests` are those that ought to notice, and no others are run.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One guard switched off."""

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


CRASH = ("tests/test_once.py", "tests/test_chaos.py")

MUTANTS = (
    Mutant(
        "a plan can't write",
        "client.py",
        "if not self._allowed.fullmatch(line):",
        "if False:",
        ("tests/test_connect.py", "tests/test_client.py"),
    ),
    Mutant(
        "escape: terminal",
        "reports/escape.py",
        "        text = re.sub(ACTING, _spell, text)",
        "        pass",
        ("tests/reports",),
    ),
    Mutant(
        "escape: workflow commands",
        "reports/escape.py",
        'return COLON_COMMAND.sub(r"\\1\\\\x3a", text) if "::" in text else text',
        "return text",
        ("tests/reports",),
    ),
    Mutant(
        "escape: Markdown bars",
        "reports/escape.py",
        'terminal(text).replace("|", r"\\|")',
        "terminal(text)",
        ("tests/reports",),
    ),
    Mutant(
        "escape: Markdown code", "reports/escape.py", "if plain else code(", "if plain else str(", ("tests/reports",)
    ),
    Mutant(
        "escape: JSON",
        "reports/escape.py",
        'return HASH_COMMAND.sub(r"\\\\u0023", text) if "##" in text else text',
        "return text",
        ("tests/reports",),
    ),
    Mutant(
        "redaction: values",
        "redact.py",
        "return self._replace(value, lambda item: self._pseudonym(item if isinstance(item, str) else str(item)))",
        "return value",
        ("tests/test_redact.py",),
    ),
    Mutant(
        "redaction: texts",
        "redact.py",
        "        if not self.on:\n            return text\n        if not known:",
        "        if self.on:\n            return text\n        if not known:",
        ("tests/test_redact.py",),
    ),
    Mutant(
        "redaction: addresses",
        "redact.py",
        "return self._pseudonym(key) if kind in self.keyed else self.text(key)",
        "return key",
        ("tests/test_redact.py",),
    ),
    Mutant(
        "no key in a message",
        "answers.py",
        '            text = text.replace(secret, "[key]")',
        "            pass",
        ("tests/test_answers.py", "tests/test_client.py"),
    ),
    Mutant(
        "the key goes to known hosts",
        "origin.py",
        "    if not (origin.local or",
        "    if False and not (origin.local or",
        ("tests/test_connect.py",),
    ),
    Mutant(
        "stale plan refused",
        "commands/basis.py",
        "    if matched.stale and not apply_unchanged:",
        "    if False:",
        ("tests/test_cli_apply.py", "tests/test_cli_refusing.py"),
    ),
    Mutant(
        "limits",
        "limits.py",
        '    """Return what in the plan goes beyond a limit, as sentences."""',
        '    """Mutant."""\n    return []',
        ("tests/test_limits.py", "tests/test_cli_apply.py"),
    ),
    Mutant(
        "nothing declared refused",
        "limits.py",
        "    if any(desired.resources.values()):",
        "    if True:",
        ("tests/test_limits.py", "tests/test_cli_refusing.py"),
    ),
    Mutant(
        "conflict before an update",
        "conflict.py",
        "    if clashes:",
        "    if False:",
        ("tests/test_conflict.py", "tests/test_refusing.py", "tests/test_careful.py"),
    ),
    Mutant(
        "halving",
        "halving.py",
        "        self._parts[:0] = [part[:middle], part[middle:]]",
        "        self._parts[:0] = []",
        ("tests/test_halving.py", "tests/test_apply.py"),
    ),
    Mutant(
        "a hopeless kind stops",
        "delivery.py",
        '        self.halted[action] = f"{refused}',
        '        _ = f"{refused}',
        ("tests/test_delivery.py", "tests/test_apply.py"),
    ),
    Mutant(
        "read-back decides: creates",
        "judge.py",
        "    if record is None:\n        alike",
        '    if record is None:\n        return Outcome(change, "created")\n        alike',
        ("tests/test_judge.py", "tests/test_chaos.py"),
    ),
    Mutant(
        "read-back decides: updates",
        "judge.py",
        "    if difference is not None:\n        if planned.action",
        "    if False:\n        if planned.action",
        ("tests/test_judge.py", "tests/test_apply.py"),
    ),
    Mutant(
        "look before a refused create is sent again",
        "sender.py",
        "        known = {change.address for change in there}",
        "        known = set()",
        ("tests/test_once.py", "tests/test_delivery.py", "tests/test_chaos.py"),
    ),
    Mutant(
        "look before what nothing dedupes is created",
        "sender.py",
        "        candidates = changes if self.capability.looks_first else ()",
        "        candidates: Sequence[Change] = ()",
        ("tests/test_meanwhile.py", "tests/test_links.py"),
    ),
    Mutant(
        "what others are known by is not taken",
        "sender.py",
        "run.ids, known, run.taken)",
        "run.ids, known, ())",
        ("tests/test_meanwhile.py",),
    ),
    Mutant(
        "the first page is made sure of",
        "providers/thena/lists.py",
        "        doubtful = base == 1 and",
        "        doubtful = False and",
        ("tests/providers/test_thena_lists.py",),
    ),
    Mutant(
        "requests are left to look for what comes along",
        "sender.py",
        "        reads += self.aside",
        "        reads += 0 and self.aside",
        ("tests/test_meanwhile.py",),
    ),
    Mutant(
        "never sent twice: retries",
        "retry.py",
        "        if isinstance(error, Ambiguous) and repeatable:",
        "        if isinstance(error, Ambiguous):",
        ("tests/test_retry.py", *CRASH),
    ),
    Mutant(
        "never sent twice: a 503",
        "retry.py",
        "(repeatable or error.status is None)",
        "True",
        ("tests/test_retry.py", *CRASH),
    ),
    Mutant(
        "never sent twice: what did not show",
        "sender.py",
        "await self.send_again(rest) if self.capability.dedupes else rest",
        "await self.send_again(rest)",
        CRASH,
    ),
    Mutant(
        "never sent twice: an earlier attempt",
        "client.py",
        "unsure = unsure or (isinstance(error, Ambiguous)",
        "unsure = unsure or (False and isinstance(error, Ambiguous)",
        ("tests/test_client.py", "tests/test_chaos.py"),
    ),
    Mutant(
        "never sent twice: notes",
        "providers/octolane/gateway.py",
        "for note in batch], repeatable=False",
        "for note in batch], repeatable=True",
        CRASH,
    ),
    Mutant(
        "memory of open intents",
        "live.py",
        "        return max(0.0, min(left, self.patience.settle, LONGEST_PAUSE))",
        "        return 0.0",
        CRASH,
    ),
    Mutant(
        "memory of intents nobody can look for",
        "blocked.py",
        '    if trace is not None and trace.state in {"open", "unknown"}:',
        "    if False:",
        CRASH,
    ),
    Mutant(
        "memory of unknowns",
        "memory.py",
        '            traces[name] = Trace("unknown", run, at, content=content)',
        "            traces.pop(name, None)",
        CRASH,
    ),
    Mutant(
        "memory of what was created",
        "blocked.py",
        '        found[address] = f"{reason}; to have it created again',
        '        _ = f"{reason}; to have it created again',
        CRASH,
    ),
    Mutant(
        "memory of another key",
        "blocked.py",
        "    if trace is None and memory.foreign:",
        "    if False:",
        ("tests/test_once.py",),
    ),
    Mutant(
        "intent before sending",
        "sender.py",
        "        await run.journal.intend(action, (change.address for change in batch), journalled)\n",
        "",
        CRASH,
    ),
    Mutant(
        "intent on the disk",
        "journal.py",
        "            os.fsync(self.stream.fileno())",
        "            pass",
        ("tests/test_journal.py",),
    ),
    Mutant(
        "journal stays in the tree",
        "journal.py",
        "    if os.path.commonpath((home, target)) != home:",
        "    if False:",
        ("tests/test_journal.py", "tests/test_cli_apply.py", "tests/test_files.py"),
    ),
    Mutant(
        "two live records are a report",
        "judge.py",
        '    if ids:\n        return Outcome(change, "failed", record.remote_id, doubled(ids))',
        '    if False:\n        return Outcome(change, "failed", record.remote_id, doubled(ids))',
        ("tests/test_judge.py", "tests/test_apply.py"),
    ),
    Mutant(
        "dependents of a failure are skipped",
        "apply.py",
        "            if missed:\n",
        "            if False:\n",
        ("tests/test_apply.py", "tests/test_links.py"),
    ),
    Mutant(
        "a refused key stops the run",
        "sender.py",
        '            self.settle(batch, "failed", str(error))\n            raise',
        '            self.settle(batch, "failed", str(error))\n            return "settled"',
        ("tests/test_apply.py",),
    ),
    Mutant(
        "one apply at a time",
        "lock.py",
        "            self.lock.acquire(timeout=0)",
        "            pass",
        ("tests/test_lock.py",),
    ),
    Mutant(
        "nested input",
        "parser.py",
        "                if depth > MAX_DEPTH:",
        "                if False:",
        ("tests/test_parser.py", "tests/test_parser_errors.py"),
    ),
    Mutant(
        "aliases that grow",
        "parser.py",
        '            self.report(event, "aliases stand for more',
        '            _ = (event, "aliases stand for more',
        ("tests/test_parser.py", "tests/test_parser_errors.py"),
    ),
    Mutant(
        "an intent waits for an fsync that began after it",
        "journal.py",
        "            await asyncio.wait([earlier])",
        "            pass",
        ("tests/test_intents.py",),
    ),
    Mutant(
        "what is not deduped is never intended ahead",
        "sender.py",
        "ahead=capability.dedupes)",
        "ahead=True)",
        ("tests/test_intents.py",),
    ),
)
