"""Ports, taken early, so that a busy one is told before anything is started."""

from __future__ import annotations

import socket
import time

HOST = "127.0.0.1"
BACKLOG = 2048


class PortTakenError(Exception):
    """Something else listens there; the message names the port and the option that chooses another."""


def take_port(port: int, *, option: str, host: str = HOST, patience: float = 0) -> socket.socket:
    """A socket that listens on a port (0: a free one), of the loopback address unless another is given.

    Raises PortTakenError, after `patience` seconds: a killed run's children need a moment to let go.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return _listen(port, host=host, option=option)
        except PortTakenError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def check_port(port: int, *, option: str, patience: float = 0) -> None:
    """Raise PortTakenError when a port that a child will take is busy."""
    if port:
        take_port(port, option=option, patience=patience).close()


def _listen(port: int, *, host: str, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    # Without it a server that has just been stopped would keep its port for a minute.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        # Two sockets may be bound to one port as long as neither listens: only listening takes it.
        taken.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        taken.close()
        reason = getattr(error, "strerror", None) or error
        raise PortTakenError(
            f"Port {port} of {host} can't be used: {reason}. Stop what listens there, or choose another port "
            f"with {option}, e.g. {option} {port + 1 if 0 < port < 65535 else 0}."  # noqa: PLR2004 - the last port
        ) from None
    return taken
