"""What `verso dev` tells: to people on the terminal, to scripts in `.verso/dev.json`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.cli.loopback import Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from app.cli.data_directory import DataDirectory
    from app.cli.seeding import Person

# The demo document whose history and diff are shown: edited by two people, shortened, restored.
SHOWN_PATH = "sessions/milkdown-crepe/specs/spec.md"


def dev_json(
    *,
    api: str,
    supabase: Mapping[str, Any],
    project: str | None,
    people: Mapping[str, Person],
    shown: str | None,
) -> dict[str, Any]:
    """The content of dev.json."""
    return {
        "api": api,
        "openapi": f"{api}/schema",
        "sign_in": f"{api}/auth/login",
        "supabase_url": supabase["supabase_url"],
        "publishable_key": supabase["publishable_key"],
        "db_url": supabase["db_url"],
        "pid": os.getpid(),
        "project": project,
        "document": shown,
        "people": {
            role: {
                "id": person.id,
                "handle": person.handle,
                "name": person.name,
                "email": person.email,
                "password": person.password,
                "access_token": person.access_token,
            }
            for role, person in people.items()
        },
    }


def write_handout(data: DataDirectory, values: Mapping[str, Any]) -> None:
    """Write dev.json, and each person's Authorization header to a file that curl reads."""
    for role, person in values["people"].items():
        data.write(data.header(role), f"Authorization: Bearer {person['access_token']}\n")
    # Last, because scripts wait for it.
    data.write_json(data.handout, values)


def find_shown(api: str, *, project: str, token: str) -> str | None:
    """The id of the document that the curl lines show, or None when the demo has been changed beyond that."""
    with Site(api) as site:
        tree = site.ask(
            "GET",
            f"/v1/projects/{project}/tree?prefix={quote(SHOWN_PATH)}",
            headers={"Authorization": f"Bearer {token}"},
        ).json()
    return next((entry["document"] for entry in tree["items"] if entry["path"] == SHOWN_PATH), None)


def curl_lines(values: Mapping[str, Any], header: Path) -> list[tuple[str, str]]:
    """What each line does, and the line. They work in any directory and as often as one likes.

    The token is read from a file: it is long, it is nobody's business in a shell's history, and the file is
    kept fresh while the lines are on the screen.
    """
    curl = f"curl -sS -H @{shlex.quote(str(header))}"
    # JSON comes without a final newline, and would end in the middle of the prompt.
    asking = f"{curl} -w '\\n'"
    api, project = values["api"], values["project"]
    lines = [
        (
            "upload a new document",
            (
                f"{asking} -X PUT -H 'If-None-Match: *' -H 'Content-Type: text/markdown' "
                f"--data-binary 'Hello, history.' "
                # A path of its own each time: pasted twice, it makes two documents.
                f'"{api}/v1/projects/{project}/files/hello/$(date +%s)-$$-$RANDOM.md"'
            ),
        )
    ]
    if document := values["document"]:
        lines += [
            (
                "the history of the editor's spec",
                f"{asking} '{api}/v1/documents/{document}/versions'",
            ),
            (
                "what changed in it from version 1 to 3",
                f"{curl} -H 'Accept: text/x-diff' '{api}/v1/documents/{document}/diff?from=1&to=3'",
            ),
        ]
    return lines


def welcome(values: Mapping[str, Any], data: DataDirectory, *, seconds: float) -> str:
    """What people read: plain text, a line never broken, so that what is copied works."""
    rows = [
        ("API", values["api"]),
        ("Pages", f"{values['api']}/"),
        ("Sign in", values["sign_in"]),
        ("OpenAPI page", values["openapi"]),
        ("Supabase", values["supabase_url"]),
        ("publishable key", values["publishable_key"]),
        ("for scripts", str(data.handout)),
        ("logs", f"{data.log('api')}, {data.log('supabase')}"),
    ]
    parts = [
        "Verso for laptops and demos: an embedded Supabase and the API, on this machine only.\n",
        *(f"  {name:<16} {text}" for name, text in rows),
    ]
    if values["people"]:
        parts.append(f"\nThe people of the project {values['project']}:\n")
        parts += [
            f"  {role:<16} {person['name']:<16} {person['email']:<22} password {person['password']}"
            for role, person in values["people"].items()
        ]
        parts.append("\nTry it, in another terminal, as the editor:\n")
        for what, line in curl_lines(values, data.header("editor")):
            parts += [f"# {what}", line]
    else:
        parts.append("\nNo demo was asked for: sign up with POST /auth/v1/signup of the Supabase above.")
    parts.append(f"\nReady in {seconds:.1f} s. Ctrl-C stops everything and keeps the data.\n")
    return "\n".join(parts)
