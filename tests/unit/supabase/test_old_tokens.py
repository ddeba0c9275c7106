"""Tokens of an older system: what is believed of them, and what is not."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec
import pytest

from app.errors import VersoError
from app.settings import Settings, SettingsError
from app.supabase.old_tokens import OldTokens, Terms, terms_of

NOW = datetime(2026, 12, 10, tzinfo=UTC)
SECRET = "the-secret-that-everybody-had-before"
TERMS = Terms(
    secret=SECRET,
    since=NOW - timedelta(days=9),
    until=NOW + timedelta(days=30),
    mode="read-only",
    issuer=None,
    audience=None,
    supabase_issuer="https://x.supabase.co/auth/v1",
)
REAL_NOW = datetime.now(UTC).timestamp()
"""PyJWT looks at the machine's clock for `exp`, so tokens live from now."""
LATER = 86_400
"""Seconds, more than a run of all tests takes: this file was read when it began."""


def token(*, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    said = {"sub": "17", "exp": REAL_NOW + LATER, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys that are short for HS512: that's the attacker's business
        return jwt.encode(said, "" if algorithm == "none" else secret, algorithm)


def tokens(**changed: Any) -> OldTokens:
    return OldTokens(msgspec.structs.replace(TERMS, **changed), clock=NOW.timestamp)


def refused(wrong: str, **changed: Any) -> str:
    with pytest.raises(VersoError) as caught:
        tokens(**changed).verify(wrong)
    assert caught.value.code == "unauthenticated"
    assert not wrong or wrong not in caught.value.sentence
    return caught.value.sentence


@pytest.mark.parametrize("subject", ["17", 17, "7a5f6e0d-0d1c-4a43-9b6e-3a0b8d1f2c33", "ada@example.com"])
def test_a_token_proves_its_subject_until_it_ends(subject: str | int) -> None:
    old = tokens().verify(token(sub=subject))
    assert (old.subject, old.expires_at) == (str(subject), pytest.approx(REAL_NOW + LATER))


def test_no_token_outlives_the_bridge() -> None:
    assert tokens().verify(token(exp=REAL_NOW + 10**9)).expires_at == TERMS.until.timestamp()


@pytest.mark.parametrize(
    "wrong",
    [
        token(secret=SECRET[::-1]),
        token(algorithm="none"),
        token(algorithm="HS384"),
        token(algorithm="HS512"),
        token(exp=REAL_NOW - 60),
        token(exp=None),
        token(sub=None),
        token(sub=""),
        token(sub="x" * 201),
        token(sub=True),
        token(sub=["17"]),
        token(sub={"id": 17}),
        token(nbf=REAL_NOW + LATER),
        token(iat=REAL_NOW + LATER),
        token()[:-3],
        token().rpartition(".")[0] + ".",
        "x.y.z",
        "",
    ],
    ids=[
        "another secret", "none", "HS384", "HS512", "expired", "without an end", "without a subject", "empty subject",
        "long subject", "true for a subject", "a list", "an object", "not yet", "of tomorrow", "cut off",
        "without its signature", "junk", "nothing",
    ],
)  # fmt: skip
def test_everything_else_is_refused(wrong: str) -> None:
    refused(wrong)


def test_issuer_and_audience_count_where_they_are_set() -> None:
    there = {"issuer": "old", "audience": "docs"}
    good = token(iss="old", aud="docs")
    assert tokens(**there).verify(good).subject == "17"
    for wrong in (
        token(aud="docs"),
        token(iss="old"),
        token(iss="new", aud="docs"),
        token(iss="old", aud="x"),
    ):
        refused(wrong, **there)


def test_before_its_time_and_after_it_nothing_is_taken() -> None:
    assert "not taken any more" in refused(token(), until=NOW)
    assert "not taken yet" in refused(token(), since=NOW + timedelta(seconds=1))


def test_a_token_of_supabase_is_never_meant() -> None:
    assert tokens().meant(token())
    assert not tokens().meant(token(iss=TERMS.supabase_issuer))
    assert not tokens().meant(token(algorithm="none"))
    assert not tokens().meant("junk")
    assert not tokens().meant("x" * 20_000)


SET = {
    "SUPABASE_URL": "https://x.supabase.co",
    "SUPABASE_PUBLISHABLE_KEY": "p",
    "SUPABASE_SECRET_KEY": "s",
    "VERSO_BRIDGE_SECRET": SECRET,
    "VERSO_BRIDGE_FROM": "2026-12-01T00:00:00Z",
    "VERSO_BRIDGE_UNTIL": "2027-01-01T00:00:00Z",
}


def test_unless_it_is_set_there_is_no_bridge() -> None:
    few = {name: SET[name] for name in ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY")}
    assert terms_of(Settings.from_environment(few)) is None
    terms = terms_of(Settings.from_environment(SET))
    assert terms is not None
    assert (terms.mode, terms.supabase_issuer) == ("read-only", "https://x.supabase.co/auth/v1")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("VERSO_BRIDGE_SECRET", "short"),
        ("VERSO_BRIDGE_MODE", "write-only"),
        ("VERSO_BRIDGE_UNTIL", ""),
        ("VERSO_BRIDGE_FROM", ""),
        ("VERSO_BRIDGE_UNTIL", "2026-11-01T00:00:00Z"),
        ("VERSO_BRIDGE_UNTIL", "2028-01-01T00:00:00Z"),
        ("VERSO_BRIDGE_UNTIL", "2027-01-01T00:00:00"),
        ("VERSO_BRIDGE_UNTIL", "soon"),
        ("SUPABASE_SECRET_KEY", ""),
        ("VERSO_JWT_SECRET", SECRET),
    ],
)
def test_a_bridge_without_an_end_or_a_good_secret_does_not_start(name: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE"):
        Settings.from_environment(SET | {name: wrong})
