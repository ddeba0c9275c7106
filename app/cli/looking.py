"""`verso log`, `show`, `diff`, `blame`, `when`: history, read on this machine."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.cli.completing import DocumentPath
from app.cli.exits import api_option, json_option, telling
from app.cli.histories import looking, project_option, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

    from app.cli.exits import Teller
    from app.cli.histories import Looked
    from app.client.looking.compare import Pair
    from app.model import Change

_LINES = re.compile(r"([1-9]\d{0,8})(?:([-,])([1-9]\d{0,8})?)?\Z")
AT = click.option("--at", metavar="POINT", help="A change's number, a tag, a hash, a time, head~2.")
CONTEXT = click.option(
    "-U", "--context", type=click.IntRange(0, 10_000), default=3, show_default=True, help="Lines around."
)


@click.command()
@click.argument("path", required=False, type=DocumentPath())
@click.option("-n", "--limit", type=click.IntRange(1), help="So many changes at most.")
@click.option("--author", help="Only whose name or handle has this in it.")
@click.option("--since", metavar="TIME", help="Only from this time on (2026-03-02, or with a time of day).")
@click.option("--until", metavar="TIME", help="Only before this time.")
@click.option("--grep", metavar="TEXT", help="Only whose message has this in it.")
@click.option("--oneline", is_flag=True, help="One line a change.")
@click.option("--files", is_flag=True, help="With what each change wrote.")
@click.option("--reverse", is_flag=True, help="Oldest first.")
@AT
@project_option
@api_option
@json_option
def log(path: str | None, *, limit: int | None, at: str | None, project: str | None, api: str | None,
        as_json: bool, oneline: bool, files: bool, reverse: bool, **filters: str | None) -> None:  # fmt: skip
    """The changes, newest first; with PATH those of a document (across moves) or of a folder."""
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.cli.looking_told import told_change

        found = _chosen(looked, path, at=at, limit=limit, reverse=reverse, **filters)
        if as_json:
            out.tell(list(found))
        else:
            show(told_change(change, oneline=oneline, files=files) for change in found)


@click.command(name="show")
@click.argument("what", type=DocumentPath())
@click.option("--stat", is_flag=True, help="Only how many lines of which documents.")
@click.option("--patch", is_flag=True, help="The difference as a patch.")
@CONTEXT
@AT
@project_option
@api_option
@json_option
def show_what(what: str, *, stat: bool, patch: bool, context: int, at: str | None, project: str | None,
              api: str | None, as_json: bool) -> None:  # fmt: skip
    """A change with what it did (a number, a tag, a hash), or a document: PATH, or POINT:PATH."""
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.cli.looking_told import told_change
        from app.client.looking.compare import of_change

        history = looked.history
        point, colon, path = what.partition(":")
        if colon and at is None and history.is_point(point):
            # As in Git, such a path is the project's, wherever one is.
            _show_document(out, looked, path, at=point)
            return
        if at is not None or not history.is_point(what):
            _show_document(out, looked, looked.path(what), at=at)
            return
        change = history.mirror.change(history.resolve(what))
        pairs = of_change(history, change.sequence)
        if not as_json and not patch:
            show([told_change(change)])
        extra = {"change": change} if as_json else {}
        _show_pairs(out, looked, pairs, stat=stat, patch=patch, context=context, extra=extra)


@click.command()
@click.argument("points_and_path", nargs=-1, type=DocumentPath(), metavar="[A] [B] [PATH]")
@click.option("--stat", is_flag=True, help="Only how many lines of which documents.")
@click.option("--patch", is_flag=True, help="As a patch that `git apply` and `patch` take, without colours.")
@CONTEXT
@project_option
@api_option
@json_option
def diff(points_and_path: tuple[str, ...], *, stat: bool, patch: bool, context: int, project: str | None,
         api: str | None, as_json: bool) -> None:  # fmt: skip
    """What differs: your files against their versions, against A, or between A and B.

    A and B are points: a change's number, a tag, a hash, a time, head~2, or both at once as A..B. What is no
    point is the PATH to keep to; `./42` is a path, too. On a terminal changed words are marked; piped it is a
    patch.
    """
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.client.looking.compare import between, up_to_files
        from app.errors import VersoError

        points, path = _points(looked, points_and_path)
        if len(points) == 2:  # noqa: PLR2004 - from one to the other
            pairs = between(looked.history, points[0], points[1], prefix=path)
        elif looked.folder is not None:
            pairs = up_to_files(looked.history, looked.folder, points[0] if points else None, prefix=path)
        elif points:
            pairs = between(looked.history, points[0], looked.history.mirror.newest, prefix=path)
        else:
            raise VersoError("bad_usage", "Outside of a working folder say between which points: diff A B.")
        _show_pairs(out, looked, pairs, stat=stat, patch=patch, context=context, extra={})


@click.command()
@click.argument("path", type=DocumentPath())
@click.option("-L", "--lines", metavar="FIRST-LAST", help="Only these lines: 5-10, 5- or 5.")
@AT
@project_option
@api_option
@json_option
def blame(path: str, *, lines: str | None, at: str | None, project: str | None, api: str | None,
          as_json: bool) -> None:  # fmt: skip
    """Who wrote each line of a document, when, and in which change; across moves, merges and restores."""
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.cli.looking_told import told_blame
        from app.client.looking.blaming import blame as find

        first, last = _range(lines)
        history = looked.history
        point = None if at is None else history.resolve(at)
        found = find(history, looked.path(path), at=point, first=first, last=last)
        if as_json:
            out.tell(found)
        else:
            show(told_blame(found))


@click.command()
@click.argument("text")
@click.argument("path", type=DocumentPath())
@project_option
@api_option
@json_option
def when(text: str, path: str, *, project: str | None, api: str | None, as_json: bool) -> None:
    """When TEXT came into the document at PATH, and when it went: its words in order, any blanks between."""
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.cli.looking_told import told_spans
        from app.client.looking.blaming import spans

        found = spans(looked.history, looked.path(path), text)
        if as_json:
            out.tell({"path": looked.path(path), "text": text, "spans": found})
        elif found:
            show(told_spans(found))
        else:
            click.echo(f"That never stood in {path}.")


def _chosen(
    looked: Looked,
    path: str | None,
    *,
    at: str | None,
    limit: int | None,
    reverse: bool,
    author: str | None,
    since: str | None,
    until: str | None,
    grep: str | None,
) -> Iterator[Change]:
    from itertools import islice

    from app.errors import VersoError

    mirror = looked.history.mirror
    point = None if at is None else looked.history.resolve(at)
    name = looked.path(path)
    begin, end = _moment(since), _moment(until)

    def wanted(change: Change) -> bool:
        if (begin and change.authored_at < begin) or (end and change.authored_at >= end):
            return False
        if grep and grep.casefold() not in change.message.casefold():
            return False
        names = (change.author_name, change.author.name, change.author.handle, change.agent)
        return not author or any(author.casefold() in each.casefold() for each in names if each)

    if name and not _is_known(looked, name):
        raise VersoError("document_not_found", f"Nothing was ever at {name} in the history here.", path=name)
    if name and _is_document(looked, name, point):
        numbers = [each.change.sequence for each in mirror.versions(name, at=point)]
        found = (mirror.change(each) for each in (reversed(numbers) if reverse else numbers))
    else:
        found = (each for each in mirror.changes(at=point, path=name or None, oldest_first=reverse))
    return islice((each for each in found if wanted(each)), limit)


def _is_document(looked: Looked, name: str, at: int | None) -> bool:
    from app.errors import VersoError

    try:
        looked.history.mirror.document_at(name, at)
    except VersoError:
        return False
    return True


def _show_document(out: Teller, looked: Looked, path: str, *, at: str | None) -> None:
    from app.cli.characters import safe
    from app.errors import VersoError
    from app.text.unified import is_binary

    history = looked.history
    point = None if at is None else history.resolve(at)
    version = history.mirror.versions(path, at=point)[0]
    if version.sha256 is None:
        raise VersoError("version_is_delete", f"{path} was deleted in #{version.change.sequence}.")
    if out.as_json:
        out.tell(version)
        return
    data = history.bytes_of(version)
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    elif is_binary(data):
        click.echo(f"{path} is not text: {len(data):,} bytes. Pipe it to a file to have it.")
    else:
        from rich.text import Text

        show(Text(safe(line)) for line in data.decode("utf-8", "replace").removesuffix("\n").split("\n"))


def _show_pairs(
    out: Teller,
    looked: Looked,
    pairs: list[Pair],
    *,
    stat: bool,
    patch: bool,
    context: int,
    extra: dict[str, Any],
) -> None:
    from app.cli.looking_told import stat_of, told_pair, told_stats
    from app.client.looking.compare import Reader, patch_of
    from app.text.hunks import diff_hunks

    read = Reader(looked.history, looked.folder).read(pairs)
    if out.as_json:
        found = []
        for pair, old, new in read:
            told = stat_of(pair, old, new)
            if not stat and old is not None and new is not None:
                told["diff"] = diff_hunks(old, new, context=context)
            found.append(told)
        out.tell({**extra, "documents": found})
    elif stat:
        show(told_stats([stat_of(*each) for each in read]))
    elif patch or not sys.stdout.isatty():
        for each in read:
            sys.stdout.buffer.write(patch_of(*each, context=context))
        sys.stdout.flush()
    else:

        def lines() -> Iterator[Text]:
            for pair, old, new in read:
                yield from told_pair(pair, old, new, context=context)

        show(lines())


def _points(looked: Looked, given: Sequence[str]) -> tuple[list[int], str]:
    """Up to two points, then at most one path. Raises VersoError `bad_usage`."""
    from app.errors import VersoError

    points: list[int] = []
    rest = list(given)
    while rest and len(points) < 2 and not rest[0].startswith(("./", "../")):  # noqa: PLR2004 - A and B
        one, dots, other = rest[0].partition("..")
        if dots and not points and looked.history.is_point(one) and looked.history.is_point(other or "head"):
            points = [looked.history.resolve(one), looked.history.resolve(other or "head")]
        elif looked.history.is_point(rest[0]):
            points.append(looked.history.resolve(rest[0]))
        else:
            break
        rest.pop(0)
    if len(rest) > 1:
        raise VersoError("bad_usage", f"{rest[0]} is no point of this history, and only one PATH is taken.")
    path = looked.path(rest[0] if rest else None)
    if path and not points and not _is_known(looked, path):
        raise VersoError("bad_usage", f"{rest[0]} is neither a point of this history nor a path in it.")
    return points, path


def _is_known(looked: Looked, path: str) -> bool:
    if looked.folder is not None and (looked.folder.root / path).exists():
        return True
    return next(iter(looked.history.mirror.changes(path=path)), None) is not None


def _range(lines: str | None) -> tuple[int, int | None]:
    from app.errors import VersoError

    if lines is None:
        return 1, None
    found = _LINES.match(lines)
    if found is None or (found[3] and int(found[3]) < int(found[1])):
        raise VersoError("bad_usage", "Lines are 5-10, 5- (to the end) or 5, counted from 1.")
    first = int(found[1])
    if found[2] is None:
        return first, first
    return first, None if found[3] is None else int(found[3])


def _moment(text: str | None) -> datetime | None:
    """A time as it is told here; without a zone it is this machine's."""
    from app.errors import VersoError

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # the latter at both ends of time, in other zones
        raise VersoError(
            "bad_usage", f"{text} is not a time: write 2026-03-02 or 2026-03-02T09:30."
        ) from None


LOOKING = (log, show_what, diff, blame, when)
