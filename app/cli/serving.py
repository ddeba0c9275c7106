"""Serving the API: one uvicorn server, or several worker processes, until told to stop."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from app.cli.heads import BoundedHeads
from app.cli.ports import BACKLOG, take_port
from app.main import create_app
from app.settings import Settings

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from app.api.observing import Observer

OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": BoundedHeads,
    "ws": "none",
    "lifespan": "on",
    # The service logs its own requests, with ids and without tokens; uvicorn's lines would double them.
    "log_config": None,
    "access_log": False,
    "server_header": False,
    # uvicorn would believe X-Forwarded-For of anyone on this machine; whom to believe is VERSO_TRUSTED_HOPS.
    "proxy_headers": False,
    "backlog": BACKLOG,
    # Idle clients keep their connection longer than most balancers keep theirs: no reset meets a request
    # half-way.
    "timeout_keep_alive": 75,
}


class Server(uvicorn.Server):
    """uvicorn, telling when it serves."""

    on_ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then say so."""
        await super().startup(sockets)
        if self.started and self.on_ready is not None:
            self.on_ready()


def serve_socket(
    settings: Settings, *, listener: socket.socket, lifeline: int, on_ready: Callable[[], None], drain: int
) -> int:
    """Serve on a socket that listens already; return the exit status.

    Until SIGINT, SIGTERM or the lifeline's end; requests that are under way then get `drain` seconds.
    """
    config = uvicorn.Config(create_app(settings), timeout_graceful_shutdown=drain, **OPTIONS)
    server = Server(config)
    server.on_ready = on_ready

    def watch() -> None:
        while os.read(lifeline, 1024):
            pass
        # As if told by a signal: the application listens for it, and ends its streams.
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
    return _run(server, sockets=[listener])


def serve_address(settings: Settings, *, workers: int, drain: int) -> int:
    """Serve on the settings' host and port, until SIGINT or SIGTERM; return the exit status.

    More than one worker means that many processes behind one port; each reads the environment by itself.
    Raises PortTakenError.
    """
    options = OPTIONS | {"timeout_graceful_shutdown": drain}
    listener = take_port(settings.port, host=settings.host, option="--port")
    if workers > 1:
        config = uvicorn.Config(
            "app.cli.serving:app_from_environment", factory=True, workers=workers, **options
        )
        Multiprocess(config, sockets=[listener]).run()
        return 0
    return _run(Server(uvicorn.Config(create_app(settings), **options)), sockets=[listener])


def _run(server: Server, *, sockets: list[socket.socket]) -> int:
    # uvicorn raises what stopped it once more at the end, for whoever handled it before: being told to stop
    # and stopping in order is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    # uvicorn ends a start that failed with 3, which says something else here.
    with suppress(SystemExit):
        server.run(sockets=sockets)
    return 0 if server.started else 1


def app_from_environment() -> Observer:
    """The application as a worker process makes it. Raises SettingsError."""
    return create_app(Settings.from_environment())
