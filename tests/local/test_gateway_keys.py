"""Keys and callers: which token is trusted, and who a request's headers say is calling."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from app.local.binaries import PostgresError
from app.local.caller import Caller, InvalidToken, MissingKey, UnknownKey, caller_of
from app.local.keys import CACHED_TOKENS, Keys, TokenError, TokenExpired, TokenForged, TokenMalformed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.load(tmp_path_factory.mktemp("keys"))


def claims(**more: object) -> dict:
    return {"sub": "s", "role": "authenticated", "exp": int(time.time()) + 60, **more}


def test_keys_are_made_once_and_are_ours_alone(tmp_path: Path):
    made, read = Keys.load(tmp_path / "data"), Keys.load(tmp_path / "data")
    for name in ("publishable_key", "secret_key", "anon_key", "service_role_key", "kid"):
        assert getattr(made, name) == getattr(read, name)
    assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["keys.json"]
    assert Keys.load(tmp_path / "other").secret_key != made.secret_key


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}', "\0"])
def test_a_file_that_holds_no_keys_is_refused_in_words(tmp_path: Path, text: str):
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(PostgresError, match="new data directory"):
        Keys.load(tmp_path)
    assert (tmp_path / "keys.json").read_text() == text


def test_keys_that_find_no_room_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Keys.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_we_sign_we_trust(keys: Keys):
    assert keys.verify(keys.sign(claims()))["sub"] == "s"
    assert keys.verify(keys.sign_hs256(claims()))["sub"] == "s"


def test_a_token_expires_although_it_was_trusted_before(keys: Keys, monkeypatch: pytest.MonkeyPatch):
    token = keys.sign(claims(exp=int(time.time()) + 60))
    keys.verify(token)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(TokenExpired):
        keys.verify(token)


def test_a_token_of_the_future_is_not_valid_yet(keys: Keys):
    with pytest.raises(TokenExpired, match="not yet valid"):
        keys.verify(keys.sign(claims(nbf=int(time.time()) + 60)))


def test_another_projects_tokens_are_forged(keys: Keys, tmp_path: Path):
    other = Keys.load(tmp_path)
    with pytest.raises(TokenForged):
        keys.verify(other.sign_hs256(claims()))
    with pytest.raises(TokenMalformed):
        keys.verify(other.sign(claims()))
    stolen_kid = jwt.encode(
        claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": keys.kid}
    )
    with pytest.raises(TokenForged):
        keys.verify(stolen_kid)


def test_the_public_key_is_no_secret_to_sign_with(keys: Keys):
    """RFC 8725, 2.1: a server that lets the header choose takes HS256 signed with the published key."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": keys.kid}).encode()).rstrip(b"=")
    payload = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    secret = keys._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.digest(secret, header + b"." + payload, hashlib.sha256)
    token = b".".join([header, payload, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()
    with pytest.raises(TokenForged):
        keys.verify(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "ES384", ""])
def test_other_algorithms_are_not_even_tried(keys: Keys, algorithm: str):
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": keys.kid}).encode())
        .rstrip(b"=")
        .decode()
    )
    payload = keys.sign(claims()).split(".")[1]
    with pytest.raises(TokenMalformed):
        keys.verify(f"{header}.{payload}.")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", [], True, None])
def test_a_time_that_is_no_number_is_malformed(keys: Keys, name: str, value: object):
    with pytest.raises(TokenMalformed):
        keys.verify(keys.sign_hs256(claims(**{name: value})))


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.x"))
def test_any_text_is_refused_and_never_a_crash(keys: Keys, text: str):
    with pytest.raises(TokenError):
        keys.verify(text)


@given(position=st.integers(0, 10_000), character=st.sampled_from("ABCxyz019-_"))
def test_one_changed_character_forges_a_token(keys: Keys, position: int, character: str):
    token = keys.anon_key
    position %= len(token) - 1  # the last character holds padding bits, which nothing signs
    if token[position] in {character, "."}:
        return
    with pytest.raises(TokenError):
        keys.verify(token[:position] + character + token[position + 1 :])


def test_the_memory_of_trusted_tokens_is_bounded(keys: Keys):
    for number in range(CACHED_TOKENS + 10):
        keys._trusted[str(number)] = claims()
    keys.verify(keys.sign(claims()))
    assert len(keys._trusted) <= CACHED_TOKENS


# --- callers ---------------------------------------------------------------------------------------------------


def test_a_key_alone_stands_for_its_role(keys: Keys):
    for key, role in (
        (keys.publishable_key, "anon"),
        (keys.anon_key, "anon"),
        (keys.secret_key, "service_role"),
        (keys.service_role_key, "service_role"),
    ):
        for headers in ({"apikey": key}, {"apikey": key, "authorization": f"Bearer {key}"}):
            caller = caller_of(headers, keys)
            assert (caller.role, caller.claims["role"]) == (role, role)
            assert json.loads(caller.claims_json) == caller.claims


def test_a_users_token_says_who_calls_whatever_the_key(keys: Keys):
    token = keys.sign(claims(sub="me"))
    for key in (keys.publishable_key, keys.secret_key, keys.anon_key):
        caller = caller_of({"apikey": key, "authorization": f"bearer  {token}"}, keys)
        assert isinstance(caller, Caller)
        assert (caller.role, caller.claims["sub"]) == ("authenticated", "me")


def test_a_token_without_a_role_is_anonymous(keys: Keys):
    for role in ({}, {"role": None}, {"role": 7}):
        token = keys.sign({"sub": "x", **role})
        assert caller_of({"apikey": keys.anon_key, "authorization": f"Bearer {token}"}, keys).role == "anon"


def test_no_key_and_a_wrong_key_are_refused(keys: Keys, tmp_path: Path):
    token = keys.sign(claims())
    with pytest.raises(MissingKey):
        caller_of({"authorization": f"Bearer {token}"}, keys)
    other = Keys.load(tmp_path)
    for wrong in (
        "sb_publishable_x",
        "sb_secret_x",
        other.anon_key,
        other.secret_key,
        "x",
        "é",
        keys.secret_key[:-1],
    ):
        with pytest.raises(UnknownKey):
            caller_of({"apikey": wrong}, keys)
        with pytest.raises(InvalidToken):
            caller_of({"apikey": keys.publishable_key, "authorization": f"Bearer {wrong}"}, keys)


def test_a_bad_token_is_not_replaced_by_the_keys_role(keys: Keys):
    expired = keys.sign(claims(exp=1))
    with pytest.raises(InvalidToken) as refused:
        caller_of({"apikey": keys.secret_key, "authorization": f"Bearer {expired}"}, keys)
    assert isinstance(refused.value.cause, TokenExpired)
