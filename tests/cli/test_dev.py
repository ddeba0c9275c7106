"""What `verso dev` gives to a newcomer: everything running, a demo, and lines that work when pasted."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from app.cli.story import ROLES, demo_directory, read_story
from tests.api.browser import Browser
from tests.cli.running import REPOSITORY, Dev, verso
from tests.webhooks.receiver import Receiver
from tests.webhooks.working import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A first run, as a newcomer has it."""
    with Dev(tmp_path_factory.mktemp("dev") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def api(dev: Dev) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dev.values["api"], headers=dev.headers("owner"), timeout=30) as client:
        yield client


def curl_lines(dev: Dev) -> list[str]:
    return [line for line in dev.output.splitlines() if line.startswith("curl ")]


def paste(line: str, cwd: Path) -> str:
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, cwd=cwd)
    return done.stdout


def test_dev_json_names_everything_and_is_readable_by_its_owner_only(dev: Dev) -> None:
    values = dev.values
    assert set(values["people"]) == set(ROLES)
    for person in values["people"].values():
        assert {"email", "password", "access_token"} <= set(person)
    assert values["project"] == "idse-demo"
    assert {"api", "supabase_url", "publishable_key"} <= set(values)
    assert stat.S_IMODE((dev.data / "dev.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(dev.data.stat().st_mode) == 0o700


def test_each_person_has_the_role_that_dev_json_says(dev: Dev) -> None:
    values = dev.values
    for role in ROLES:
        answer = httpx.get(f"{values['api']}/v1/projects/{values['project']}", headers=dev.headers(role))
        if role == "outsider":
            assert answer.status_code == 404
        else:
            assert answer.json()["role"] == role


def test_the_password_of_dev_json_opens_the_embedded_auth(dev: Dev) -> None:
    values = dev.values
    person = values["people"]["reader"]
    answer = httpx.post(
        f"{values['supabase_url']}/auth/v1/token?grant_type=password",
        headers={"apikey": values["publishable_key"]},
        json={"email": person["email"], "password": person["password"]},
    )
    assert answer.json()["user"]["id"] == person["id"]


def test_a_demo_person_signs_in_in_a_browser_as_the_account_of_the_demo(dev: Dev) -> None:
    with Browser(dev.values["api"]) as browser:
        assert "Sign in with GitHub" in browser.open(dev.values["sign_in"]).text
        end = browser.sign_in("mara", f"/v1/projects/{dev.values['project']}")
        assert end.json()["slug"] == dev.values["project"] or end.json()["id"] == dev.values["project"]
        me = browser.get("/v1/me").json()
    assert (me["handle"], me["github_login"]) == ("mara", "mara")
    assert me["id"] in {person["id"] for person in dev.values["people"].values()}


def test_what_is_printed_is_where_things_are(dev: Dev) -> None:
    values = dev.values
    for shown in (
        values["api"],
        values["supabase_url"],
        values["openapi"],
        values["sign_in"],
        str(dev.data / "dev.json"),
    ):
        assert shown in dev.output
    for person in values["people"].values():
        assert f"{person['name']:<16} {person['email']}" in dev.output
        assert person["password"] in dev.output
    assert "laptops and demos" in dev.output
    assert httpx.get(values["openapi"]).status_code == 200
    assert httpx.get(f"{values['api']}/schema/openapi.json").json()["openapi"].startswith("3.1")


def test_the_curl_lines_work_when_pasted_and_when_pasted_again(dev: Dev, tmp_path: Path) -> None:
    upload, history, diff = curl_lines(dev)
    uploaded = [json.loads(paste(upload, tmp_path)) for _ in range(2)]
    assert [each["version"]["number"] for each in uploaded] == [1, 1]
    assert uploaded[0]["version"]["path"] != uploaded[1]["version"]["path"]
    for _ in range(2):
        versions = json.loads(paste(history, tmp_path))["items"]
        assert [version["number"] for version in versions] == list(range(len(versions), 0, -1))
        assert {version["change"]["author"]["handle"] for version in versions} == {"mara", "jonas"}
        assert paste(diff, tmp_path).startswith("diff --git ")


def test_the_curl_lines_of_the_readme_work_when_pasted(dev: Dev, tmp_path: Path) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line.strip() for line in readme.splitlines() if line.startswith("    curl ")]
    # The README's are for a checkout with the ports that nobody changed.
    here = [
        line.replace("@.verso/", f"@{dev.data}/").replace("http://127.0.0.1:8000", dev.values["api"])
        for line in lines
    ]
    upload, history, diff = (paste(line, tmp_path) for line in here)
    assert json.loads(upload)["version"]["number"] == 1
    assert {"mara", "jonas"} == {change["author"]["handle"] for change in json.loads(history)["items"]}
    assert diff.startswith("diff --git ")


def blocks_of(*pages: str) -> str:
    """The blocks of pages for a shell and for Python, as one script for bash."""
    texts = [(REPOSITORY / "docs" / page).read_text(encoding="utf-8") for page in pages]
    # The answers to a reviewer's questions are of another history; a stream has no end.
    text = "\n".join(text.partition("## A reviewer's questions")[0] for text in texts)
    found = re.findall(
        r"^```(sh|python)\n(.*?)^```",
        re.sub(r"^curl -N.*\n", "", text, flags=re.MULTILINE),
        re.MULTILINE | re.DOTALL,
    )
    return "\n".join(
        block if language == "sh" else f"export API P TOKEN\n{sys.executable} - <<'END'\n{block}END\n"
        for language, block in found
    )


def test_the_pages_of_the_api_and_of_reviews_work_when_pasted(dev: Dev, tmp_path: Path) -> None:
    script = blocks_of("http.md", "review.md", "reviews.md").replace(".verso/", f"{dev.data}/")
    site = dev.values["api"].removeprefix("http://")
    done = subprocess.run(
        ["bash", "-euc", script.replace("127.0.0.1:8000", site)],
        capture_output=True, check=False, cwd=tmp_path, env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-500:])
    assert b"# Plan\n\nOne step.\n" in done.stdout
    answer = httpx.get(f"{dev.values['api']}/v1/projects/handbook/changes", headers=dev.headers("owner"))
    assert [change["message"] for change in answer.json()["items"]][:3] == [
        "Restore specs/ to change 14", "", "as discussed"
    ]  # fmt: skip


