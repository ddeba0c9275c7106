"""How often Auth is asked for its keys: rarely, whatever strangers send and however long it is silent."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import VersoError
from app.settings import Settings
from app.supabase.identity import KEYS_SECONDS, UNKNOWN_KEY_SECONDS, Identity
from app.supabase.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACCOUNT = "0b4c7e9a-8c0f-4a55-9a37-3f6f3f1c2d10"
SETTINGS = Settings(supabase_url="http://auth.test", supabase_publishable_key="k")


class Auth:
    """The keys' address of an Auth server, and a clock."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.asked = 0
        self.silent = False
        self.now = time.time()

    def answer(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.silent:
            raise httpx.ConnectError("nobody there")
        key: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return httpx.Response(200, json={"keys": [{**key, "kid": "one", "alg": "ES256"}]})

    def token(self, kid: str = "one", **claims: Any) -> str:
        usual = {"sub": ACCOUNT, "aud": "authenticated", "iss": SETTINGS.issuer, "role": "authenticated"}
        body = {**usual, "exp": time.time() + 9000, **claims}
        return jwt.encode(body, self.private, algorithm="ES256", headers={"kid": kid})


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
async def identity(auth: Auth) -> AsyncIterator[Identity]:
    pool = Pool(SETTINGS)
    await pool.close()
    pool.http = httpx.AsyncClient(transport=httpx.MockTransport(auth.answer))
    yield Identity(pool, SETTINGS, clock=lambda: auth.now)
    await pool.http.aclose()


async def test_keys_are_asked_for_once_and_again_after_a_while(auth: Auth, identity: Identity) -> None:
    for n in range(5):
        await identity.verify(auth.token(n=n))
    assert auth.asked == 1
    auth.now += KEYS_SECONDS + 1
    await identity.verify(auth.token(n="later"))
    assert auth.asked == 2


async def test_unknown_keys_are_asked_for_at_most_once_in_a_while(auth: Auth, identity: Identity) -> None:
    for n in range(10):
        with pytest.raises(VersoError, match="does not publish"):
            await identity.verify(auth.token(kid=f"invented-{n}"))
    assert auth.asked == 1
    auth.now += UNKNOWN_KEY_SECONDS + 1
    with pytest.raises(VersoError, match="does not publish"):
        await identity.verify(auth.token(kid="invented"))
    assert auth.asked == 2


async def test_a_silent_auth_is_not_asked_for_each_token_and_old_keys_serve(
    auth: Auth, identity: Identity
) -> None:
    await identity.verify(auth.token())
    auth.silent = True
    auth.now += KEYS_SECONDS + 1
    for n in range(10):
        await identity.verify(auth.token(n=n))
    assert auth.asked == 2


async def test_without_any_keys_nobody_is_recognised_and_the_next_request_asks_again(
    auth: Auth, identity: Identity
) -> None:
    auth.silent = True
    with pytest.raises(VersoError, match="supabase_unavailable"):
        await identity.verify(auth.token())
    auth.silent = False
    assert (await identity.verify(auth.token())).id == ACCOUNT


async def test_who_waits_for_a_silent_auth_waits_once_however_many_they_are(
    auth: Auth, identity: Identity
) -> None:
    answered = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        await answered.wait()
        return auth.answer(request)

    identity._pool.http._transport = httpx.MockTransport(hang)
    auth.silent = True
    waiting = [asyncio.create_task(identity.verify(auth.token(n=n))) for n in range(20)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()  # who asked first leaves
    await asyncio.sleep(0.01)
    answered.set()
    told = await asyncio.gather(*waiting[1:], return_exceptions=True)
    assert {getattr(each, "code", each) for each in told} == {"supabase_unavailable"}
    assert auth.asked == 1
    auth.silent = False
    assert (await identity.verify(auth.token())).id == ACCOUNT


async def test_a_remembered_token_still_expires(auth: Auth, identity: Identity) -> None:
    token = auth.token(exp=auth.now + 60)
    await identity.verify(token)
    auth.now += 120
    with pytest.raises(VersoError, match="expired"):
        await identity.verify(token)
