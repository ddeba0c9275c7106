"""Times, sizes, names and addresses as people read them: the templates' filters.

Names are what history shows: what the author was called then, never an account's id.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from markupsafe import Markup, escape

from app.model import ActorKind
from app.model.pipelines import StageReport
from app.supabase.reviews import Comment
from app.web.acts import act, why

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.model import ChangeSummary, Person
    from app.supabase.insights import Origin
    from app.supabase.reviews import Review

SOMEBODY = "Somebody who left"
_TONES = 8
_STEPS = ((60, "second", 1), (3600, "minute", 60), (86_400, "hour", 3600), (7 * 86_400, "day", 86_400))
_KIB = 1024
_PLACES = (
    (
        "A page that writes sends its verso-csrf cookie's value as X-CSRF-Token. Reload the page.",
        "This form is from before that. Go back, load its page again, and send it once more.",
    ),
    ("GET /v1/projects lists yours", "The first page lists yours"),
    ("GET /v1/me/invitations lists yours", "The page of your account lists yours"),
    ("GET /v1/me shows", "the page of their account shows"),
)


class Who(msgspec.Struct, frozen=True):
    """Somebody as a chip: `tone` is one of eight colours, the same for the same person everywhere."""

    name: str
    initials: str
    tone: int
    kind: str
    about: str
    """More about it: for whom an agent wrote, who imported it; empty for people themselves."""


def who(change: ChangeSummary | Origin) -> Who:
    """Who wrote a change, or the version that lines came with."""
    name = change.author_name or _name_of(change.author)
    if change.origin is not None:
        about = f"imported from Git by {_name_of(change.author)}"
        return _chip(name, change.origin.author_email or name, "import", about)
    if change.actor is ActorKind.agent:
        whom = getattr(change, "on_behalf_of", None)
        behind = f" for {_name_of(whom)}" if whom is not None else ""
        return _chip(change.agent or name, change.author.id, "agent", f"an agent{behind}")
    return _chip(name, change.author.id, "human", "")


def written_by(change: ChangeSummary, account: Person) -> bool:
    """Whether somebody wrote a change, so that another has to approve it; the database decides it."""
    attributed = change.origin.attributed_to if change.origin is not None else None
    return account.id in {change.author.id, attributed.id if attributed is not None else None}


def person(account: Person) -> Who:
    """An account as it is called now."""
    return _chip(_name_of(account), account.id, "human", "")


def spoken_by(said: Comment | Review | StageReport) -> Who:
    """Who commented, gave a verdict, or reported a stage."""
    account = (
        said.author
        if isinstance(said, Comment)
        else said.reporter
        if isinstance(said, StageReport)
        else said.reviewer
    )
    if said.actor is ActorKind.agent:
        return _chip(said.agent or _name_of(account), account.id, "agent", "an agent")
    return person(account)


def ago(moment: datetime, now: datetime | None = None) -> Markup:
    """A time element: how long ago in words, the moment itself for machines and in the tooltip."""
    moment = moment.astimezone(UTC)
    words = _ago(moment, now or datetime.now(UTC))
    told = moment.isoformat(timespec="seconds")
    exact = f"{told[:10]} {told[11:16]} UTC"
    # Digits and words of ours: nothing to escape, and pages have hundreds of these.
    return Markup(f'<time datetime="{told}" title="{exact}">{words}</time>')  # noqa: S704


def day(moment: datetime) -> Markup:
    """A time element with the date."""
    moment = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(moment.date().isoformat(), _day(moment))


def size(count: int | None) -> str:
    """A number of bytes in the largest fitting unit (1 KB is 1024 bytes)."""
    if count is None:
        return ""
    if count < _KIB:
        return f"{count} byte{'' if count == 1 else 's'}"
    value = float(count)
    for unit in ("KB", "MB", "GB", "TB"):
        value /= _KIB
        if value < _KIB or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"  # noqa: PLR2004


def span(seconds: float | None) -> str:
    """A time in the two largest units that it has."""
    if seconds is None:
        return "none"
    left = round(seconds)
    if left < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s" if seconds < 10 else f"{left} s"  # noqa: PLR2004
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, length)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
    return " ".join(each for each in parts[:2] if each)


def percent(share: float | None) -> str:
    """A share from 0 to 1."""
    return "none" if share is None else f"{share:.0%}"


def for_people(sentence: str) -> str:
    """A refusal as a page says it: where it sends programs to an address, people are sent to a page."""
    for address, place in _PLACES:
        sentence = sentence.replace(address, place)
    return sentence


def spoken(word: str) -> str:
    """A state's name as a word."""
    return word.replace("_", " ")


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def in_url(path: str) -> str:
    """A document's path as a part of an address."""
    return quote(path, safe="/")


def in_query(value: object) -> str:
    """A value as a part of a query."""
    return quote(str(value), safe="")


def query(values: dict[str, object]) -> str:
    """The query of an address; values that say nothing are left out."""
    return urlencode({name: str(value) for name, value in values.items() if value not in {None, ""}})


def headline(message: str) -> str:
    """The first line of a message."""
    return message.strip().split("\n", 1)[0].strip()


def rest(message: str) -> str:
    """What a message says after its first line."""
    return message.strip().partition("\n")[2].strip()


def breakable(path: str) -> Markup:
    """A path that may break after its slashes."""
    return Markup("/<wbr>").join(escape(each) for each in path.split("/"))


def folder(path: str) -> str:
    """The folder of a path; empty at the root."""
    return path.rpartition("/")[0]


def name(path: str) -> str:
    """The last segment of a path."""
    return path.rpartition("/")[2]


def _name_of(account: Person) -> str:
    return account.name or account.handle or SOMEBODY


def _chip(called: str, key: str, kind: str, about: str) -> Who:
    words = [each for each in called.replace("-", " ").replace(".", " ").split() if each[0].isalnum()]
    initials = "".join(each[0] for each in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
    tone = hashlib.sha256(key.encode()).digest()[0] % _TONES
    return Who(called, initials[:2] or "?", tone, kind, about)


def _ago(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    if seconds < 10:  # noqa: PLR2004
        return "just now"
    for limit, unit, length in _STEPS:
        if seconds < limit:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return f"on {_day(moment)}"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


FILTERS: dict[str, Callable[..., Any]] = {
    "act": act,
    "why": why,
    "who": who,
    "person": person,
    "spoken_by": spoken_by,
    "written_by": written_by,
    "query": query,
    "for_people": for_people,
    "ago": ago,
    "day": day,
    "size": size,
    "count_of": count,
    "span": span,
    "percent": percent,
    "spoken": spoken,
    "in_url": in_url,
    "in_query": in_query,
    "headline": headline,
    "rest": rest,
    "breakable": breakable,
    "folder": folder,
    "name_of": name,
}