def test_the_pasted_diff_turns_the_old_version_into_the_new_one(
    dev: Dev, api: httpx.Client, tmp_path: Path
) -> None:
    document = dev.values["document"]
    versions = f"/v1/documents/{document}/versions"
    path = api.get(f"{versions}/1").json()["path"]
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(api.get(f"{versions}/1/content").content)
    patch = paste(curl_lines(dev)[2], tmp_path)
    subprocess.run(["git", "apply", "-"], input=patch, text=True, check=True, cwd=tmp_path)
    assert (tmp_path / path).read_bytes() == api.get(f"{versions}/3/content").content


def test_the_demo_sessions_stages_stand_where_its_reports_leave_them(dev: Dev, api: httpx.Client) -> None:
    told = {(each.session, each.stage): each.state for each in read_story(demo_directory()).reports}
    board = api.get(f"/v1/projects/{dev.values['project']}/pipelines").json()["items"]
    stand = {
        (row["session"]["slug"], each["stage"]): each["state"] for row in board for each in row["stages"]
    }
    assert {place: state for place, state in stand.items() if state != "pending"} == told


def test_the_demo_project_tells_the_story_of_its_fixture(api: httpx.Client) -> None:
    story = read_story(demo_directory())
    log = changes_of(api)[: len(story.changes)]
    assert [change["message"] for change in log] == [change.message for change in story.changes]
    handles = {"owner": "mara", "editor": "jonas"}
    assert [change["author"]["handle"] for change in log] == [
        handles[change.author] for change in story.changes
    ]
    actions = {version["action"] for change in log for version in read_change(api, change)["versions"]}
    assert actions == {"add", "edit", "move", "delete", "restore"}


def test_the_demo_has_sessions_with_their_stage_documents(api: httpx.Client) -> None:
    sessions = api.get("/v1/projects/idse-demo/sessions").json()["items"]
    assert {session["slug"]: session["type"] for session in sessions} == {
        "blueprint": "blueprint",
        "milkdown-crepe": "feature",
        "offline-drafts": "exploratory",
    }
    feature = api.get("/v1/projects/idse-demo/sessions/milkdown-crepe").json()
    stages = {document["path"]: document["stage"] for document in feature["documents"]}
    assert stages["sessions/milkdown-crepe/plans/test-plan.md"] == "plan"
    assert {"intent", "context", "spec", "plan", "tasks", "implementation", "feedback"} <= set(
        stages.values()
    )


