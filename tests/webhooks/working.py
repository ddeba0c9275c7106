"""The worker as a process, and what tests ask of webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from tests.stack import REPOSITORY
from tests.webhooks.conftest import sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api.world import Project
    from tests.stack import Stack
    from tests.webhooks.receiver import Receiver

PATIENCE = 20


class Worker:
    """`verso webhooks deliver` as a process of its own."""

    def __init__(self, stack: Stack, *arguments: str, key: str | None = None) -> None:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("VERSO_", "SUPABASE_"))}
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is stopped
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "webhooks", "deliver", *arguments],
            env=kept | {"SUPABASE_URL": stack.supabase_url, "SUPABASE_SECRET_KEY": key or stack.secret_key},
            cwd=REPOSITORY,
            # A pipe that nobody reads would be full after some hundred lines, and stop it.
            stdout=self._told,
            stderr=subprocess.STDOUT,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._told.close()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> str:
        """What it told, once it has ended."""
        self.process.wait(PATIENCE)
        self._told.seek(0)
        with self._told as told:
            return told.read().decode()


def register(project: Project, receiver: Receiver, **more: Any) -> dict[str, Any]:
    body = {"url": f"{receiver.url}/hook", **more}
    answer = project.people.owner.post(f"{project.url}/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def webhook_of(project: Project) -> dict[str, Any]:
    [found] = project.people.owner.get(f"{project.url}/webhooks").json()["items"]
    return dict(found)


def deliveries(project: Project, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    url = f"{project.url}/webhooks/{webhook['id']}/deliveries"
    return list(project.people.owner.get(url, params=query).json()["items"])


def until(condition: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def soon(stack: Stack, webhook: dict[str, Any]) -> None:
    """Let the pause after a failure be over."""
    sql(stack, "update private.webhooks set next_attempt_at = now() where id = $1", webhook["id"])


def is_signed(got: Any, secret: str) -> bool:
    """What docs/webhooks.md tells receivers to do."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(wanted, each) for each in got.headers["webhook-signature"].split(" "))
