"""Serve a sandbox over real HTTP, on the loopback interface only.

`serve` runs in the foreground until Ctrl-C or SIGTERM; `running` runs in a thread beside a test and yields the base
url. Port 0 takes a free one.
"""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from types import FrameType
from typing import Any

import uvicorn

from crmctl.sandbox.asgi import CLOSE, DROP, ASGIApp, Receive, Send

HOST = "127.0.0.1"
_BACKLOG = 512


def serve(app: ASGIApp, *, port: int, announce: Callable[[str], None]) -> None:
    """Serve until interrupted; `announce` gets the base url as soon as connections are taken."""
    server = _Server(app)
    with _listen(port) as listener, _stopping_on_signals(server):
        announce(_base_url(listener))
        server.run(sockets=[listener])


@contextlib.contextmanager
def running(app: ASGIApp, *, port: int = 0) -> Iterator[str]:
    """Serve in a thread for as long as the block runs, and yield the base url."""
    with _listen(port) as listener:
        server = _Server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox")
        thread.start()
        try:
            # The socket listens already: whoever connects before the loop runs waits in its queue.
            yield _base_url(listener)
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`; uvicorn's own would raise them again once it has stopped."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(_configure(_offer_faults(app, self.close_for)))
        self._reopening: asyncio.Task[None] | None = None

    def close_for(self, seconds: float) -> None:
        """Drop all connections, and refuse others for so many seconds."""
        port = self.servers[0].sockets[0].getsockname()[1] if self.servers[0].sockets else 0
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        if port:  # else it is closed already, and opens when the first one said so
            self._reopening = asyncio.get_running_loop().create_task(self._reopen(port, seconds))

    async def _reopen(self, port: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self.should_exit:
            await self.startup(sockets=[_listen(port)])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _stopping_on_signals(server: uvicorn.Server) -> Iterator[None]:
    """Take Ctrl-C and SIGTERM as the normal end; a second one does not wait for open requests."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.force_exit, server.should_exit = server.should_exit, True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _configure(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="error",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def _offer_faults(app: ASGIApp, close_for: Callable[[float], None]) -> ASGIApp:
    """Let the application drop and refuse connections, for which ASGI has no word: uvicorn's `send` knows its own."""

    async def call(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        cycle = getattr(send, "__self__", None)
        transport = getattr(cycle, "transport", None)
        if transport is not None:
            scope["extensions"] = {**scope.get("extensions", {}), DROP: transport.abort, CLOSE: close_for}
        await app(scope, receive, send)

    return call


def _listen(port: int) -> socket.socket:
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and every small answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _base_url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
