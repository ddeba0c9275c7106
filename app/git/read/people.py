"""Authors of a Git history mapped to accounts: by a file that says who is who, and the repository's .mailmap.

The mapping only says which account somebody is. Names and addresses stay as the commits have them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pygit2

from app.errors import VersoError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.git.read.objects import Identity

_LINE = re.compile(r"\s*(?P<name>[^<>=]*?)\s*(?:<(?P<email>[^<>]*)>)?\s*=\s*(?P<account>\S+)\s*\Z")


class Author(msgspec.Struct, kw_only=True):
    """An author as commits name them, and how often."""

    name: str
    email: str
    account: str | None
    commits: int = 0


class People:
    """Who wrote, by the accounts that a file gives them."""

    def __init__(self, lines: Iterable[str] = (), *, mailmap: Any = None) -> None:
        self._mailmap = mailmap
        self._by_both: dict[tuple[str, str], str] = {}
        self._by_email: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self.authors: dict[tuple[str, str], Author] = {}
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                self._learn(line, number)

    def account(self, who: Identity) -> str | None:
        """The account of an author, or None; counts the commit.

        A name with an address counts more than an address alone, and that more than a name alone.
        """
        key = (who.name, who.email)
        author = self.authors.get(key)
        if author is None:
            author = self.authors[key] = Author(name=who.name, email=who.email, account=self._found(who))
        author.commits += 1
        return author.account

    def _found(self, who: Identity) -> str | None:
        names = [(who.name, who.email)]
        if self._mailmap is not None:
            name, email = self._mailmap.resolve(who.name, who.email)
            names.append((name, email))
        for table in (self._of_both, self._of_email, self._of_name):
            for name, email in names:
                account = table(name, email.lower())
                if account is not None:
                    return account
        return None

    def _of_both(self, name: str, email: str) -> str | None:
        return self._by_both.get((name, email))

    def _of_email(self, _: str, email: str) -> str | None:
        return self._by_email.get(email)

    def _of_name(self, name: str, _: str) -> str | None:
        return self._by_name.get(name)

    def _learn(self, line: str, number: int) -> None:
        found = _LINE.match(line)
        if found is None or not (found["name"] or found["email"]):
            raise VersoError(
                "bad_authors",
                f"Line {number} of the authors file isn't `Name <mail> = account`: {line.strip()!r}",
                line=number,
            )
        name, email, account = found["name"], (found["email"] or "").lower(), found["account"].lstrip("@")
        if name and email:
            self._by_both[name, email] = account
        elif email:
            self._by_email[email] = account
        else:
            self._by_name[name] = account
        if name and email:
            # The same address under another spelling of the name is the same person, unless a line says else.
            self._by_email.setdefault(email, account)


def read_mailmap(repository: Any) -> Any:
    """The repository's .mailmap, or None when there is none that can be read."""
    try:
        return pygit2.Mailmap.from_repository(repository)
    except (pygit2.GitError, KeyError, ValueError):
        return None
