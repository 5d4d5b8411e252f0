"""Run whole programs and account for them as the operating system does.

In: a command line. Out: a `Sample`: wall seconds, CPU seconds and peak memory of that one process, from the accounts
the kernel keeps of a finished child. Several samples of one thing are a `Series`; the ratio of two series is taken run
by run, so that runs which shared a noisy moment are compared with each other.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
CRMCTL = str(Path(sys.executable).with_name("crmctl"))
HERE = Path(__file__).parent
MEGABYTE = 1e6
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes; what getrusage counts in
ALTERING = ("CI", "CRMCTL_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")  # these change what is measured
ENVIRONMENT: Mapping[str, str] = {
    **{name: value for name, value in os.environ.items() if not name.startswith(ALTERING)},
    "SANDBOX_API_KEY": "bench",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one process. Memory is in megabytes; `phase` are the seconds it names itself, if it does."""

    seconds: float
    cpu: float
    memory: float
    output: str
    phase: float | None = None
    requests: int | None = None
    server_cpu: float | None = None


@dataclass(slots=True)
class Series:
    """The runs of one thing, in the order of the rounds."""

    samples: list[Sample] = field(default_factory=list)

    def values(self, what: str) -> list[float]:
        """Return one figure of every run."""
        return [float(value) for sample in self.samples if (value := getattr(sample, what)) is not None]

    def median(self, what: str = "seconds") -> float:
        """Return the median of one figure."""
        return statistics.median(self.values(what))

    def spread(self, what: str = "seconds") -> tuple[float, float]:
        """Return the least and the most of one figure."""
        return min(self.values(what)), max(self.values(what))

    def over(self, *floors: "Series", what: str = "seconds") -> float:
        """Return the median of the ratios, run by run, to the sum of other series; the shortest decides how many."""
        below = [sum(values) for values in zip(*(floor.values(what) for floor in floors), strict=False)]
        ratios = [own / under for own, under in zip(self.values(what), below, strict=False)]
        return float(statistics.median(ratios))


def run(command: Sequence[str], folder: Path) -> Sample:
    """Run a command to its end; its standard output goes through a file, as in a pipeline, and is kept in short.

    Raises RuntimeError with the end of its standard error when it fails. This process stays small on purpose: Linux
    counts the memory of the parent as the child's until the child has started its own program.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            shown = errors.read()[-2000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}\n{shown}")
        output.seek(max(0, output.seek(0, os.SEEK_END) - 4000))
        tail = output.read().decode(errors="replace")
    return Sample(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT / MEGABYTE, tail)


@dataclass(slots=True)
class Server:
    """A sandbox in a process of its own: its address, and once it has stopped the CPU seconds it took."""

    url: str
    cpu: float = 0.0


@contextlib.contextmanager
def serving(database: Path) -> Iterator[Server]:
    """Serve a sandbox over HTTP on a free port of the loopback interface for as long as the block runs."""
    command = (CRMCTL, "sandbox", "serve", "--port", "0", "--db", str(database))
    child = subprocess.Popen(
        command, cwd=database.parent, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    if child.stdout is None or not (url := child.stdout.readline().strip()):
        raise RuntimeError("the sandbox did not start")
    server = Server(url)
    try:
        yield server
    finally:
        child.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stdout.close()
        server.cpu = usage.ru_utime + usage.ru_stime
