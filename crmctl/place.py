"""A place that a URL names, on this machine or another: small objects in a folder of an object store; home of fsspec.

In: a URL, and what is kept there. Out: `Place`. Whatever goes wrong there is a CrmctlError that names the URL.
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from crmctl.errors import CrmctlError, UsageError


class Place:
    """A folder of objects, each written whole; `what` is kept there says every error.

    Raises UsageError for a URL that nothing here can speak to, CrmctlError for whatever else goes wrong.
    """

    def __init__(self, url: str, what: str) -> None:
        self.url = url
        self.what = what
        with self._told():
            import fsspec  # noqa: PLC0415 - a tenth of a second, for the few who keep something at a URL

            filesystem, path = fsspec.core.url_to_fs(url)
            self._files: Any = filesystem
            self._folder = str(path).rstrip("/")

    def names(self) -> list[str]:
        """Return the names of all objects, sorted, relative to the place."""
        with self._told():
            self._files.invalidate_cache()  # what others write there meanwhile has to be seen
            found = self._files.find(self._folder) if self._files.exists(self._folder) else []
        return sorted(str(path)[len(self._folder) + 1 :] for path in found)

    def read(self, name: str) -> str | None:
        """Return what an object holds; None if it is gone."""
        with self._told():
            try:
                data: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        return data.decode("utf-8", "replace")

    def read_all(self) -> Iterator[tuple[str, str]]:
        """Yield every object's name and what it holds, in the order of names."""
        names = self.names()
        with self._told():
            paths = [self._path(name) for name in names]
            contents = self._files.cat(paths) if paths else {}
        for name, path in zip(names, paths, strict=True):
            yield name, contents[path].decode("utf-8", "replace")

    def write(self, name: str, text: str) -> None:
        """Write an object, in the place of one that may be there; it is there when this returns."""
        with self._told():
            self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(self._path(name), text.encode())

    def create(self, name: str, text: str) -> bool:
        """Write an object unless it is there, as one step; tells whether it was not."""
        with self._told():
            self._files.makedirs(self._folder, exist_ok=True)
            try:
                with self._files.open(self._path(name), "xb") as stream:
                    stream.write(text.encode())
            except FileExistsError:
                return False
            except (NotImplementedError, ValueError) as error:
                message = f"{self.what}: {self.url}: this store can't create an object only if there is none ({error})"
                raise UsageError(f"{message}: name another") from error
        return True

    def modified(self, name: str) -> float | None:
        """Return when an object was written, in seconds since 1970; None where that can't be told."""
        with self._told():
            try:
                found: float = self._files.modified(self._path(name)).timestamp()
            except (FileNotFoundError, NotImplementedError):
                return None
        return found

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; one that is gone is no matter."""
        with self._told():
            for name in names:
                try:
                    self._files.rm_file(self._path(name))
                except FileNotFoundError:
                    continue

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _told(self) -> "_Told":
        return _Told(self.what, self.url)


class _Told:
    """Turn what a file system raises into an error that names the place."""

    def __init__(self, what: str, url: str) -> None:
        self.what = what
        self.url = url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Map the error; whatever a file system's plug-in raises is about the place, not a bug of ours."""
        if isinstance(error, ImportError | ValueError):
            advice = "install the fsspec plug-in for its scheme, or name a path"
            raise UsageError(f"{self.what}: {self.url}: can't be used ({error}): {advice}") from error
        if isinstance(error, Exception) and not isinstance(error, CrmctlError):
            raise CrmctlError(f"{self.what}: {self.url}: {error}: nothing more is sent") from error


def check_url(what: str, url: str, allowed: Iterable[str], variable: str) -> None:
    """Refuse a URL that the environment doesn't allow: the configuration comes from pull requests.

    Neither steps upwards nor chains of file systems lead out of what is allowed.
    """
    if "::" in url or not {".", ".."}.isdisjoint(unquote(url).replace("\\", "/").split("/")):
        raise UsageError(f"{what}: {url}: name the place plainly, without `..` and `::`")
    if not any(url == prefix or url.startswith(f"{prefix.rstrip('/')}/") for prefix in allowed):
        raise UsageError(f"{what}: {url} is not allowed: list it, or what it begins with, in {variable}")
