"""Tokens that nobody at Supabase Auth made, and tokens that their owner filled with claims.

`tests/api/test_auth.py` has the basic forgeries (unsigned, re-signed, changed, another's issuer, audience,
role, time). Here: what else a header may be made to say, sizes, places, and what accounts say of themselves.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.api.world import Contract, Person, sign_in

if TYPE_CHECKING:
    from tests.api.world import Api
    from tests.attacks.world import World
    from tests.stack import Stack


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def token(world: World) -> str:
    """The owner's own, which every forgery begins with."""
    assert world.tokens["owner"] is not None
    return world.tokens["owner"]


@pytest.fixture(scope="module")
def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def status(world: World, token: str | bytes, **headers: str) -> int:
    """What the forgery gets where the owner's token gets the project."""
    sent = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
    url = f"{world.url}/v1/projects/{world.shared['project']}"
    answer = httpx.get(url, headers={"Authorization": sent, **headers}, trust_env=False, timeout=20)
    if answer.status_code == 401:
        assert answer.json()["code"] == "unauthenticated"
        assert "secret" not in answer.text
    return answer.status_code


def test_the_real_one_gets_in(world: World, token: str) -> None:
    assert status(world, token) == 200


@pytest.mark.parametrize(
    "algorithm", ["none", "nOnE", "HS256", "HS384", "HS512", "ES384", "PS256", "RS512", 7]
)
def test_no_other_algorithm_is_taken_whatever_the_header_says(
    world: World, stack: Stack, claims: dict[str, Any], algorithm: Any
) -> None:
    kid = stack.jwks["keys"][0]["kid"]
    signed = f"{encoded({'alg': algorithm, 'typ': 'JWT', 'kid': kid})}.{encoded(claims)}"
    public = jwt.PyJWK(stack.jwks["keys"][0]).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(str(algorithm), hashlib.sha256)
    for secret in (public, stack.publishable_key.encode(), kid.encode(), b""):
        assert status(world, f"{signed}.{encoded(hmac.digest(secret, signed.encode(), digest))}") == 401
    assert status(world, f"{signed}.") == 401


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 63 + b"\1", b"\0" * 4096])
def test_empty_and_trivial_signatures_are_none(world: World, token: str, signature: bytes) -> None:
    """A signature of zeros verified everything in one well-known library (CVE-2022-21449)."""
    header, payload, _ = token.split(".")
    assert status(world, f"{header}.{payload}.{encoded(signature)}") == 401


def test_no_key_comes_from_the_token_itself(
    world: World, api: Api, stack: Stack, claims: dict[str, Any]
) -> None:
    """Not embedded, not by URL, not by another kind of key under the published id."""
    kid = stack.jwks["keys"][0]["kid"]
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key()))
    before = api.metric(r"verso_supabase_requests_total\{service=\"(?:auth|other)\"\}")
    for extra in (
        {"kid": kid},
        {"kid": kid, "jwk": jwk},
        {"jku": f"{world.url}/jwks.json"},
        {"kid": kid, "x5u": "https://evil.example/x"},
        {"kid": f"{kid}\0"},
        {"kid": [kid]},
        {"kid": {"a": kid}},
        {"kid": kid, "crit": ["exp"]},
    ):
        header = {"alg": "ES256", "typ": "JWT", **extra}
        signed = f"{encoded(header)}.{encoded(claims)}"
        signature = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(signed.encode(), mine)
        assert status(world, f"{signed}.{encoded(signature)}") == 401, extra
    for key, algorithm in (
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ):
        assert status(world, jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})) == 401
    after = api.metric(r"verso_supabase_requests_total\{service=\"(?:auth|other)\"\}")
    assert after - before <= 2, "no header makes the service fetch something each time"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example/auth/v1"},
        {"iss": "{iss}/"},
        {"aud": "anon"},
        {"aud": []},
        {"nbf": 3600},
        {"iat": 3600},
        {"exp": -30},
        {"exp": "never"},
        {"sub": "00000000-0000-0000-0000-000000000000' or true"},
        {"sub": ""},
        {"role": "service_role"},
        {"role": "supabase_admin"},
        {"role": ["authenticated"]},
    ],
    ids=str,
)
def test_rightly_signed_claims_of_another_place_time_or_role_open_nothing(
    world: World, stack: Stack, claims: dict[str, Any], changed: dict[str, Any]
) -> None:
    filled = json.loads(json.dumps(changed).replace("{iss}", claims["iss"]))
    # Times are given in seconds from now: a test has the same name in every process.
    filled |= {name: int(time.time()) + value for name, value in filled.items() if isinstance(value, int)}
    assert status(world, stack.sign(**claims | filled)) in {401, 403, 404}


