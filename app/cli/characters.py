"""What documents, messages and names hold goes to a terminal as characters only.

A control sequence in a message must not move anybody's cursor, change a title or paste anything.
"""

from __future__ import annotations

import re

# C0 but tab, DEL, C1, and what turns the direction of a line around (CVE-2021-42574).
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PICTURES = 0x2400


def safe(text: str) -> str:
    """A line for a terminal: control characters as pictures (␛), what turns directions by its name."""
    return _UNSAFE.sub(lambda found: _picture(found[0]), text)


def safe_lines(text: str) -> str:
    """Lines for a terminal, each of them safe."""
    return "\n".join(map(safe, text.split("\n")))


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:  # noqa: PLR2004 - C0, whose pictures are in a row of their own
        return chr(_PICTURES + code)
    if code == 0x7F:  # noqa: PLR2004 - DEL
        return "␡"
    import unicodedata  # nearly never needed, and every command would load it

    return f"<{unicodedata.name(character, f'U+{code:04X}')}>"
