"""Examples for the OpenAPI document: real structs, so that none has a form that the service never sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.flows.keep_agents import Credential, KeptAgent, RevokedAgent
from app.model import (
    Action,
    ActorKind,
    Change,
    ChangeSummary,
    Document,
    Member,
    MirroredChange,
    Person,
    Project,
    Role,
    Session,
    SessionDocument,
    SessionStatus,
    SessionType,
    Stage,
    Tag,
    TreeEntry,
    Version,
    VersionState,
)
from app.supabase.agents import Agent
from app.supabase.analytics import AnalyticsRow, Times
from app.supabase.audit import AuditEntry
from app.supabase.invitations import Invitation, InvitationState, InvitedTo, MyInvitation
from app.supabase.reviews import Comment, Review, Side, Verdict
from app.supabase.webhooks import Delivery, KeyedWebhook, Webhook

PROJECT = "0b1d5a44-7c39-4bb0-9f29-6f0b8f4c2d11"
DOCUMENT = "5a8f1c1e-1f0e-4d0f-b0c4-3a3f9a2f7d10"
COMMENT = "77665544-3322-4100-8877-665544332211"
AGENT = "2b9e4c1d-7f60-4a8b-8c35-9d1e0f2a3b4c"
INVITATION = "1a2b3c4d-5e6f-4708-91a2-b3c4d5e6f708"
SESSION = "c2f7b0de-58a1-4f4a-8a35-6d0d1a1f0c22"
PATH = "sessions/milkdown-crepe/specs/spec.md"
HASH = "8c1f4e0f5d3e7b6a9c2d1e0f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"
PARENT = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809"
CHANGE = "f00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeed"
_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
COMMIT = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

person = Person(id="6d7a5f6e-0d1c-4a43-9b6e-3a0b8d1f2c33", handle="zoe", name="Zoë Ahlgren")
summary = ChangeSummary(
    project=PROJECT,
    sequence=42,
    message="Say what a stale base is",
    author=person,
    actor=ActorKind.human,
    authored_at=_MOMENT,
    committed_at=_MOMENT,
    source="api",
    version_count=1,
    previous=PARENT,
    hash=CHANGE,
)
state = VersionState(
    hash=HASH,
    project=PROJECT,
    document=DOCUMENT,
    number=7,
    action=Action.edit,
    path=PATH,
    parent=PARENT,
    sha256=_SHA256,
    size=5,
    media_type="text/markdown",
)
version = Version(**msgspec.structs.asdict(state), change=summary)
change = Change(**msgspec.structs.asdict(summary), versions=[state])
project = Project(
    id=PROJECT,
    slug="idse-core",
    name="IDSE Core",
    description="Intent-driven systems engineering",
    role=Role.owner,
    created_at=_MOMENT,
    change_sequence=42,
    change_hash=CHANGE,
    event_sequence=97,
    joined_at=_MOMENT,
)
member = Member(person=person, role=Role.editor, created_at=_MOMENT)
invitation = Invitation(
    id=INVITATION,
    project=PROJECT,
    sequence=12,
    email="zoe@example.com",
    role=Role.editor,
    state=InvitationState.pending,
    invited_by=person,
    created_at=_MOMENT,
    expires_at=_MOMENT + timedelta(days=14),
)
my_invitation = MyInvitation(
    id=INVITATION,
    project=InvitedTo(id=PROJECT, slug="idse-core", name="IDSE Core"),
    role=Role.editor,
    github_login="zoe",
    invited_by=person,
    created_at=_MOMENT,
    expires_at=_MOMENT + timedelta(days=14),
)
document = Document(
    id=DOCUMENT,
    project=PROJECT,
    path=PATH,
    live=True,
    head=HASH,
    head_number=7,
    head_sequence=42,
    created_at=_MOMENT,
    version=version,
    session=SESSION,
    stage=Stage.spec,
)
session = Session(
    id=SESSION,
    project=PROJECT,
    slug="milkdown-crepe",
    title="Milkdown Crepe",
    type=SessionType.exploratory,
    status=SessionStatus.in_progress,
    root="sessions/milkdown-crepe",
    created_at=_MOMENT,
    updated_at=_MOMENT,
    created_by=person,
    documents=[SessionDocument(id=DOCUMENT, path=PATH, stage=Stage.spec, head=HASH, head_number=7)],
)
entry = TreeEntry(
    path=PATH,
    document=DOCUMENT,
    version=HASH,
    number=7,
    sha256=_SHA256,
    size=5,
    media_type="text/markdown",
    change=42,
    session=SESSION,
    stage=Stage.spec,
)
tag = Tag(
    project=PROJECT, name="reviewed/2026-03", change=42, message="", created_at=_MOMENT, created_by=person
)

review = Review(
    id="0f1e2d3c-4b5a-4697-8877-665544332211",
    project=PROJECT,
    document=DOCUMENT,
    version=HASH,
    number=7,
    sequence=91,
    reviewer=person,
    actor=ActorKind.human,
    verdict=Verdict.approve,
    comment=COMMENT,
    body="Clear now.",
    created_at=_MOMENT,
    counts=True,
)
comment = Comment(
    id=COMMENT,
    project=PROJECT,
    document=DOCUMENT,
    version=HASH,
    number=7,
    thread=COMMENT,
    sequence=90,
    author=person,
    actor=ActorKind.human,
    body="Which base is meant here?",
    created_at=_MOMENT,
    side=Side.new,
    first_line=12,
    last_line=14,
    resolved=False,
)
placed = {
    **msgspec.structs.asdict(comment),
    "outdated": False,
    "at_lines": {"first": 15, "last": 17},
    "at_line": 15,
}
agent = Agent(
    id=AGENT,
    project=PROJECT,
    name="spec-writer",
    handle="spec-writer",
    role=Role.editor,
    acts_for=person,
    made_by=person,
    made_at=_MOMENT,
    rotated_at=None,
    revoked_at=None,
    active=True,
)

times = Times(count=12, mean=5400.0, p50=4140.0, p90=11040.0)
figures = AnalyticsRow(
    stage=Stage.spec,
    lead_time=times,
    session_lead_time=None,
    waiting_time=times,
    resolution_time=None,
    work_in_progress=3,
    stages_started=15,
    stages_completed=12,
    stages_skipped=0,
    stages_failed=2,
    stages_reopened=1,
    stages_returned_to=1,
    sessions_completed=0,
    validations=20,
    validations_passed=17,
    validation_pass_rate=0.85,
    checks=240,
    errors=5,
    warnings=9,
    requires_input=2,
    open_threads=4,
    threads_opened=6,
    threads_reopened=0,
    threads_resolved=5,
    approvals=8,
    changes_requested=2,
    changes=40,
    versions=44,
    merges=1,
    restores=0,
    rework_versions=3,
)
webhook = Webhook(
    id=INVITATION,
    project=PROJECT,
    url="https://ci.example.com/verso",
    description="Rebuilds the handbook",
    kinds=["change.added"],
    prefix="docs/",
    state="active",
    made_by=person,
    made_at=_MOMENT,
    place=41,
    newest=42,
    attempts=2,
    failing_since=_MOMENT,
    last_error="answered 503",
    next_attempt_at=_MOMENT + timedelta(seconds=30),
    last_delivered_at=_MOMENT - timedelta(hours=1),
)

SCHEMAS: dict[str, Any] = {
    "Analytics": {"from": "2026-03-01", "to": "2026-03-31", "group": None, "by": "stage", "rows": [figures]},
    "AnalyticsRow": figures,
    "Times": times,
    "Person": person,
    "ChangeSummary": summary,
    "VersionState": state,
    "Version": version,
    "Change": change,
    "MirroredChange": MirroredChange(**msgspec.structs.asdict(change)),
    "History": {"items": [MirroredChange(**msgspec.structs.asdict(change))], "next": None, "newest": 42},
    "ContentsAsked": {"sha256": [_SHA256]},
    "ContentsHeld": {"have": [_SHA256]},
    "Project": project,
    "Member": member,
    "Invitation": invitation,
    "MyInvitation": my_invitation,
    "Agent": agent,
    "KeptAgent": KeptAgent(
        agent=agent, credential=Credential(f"{AGENT}@agents.verso.invalid", "shown-here-and-nowhere-else")
    ),
    "RevokedAgent": RevokedAgent(
        agent=msgspec.structs.replace(agent, role=None, revoked_at=_MOMENT, active=False), account_closed=True
    ),
    "NewAgent": {"name": "spec-writer", "role": "editor"},
    "NewInvitation": {"email": "zoe@example.com", "role": "editor"},
    "Webhook": webhook,
    "KeyedWebhook": KeyedWebhook(
        **{**msgspec.structs.asdict(webhook), "attempts": 0, "last_error": None},
        secret="whsec_shown-here-and-nowhere-else",  # noqa: S106 - it is none
    ),
    "NewWebhook": {"url": "https://ci.example.com/verso", "kinds": ["change.added"], "prefix": "docs/"},
    "WebhookEdit": {"state": "paused"},
    "Rotation": {"overlap_seconds": 86_400},
    "ReplayAsked": {"first": 40, "last": 41},
    "Delivery": Delivery(
        number=118,
        sequence=42,
        kind="change.added",
        attempt=2,
        replay=False,
        at=_MOMENT,
        ms=312,
        status=503,
        error="answered 503",
        delivered=False,
    ),
    "AuditEntry": AuditEntry(
        id=AGENT,
        at=_MOMENT,
        last_at=_MOMENT + timedelta(seconds=40),
        count=12,
        kind="export.archive",
        witness="caller",
        person=person,
        project=PROJECT,
        known={"via": {"address": "192.0.2.10", "user_agent": "python-httpx/0.28"}},
        told={"address": "198.51.100.7", "user_agent": "curl/8.5.0", "about": "idse-core"},
        place=f"2026-03-02T09:30:00.000000Z n{AGENT}",
    ),
    "Document": document,
    "Session": session,
    "TreeEntry": entry,
    "Tag": tag,
    "Review": review,
    "Comment": comment,
    "PlacedComment": placed,
    "ReviewPage": {"state": "approved", "items": [review], "next": None},
    "DocumentCommentPage": {"at": version, "items": [placed], "next": None},
    "Rules": {
        "tags_need_approval": True,
        "completion_needs_approval": False,
        "completion_needs_document": True,
        "completion_needs_validation": False,
    },
    "NewReview": {"verdict": "approve", "body": "Clear now."},
    "NewComment": {"body": "Which base is meant here?", "first_line": 12, "last_line": 14},
    "NewReply": {"body": "The version that the write names."},
    "RulesEdit": {"tags_need_approval": True},
    "Written": {"version": version, "change": 42},
    "ChangeWritten": {"change": change},
    "TreePage": {"sequence": 42, "items": [entry], "next": None},
    "Me": {
        **msgspec.structs.asdict(person),
        "projects": [{"id": PROJECT, "slug": "idse-core", "role": "owner"}],
    },
    "ChangeBody": {
        "message": "Say what a stale base is",
        "items": [
            {"path": PATH, "base": HASH, "text": "hello"},
            {"path": "notes/new.md", "create": True, "text": "# New\n"},
            {"from": "notes/old.md", "path": "notes/moved.md", "base": PARENT},
        ],
    },
    "NewProject": {"slug": "idse-core", "name": "IDSE Core"},
    "ProjectEdit": {"archived": True},
    "NewRole": {"role": "editor"},
    "NewFolders": {"folders": ["docs", "sessions/milkdown-crepe"]},
    "ProfileEdit": {"handle": "zoe", "name": "Zoë Ahlgren"},
    "NewSession": {"slug": "milkdown-crepe", "title": "Milkdown Crepe"},
    "SessionEdit": {"status": "review"},
    "NewTag": {"name": "reviewed/2026-03", "at": "42"},
    "Move": {"path": "notes/moved.md", "message": "Where it belongs"},
    "NewErasure": {"sha256": _SHA256, "confirm": _SHA256, "reason": "A person asked for it."},
    "Restore": {"version": 3, "message": "The shorter one was better"},
    "RestoreTree": {"at": "41", "prefix": "notes/"},
}
"""One example of each schema, by its name in the OpenAPI document."""

PARAMETERS: dict[str, Any] = {
    "project": "idse-core",
    "path": PATH,
    "document": DOCUMENT,
    "session": "milkdown-crepe",
    "person": "zoe",
    "number": 7,
    "sequence": 42,
    "version": HASH,
    "comment": COMMENT,
    "agent": "spec-writer",
    "invitation": INVITATION,
    "webhook": INVITATION,
    "sha256": _SHA256,
    "part": "changes",
    "code": "stale_base",
}
"""One example of each path parameter."""

PATCH = """\
diff --git a/notes.md b/notes.md
--- a/notes.md
+++ b/notes.md
@@ -1 +1 @@
-one
+two
"""