@pytest.mark.parametrize(
    "garbage",
    [
        b".",
        b"..",
        b"...",
        b"....",
        b"a.b.c.d.e",
        b"e30.e30.e30",
        b"bnVsbA.bnVsbA.bnVsbA",
        b"W10.W10.W10",
        b"\xff\xfe.\xff.\xff",
        b"%00.%00.%00",
        b"eyJhbGciOiJFUzI1NiJ9.eyJhbGciOiJFUzI1NiJ9.====",
        b"a b c",
        b"eyJhbGciOiJFUzI1NiIsImFsZyI6Im5vbmUifQ.e30.",
        base64.urlsafe_b64encode(b"[" * 6000) + b".e30.e30",
        base64.urlsafe_b64encode(b'{"alg":' * 1500) + b".e30.e30",
        base64.urlsafe_b64encode(b'{"alg":"ES256","n":' + b"9" * 6000 + b"}") + b".e30.e30",
    ],
    ids=lambda value: repr(value[:30]),
)
def test_garbage_is_refused_in_words(world: World, garbage: bytes) -> None:
    assert status(world, garbage) == 401


@pytest.mark.parametrize("size", [16_384, 16_385, 60_000, 1_000_000, 5_000_000])
def test_a_huge_token_costs_nothing_and_breaks_nothing(world: World, api: Api, size: int) -> None:
    begun = time.monotonic()
    with contextlib.suppress(httpx.TransportError):  # a server may hang up on a head that is far too long
        assert status(world, b"a" * (size // 2) + b"." + b"b" * (size // 2)) in {400, 401, 431}
    assert time.monotonic() - begun < 20
    assert httpx.get(f"{api.url}/health/live", trust_env=False).status_code == 200


def test_a_token_counts_in_its_header_only(world: World, token: str) -> None:
    """In an address it would be in histories and logs (RFC 6750, 5.3); two of them are none."""
    url = f"{world.url}/v1/projects/{world.shared['project']}"
    for query in ({"access_token": token}, {"token": token}, {"apikey": token}, {"jwt": token}):
        assert httpx.get(url, params=query, trust_env=False).status_code == 401
    for name in ("apikey", "X-Access-Token", "X-Forwarded-Authorization", "Proxy-Authorization"):
        assert httpx.get(url, headers={name: f"Bearer {token}"}, trust_env=False).status_code == 401
    for name in ("access_token", "sb-access-token", "token"):
        assert httpx.get(url, headers={"Cookie": f"{name}={token}"}, trust_env=False).status_code == 401


def test_what_an_account_says_of_itself_gives_no_role_and_makes_no_agent(
    world: World, api: Api, stack: Stack, contract: Contract
) -> None:
    """user_metadata is the account's own to write, and it is in every token: a real one, rightly signed."""
    session = sign_in(stack, "liar")
    said = {
        "role": "service_role",
        "verso_agent": "planner",
        "app_metadata": {"verso_agent": "planner", "role": "service_role"},
        "project": world.shared["project"],
        "projects": {world.shared["project"]: "owner"},
        "is_admin": True,
        "sub": str(uuid.uuid4()),
        "email_verified": True,
    }
    with httpx.Client(base_url=f"{stack.supabase_url}/auth/v1", trust_env=False) as auth:
        auth.headers["apikey"] = stack.publishable_key
        signed_in = {"Authorization": f"Bearer {session['access_token']}"}
        body = {"data": said, "app_metadata": {"verso_agent": "planner"}, "role": "service_role"}
        auth.put("/user", headers=signed_in, json=body).raise_for_status()
        renewed = auth.post(
            "/token?grant_type=refresh_token", json={"refresh_token": session["refresh_token"]}
        )
        renewed.raise_for_status()
    token = renewed.json()["access_token"]
    inside = jwt.decode(token, options={"verify_signature": False})
    assert inside["user_metadata"]["verso_agent"] == "planner", "the lie is in the token"
    assert inside["role"] == "authenticated"
    assert "verso_agent" not in inside["app_metadata"]

    assert status(world, token) == 404, "no project opens by a claim"
    with Person(api, renewed.json(), contract) as liar:
        mine = liar.post("/v1/projects", json={"slug": f"own-{uuid.uuid4().hex[:8]}"}).json()["id"]
        answer = liar.post(f"/v1/projects/{mine}/changes", json={"items": [{"path": "a", "text": "1"}]})
        change = answer.json()["change"]
        assert (change["actor"], change["agent"]) == ("human", None)
        assert change["author"]["id"] == session["user"]["id"]
