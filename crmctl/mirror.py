"""Journal lines that must outlive the machine, kept at a URL; the only home of fsspec.

Object stores can't append, so each entry is an object of its own, named by run and number: nothing is written twice,
and two runs never meet.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from crmctl.errors import CrmctlError, UsageError


class Mirror:
    """A place named by a URL. Every method raises CrmctlError for whatever goes wrong there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._written = 0
        with _told(url):
            import fsspec  # noqa: PLC0415 - a tenth of a second, for the few who keep their journal at a URL

            filesystem, path = fsspec.core.url_to_fs(url)
            self._files: Any = filesystem
            self._folder = str(path).rstrip("/")

    def write(self, run: str, text: str) -> None:
        """Write one entry of a run; it is there when this returns."""
        self._written += 1
        with _told(self.url):
            self._files.makedirs(f"{self._folder}/{run}", exist_ok=True)
            self._files.pipe_file(f"{self._folder}/{run}/{self._written:06}.jsonl", text.encode())

    def read(self) -> Iterator[str]:
        """Yield the lines of all runs, in the order of runs and numbers."""
        with _told(self.url):
            names = sorted(self._files.find(self._folder)) if self._files.exists(self._folder) else []
            contents = self._files.cat(names) if names else {}
        for name in names:
            yield from contents[name].decode("utf-8", "replace").splitlines()


class _told:  # noqa: N801 - reads as a word where it is used
    """Turn what a file system raises into an error that names the place."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Map the error; whatever a file system's plug-in raises is about the place, not a bug of ours."""
        if isinstance(error, ImportError | ValueError):
            advice = "install the fsspec plug-in for its scheme, or name a path"
            raise UsageError(f"journal: {self.url}: can't be used ({error}): {advice}") from error
        if isinstance(error, Exception) and not isinstance(error, CrmctlError):
            raise CrmctlError(f"journal: {self.url}: {error}: nothing more is sent") from error


def check_url(url: str, allowed: Iterable[str]) -> None:
    """Refuse a URL that the environment doesn't allow: the configuration comes from pull requests."""
    if not any(url == prefix or url.startswith(f"{prefix.rstrip('/')}/") for prefix in allowed):
        raise UsageError(f"journal: {url} is not allowed: list it, or what it begins with, in CRMCTL_ALLOW_JOURNALS")
