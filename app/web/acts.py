"""What the audit trail's kinds and codes mean, in plain words: they stand beside them on its pages."""

from __future__ import annotations

from app.api.problems import PROBLEMS

WORDS = {
    "account.session_started": "Signed in",
    "account.session_ended": "Signed out, or the session ended",
    "account.renamed": "Took another handle",
    "account.deleted": "The account was deleted",
    "account.revived": "The account came back",
    "agent.added": "Made an agent",
    "agent.rotated": "Gave an agent another credential",
    "agent.revoked": "Revoked an agent",
    "audit.expired": "Old entries were let go",
    "bridge.used": "Came with a token of the older system",
    "content.erased": "Erased a content",
    "content.bytes_deleted": "Deleted the bytes of an erased content",
    "export.archive": "Took an archive",
    "export.audit": "Took the audit trail",
    "export.bundle": "Took a bundle",
    "export.contents": "Took contents in bulk",
    "export.git": "Fetched with Git",
    "export.history": "Took the history",
    "invitation.added": "Invited somebody",
    "invitation.accepted": "Accepted an invitation",
    "invitation.declined": "An invitation was declined",
    "invitation.revoked": "Took an invitation back",
    "member.added": "Added a member",
    "member.role_set": "Changed a member's role",
    "member.removed": "Removed a member, or left",
    "member.account_ended": "A member's account ended",
    "page.signed_in": "Signed in with a browser",
    "page.signed_out": "Signed out with a browser",
    "project.added": "Made the project",
    "project.edited": "Renamed or described the project",
    "project.archived": "Archived the project",
    "project.reopened": "Reopened the project",
    "project.rules_set": "Changed the project's rules",
    "refused.role": "Was refused: their role or folders don't allow it",
    "refused.absent": "Was refused: there was nothing for them to see",
    "refused.account": "Was refused: the account is deleted, or the agent revoked",
    "refused.password": "A wrong password was given",
    "refused.rate": "Was told to wait: they asked too often",
    "session.added": "Began a session",
    "session.edited": "Changed a session",
    "tag.added": "Named a point of history",
    "webhook.added": "Added a webhook",
    "webhook.edited": "Changed a webhook",
    "webhook.rotated": "Gave a webhook another key",
    "webhook.removed": "Removed a webhook",
    "webhook.disabled": "A webhook failed for too long and was switched off",
}


def act(kind: str) -> str:
    """What somebody did, by an entry's kind."""
    return WORDS.get(kind, kind)


def why(code: str) -> str:
    """What a refusal's code means; whatever else an account says of itself stays as it is."""
    return PROBLEMS[code].title if code in PROBLEMS else code
