"""`verso members` and `verso invitations`: who belongs to a project, and how they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import rich_click as click

from app.cli.completing import ProjectName
from app.cli.exits import api_option, json_option, telling
from app.cli.reaching import connect

if TYPE_CHECKING:
    from uuid import UUID

ROLE = click.Choice(["reader", "reviewer", "editor", "owner"])


@click.group(name="members")
def members() -> None:
    """Keep a project's members: their roles and folders, and who is invited."""


@members.command(name="list")
@click.argument("project", type=ProjectName())
@api_option
@json_option
def list_members(project: str, *, api: str | None, as_json: bool) -> None:
    """List PROJECT's members, owners first."""
    with telling(as_json) as out, connect(api) as client:
        found = list(client.pages(_url(project, "members"), kind=dict[str, Any]))
        out.tell(found, "\n".join(_member(each) for each in found))


@members.command(name="set")
@click.argument("project", type=ProjectName())
@click.argument("person")
@click.argument("role", type=ROLE, metavar="ROLE")
@api_option
@json_option
def set_member(project: str, person: str, role: str, *, api: str | None, as_json: bool) -> None:
    """Give PERSON (a handle or id) a ROLE in PROJECT, member or not. For owners.

    ROLE is reader, reviewer, editor or owner.
    """
    with telling(as_json) as out, connect(api) as client:
        found = client.send("PUT", _url(project, "members", person), {"role": role}, again=True)
        out.tell(found, _member(found))


@members.command(name="folders")
@click.argument("project", type=ProjectName())
@click.argument("person")
@click.argument("folders", nargs=-1)
@click.option("--everywhere", is_flag=True, help="In the whole project again.")
@api_option
@json_option
def set_folders(  # noqa: PLR0917 - click passes options by name
    project: str, person: str, folders: tuple[str, ...], everywhere: bool, api: str | None, as_json: bool
) -> None:
    """Let PERSON be an editor of these FOLDERS of PROJECT only. For owners.

    What lies elsewhere they read and review, and don't write.
    """
    with telling(as_json) as out, connect(api) as client:
        from app.errors import VersoError

        if bool(folders) == everywhere:
            raise VersoError("bad_usage", "Name folders, or say --everywhere.")
        # As a shell completes them: with a slash at the end.
        body = {"folders": [each.rstrip("/") for each in folders] or None}
        found = client.send("PUT", f"{_url(project, 'members', person)}/folders", body, again=True)
        out.tell(found, _member(found))


@members.command(name="remove")
@click.argument("project", type=ProjectName())
@click.argument("person")
@api_option
@json_option
def remove_member(project: str, person: str, *, api: str | None, as_json: bool) -> None:
    """Remove PERSON from PROJECT; their rights end at once. For owners, or to leave."""
    with telling(as_json) as out, connect(api) as client:
        client.send("DELETE", _url(project, "members", person))
        out.tell({"removed": person}, f"{person} is no member of {project} any more. What they wrote stays.")


@members.command(name="invite")
@click.argument("project", type=ProjectName())
@click.option("--email", help="Whom to invite, by an address that they can prove.")
@click.option("--github", help="Whom to invite, by their GitHub login.")
@click.option("--role", type=ROLE, default="reader", show_default=True)
@api_option
@json_option
def invite(
    project: str, *, email: str | None, github: str | None, role: str, api: str | None, as_json: bool
) -> None:
    """Invite somebody into PROJECT, account or not. For owners. Verso sends no mail: tell them."""
    with telling(as_json) as out, connect(api) as client:
        body = {"role": role, "email": email, "github_login": github}
        made = client.post(
            _url(project, "invitations"), {name: text for name, text in body.items() if text is not None}
        )
        out.tell(made, f"{_invitation(made)}\nTell them to sign in and run `verso invitations list`.")


@members.command(name="invited")
@click.argument("project", type=ProjectName())
@click.option("--ended", is_flag=True, help="Those that ended as well.")
@api_option
@json_option
def list_invited(project: str, *, ended: bool, api: str | None, as_json: bool) -> None:
    """List who is invited into PROJECT. For owners."""
    with telling(as_json) as out, connect(api) as client:
        found = list(
            client.pages(_url(project, "invitations"), kind=dict[str, Any], ended="true" if ended else None)
        )
        out.tell(found, "\n".join(_invitation(each) for each in found) or "Nobody.")


@members.command(name="uninvite")
@click.argument("project", type=ProjectName())
@click.argument("invitation", type=click.UUID)
@api_option
@json_option
def uninvite(project: str, invitation: UUID, *, api: str | None, as_json: bool) -> None:
    """Take an INVITATION (its id) into PROJECT back. For owners."""
    with telling(as_json) as out, connect(api) as client:
        client.send("DELETE", _url(project, "invitations", str(invitation)), again=True)
        out.tell({"revoked": invitation}, "It is taken back.")


@click.group(name="invitations")
def invitations() -> None:
    """See what you are invited to, and say yes or no."""


@invitations.command(name="list")
@api_option
@json_option
def list_mine(*, api: str | None, as_json: bool) -> None:
    """List the projects that you are invited to, by addresses that are proven to be yours."""
    with telling(as_json) as out, connect(api) as client:
        found = list(client.pages("/v1/me/invitations", kind=dict[str, Any]))
        out.tell(found, "\n".join(_mine(each) for each in found) or "You are invited to nothing.")


@invitations.command(name="accept")
@click.argument("invitation", type=click.UUID)
@api_option
@json_option
def accept(invitation: UUID, *, api: str | None, as_json: bool) -> None:
    """Accept an INVITATION, by its id."""
    with telling(as_json) as out, connect(api) as client:
        project = client.send("POST", f"/v1/me/invitations/{invitation}/accept", again=True)
        out.tell(project, f"You are {project['role']} of {project['slug']} ({project['id']}).")


@invitations.command(name="decline")
@click.argument("invitation", type=click.UUID)
@api_option
@json_option
def decline(invitation: UUID, *, api: str | None, as_json: bool) -> None:
    """Decline an INVITATION, by its id. Nobody is told who did."""
    with telling(as_json) as out, connect(api) as client:
        client.send("POST", f"/v1/me/invitations/{invitation}/decline", again=True)
        out.tell({"declined": invitation}, "Declined.")


def _url(project: str, what: str, one: str | None = None) -> str:
    at = "" if one is None else f"/{quote(one, safe='')}"
    return f"/v1/projects/{quote(project, safe='')}/{what}{at}"


def _member(member: dict[str, Any]) -> str:
    person = member["person"]
    folders = f" in {', '.join(member['folders'])}" if member.get("folders") else ""
    name = f"  {person['name']}" if person.get("name") else ""
    return f"{member['role']:<8} {person.get('handle') or person['id']}{name}{folders}"


def _invitation(invitation: dict[str, Any]) -> str:
    whom = invitation.get("email") or f"{invitation['github_login']} on GitHub"
    return (
        f"{invitation['id']}  {whom} as {invitation['role']}: {invitation['state']}, "
        f"until {invitation['expires_at'][:10]}"
    )


def _mine(invitation: dict[str, Any]) -> str:
    project, host = invitation["project"], invitation["invited_by"]
    return (
        f"{invitation['id']}  {project['slug']} ({project['name']}) as {invitation['role']}, "
        f"by {host.get('handle') or host['id']}, until {invitation['expires_at'][:10]}"
    )
