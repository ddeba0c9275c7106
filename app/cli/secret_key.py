"""The secret key of a Supabase project, for one run of one command; it is kept nowhere."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def secret_key_option(command: F) -> F:
    """The `--secret-key-stdin` of a command, as its argument `secret_key_stdin`."""
    given: F = click.option(
        "--secret-key-stdin",
        is_flag=True,
        help="Read the secret key from standard input, not SUPABASE_SECRET_KEY.",
    )(command)
    return given


def supabase_option(command: F) -> F:
    """The `--supabase URL` of a command, as its argument `supabase`: where the secret key goes."""
    given: F = click.option(
        "--supabase",
        metavar="URL",
        envvar="SUPABASE_URL",
        help="Where the secret key is of; or SUPABASE_URL.",
    )(command)
    return given


def quiet_logs() -> None:
    """Keep the service's log lines out of what a command prints: its refusals say what is the matter."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def checked_address(supabase: str) -> str:
    """The address that the key goes to. Raises VersoError `bad_usage` for one where anybody could read it."""
    from app.client.auth import is_loopback
    from app.errors import VersoError

    if supabase.startswith("https://") or (supabase.startswith("http://") and is_loopback(supabase)):
        return supabase
    raise VersoError(
        "bad_usage", f"The secret key goes to https:// only, or to this machine: not to {supabase}."
    )


def secret_key(*, from_stdin: bool) -> str | None:
    """The key, or None. Never an argument of a command: other processes can read those.

    Raises VersoError `bad_usage` for what can't be one.
    """
    from app.errors import VersoError

    key = (sys.stdin.readline() if from_stdin else os.environ.get("SUPABASE_SECRET_KEY", "")).strip()
    if key and not re.fullmatch("[!-~]+", key):
        raise VersoError("bad_usage", "That is no secret key: it holds characters that no key has.")
    return key or None


def needed_secret_key(*, from_stdin: bool) -> str:
    """The key of a command that can't do without. Raises VersoError `bad_usage`."""
    from app.errors import VersoError

    key = secret_key(from_stdin=from_stdin)
    if key is None:
        raise VersoError(
            "bad_usage", "Set SUPABASE_SECRET_KEY, or pipe the secret key in with --secret-key-stdin."
        )
    return key
