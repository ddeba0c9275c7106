"""Processes of ours that read strangers' bytes: apart from this one, and with nothing of what it knows."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_HOME = Path(__file__).parents[1]
"""Where `app` is: a checkout needn't be installed."""
_KEPT = ("SYSTEMROOT", "LD_LIBRARY_PATH")
_BUFFER = 64 * 1024


async def start_apart(module: str, *arguments: str, errors: bool = False, buffer: int = _BUFFER) -> Process:
    """A process that runs a module of ours, with pipes to it and from it, and with `errors` from its errors.

    Of this process's environment it gets where modules are, and no keys, no addresses, no one's Git
    configuration. `buffer` is how many bytes wait here for their reader. Whoever starts one ends it.
    """
    paths = [str(_HOME), *filter(None, sys.path)]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a folder `app` where the server was started is not this one
        "-m",
        module,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE if errors else None,
        env={"PYTHONPATH": os.pathsep.join(paths), **kept},
        limit=buffer,
    )
