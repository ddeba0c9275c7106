"""The examples of docs/live.md run as they stand there, and print what happens while it happens."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.local.rest_cases.harness import BIN, JS, UnavailableError, modules
from tests.local.test_live import Home
from tests.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack import Stack


def example(language: str) -> str:
    text = (REPOSITORY / "docs" / "live.md").read_text()
    return text.partition(f"```{language}\n")[2].partition("\n```")[0]


async def watched(home: Home, *command: object) -> None:
    """Run a program, and see that it prints what is there, and what comes, each event once."""
    process = await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(40):
            newest = await home.happen()
            printed: list[int] = []
            while len(printed) < newest + 3:
                line = await process.stdout.readline()
                said += line
                assert line, said.decode()
                if line.split()[0].isdigit():
                    printed.append(int(line.split()[0]))
                if printed and printed[-1] >= newest and len(printed) < newest + 3:
                    # Within far less than the half minute after which they look without a signal.
                    await home.happen()
        assert printed == list(range(1, len(printed) + 1))
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # `node` is a program that starts another one
        await process.wait()


async def test_javascript(stack: Stack, tmp_path: Path):
    try:
        await asyncio.to_thread(modules)
    except UnavailableError as error:
        if os.environ.get("VERSO_TEST_REQUIRE_ALL") == "1":
            raise
        pytest.skip(str(error))
    home = await Home.make(stack)
    given = {
        "SUPABASE_URL": stack.supabase_url,
        "PUBLISHABLE_KEY": stack.publishable_key,
        "PROJECT_ID": home.id,
        "token": home.token,
    }
    constants = "\n".join(f'const {name} = "{value}";' for name, value in given.items())
    package = JS / "node_modules" / "@supabase" / "supabase-js" / "dist" / "index.mjs"
    script = tmp_path / "example.mjs"
    script.write_text(f"{constants}\n{example('js').replace('@supabase/supabase-js', package.as_uri())}\n")
    await watched(home, BIN / "node", script)


async def test_python(stack: Stack, tmp_path: Path):
    home = await Home.make(stack)
    given = {
        "SUPABASE_URL": stack.supabase_url,
        "PUBLISHABLE_KEY": stack.publishable_key,
        "PROJECT_ID": home.id,
        "TOKEN": home.token,
    }
    constants = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    script = tmp_path / "example.py"
    script.write_text(f"{constants}\n{example('python')}\n\nasyncio.run(main())\n")
    await watched(home, sys.executable, "-u", script)
