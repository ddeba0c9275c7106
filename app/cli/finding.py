"""`verso search`, `tag`, `bisect`, `open`: finding a place in history, and naming one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import rich_click as click

from app.cli.completing import DocumentPath
from app.cli.exits import api_option, json_option, telling
from app.cli.histories import looking, project_option, show
from app.cli.reaching import connect, no_project, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from app.client.looking.halving import Verdict
    from app.model import Version

MOST_HITS = 50


class _Hits(msgspec.Struct, frozen=True):
    items: list[dict[str, Any]]
    complete: bool
    next: str | None


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--all", "every", is_flag=True, help="In all versions, not only in what is there now.")
@click.option("--path", "prefix", default="", help="Only paths that begin so.")
@click.option("--author", help="Only versions by this person: a handle or an id.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="Hits at most.")
@project_option
@api_option
@json_option
def search(words: tuple[str, ...], *, every: bool, prefix: str, author: str | None, limit: int,
           project: str | None, api: str | None, as_json: bool) -> None:  # fmt: skip
    """Search the documents' texts, on the server: all WORDS, "a phrase", or, -without."""
    with telling(as_json) as out:
        from app.client.history import home_of

        with reach(api, project) as (client, named):
            where = "all" if every else "latest"
            asked: dict[str, Any] = {"q": " ".join(words), "in": where, "prefix": prefix, "author": author}
            hits: list[Any] = []
            complete, cursor = True, None
            while len(hits) < limit:
                size = min(MOST_HITS, limit - len(hits))
                page = client.get(f"{home_of(named)}/search", kind=_Hits, limit=size, cursor=cursor, **asked)
                hits += page.items
                complete, cursor = complete and page.complete, page.next
                if cursor is None:
                    break
        if as_json:
            out.tell({"items": hits, "complete": complete})
            return
        show(_hits(hits))
        if not complete:
            out.note("Some contents could not be searched: too large, not text, or not indexed yet.")


@click.command()
@click.argument("name", required=False)
@click.option("--at", metavar="POINT", help="Which change; unless given, the newest.")
@click.option("-m", "--message", default="", help="What it is for.")
@project_option
@api_option
@json_option
def tag(name: str | None, *, at: str | None, message: str, project: str | None, api: str | None,
        as_json: bool) -> None:  # fmt: skip
    """List the tags, or give a point of history a NAME. Tags never move."""
    with telling(as_json) as out:
        from app.cli.looking_told import told_tag

        if name is None:
            with looking(api, project, quiet=as_json) as looked:
                tags = looked.history.mirror.tags()
            if as_json:
                out.tell(tags)
            else:
                show(told_tag(each) for each in tags)
            return
        with looking(api, project, quiet=as_json) as looked:
            from app.client.history import fetch_tags, home_of

            history = looked.history
            point = None if at is None else history.mirror.change(history.resolve(at)).hash
            with connect(api) as client:
                body = {"name": name, "at": point, "message": message}
                made = client.post(f"{home_of(history.project)}/tags", body)
                fetch_tags(client, history.mirror, history.project)
        out.tell(made, f"{name} is #{made['change']}.")


