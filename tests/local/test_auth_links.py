"""Links that sign in, as the official client makes and redeems them: for the secret key, and once."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

if TYPE_CHECKING:
    from tests.stack import Stack


async def client_of(stack: Stack, key: str) -> AsyncClient:
    return await acreate_client(stack.supabase_url, key, AsyncClientOptions(auto_refresh_token=False))


async def somebody(stack: Stack, **fields: Any) -> tuple[AsyncClient, str]:
    admin = await client_of(stack, stack.secret_key)
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    await admin.auth.admin.create_user({"email": email, "email_confirm": True, **fields})
    return admin, email


@pytest.mark.parametrize("kind", ["magiclink", "email"])
async def test_a_link_gives_a_session_once(stack: Stack, kind: Any) -> None:
    admin, email = await somebody(stack)
    made = await admin.auth.admin.generate_link({"type": "magiclink", "email": email})
    assert made.user.email == email
    assert made.properties.hashed_token in made.properties.action_link
    client = await client_of(stack, stack.publishable_key)
    token: Any = {"token_hash": made.properties.hashed_token, "type": kind}
    answers = await asyncio.gather(*(client.auth.verify_otp(token) for _ in range(4)), return_exceptions=True)
    signed_in = [each for each in answers if not isinstance(each, BaseException)]
    assert len(signed_in) == 1
    assert signed_in[0].user is not None
    assert signed_in[0].user.id == made.user.id
    refused = [each for each in answers if isinstance(each, AuthApiError)]
    assert {each.code for each in refused} == {"otp_expired"}


async def test_a_later_link_ends_the_earlier_one(stack: Stack) -> None:
    admin, email = await somebody(stack)
    first = await admin.auth.admin.generate_link({"type": "magiclink", "email": email})
    await admin.auth.admin.generate_link({"type": "magiclink", "email": email})
    client = await client_of(stack, stack.publishable_key)
    with pytest.raises(AuthApiError) as refused:
        await client.auth.verify_otp({"token_hash": first.properties.hashed_token, "type": "magiclink"})
    assert refused.value.code == "otp_expired"


async def test_nobody_but_the_secret_key_makes_links(stack: Stack) -> None:
    _, email = await somebody(stack)
    client = await client_of(stack, stack.publishable_key)
    with pytest.raises(AuthApiError) as refused:
        await client.auth.admin.generate_link({"type": "magiclink", "email": email})
    assert refused.value.status in {401, 403}


async def test_who_is_banned_is_not_let_in_and_a_guess_is_none(stack: Stack) -> None:
    admin, email = await somebody(stack, ban_duration="1h")
    made = await admin.auth.admin.generate_link({"type": "magiclink", "email": email})
    client = await client_of(stack, stack.publishable_key)
    for hashed, code in ((made.properties.hashed_token, "user_banned"), ("0" * 56, "otp_expired")):
        with pytest.raises(AuthApiError) as refused:
            await client.auth.verify_otp({"token_hash": hashed, "type": "magiclink"})
        assert refused.value.code == code