def test_a_demo_document_reads_back_byte_for_byte(api: httpx.Client) -> None:
    path = "sessions/blueprint/contexts/context.md"
    expected = (demo_directory() / "documents" / path).read_bytes()
    assert api.get(f"/v1/projects/idse-demo/files/{path}").content == expected


def test_a_busy_port_is_named_with_the_option_that_chooses_another(dev: Dev, tmp_path: Path) -> None:
    api_port = dev.values["api"].rpartition(":")[2]
    supabase_port = dev.values["supabase_url"].rpartition(":")[2]

    def refused(option: str, port: str, other: str) -> None:
        done = verso("dev", "--data", str(tmp_path / option.strip("-")), option, port, other, "0")
        assert done.returncode == 1
        assert f"Port {port} " in done.stderr
        assert f"another port with {option}" in done.stderr

    with ThreadPoolExecutor(2) as both:  # each waits some seconds: whoever has the port may be about to end
        asked = [
            both.submit(refused, "--port", api_port, "--supabase-port"),
            both.submit(refused, "--supabase-port", supabase_port, "--port"),
        ]
    for each in asked:
        each.result()


def test_a_second_run_on_the_same_data_is_refused(dev: Dev) -> None:
    done = verso("dev", "--data", str(dev.data), "--port", "0", "--supabase-port", "0")
    assert done.returncode == 1
    assert f"(process {dev.process.pid})" in done.stderr
    assert httpx.get(f"{dev.values['api']}/health/ready").status_code == 200


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    done = verso("dev", "--data", str(tmp_path), "--reset", "--port", "0", "--supabase-port", "0")
    assert done.returncode == 1
    assert "--data" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("word", ["app.cli.api_process", "app.local"])
def test_a_child_that_is_killed_is_started_again(dev: Dev, word: str) -> None:
    before = dev.child(word)
    before.kill()
    psutil.wait_procs([before], timeout=10)

    def handle() -> Any:
        try:
            answer = httpx.get(f"{dev.values['api']}/v1/me", headers=dev.headers("owner"), timeout=5)
        except httpx.HTTPError:
            return None
        return answer.status_code == 200 and answer.json()["handle"]

    assert until(handle, seconds=60) == "mara"
    assert dev.child(word).pid != before.pid
    dev.note_family()


def test_the_doctor_examines_a_running_dev_without_being_told_more(dev: Dev) -> None:
    done = verso("doctor", "--data", str(dev.data), "--json")
    findings = json.loads(done.stdout)["findings"]
    assert [finding for finding in findings if finding["state"] != "passed"] == []
    assert done.returncode == 0


def changes_of(api: httpx.Client) -> list[dict[str, Any]]:
    """The project's log, oldest first."""
    page = api.get("/v1/projects/idse-demo/changes?limit=200").json()
    return list(reversed(page["items"]))


def read_change(api: httpx.Client, change: dict[str, Any]) -> dict[str, Any]:
    return dict(api.get(f"/v1/projects/idse-demo/changes/{change['sequence']}").json())


def test_webhooks_come_to_this_machine_and_also_after_their_worker_was_killed(
    dev: Dev, api: httpx.Client
) -> None:
    with Receiver() as receiver:
        url = f"/v1/projects/{dev.values['project']}"
        made = api.post(f"{url}/webhooks", json={"url": receiver.url, "kinds": ["change.added"]})
        assert made.status_code == 201, made.text
        api.put(f"{url}/files/webhooks/one.md", content=b"one").raise_for_status()
        receiver.wait_for(1)
        # Else its lease would have to run out first, which takes a minute.
        until(lambda: api.get(f"{url}/webhooks").json()["items"][0]["last_delivered_at"])
        dev.child("app.cli.webhooks_process").kill()
        api.put(f"{url}/files/webhooks/two.md", content=b"two").raise_for_status()
        receiver.wait_for(2, seconds=60)
        paths = [each.event["change"]["versions"][0]["path"] for each in receiver.got]
        assert paths == ["webhooks/one.md", "webhooks/two.md"]
        api.delete(f"{url}/webhooks/{made.json()['id']}").raise_for_status()
