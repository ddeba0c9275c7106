"""The reader under the grammar: a text, a position, and the farthest place it failed at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.local.rest.errors import unparsable
from app.local.rest.syntax import Field, JsonStep

if TYPE_CHECKING:
    from app.local.rest.errors import RestError

# Deeper nesting than any client writes; without a limit a long URL could exhaust Python's stack.
DEEPEST = 60
NAME = "field name (* or [a..z0..9_$])"

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NAME = re.compile(r"[\w $]+(?:-(?!>)[\w $]+)*")
_INDEX = re.compile(r"(-?\d+)(?=->|::|\.|,|\Z)")
_KEY = re.compile(r"[^(\-:.,>)]+(?:-(?!>)[^(\-:.,>)]+)*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Mismatch(Exception):  # noqa: N818 - control flow of the parser; never leaves it
    """The text doesn't go on as the grammar wants here."""


class Scanner:
    """One parameter's text while it is being read; `what` names it in the error."""

    def __init__(self, text: str, *, what: str) -> None:
        self.text = text
        self.at = 0
        self._what = what
        self._farthest = 0
        self._expected: list[str] = []

    def fail(self, expected: str) -> Mismatch:
        """Note what was expected here and give the exception to raise."""
        if self.at > self._farthest:
            self._farthest, self._expected = self.at, []
        if self.at == self._farthest and expected not in self._expected:
            self._expected.append(expected)
        return Mismatch()

    def refusal(self) -> RestError:
        """PGRST100 for the farthest place that was reached."""
        rest = self.text[self._farthest : self._farthest + 1]
        unexpected = f'unexpected "{rest}"' if rest else "unexpected end of input"
        *most, last = self._expected or ["valid input"]
        expected = f"{', '.join(most)} or {last}" if most else last
        return unparsable(
            what=self._what, column=self._farthest + 1, details=f"{unexpected} expecting {expected}"
        )

    def done(self) -> bool:
        """Whether the text is used up."""
        return self.at >= len(self.text)

    def blank(self) -> None:
        """Pass over spaces and tabs."""
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def peek(self, token: str) -> bool:
        """Whether the text goes on with the token."""
        return self.text.startswith(token, self.at)

    def take(self, token: str) -> bool:
        """Pass over the token if it is here."""
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def need(self, token: str) -> None:
        """Pass over the token, which must be here."""
        if not self.take(token):
            raise self.fail(f'"{token}"')

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Pass over what the pattern matches here."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def quoted(self) -> str | None:
        """Read a double-quoted value; a backslash keeps the character after it."""
        found = self.match(_QUOTED)
        return _ESCAPE.sub(r"\1", found[1]) if found else None

    def name(self) -> str:
        """Read a name, quoted or bare. Bare names have no dots, and lose outer spaces."""
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        found = self.match(_NAME)
        if not found:
            raise self.fail(NAME)
        return "-".join(part.strip() for part in found[0].split("-"))

    def steps(self) -> tuple[JsonStep, ...]:
        """`->key`, `->>key`, `->0`: any number of them."""
        steps: list[JsonStep] = []
        while self.peek("->"):
            as_text = self.take("->>")
            if not as_text:
                self.take("->")
            index = self.match(_INDEX)
            if index:
                steps.append(JsonStep(as_text=as_text, key=index[1], is_index=True))
                continue
            key = self.quoted()
            if key is None:
                bare = self.match(_KEY)
                if not bare:
                    raise self.fail("any non reserved character different from: .,>()")
                key = "-".join(part.strip() for part in bare[0].split("-"))
            steps.append(JsonStep(as_text=as_text, key=key, is_index=False))
        return tuple(steps)

    def field(self) -> Field:
        """Read a name with its JSON path, spaces around it allowed."""
        self.blank()
        field = Field(self.name(), self.steps())
        self.blank()
        return field
