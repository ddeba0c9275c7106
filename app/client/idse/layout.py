"""Which project, session and place a path of an IDSE tree belongs to. Layouts moved twice: there are three.

projects/<project>/sessions/<session>/intents/intent.md          the present one
.idse/projects/<project>/sessions/<session>/intents/intent.md    one folder deeper
intents/projects/<project>/sessions/<session>/intent.md          the oldest: stage first
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from app.model import Stage

STAGE_FOLDERS = {
    "intents": Stage.intent,
    "contexts": Stage.context,
    "specs": Stage.spec,
    "plans": Stage.plan,
    "tasks": Stage.tasks,
    "implementation": Stage.implementation,
    "feedback": Stage.feedback,
}
"""As the database names them (private.stage_of)."""
PRESENT, IDSE, STAGE_FIRST = 0, 1, 2
MAX_SLUG = 64


class Spot(msgspec.Struct, frozen=True):
    """Where a path belongs. `rank` says which layout it is of: the lower one wins where two have a file."""

    project: str
    session: str | None
    """None for what belongs to the project itself."""
    rest: str
    """The path below the session's folder, or the project's."""
    rank: int

    @property
    def path(self) -> str:
        """Its path in the project: below the session's root."""
        return f"{root_of(self.session)}/{self.rest}" if self.session else self.rest


def spot_of(path: str) -> Spot | None:
    """Where a path of an IDSE tree belongs, or None when it belongs to no project."""
    parts = path.split("/")
    rank, stage = PRESENT, ""
    if parts[0] == ".idse" and parts[1:2] == ["projects"]:
        rank, parts = IDSE, parts[1:]
    elif parts[0] in STAGE_FOLDERS and parts[1:2] == ["projects"]:
        rank, stage, parts = STAGE_FIRST, parts[0], parts[1:]
    if parts[0] != "projects" or len(parts) < 3:  # noqa: PLR2004 - projects/<p>/<something>
        return None
    project, rest = parts[1], parts[2:]
    session = None
    if rest[0] == "sessions" and len(rest) > 2:  # noqa: PLR2004 - sessions/<s>/<something>
        session, rest = rest[1], rest[2:]
    if stage:
        rest = [stage, *rest]
    return Spot(project, session, "/".join(rest), rank)


def root_of(session: str) -> str:
    """A session's root in its project; documents keep their names below it."""
    return f"sessions/{session}"


def slug_of(name: str) -> str | None:
    """A folder's name as a slug, or None when nothing of it can be one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:MAX_SLUG].strip("._-")
    return slug or None
