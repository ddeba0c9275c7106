"""Trees of files read through the API, and what `git apply` makes of one with a patch."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from tests.api.world import Project

Tree = dict[str, bytes]
DIFF = {"Accept": "text/x-diff"}
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


def tree_at(project: Project, at: str | int | None = None) -> Tree:
    """Every path at a point with its bytes, one request each."""
    found: Tree = {}
    query: dict[str, Any] = {"limit": 200} | ({} if at is None else {"at": at})
    while True:
        page = project.people.reader.get(f"{project.url}/tree", params=query).json()
        for entry in page["items"]:
            read = project.people.reader.get(
                project.file(entry["path"]), params={} if at is None else {"at": at}
            )
            assert read.status_code == 200, read.text
            found[entry["path"]] = read.content
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def diff(project: Project, **query: Any) -> httpx.Response:
    """The patch between two points; `from_` and `to` are points."""
    if "from_" in query:
        query["from"] = query.pop("from_")
    return project.people.reader.get(f"{project.url}/diff", params=query, headers=DIFF)


def git_applied(old: Tree, patch: bytes, *options: str) -> Tree:
    """What a tree becomes when `git apply` takes a patch; fails when it refuses."""
    with tempfile.TemporaryDirectory(prefix="verso-apply-") as name:
        root = Path(name).resolve()
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CEILING_DIRECTORIES": str(root.parent),
        }
        subprocess.run(["git", "init", "-q", root], check=True, env=environment)
        for path, content in old.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        applied = subprocess.run(
            ["git", "apply", "--allow-empty", "--whitespace=nowarn", *options],
            input=patch,
            cwd=root,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert applied.returncode == 0, applied.stderr.decode() + "\n" + patch.decode(errors="replace")
        return {
            str(each.relative_to(root)): each.read_bytes()
            for each in root.rglob("*")
            if each.is_file() and ".git" not in each.relative_to(root).parts
        }
