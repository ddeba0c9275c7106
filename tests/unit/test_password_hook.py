"""Which function of the database is told of passwords, by a config.toml as the Supabase CLI has it."""

from __future__ import annotations

import tomllib

import pytest

from app.local.auth.hooks import password_hook
from tests.stack import MIGRATIONS


def auth_of(uri: str, enabled: str = "true") -> dict[str, object]:
    text = f'[hook.password_verification_attempt]\nenabled = {enabled}\nuri = "{uri}"'
    return tomllib.loads(text)


def test_it_is_the_one_that_is_named_and_enabled() -> None:
    assert password_hook(auth_of("pg-functions://postgres/private/note")) == "private.note"
    assert password_hook(auth_of("pg-functions://postgres/private/note", "false")) is None
    assert password_hook({}) is None


@pytest.mark.parametrize(
    "uri", ["", "https://example.com/hook", "pg-functions://postgres/note", "pg-functions://postgres/a/b;c"]
)
def test_what_this_auth_cannot_call_is_told_at_the_start(uri: str) -> None:
    with pytest.raises(ValueError, match="password_verification_attempt"):
        password_hook(auth_of(uri))


def test_versos_own_configuration_names_one() -> None:
    config = tomllib.loads((MIGRATIONS.parent / "config.toml").read_text(encoding="utf-8"))
    assert password_hook(config["auth"]) == "private.note_password_attempt"
