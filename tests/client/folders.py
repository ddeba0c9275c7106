"""Working folders of people at the real server: each a directory, an Api and a handful of verbs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Self

import httpx

from app.client.api import Api
from app.client.folder import Folder, open_folder
from app.client.place import HIDDEN, Place
from app.client.pull import Pulled, clone, pull
from app.client.push import Pushed, push
from tests.api.world import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.world import Api as Server
    from tests.stack import Stack


class Someone:
    """A signed-in account."""

    def __init__(self, stack: Stack, server: Server, name: str = "someone") -> None:
        session = sign_in(stack, name)
        self.url = server.url
        self.token: str = session["access_token"]
        self.id: str = session["user"]["id"]

    def api(self, **options: Any) -> Api:
        return Api(self.url, self.token, **options)

    def project(self, *editors: Someone) -> str:
        """A new project of theirs, with editors."""
        with self.api() as api:
            made = api.post("/v1/projects", {"slug": f"p-{uuid.uuid4().hex[:12]}"})
            for editor in editors:
                where = f"/v1/projects/{made['id']}/members/{editor.id}"
                api.send("PUT", where, {"role": "editor"})
            return str(made["id"])


class Copy:
    """A person's working folder. `with` closes its connections."""

    def __init__(self, person: Someone, project: str, root: Path, **options: Any) -> None:
        self.person = person
        self.root = root
        self.api = person.api(**options)
        self.place: Place
        self.place, self.cloned = clone(self.api, project, root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()

    def write(self, path: str, content: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def files(self) -> dict[str, bytes]:
        """All files but the hidden ones."""
        return {
            file.relative_to(self.root).as_posix(): file.read_bytes()
            for file in sorted(self.root.rglob("*"))
            if file.is_file() and HIDDEN not in file.relative_to(self.root).parts
        }

    def pull(self) -> Pulled:
        with open_folder(self.place) as folder:
            return pull(self.api, folder)

    def push(self, message: str = "", **how: Any) -> Pushed:
        with open_folder(self.place) as folder:
            return push(self.api, folder, message=message, **how)

    def opened(self) -> Any:
        return open_folder(self.place)


def tree_of(person: Someone, project: str) -> dict[str, bytes]:
    """What the server has now, by path."""
    with httpx.Client(
        base_url=person.url, headers={"Authorization": f"Bearer {person.token}"}, trust_env=False, timeout=60
    ) as client:
        tree: dict[str, bytes] = {}
        cursor = None
        while True:
            params = {"limit": "200", **({"cursor": cursor} if cursor else {})}
            page = client.get(f"/v1/projects/{project}/tree", params=params).raise_for_status().json()
            for entry in page["items"]:
                where = f"/v1/projects/{project}/contents/{entry['sha256']}"
                tree[entry["path"]] = client.get(where).raise_for_status().content
            cursor = page["next"]
            if cursor is None:
                return tree


__all__ = ["Copy", "Folder", "Someone", "tree_of"]
