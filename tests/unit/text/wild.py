"""Wild texts, and the two programs of others that apply patches."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[3] / "fixtures" / "text"

ODD_LINES = (
    b"a\n",
    b"b\n",
    b"\n",
    b"   \n",
    b"\tindented\n",
    b"    deeper\n",
    b"-- like a source header\n",
    b"++ like a target header\n",
    b"-\n",
    b"@@ -1 +1 @@\n",
    b"@@ -1,2 +1,2 @@ heading\n",
    b"diff --git a/x b/x\n",
    b"Binary files a/x and b/y differ\n",
    b"rename from x\n",
    b"\\ No newline at end of file\n",
    b"crlf\r\n",
    b"\r\n",
    b"lone\rcr\n",
    b"\r\r\n",
    b"form\x0cfeed\n",
    b"\x0b\x1c\x1d\x1e\x85\n",
    "line\u2028separator\u2029\n".encode(),
    "naïve 東京 👩‍🚀\n".encode(),
    b"nul\0inside\n",
    b"\xff\xfe invalid\n",
    b"\xed\xa0\x80 surrogate\n",
    b"# Heading\n",
    b"## Heading \x01 with control\n",
)

lines = st.lists(
    st.one_of(st.sampled_from(ODD_LINES), st.binary(max_size=6).map(lambda b: b + b"\n")), max_size=14
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    text = b"".join(draw(lines))
    return text[:-1] if draw(st.booleans()) else text


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Two texts, the second mostly made from the first."""
    old = draw(lines)
    new = list(old)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(new)))
        new[at : at + draw(st.integers(0, 3))] = draw(st.lists(st.sampled_from(ODD_LINES), max_size=3))
    old_text, new_text = b"".join(old), b"".join(new)
    return (
        old_text[:-1] if draw(st.booleans()) else old_text,
        new_text[:-1] if draw(st.booleans()) else new_text,
    )


paths = st.one_of(
    st.sampled_from(
        (
            "plain.md",
            "a b.md",
            "sp b/x.md",
            "d/naïve 東京.md",
            'q"uote\\s.md',
            "t\tab.md",
            "-x.md",
            "a/b",
            "b/a",
            "x b/x b/x",
        )
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0/."), min_size=1, max_size=12),
)


class Outcome(NamedTuple):
    ok: bool
    text: bytes | None
    said: bytes


def git_apply(
    patch: bytes, old: bytes | None, *, old_path: str | None, new_path: str | None, context: int = 3
) -> Outcome:
    arguments = ["git", "apply", "--whitespace=nowarn", *(["--unidiff-zero"] if context == 0 else []), "-"]
    return _run(arguments, patch, old, old_path=old_path, new_path=new_path)


def gnu_patch(patch: bytes, old: bytes | None, *, old_path: str | None, new_path: str | None) -> Outcome:
    arguments = ["patch", "-p1", "--binary", "--silent", "--fuzz=0", "--no-backup-if-mismatch", "--force"]
    return _run(arguments, patch, old, old_path=old_path, new_path=new_path)


def _run(
    arguments: list[str], patch: bytes, old: bytes | None, *, old_path: str | None, new_path: str | None
) -> Outcome:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        if old_path is not None:
            (root / old_path).parent.mkdir(parents=True, exist_ok=True)
            (root / old_path).write_bytes(old or b"")
        run = subprocess.run(
            arguments,
            cwd=root,
            input=patch,
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CEILING_DIRECTORIES": str(root.parent)},
        )
        result = root / (new_path or old_path or "")
        return Outcome(
            run.returncode == 0, result.read_bytes() if result.is_file() else None, run.stdout + run.stderr
        )


def history() -> list[bytes]:
    return [path.read_bytes() for path in sorted((FIXTURES / "history").glob("*.md"))]
