"""Being told to stop, while there is still time to say goodbye.

A server that stops waits for its answers to end before the application hears of it: an answer that goes on
for hours would hold it up until it is killed. So the application listens for the signals itself, beside the
server, whichever runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def when_told_to_stop(act: Callable[[], object]) -> Iterator[None]:
    """Have `act` called in the running event loop as soon as this process is told to stop.

    What was to happen on the signal happens as well. Where signals can't be had (not the main thread)
    nothing is done: then streams end when the server gives up on them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(act)
        following = before[signal.Signals(number)]
        if callable(following):
            following(number, frame)
        elif following == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in SIGNALS:
            if signal.getsignal(number) is handle:
                signal.signal(number, before[number])
