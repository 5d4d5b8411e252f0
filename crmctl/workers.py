"""Do many things in several processes, as if they were done one after the other.

In: functions without arguments. Out: what they return, in their order. Whatever can go wrong with a process (killed,
out of memory, a bug) is no error: what it has not handed back is done here, so that results and exceptions are those of
a plain loop.
"""

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

PIPE_BYTES = 1 << 20
"""What a process may be ahead of whoever takes its results; the largest pipe that Linux gives everybody."""

Result = TypeVar("Result")


def work_off(jobs: Sequence[Callable[[], Result]], most: int) -> Iterator[Result]:
    """Yield what each job returns, with as many processes as can run at once, but at `most` so many.

    The first of two processes does jobs 0, 2, 4 ..., so that results come in turn.
    """
    processes = min(most, len(jobs), usable_cores()) if most > 1 else 1
    lines = _start(jobs, processes) if processes > 1 else []
    try:
        for number, job in enumerate(jobs):
            packed = _receive(lines[number % len(lines)][1]) if lines else None
            yield job() if packed is None else pickle.loads(packed)  # noqa: S301 - our own process has packed it
    finally:
        for process, line in lines:
            line.close()
            process.kill()
            process.join()


def usable_cores() -> int:
    """Return how many processes can run at once: one where a copy of this process would lack threads it relies on."""
    if sys.platform != "linux" or threading.active_count() > 1:  # libraries of other systems start threads unasked
        return 1
    return len(os.sched_getaffinity(0))


def _start(jobs: Sequence[Callable[[], Any]], processes: int) -> list[tuple[Any, Any]]:
    """Start processes; returns each with the pipe that its results come through."""
    from fcntl import F_SETPIPE_SZ, fcntl  # noqa: PLC0415 - Linux alone has it
    from multiprocessing import get_context  # noqa: PLC0415 - 15 ms, only for large inputs

    context = get_context("fork")
    lines: list[tuple[Any, Any]] = []
    for number in range(processes):
        ours, theirs = context.Pipe(duplex=False)
        with suppress(OSError):  # many pipes may have used up what one user gets: it works with less
            fcntl(ours.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
        # It must not hold pipes open that this process reads from, or it would not notice that this process is gone.
        not_theirs = [ours, *(line for _, line in lines)]
        process = context.Process(target=_serve, args=(jobs[number::processes], theirs, not_theirs), daemon=True)
        process.start()
        theirs.close()
        lines.append((process, ours))
    return lines


def _serve(jobs: Sequence[Callable[[], Any]], line: Any, not_ours: Sequence[Any]) -> None:
    """Do jobs and send what they return; whatever fails is left to the process that asked, which does it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in not_ours:
        other.close()
    with suppress(Exception):
        for job in jobs:
            line.send_bytes(pickle.dumps(job(), pickle.HIGHEST_PROTOCOL))


def _receive(line: Any) -> bytes | None:
    """Return the next result of a process; None if there won't be one any more."""
    try:
        packed: bytes = line.recv_bytes()
    except (EOFError, OSError):
        return None
    return packed
