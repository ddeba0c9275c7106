"""The process that does large tasks: ``python -m app.text.worker MEMORY_BYTES``, frames on stdin and stdout.

This module reads and writes its two pipes and nothing else. A frame is eight bytes of length (big-endian)
and that much MessagePack. The process ends when its stdin does, when a task overruns its deadline (should
the parent no longer be there to kill it), and when it is killed, which is how a comparison in C is stopped.
"""

from __future__ import annotations

import signal
import sys
from typing import BinaryIO

import msgspec

from app.text.errors import BinaryMergeError, PatchRejectedError, PatchUnreadableError, TookTooLongError
from app.text.tasks import Task

LENGTH_BYTES = 8
# Written once everything is imported: from then on a death is the task's fault.
READY = b"\x06"
# The parent kills at the deadline; this is for a worker that has lost its parent.
_GRACE_S = 2.0


class Order(msgspec.Struct, frozen=True):
    """A task and the seconds it may take."""

    task: Task
    deadline_s: float


class Done(msgspec.Struct, frozen=True, tag=True):
    """The result, still encoded: only who asked knows its type."""

    result: msgspec.Raw


class Refused(msgspec.Struct, frozen=True, tag=True):
    """An error of the package, by its name and what it was raised with."""

    error: str
    message: str
    path: str = ""
    hunk: int | None = None

    def as_exception(self) -> Exception:
        """Return the error to raise where the task came from."""
        if self.error == PatchRejectedError.__name__:
            return PatchRejectedError(self.message, path=self.path, hunk=self.hunk)
        if self.error == PatchUnreadableError.__name__:
            return PatchUnreadableError(self.message)
        if self.error == BinaryMergeError.__name__:
            return BinaryMergeError()
        if self.error == TookTooLongError.__name__:
            return TookTooLongError(self.message)
        return ValueError(self.message)


Answer = Done | Refused


def answer(order: Order) -> Answer:
    """Do the task; the errors that it documents become an answer."""
    try:
        return Done(msgspec.Raw(msgspec.msgpack.encode(order.task.compute())))
    except PatchRejectedError as error:
        return Refused(type(error).__name__, error.reason, error.path, error.hunk)
    except (PatchUnreadableError, BinaryMergeError, TookTooLongError, ValueError) as error:
        return Refused(type(error).__name__, str(error))
    except MemoryError:
        return Refused(TookTooLongError.__name__, "The texts need more memory than one task may take.")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer orders until the source ends."""
    decoder = msgspec.msgpack.Decoder(Order)
    sink.write(READY)
    sink.flush()
    while head := source.read(LENGTH_BYTES):
        order = decoder.decode(source.read(int.from_bytes(head, "big")))
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, order.deadline_s + _GRACE_S)
        data = msgspec.msgpack.encode(answer(order))
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_REAL, 0)
        sink.write(len(data).to_bytes(LENGTH_BYTES, "big"))
        sink.write(data)
        sink.flush()


def limit_memory(memory_bytes: int) -> None:
    """Let an allocation beyond this fail in this process, not in the machine."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches the whole group: the parent decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(int(sys.argv[1]))
    serve(sys.stdin.buffer, sys.stdout.buffer)
