"""CPU time of processes, with those that they started: what a busy machine doesn't distort."""

from __future__ import annotations

import contextlib

import psutil


def cpu_seconds(*roots: psutil.Process) -> float:
    """Seconds that processes and all their descendants have computed so far, those that ended included."""
    total = 0.0
    for root in roots:
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
