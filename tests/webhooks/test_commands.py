"""`verso webhooks` as owners use it, and what the API answers to what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.world import Api, code_of
from tests.cli.running import verso
from tests.webhooks.working import deliveries, register, webhook_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.world import People, Project
    from tests.stack import Stack
    from tests.webhooks.receiver import Receiver

URL = "https://example.com/hook"


@pytest.fixture
def run(api: Api, project: Project, tmp_path: Any) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        environment = {"VERSO_API": api.url, "VERSO_TOKEN": project.people.owner.token, "HOME": str(tmp_path)}
        return verso(
            "webhooks", *arguments, cwd=tmp_path, PYTHONPATH=":".join(__import__("sys").path), **environment
        )

    return run


def test_an_owner_keeps_a_webhook_by_commands(run: Callable[..., Any], project: Project) -> None:
    added = run("add", project.slug, URL, "--kind", "change.*", "--path", "docs/")
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("whsec_"), "the key alone, so that it can be piped"
    assert added.stdout.count("\n") == 1
    webhook = webhook_of(project)
    assert (webhook["kinds"], webhook["prefix"], webhook["url"]) == (["change.*"], "docs/", URL)
    one = webhook["id"]
    assert f"{one} active {URL}" in run("list", project.slug).stdout
    assert "paused" in run("pause", project.slug, one).stdout
    assert webhook_of(project)["state"] == "paused"
    resumed = json.loads(run("resume", project.slug, one, "--from-now", "--json").stdout)
    assert (resumed["state"], resumed["place"]) == ("active", resumed["newest"] - 1)
    rotated = run("rotate", project.slug, one, "--overlap", "0")
    assert rotated.stdout.startswith("whsec_")
    assert rotated.stdout != added.stdout
    assert "once more" in run("replay", project.slug, one, "1", "2").stdout
    assert webhook_of(project)["replay"] == {"first": 1, "last": 2}
    assert "There were none." in run("deliveries", project.slug, one).stdout
    assert run("remove", project.slug, one).returncode == 0
    assert "no webhooks" in run("list", project.slug).stdout
    gone = run("pause", project.slug, one)
    assert (gone.returncode, "no such webhook" in gone.stderr) == (1, True)
    assert run("deliver", "--supabase", "http://127.0.0.1:1").returncode == 2, "it takes the secret key"


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://example.com"},
        {"url": "https://u:p@example.com/"},
        {"url": "https://[::1"},
        {"url": URL, "kinds": ["nonsense"]},
    ],
    ids=["scheme", "user", "bracket", "kind"],
)
def test_what_is_no_webhook_is_refused(project: Project, body: dict[str, Any]) -> None:
    assert code_of(project.people.owner.post(f"{project.url}/webhooks", json=body)) == "bad_webhook"


def test_unless_allowed_an_address_is_https_and_public(
    stack: Stack, people: People, project: Project
) -> None:
    from tests.api.world import Person  # noqa: PLC0415

    owner = people.owner
    session = {"access_token": owner.token, "user": {"id": owner.id, "email": owner.email}}
    with Api(stack) as strict, Person(strict, session, None) as person:
        for url in (
            "http://example.com/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://10.0.0.1/",
        ):
            answer = person.post(f"{project.url}/webhooks", json={"url": url})
            assert code_of(answer) == "bad_webhook", url
        assert person.post(f"{project.url}/webhooks", json={"url": URL}).status_code == 201


def test_a_key_is_kept_by_no_cache_and_pages_of_attempts_join(
    project: Project, receiver: Receiver, stack: Stack
) -> None:
    webhook = register(project, receiver)
    owner = project.people.owner
    made = owner.post(f"{project.url}/webhooks", json={"url": URL})
    assert made.headers["cache-control"] == "no-store"
    oldest = owner.get(f"{project.url}/webhooks", params={"limit": 1})
    rest = owner.get(oldest.links["next"]["url"]).json()
    assert [each["id"] for each in (*oldest.json()["items"], *rest["items"])] == [
        webhook["id"],
        made.json()["id"],
    ]
    assert rest["next"] is None
    from tests.webhooks.conftest import sql  # noqa: PLC0415

    sql(
        stack,
        """insert into private.webhook_deliveries (webhook_id, number, sequence, kind, attempt, replay, ms, delivered)
           select $1, n, n, 'change.added', 1, false, 1, n % 2 = 0 from generate_series(1, 9) n""",
        webhook["id"],
    )
    url: str | None = f"{project.url}/webhooks/{webhook['id']}/deliveries?limit=4"
    numbers = []
    while url is not None:
        answer = owner.get(url)
        numbers += [each["number"] for each in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else None
    assert numbers == list(range(9, 0, -1))
    assert [each["number"] for each in deliveries(project, webhook, failed=True)] == [9, 7, 5, 3, 1]
