"""Git's names as Verso's paths: any bytes but NUL and / on one side, Unicode in NFC on the other.

Nearly every name is the same on both. The others are rewritten segment by segment, so that a document isn't
lost for its name, and each is reported:

- not UTF-8: read as Windows-1252 (Latin-1 with its curly quotation marks), the usual case of old histories;
- UTF-8 in another form than NFC (macOS wrote NFD): put into NFC;
- control characters: %0A and so on.

Where that meets a name that is there already in the same folder, the other one is left out, and reported.
"""

from __future__ import annotations

import re

from app.model import nfc

_PLAIN = re.compile(rb"[ -~]+\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def name_of(raw: bytes) -> str:
    """One segment of a path as Verso can have it; equal to the raw name where that is possible."""
    if _PLAIN.match(raw):
        return raw.decode("ascii")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        try:
            name = raw.decode("cp1252")
        except UnicodeDecodeError:
            name = raw.decode("latin-1")
    escaped = _CONTROL.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    return nfc(escaped)


def shown(raw: bytes) -> str:
    """A raw name for people: what isn't UTF-8 or can't be printed is escaped."""
    text = raw.decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def distinct_names(raws: list[bytes]) -> tuple[dict[bytes, str], list[bytes]]:
    """Each raw name of a folder with its name, and those that are left out because another one has it.

    A name that needs no rewriting goes first; of others the first in Git's order.
    """
    names = {raw: name_of(raw) for raw in raws}
    taken: dict[str, bytes] = {name: raw for raw, name in names.items() if name.encode() == raw}
    lost = []
    for raw, name in names.items():
        if taken.setdefault(name, raw) != raw:
            lost.append(raw)
    return {raw: name for raw, name in names.items() if raw not in set(lost)}, lost