@click.command()
@click.argument("path", type=DocumentPath(), metavar="PATH")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
@click.option("--good", metavar="POINT", help="Where it was good; unless given, the document's beginning.")
@click.option("--bad", metavar="POINT", help="Where it is bad; unless given, now.")
@project_option
@api_option
@json_option
def bisect(path: str, command: tuple[str, ...], *, good: str | None, bad: str | None, project: str | None,
           api: str | None, as_json: bool) -> None:  # fmt: skip
    """Find the version of a document that broke it, in as few looks as can be.

    COMMAND judges each version: it gets a file of that content in place of `{}`, or at its end. Exit code 0
    is good, 125 can't be told, any other below 128 is bad. Without COMMAND you are asked.
    """
    with telling(as_json) as out, looking(api, project, quiet=as_json) as looked:
        from app.cli.characters import safe
        from app.cli.judging import judging
        from app.cli.looking_told import author_of, moment
        from app.client.looking.halving import halve

        history = looked.history
        name = looked.path(path)
        low = 0 if good is None else history.resolve(good)
        high = history.mirror.newest if bad is None else history.resolve(bad)
        versions = _between(history.mirror.versions(name), low=low, high=high)
        by_number = {version.number: version for version in versions}

        def judge(number: int, left: int) -> Verdict:
            version = by_number[number]
            verdict = judges(version, history.bytes_of(version), left)
            out.note(f"#{version.change.sequence} {verdict.value}")
            return verdict

        with judging(command) as judges:
            found = halve(sorted(by_number), judge)
        first = by_number[found.first_bad]
        suspects = [by_number[each] for each in found.suspects]
        change = first.change
        told = (
            f"The first bad one is #{change.sequence} ({author_of(change)}, {moment(change.authored_at)}): "
            f"{safe(change.message.partition(chr(10))[0])}"
            if not suspects
            else "It is one of " + ", ".join(f"#{each.change.sequence}" for each in suspects) + "."
        )
        out.tell({"path": name, "first_bad": first, "suspects": suspects, "looked_at": found.looked_at}, told)


@click.command(name="open")
@click.argument("path", required=False, type=DocumentPath())
@click.option("--print", "only_print", is_flag=True, help="Print the address, open nothing.")
@project_option
@api_option
@json_option
def open_page(path: str | None, *, only_print: bool, project: str | None, api: str | None,
              as_json: bool) -> None:  # fmt: skip
    """Open the server's page of the project, or of the document at PATH, in the browser."""
    with telling(as_json) as out:
        import os
        import webbrowser
        from pathlib import Path
        from urllib.parse import quote

        from app.client.credentials import Logins
        from app.client.looking.source import project_path
        from app.client.place import choose_server, find_place

        place = find_place(Path.cwd())
        named = project or (place.config.slug if place else None)
        if named is None:
            raise no_project()
        mine = place if place and project in {None, place.config.slug, place.config.project} else None
        server = choose_server(api, place=place, environment=os.environ, logins=Logins.of_this_machine())
        name = project_path(path, place=mine, cwd=Path.cwd()) if path else ""
        address = f"{server}/p/{quote(named, safe='')}{f'/files/{quote(name)}' if name else ''}"
        opened = not only_print and not as_json and webbrowser.open(address)
        out.tell({"url": address, "opened": opened}, address)


def _between(versions: list[Version], *, low: int, high: int) -> list[Version]:
    """The versions with content from the one that was there at `low` to the one at `high`, oldest first."""
    from app.errors import VersoError

    known = [version for version in reversed(versions) if version.change.sequence <= high]
    before = [version for version in known if version.change.sequence <= low]
    kept = [*before[-1:], *(version for version in known if version.change.sequence > low)]
    found = [version for version in kept if version.sha256 is not None]
    if len(found) < 2:  # noqa: PLR2004 - a good one and a bad one
        raise VersoError("bad_usage", "There are no two versions between these points: nothing to halve.")
    return found


def _hits(hits: list[Any]) -> Iterator[Text]:
    from rich.text import Text

    from app.cli.characters import safe

    def in_line(part: str) -> str:
        return safe(re.sub(r"\s+", " ", part))  # a passage runs over lines, and is shown in one

    for hit in hits:
        version = hit["version"]
        yield Text.assemble(
            (safe(version["path"]), "bold"), (f"  #{version['change']['sequence']}", "yellow")
        )
        for snippet in hit["snippets"]:
            line = Text("    ")
            text, at = snippet["text"], 0
            for start, end in snippet["matches"]:
                line.append(in_line(text[at:start])).append(in_line(text[start:end]), "reverse")
                at = end
            yield line.append(in_line(text[at:]))


FINDING = (search, tag, bisect, open_page)
