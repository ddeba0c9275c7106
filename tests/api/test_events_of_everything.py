"""Whatever is written in a project is an event: every route that writes is tried, and what it tells is looked up."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from app.main import HANDLERS
from tests.api.test_imports import commit, put
from tests.api.test_imports import send as send_import
from tests.api.world import Api, Person, make_project, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.api.world import Contract, People, Project
    from tests.stack import Stack

NOTHING_HAPPENS = {
    "update_me": "a person is not a project's",
    "list_held": "reads",
    "read_many_contents": "reads",
    "fetch_objects": "reads",
    "refuse_push": "writes nothing",
    "preview_merge": "reads",
    "bisect_document": "reads",
    "replay_webhook": "tells again what happened",
    "set_presence": "a hint for some seconds, in frames of its own",
}
SIGN_IN = re.compile(r"/auth/")


@pytest.fixture
def keyed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A process that may make accounts for agents."""
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)
    with Api(stack) as running:
        yield running
    shutil.rmtree(running.directory)


class Watcher:
    """Does things to a project, and says what events told of them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.tried: set[str] = set()

    def newest(self) -> int:
        answer = self.project.people.owner.get(f"{self.project.url}/events", params={"limit": 1})
        return int(answer.json()["newest"])

    def told(self, handler: str, act: Callable[[], httpx.Response]) -> list[str]:
        """The kinds of events that an act made; it must succeed, and be told of."""
        self.tried.add(handler)
        before = self.newest()
        self.answer = act()
        assert self.answer.is_success, (handler, self.answer.text)
        page = self.project.people.owner.get(f"{self.project.url}/events", params={"after": before})
        kinds = [each["kind"] for each in page.json()["items"]]
        assert kinds, f"{handler} writes, and no event tells of it."
        return kinds


def test_every_route_that_writes_is_told_of(
    stack: Stack, keyed: Api, people: People, contract: Contract
) -> None:
    imported = Watcher(make_project(people))
    batch = [commit(1, put("a.md", b"one"))]
    assert imported.told("import_changes", lambda: send_import(imported.project, batch, b"one")) == [
        "change.added"
    ]
    watch = Watcher(make_project(people))
    project, url = watch.project, watch.project.url
    owner, editor, reviewer = people.owner, people.editor, people.reviewer
    new = Person(keyed, sign_in(stack, "newcomer"), contract)
    other = Person(keyed, sign_in(stack, "other"), contract)

    assert watch.told("update_project", lambda: owner.patch(url, json={"name": "x"})) == ["project.edited"]
    assert watch.told("update_project", lambda: owner.patch(url, json={"archived": True})) == [
        "project.archived"
    ]
    assert watch.told("update_project", lambda: owner.patch(url, json={"archived": False})) == [
        "project.reopened"
    ]
    rules = f"{url}/rules"
    assert watch.told("set_rules", lambda: owner.patch(rules, json={"tags_need_approval": True})) == [
        "project.rules_set"
    ]
    owner.patch(rules, json={"tags_need_approval": False})

    member = f"{url}/members/{new.id}"
    assert watch.told("set_member", lambda: owner.put(member, json={"role": "reader"})) == ["member.added"]
    assert watch.told("set_member", lambda: owner.put(member, json={"role": "editor"})) == ["member.role_set"]
    folders = {"folders": ["docs"]}
    assert watch.told("set_folders", lambda: owner.put(f"{member}/folders", json=folders)) == [
        "member.role_set"
    ]
    assert watch.told("remove_member", lambda: owner.delete(member)) == ["member.removed"]

    def invite(email: str) -> httpx.Response:
        return owner.post(f"{url}/invitations", json={"role": "reader", "email": email})

    for answered, kinds in (
        ("accept", {"invitation.accepted", "member.added"}),
        ("decline", {"invitation.declined"}),
    ):
        assert watch.told("create_invitation", lambda: invite(other.email)) == ["invitation.added"]
        where = f"/v1/me/invitations/{watch.answer.json()['id']}/{answered}"
        assert set(watch.told(f"{answered}_invitation", lambda where=where: other.post(where))) == kinds
        owner.delete(f"{url}/members/{other.id}")
    watch.told("create_invitation", lambda: invite("nobody@example.com"))
    where = f"{url}/invitations/{watch.answer.json()['id']}"
    assert watch.told("revoke_invitation", lambda: owner.delete(where)) == ["invitation.revoked"]

    by_keyed = Person(
        keyed, {"access_token": owner.token, "user": {"id": owner.id, "email": owner.email}}, contract
    )
    named = {"name": "planner", "role": "editor"}
    assert set(watch.told("create_agent", lambda: by_keyed.post(f"{url}/agents", json=named))) == {
        "agent.added",
        "member.added",
    }
    agent = f"{url}/agents/planner"
    assert watch.told("rotate_agent", lambda: by_keyed.post(f"{agent}/rotate")) == ["agent.rotated"]
    # Its account is closed as well, which is told like any account's end unless it is no member by then.
    assert {"agent.revoked", "member.removed"} <= set(
        watch.told("revoke_agent", lambda: by_keyed.delete(agent))
    )

    assert watch.told("create_session", lambda: editor.post(f"{url}/sessions", json={"slug": "s"})) == [
        "session.added"
    ]
    session = f"{url}/sessions/s"
    assert watch.told("update_session", lambda: editor.patch(session, json={"title": "x"})) == [
        "session.edited"
    ]
    report = {"state": "in_progress"}
    assert watch.told("report_stage", lambda: editor.post(f"{session}/stages/spec/reports", json=report)) == [
        "stage.reported"
    ]

    written = ["change.added"]
    file = project.file("docs/a.md")
    assert watch.told("put_file", lambda: editor.put(file, content="1")) == written
    version = watch.answer.json()["version"]
    document = f"/v1/documents/{version['document']}"

    def based() -> dict[str, str]:
        return {"If-Match": editor.get(document).headers["etag"]}

    assert watch.told("put_file", lambda: editor.put(file, content="2", headers=based())) == written
    path = {"path": "docs/b.md"}
    assert watch.told("edit_document", lambda: editor.patch(document, json=path, headers=based())) == written
    assert (
        watch.told(
            "restore_document",
            lambda: editor.post(f"{document}/restore", json={"version": 1}, headers=based()),
        )
        == written
    )
    assert watch.told("delete_document", lambda: editor.delete(document, headers=based())) == written
    assert (
        watch.told("undelete_document", lambda: editor.post(f"{document}/undelete", headers=based()))
        == written
    )
    items = {"items": [{"path": "c.md", "text": "1"}]}
    assert watch.told("post_change", lambda: editor.post(f"{url}/changes", json=items)) == written
    c = project.file("c.md")
    etag = editor.get(c).headers["etag"]
    assert watch.told("delete_file", lambda: editor.delete(c, headers={"If-Match": etag})) == written
    back = {"at": str(editor.get(url).json()["change_sequence"] - 1)}
    assert watch.told("restore_project", lambda: editor.post(f"{url}/restore", json=back)) == written

    assert watch.told("create_tag", lambda: editor.post(f"{url}/tags", json={"name": "t"})) == ["tag.added"]
    about = f"/v1/versions/{version['hash']}"
    verdict = {"verdict": "approve", "body": "Good."}
    assert set(watch.told("create_review", lambda: reviewer.post(f"{about}/reviews", json=verdict))) == {
        "comment.added",
        "review.added",
    }
    remark: dict[str, Any] = {"body": "x"}
    assert watch.told("create_comment", lambda: reviewer.post(f"{about}/comments", json=remark)) == [
        "comment.added"
    ]
    comment = f"/v1/comments/{watch.answer.json()['id']}"
    assert watch.told("create_reply", lambda: editor.post(f"{comment}/replies", json=remark)) == [
        "comment.added"
    ]
    assert watch.told("resolve_comment", lambda: editor.post(f"{comment}/resolve")) == ["comment.resolved"]
    assert watch.told("reopen_comment", lambda: editor.post(f"{comment}/reopen")) == ["comment.reopened"]
    assert watch.told("retract_comment", lambda: reviewer.delete(comment)) == ["comment.retracted"]

    hooks = f"{url}/webhooks"
    somewhere = {"url": "https://example.com/hook"}
    assert watch.told("create_webhook", lambda: owner.post(hooks, json=somewhere)) == ["webhook.added"]
    hook = f"{hooks}/{watch.answer.json()['id']}"
    paused = {"state": "paused"}
    assert watch.told("update_webhook", lambda: owner.patch(hook, json=paused)) == ["webhook.edited"]
    assert watch.told("rotate_webhook", lambda: owner.post(f"{hook}/rotate", json={})) == ["webhook.rotated"]
    assert watch.told("remove_webhook", lambda: owner.delete(hook)) == ["webhook.removed"]

    watch.told("put_file", lambda: editor.put(project.file("private.md"), content="a person's name"))
    content = watch.answer.json()["version"]["sha256"]
    erasing = {"sha256": content, "confirm": content, "reason": "asked for"}
    assert "content.erased" in watch.told(
        "create_erasure", lambda: owner.post(f"{url}/erasures", json=erasing)
    )

    kinds = [each["kind"] for each in owner.get(f"{url}/events", params={"limit": 5}).json()["items"]]
    assert kinds[0] == "project.added"
    tried = watch.tried | imported.tried | {"create_project"}
    writing = {
        handler.handler_name
        for handler in HANDLERS
        for path in handler.paths
        if handler.http_methods - {"GET", "HEAD", "OPTIONS"} and not SIGN_IN.match(path)
    }
    untold = writing - tried - set(NOTHING_HAPPENS)
    assert not untold, f"Try {sorted(untold)} here, or say in NOTHING_HAPPENS why nothing is to be told."
