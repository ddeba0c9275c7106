"""Exit codes, and how a command's outcome is told: one table, one way to print, for people and for programs.

A command of the client is written so:

    @verso.command()
    @json_option
    def status(as_json: bool) -> None:
        with telling(as_json) as out:
            ...
            out.tell(result, "what a person reads")     # result: anything msgspec can encode

`telling` turns VersoError into a sentence on stderr (or one JSON document on stdout with `--json`) and its
exit code. Python's own faults are not caught: a bug shows its trace.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import rich_click as click

from app.cli.characters import safe_lines
from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import Console

F = TypeVar("F", bound="Callable[..., Any]")


class Exit(IntEnum):
    """What a command's exit code says; docs/cli.md lists them."""

    FINE = 0
    REFUSED = 1
    USAGE = 2
    CONFLICTS = 3
    NOT_SIGNED_IN = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


EXIT_OF = {
    "conflicts": Exit.CONFLICTS,
    "merge_conflict": Exit.CONFLICTS,
    "not_signed_in": Exit.NOT_SIGNED_IN,
    "unauthenticated": Exit.NOT_SIGNED_IN,
    "unreachable": Exit.UNREACHABLE,
    "not_verso": Exit.UNREACHABLE,
    "bad_usage": Exit.USAGE,
    "no_server": Exit.USAGE,
    "no_project": Exit.USAGE,
    "no_working_folder": Exit.USAGE,
}
"""Codes with an exit code of their own; every other refusal is 1."""


def json_option(command: F) -> F:
    """The `--json` of a command, as its argument `as_json`."""
    given: F = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)
    return given


def api_option(command: F) -> F:
    """The `--api URL` of a command, as its argument `api`."""
    given: F = click.option(
        "--api", metavar="URL", help="The server; unless given, VERSO_API, the folder's, or the only login's."
    )(command)
    return given


class Teller:
    """Prints a command's outcome once, for people or as JSON; progress and notes go to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def tell(self, value: object, text: str | Callable[[Console], None] = "") -> None:
        """Print the outcome: `value` as JSON, or the text. A function gets a rich console to print on."""
        if self.as_json:
            sys.stdout.buffer.write(json_document(value))
            sys.stdout.flush()
        elif callable(text):
            text(console())
        elif text:
            click.echo(safe_lines(text))

    def line(self, value: object, text: str) -> None:
        """Print one event of many: a line of JSON, or the text."""
        if self.as_json:
            import msgspec

            sys.stdout.buffer.write(msgspec.json.encode(value, enc_hook=str) + b"\n")
            sys.stdout.flush()
        else:
            click.echo(safe_lines(text))

    def end(self, code: str) -> NoReturn:
        """End with a code's exit code, once all has been told."""
        sys.exit(EXIT_OF.get(code, Exit.REFUSED))

    def note(self, text: str) -> None:
        """Say something on the way, to people, on stderr."""
        if not self.as_json:
            click.echo(safe_lines(text), err=True)


def console(*, stderr: bool = False) -> Console:
    """A rich console: colours on a terminal, none when piped or with NO_COLOR (no-color.org)."""
    from app.cli.terminal import Terminal

    return Terminal(
        stderr=stderr, highlight=False, soft_wrap=True, no_color=bool(os.environ.get("NO_COLOR")) or None
    )


@contextmanager
def telling(as_json: bool) -> Iterator[Teller]:
    """Run a command's work; a VersoError or an interruption ends it with its exit code."""
    try:
        yield Teller(as_json=as_json)
    except VersoError as error:
        if as_json:
            failure = {"code": error.code, "sentence": error.sentence, "detail": error.detail}
            sys.stdout.buffer.write(json_document({"error": failure}))
            sys.stdout.flush()
        else:
            click.echo(f"verso: {safe_lines(error.sentence)}", err=True)
        sys.exit(EXIT_OF.get(error.code, Exit.REFUSED))
    except KeyboardInterrupt:
        click.echo("verso: interrupted. Nothing is lost; run the command again to go on.", err=True)
        sys.exit(Exit.INTERRUPTED)


@contextmanager
def until_interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, besides that it raises KeyboardInterrupt: for what runs until then.

    Python drops an exception that is raised while a destructor or a weak reference's callback runs, so one
    interruption in some thousand would be lost. Where interruptions are ignored, they stay so.
    """
    told = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield told
        return

    def note(number: int, frame: FrameType | None) -> None:
        told.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield told
    finally:
        signal.signal(signal.SIGINT, before)
    if told.is_set():
        raise KeyboardInterrupt


class Group(click.RichGroup):
    """The commands together. Each ends quietly and well when who reads its output has enough."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. `verso log | head` is no failure, whoever of us printed."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python would say so again when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(Exit.FINE)


def json_document(value: object) -> bytes:
    """The one document that `--json` prints."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2) + b"\n"
