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
from functools import partial
from typing import Any, TypeVar

PIPE_BYTES = 1 << 20
"""What a process may be ahead of whoever takes its results; the largest pipe that Linux gives everybody."""

NUMBER_BYTES = 4

Result = TypeVar("Result")


def work_off(jobs: Sequence[Callable[[], Result]], most: int) -> Iterator[Result]:
    """Yield what each job returns, with as many processes as can run at once, but at `most` so many.

    This process is one of them: while nothing has been handed to it, it does what nobody has begun.
    """
    others = min(most, len(jobs), usable_cores()) - 1 if most > 1 else 0
    waiting = _queue(len(jobs)) if others > 0 else None
    if waiting is None:
        yield from (job() for job in jobs)
        return
    workers: list[tuple[Any, Any]] = []
    try:
        with suppress(OSError):  # there are too many processes, or open files: those that could be started will do
            for _ in range(others):
                workers.append(_start(jobs, waiting, [line for _, line in workers]))
        yield from _gather(jobs, waiting, [line for _, line in workers])
    finally:
        os.close(waiting)
        for process, line in workers:
            line.close()
            process.kill()
            process.join()


def usable_cores() -> int:
    """Return how many processes can run at once: one where a copy of this process would lack threads it relies on."""
    if sys.platform != "linux" or threading.active_count() > 1:  # libraries of other systems start threads unasked
        return 1
    return len(os.sched_getaffinity(0))


def _queue(count: int) -> int | None:
    """Return the descriptor of a pipe with the numbers of all jobs: whoever reads one is the only one.

    Unlike a lock, it can't be held by a process that has been killed. None where no pipe can be made.
    """
    try:
        waiting, numbers = os.pipe()
    except OSError:
        return None
    os.set_blocking(numbers, False)  # what does not fit is done by the process that asked, in its turn
    os.write(numbers, b"".join(number.to_bytes(NUMBER_BYTES) for number in range(count)))
    os.close(numbers)  # before there are others that hold it: so the pipe comes to an end
    return waiting


def _draw(waiting: int) -> int | None:
    """Return the number of a job that nobody has begun; None if there is none left."""
    number = os.read(waiting, NUMBER_BYTES)
    return int.from_bytes(number) if number else None


def _start(jobs: Sequence[Callable[[], Any]], waiting: int, lines: Sequence[Any]) -> tuple[Any, Any]:
    """Start a process; returns it with the pipe that its results come through. `lines` are those of the others."""
    from fcntl import F_SETPIPE_SZ, fcntl  # noqa: PLC0415 - Linux alone has it
    from multiprocessing import get_context  # noqa: PLC0415 - 15 ms, only for large inputs

    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    with theirs:
        with suppress(OSError):  # many pipes may have used up what one user gets: it works with less
            fcntl(ours.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
        # It must not hold pipes open that this process reads from, or it would not notice that this process is gone.
        process = context.Process(target=_serve, args=(jobs, waiting, theirs, (ours, *lines)), daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
    return process, ours


def _serve(jobs: Sequence[Callable[[], Any]], waiting: int, line: Any, not_ours: Sequence[Any]) -> None:
    """Do jobs and send what they return; what fails is sent empty, and left to the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # an apply takes it for an interrupt
    for other in not_ours:
        other.close()
    with suppress(OSError):  # nobody takes it any more
        while (number := _draw(waiting)) is not None:
            packed = b""
            with suppress(Exception):
                packed = pickle.dumps(jobs[number](), pickle.HIGHEST_PROTOCOL)
            line.send_bytes(number.to_bytes(NUMBER_BYTES) + packed)


def _gather(jobs: Sequence[Callable[[], Result]], waiting: int, lines: list[Any]) -> Iterator[Result]:
    """Yield the results in their order: those that are handed over, and those of what is done here meanwhile."""
    from multiprocessing.connection import wait  # noqa: PLC0415 - likewise

    found: dict[int, Callable[[], Result]] = {}
    left = True  # there may be a job that nobody has begun
    for number, job in enumerate(jobs):
        while number not in found and (lines or left):
            ready: list[Any] = wait(lines, 0 if left else None)
            for line in ready:
                _receive(line, lines, jobs, found)
            if not ready:
                drawn = _draw(waiting)
                left = drawn is not None
                if drawn is not None:
                    found[drawn] = _do(jobs[drawn])
        # A process that is gone has taken with it what it had begun.
        yield found.pop(number, job)()


def _receive(
    line: Any, lines: list[Any], jobs: Sequence[Callable[[], Result]], found: dict[int, Callable[[], Result]]
) -> None:
    """Take the next result of a process; a line that has ended is taken out."""
    try:
        received: bytes = line.recv_bytes()
    except (EOFError, OSError):
        lines.remove(line)
        return
    number, packed = int.from_bytes(received[:NUMBER_BYTES]), memoryview(received)[NUMBER_BYTES:]
    # Our own process has packed it. Until its turn it stays packed, which takes less memory.
    found[number] = partial(pickle.loads, packed) if packed else jobs[number]


def _do(job: Callable[[], Result]) -> Callable[[], Result]:
    """Do a job before its turn; an exception comes up again in its turn."""
    try:
        result = job()
    except Exception:  # noqa: BLE001 - whatever it is
        return job
    return lambda: result
