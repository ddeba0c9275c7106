"""Exit codes, and how a command's outcome is told: one table, one way to print, for people and for programs.

A command of the client is written so:

    @verso.command()
    @json_option
    def status(as_json: bool) -> None:
        with telling(as_json) as out:
            ...
            out.tell(result, "what a person reads")     # result: anything msgspec can encode

`telling` turns VersoError, and what the system refuses, into a sentence on stderr (or one JSON document on
stdout with `--json`) and its exit code. Python's own faults are not caught: a bug shows its trace.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import rich_click as click

from app.cli.characters import safe_lines
from app.cli.system import drop_output, refusal_of
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
_PLACES = (
    ("GET /v1/projects lists yours", "`verso whoami` lists yours"),
    ("GET /v1/me/invitations lists yours", "`verso invitations list` lists yours"),
    ("GET /v1/me shows", "`verso whoami` shows"),
)
"""Where a sentence of the API sends programs to an address, people at a terminal are sent to a command."""


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
            sys.stdout.buffer.write(_json(value) + b"\n")
            sys.stdout.flush()
        else:
            click.echo(safe_lines(text))

    def copy(self, text: str) -> None:
        """Print what other programs read: as it is, and on a terminal with harmless characters."""
        if sys.stdout.isatty():
            text = safe_lines(text.replace("\r\n", "\n"))
        click.echo(text, nl=False)

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
    """Run a command's work; a VersoError, or what the system refuses, ends it with its exit code."""
    try:
        yield Teller(as_json=as_json)
    except VersoError as error:
        _end(error, as_json=as_json)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        _end(refusal, as_json=as_json)


def _end(refusal: VersoError, *, as_json: bool) -> NoReturn:
    told = False
    if as_json and refusal.code != "output_lost":
        failure = {"code": refusal.code, "sentence": refusal.sentence, "detail": refusal.detail}
        try:
            sys.stdout.buffer.write(json_document({"error": failure}))
            sys.stdout.flush()
            told = True
        except OSError:
            drop_output()
    if not told:
        sentence = refusal.sentence
        for address, command in _PLACES:
            sentence = sentence.replace(address, command)
        with suppress(OSError):  # then the exit code has to say it
            click.echo(f"verso: {safe_lines(sentence)}", err=True)
    sys.exit(EXIT_OF.get(refusal.code, Exit.REFUSED))


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
    """The commands together. However one ends, it ends with a sentence and an exit code of docs/cli.md."""

    def make_context(self, *given: Any, **extra: Any) -> click.Context:
        """Read the command line so far; `verso --help` prints here already."""
        with _ending(as_json=False):
            return super().make_context(*given, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _ending(as_json="--json" in [*ctx._protected_args, *ctx.args]):  # noqa: SLF001 - it has no other name
            return super().invoke(ctx)


@contextmanager
def _ending(*, as_json: bool) -> Iterator[None]:
    """The ends that commands have in common, whether or not they got as far as `telling`."""
    try:
        yield
    except BrokenPipeError:
        # `verso log | head` is no failure, whoever of us printed.
        drop_output()
        sys.exit(Exit.FINE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("verso: interrupted. Nothing is lost; run the command again to go on.", err=True)
        sys.exit(Exit.INTERRUPTED)
    except click.UsageError as error:
        if not as_json:
            raise
        _end(VersoError("bad_usage", error.format_message()), as_json=True)
    except OSError as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        _end(refusal, as_json=as_json)


def json_document(value: object) -> bytes:
    """The one document that `--json` prints."""
    return _json(value, indent=2) + b"\n"


def _json(value: object, *, indent: int | None = None) -> bytes:
    import msgspec

    try:
        encoded = msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        import json

        # A file's name that is no text: its bytes are escaped as Python does it, and can be had back.
        return json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=indent).encode()
    return encoded if indent is None else msgspec.json.format(encoded, indent=indent)
